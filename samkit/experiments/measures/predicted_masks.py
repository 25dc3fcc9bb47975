"""A prediction and its masks as an experiment gives them: the model's own, or with their edges refined.

`predict`, `cut_masks`, `cut_and_scored`, `stability_scores` and `encode_ms` are steps that a lab recalls: each depends
on its arguments alone, so that a knob that is none of them makes nothing again.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from samkit.experiments.lab import LazyEncoding
from samkit.experiments.result import Ground, Mask
from samkit.media.given_masks import MaskHint
from samkit.media.masks import stability_score
from samkit.media.pictures import Picture
from samkit.media.refine import hull_box, refine_edges
from samkit.prompts import Prompts

if TYPE_CHECKING:
    from samkit.models.encoding import MaskPrediction
    from samkit.models.sam import SamModel


def encode_ms(encoding: LazyEncoding) -> float:
    """How long the picture's encoding took; remembered apart from the encoding, which may be too large to keep."""
    return encoding.value.encode_ms


def predict(
    model: "SamModel", encoding: LazyEncoding, prompts: Prompts, hint: MaskHint | None = None
) -> "MaskPrediction":
    """What the model decodes from the prompts and the mask hint."""
    return model.predict_masks(encoding.value, prompts, None if hint is None else hint.values)


def predicted_masks(
    prediction: "MaskPrediction", rgb: np.ndarray, prompts: Prompts, *, refine: bool = False, threshold: float = 0.0
) -> list[np.ndarray]:
    """All masks of a prediction, bool [H, W] each, in the original picture's pixels.

    rgb:       uint8 [H, W, 3], the original picture
    prompts:   those of the prediction; refined masks stay inside their boxes
    refine:    `samkit.media.refine.refine_edges`, with the logits counted from `threshold`
    threshold: in logits; what is above it is mask
    """
    count = len(prediction.logits)
    if not refine:
        return [prediction.mask(index, threshold=threshold) for index in range(count)]
    box = hull_box(prompts.boxes)
    return [refine_edges(rgb, prediction.logits_at(index) - np.float32(threshold), box) for index in range(count)]


def cut_masks(
    prediction: "MaskPrediction", picture: Picture, prompts: Prompts, refine: bool, threshold: float = 0.0
) -> tuple[np.ndarray, ...]:
    """`predicted_masks` over the prediction's picture."""
    return tuple(predicted_masks(prediction, picture.rgb, prompts, refine=refine, threshold=threshold))


def cut_and_scored(
    prediction: "MaskPrediction", picture: Picture, prompts: Prompts, refine: bool
) -> tuple[tuple[np.ndarray, ...], tuple[float, ...]]:
    """(`cut_masks` at 0, `stability_scores`), with the logits brought to the picture's size once for both."""
    masks, scores, box = list[np.ndarray](), list[float](), hull_box(prompts.boxes)
    for index in range(len(prediction.logits)):
        logits = prediction.logits_at(index)
        masks.append(refine_edges(picture.rgb, logits, box) if refine else logits > 0.0)
        scores.append(stability_score(logits, 0.0, 1.0))
    return tuple(masks), tuple(scores)


def stability_scores(prediction: "MaskPrediction", threshold: float = 0.0, offset: float = 1.0) -> tuple[float, ...]:
    """Each mask's stability score, of its logits at the picture's own size. threshold, offset: in logits."""
    return tuple(
        stability_score(prediction.logits_at(index), threshold, offset) for index in range(len(prediction.logits))
    )


def chosen_index(prediction: "MaskPrediction", index: int | None) -> int:
    """The mask (0..3) that a person chose; where nobody did, of masks 1 to 3 the one predicted best."""
    return prediction.best if index is None else index


def mask_rows(
    prediction: "MaskPrediction",
    masks: Sequence[np.ndarray],
    scores: Sequence[float],
    chosen: int,
    in_pixels: bool = False,
) -> list[dict[str, Any]]:
    """One row a mask for a table.

    masks:     bool [H, W] each; scores: their stability scores; chosen: the index of one of them
    in_pixels: also give the areas in pixels
    """
    rows = []
    for index, mask in enumerate(masks):
        area = int(np.count_nonzero(mask))
        row: dict[str, Any] = {"mask": index, "chosen": index == chosen}
        row |= {"predicted_iou": float(prediction.iou[index]), "stability_score": float(scores[index])}
        row |= {"area_px": area} if in_pixels else {}
        rows.append(row | {"area_share": area / mask.size})
    return rows


def named_masks(prefix: str, masks: Sequence[np.ndarray], on: Ground = "image") -> dict[str, Mask]:
    """`{prefix}_0`, `{prefix}_1`, ... -> the masks, bool [H, W] each, all on one picture."""
    return {f"{prefix}_{index}": Mask(mask, on) for index, mask in enumerate(masks)}
