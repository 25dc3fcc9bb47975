"""Regions of high similarity handed back to the model: a click on each one's peak, for a mask of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from samkit.experiments.lab import LabLike, LazyEncoding
from samkit.experiments.measures.token_similarity import Region
from samkit.media.masks import mask_iou
from samkit.prompts import Prompts

if TYPE_CHECKING:
    from samkit.models.sam import SamModel

MAX_OBJECTS = 200
SAME_OBJECT_IOU = 0.7


@dataclass(frozen=True)
class PeakMask:
    """The mask that a click gave, in an eighth of its bytes, for there may be hundreds of them.

    bits: uint8, of `np.packbits`; size: (height, width) of the mask in pixels
    """

    bits: np.ndarray
    size: tuple[int, int]
    predicted_iou: float

    @property
    def mask(self) -> np.ndarray:
        """bool [H, W], a new array."""
        height, width = self.size
        return np.unpackbits(self.bits, count=height * width).reshape(height, width).view(bool)


def mask_at_peak(model: "SamModel", encoding: LazyEncoding, peak: tuple[float, float]) -> PeakMask:
    """The mask predicted best for a click at (x, y), as shares of the picture. A step that a lab recalls: another
    threshold has most of the peaks in common.
    """
    prediction = model.predict_masks(encoding.value, Prompts(points=((*peak, 1),)))
    mask = prediction.mask(prediction.best)
    return PeakMask(np.packbits(mask), (mask.shape[0], mask.shape[1]), float(prediction.iou[prediction.best]))


def find_objects(
    model: "SamModel", encoding: LazyEncoding, regions: Sequence[Region], lab: LabLike
) -> tuple[dict[int, np.ndarray], list[dict[str, Any]]]:
    """A mask for each region, from a click on its peak: (bool [H, W] by the region's number, rows).

    A mask that is mostly the same as one before is left out, and its row says which; an empty one is left out too.
    """
    masks: dict[int, np.ndarray] = {}
    rows = []
    for region in regions[:MAX_OBJECTS]:
        lab.report(region.label / max(1, len(regions)), f"Mask {region.label} of {min(len(regions), MAX_OBJECTS)}")
        clicked = lab.recall(mask_at_peak, model, encoding, region.peak)
        mask = clicked.mask
        same = next((number for number, other in masks.items() if mask_iou(mask, other) > SAME_OBJECT_IOU), None)
        row = {"object": region.label, "x": region.peak[0], "y": region.peak[1], "similarity": region.peak_similarity}
        row |= {"predicted_iou": clicked.predicted_iou, "area_px": int(mask.sum()), "area_share": float(mask.mean())}
        rows.append(row | {"same_as": same})
        if same is None and mask.any():
            masks[region.label] = mask
    return masks, rows
