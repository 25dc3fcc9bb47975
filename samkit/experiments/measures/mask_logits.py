"""A prediction's logits over its picture, at the sizes in which pictures and maps of a result are made."""

from typing import TYPE_CHECKING

import numpy as np

from samkit.media.mask_views import view_size

if TYPE_CHECKING:
    from samkit.models.encoding import MaskPrediction

MASK_COUNT = 4
MAP_SIDE_PX = 200


def view_logits_of(prediction: "MaskPrediction", index: int) -> np.ndarray:
    """float32 [h, w]: one of `view_logits`."""
    return prediction.logits_at(index, view_size(prediction.geometry.original_size))


def view_logits(prediction: "MaskPrediction") -> np.ndarray:
    """float32 [4, h, w]: all masks' logits over the picture, padding removed, at `view_size`."""
    return np.stack([view_logits_of(prediction, i) for i in range(MASK_COUNT)])


def map_logits(prediction: "MaskPrediction") -> np.ndarray:
    """float16 [4, h, w]: all masks' logits over the picture, padding removed, within `MAP_SIDE_PX`: for an interactive
    map.
    """
    height, width = prediction.geometry.original_size
    shrink = min(1.0, MAP_SIDE_PX / max(height, width))
    size = (max(1, round(height * shrink)), max(1, round(width * shrink)))
    return np.stack([prediction.logits_at(i, size) for i in range(MASK_COUNT)]).astype(np.float16)
