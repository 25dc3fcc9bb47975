"""Prompt jitter: how much of a mask hangs on the exact place of the prompt. Copies of the prompt are moved by a
little and each is predicted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from samkit.errors import PromptError
from samkit.experiments.lab import LabLike, LazyEncoding
from samkit.experiments.measures.predicted_masks import predict
from samkit.media.given_masks import MaskHint
from samkit.media.mask_views import view_size
from samkit.media.masks import mask_iou
from samkit.prompts import Prompts

if TYPE_CHECKING:
    from samkit.models.sam import SamModel

_PAIRS_SIDE_PX = 256
"""Every mask is compared with every other one on a grid no finer than the decoder's own, else 256 copies would take
gigabytes.
"""


@dataclass(frozen=True)
class JitterOutcome:
    """What the moved copies gave.

    frequency:     float16 [H, W], share of the copies whose mask holds the pixel, 0..1
    shifts_px:     float64 [N, 2] (dx, dy) in pixels of the original picture
    ious:          float64 [N], IoU of each copy's mask with the mask of the prompt where it was
    predicted_ious: float64 [N], what the model thought of each copy's mask
    pairwise_iou:  mean IoU of all pairs of copies; 1.0 for a single copy
    """

    frequency: np.ndarray
    shifts_px: np.ndarray
    ious: np.ndarray
    predicted_ious: np.ndarray
    pairwise_iou: float


def jitter_spread_px(percent: float, px: float | None, picture_size: tuple[int, int]) -> float:
    """How far copies are moved, as a standard deviation in pixels: `px` where it is given, else per cent of the longer
    side. picture_size: (height, width) in pixels.
    """
    return px if px is not None else percent / 100 * max(picture_size)


def jitter_shifts(copies: int, spread_px: float, seed: int) -> np.ndarray:
    """float64 [copies, 2] (dx, dy) in pixels, normally distributed about 0 with the standard deviation `spread_px` in
    each direction.

    The same seed gives the same shifts, and a larger number of copies begins with those of a smaller one.
    """
    return np.random.default_rng(seed).normal(0.0, 1.0, (copies, 2)) * spread_px


def jitter_prompts(prompts: Prompts, shifts_px: np.ndarray, picture_size: tuple[int, int]) -> list[Prompts]:
    """One copy of the prompts for each shift, moved as a whole; stopped at the picture's edge. picture_size: (height,
    width) in pixels.
    """
    height, width = picture_size
    return [prompts.shifted(float(dx) / width, float(dy) / height) for dx, dy in shifts_px]


def jitter_map(masks: Sequence[np.ndarray]) -> np.ndarray:
    """float16 [H, W]: the share of the bool [H, W] masks that hold each pixel, 0..1."""
    counts = np.zeros(masks[0].shape, np.uint16)
    for mask in masks:
        counts += mask
    return (counts / np.float32(len(masks))).astype(np.float16)


def mean_pairwise_iou(masks: np.ndarray) -> float:
    """Mean IoU of all pairs of the bool [N, H, W] masks; two empty masks count as the same mask, and a single mask
    gives 1.0.
    """
    flat = masks.reshape(len(masks), -1).astype(np.float32)
    shared = (flat @ flat.T).astype(np.float64)
    areas = flat.sum(axis=1, dtype=np.float64)
    first, second = np.triu_indices(len(masks), k=1)
    if not first.size:
        return 1.0
    unions = areas[first] + areas[second] - shared[first, second]
    return float(np.where(unions > 0, shared[first, second] / np.maximum(unions, 1), 1.0).mean())


def jittered_masks(
    model: "SamModel",
    encoding: LazyEncoding,
    prompts: Prompts,
    mask_index: int,
    copies: int,
    spread_px: float,
    seed: int,
    hint: MaskHint | None,
    lab: LabLike,
) -> JitterOutcome:
    """Predict `copies` moved copies of the prompts on an encoded picture and compare their masks with the mask of the
    prompts where they are, at `view_size` and cut at 0. A step that a lab recalls; so is each copy's prediction.

    mask_index: the mask (0..3) taken of every copy; one and the same, for a switch between whole and part would drown
                what is measured.
    hint:       stays where it is
    Raises PromptError where there is no prompt to move.
    """
    if prompts.is_empty:
        raise PromptError(
            "There is no prompt to move for the jitter map: place a point or a box, or set jitter_copies to 0."
        )
    unmoved = lab.recall(predict, model, encoding, prompts, hint)
    picture_size = unmoved.geometry.original_size
    size = view_size(picture_size)
    reference = unmoved.mask(mask_index, size)
    shrink = min(1.0, _PAIRS_SIDE_PX / max(size))
    small_size = (max(1, round(size[0] * shrink)), max(1, round(size[1] * shrink)))
    shifts = jitter_shifts(copies, spread_px, seed)
    counts = np.zeros(size, np.uint16)
    small = np.empty((copies, *small_size), bool)
    ious, predicted_ious = np.empty(copies), np.empty(copies)
    for i, moved in enumerate(jitter_prompts(prompts, shifts, picture_size)):
        lab.report(i / copies, f"Moved prompt {i + 1} of {copies}")
        prediction = lab.recall(predict, model, encoding, moved, hint)
        mask = prediction.mask(mask_index, size)
        counts += mask
        small[i] = prediction.mask(mask_index, small_size)
        ious[i] = mask_iou(mask, reference)
        predicted_ious[i] = float(prediction.iou[mask_index])
    return JitterOutcome(
        (counts / np.float32(copies)).astype(np.float16), shifts, ious, predicted_ious, mean_pairwise_iou(small)
    )
