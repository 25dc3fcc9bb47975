"""Regions of high similarity handed back to the model, for a mask of its own for each.

By boxes: a region's box, a little larger, is the prompt; masks of one object are merged and masks of the ground are
dropped. By peaks: a click on the region's peak, where every mask stays that is not mostly one before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from samkit.experiments.lab import LabLike, LazyEncoding
from samkit.experiments.measures.token_similarity import Region
from samkit.media.masks import mask_iou, stability_score
from samkit.prompts import Box, Prompts

if TYPE_CHECKING:
    from samkit.models.sam import SamModel

ObjectPrompts = Literal["boxes", "peaks"]
MAX_OBJECTS = 200
COMPARED_PX = 1024
SAME_OBJECT_IOU = {"boxes": 0.5, "peaks": 0.7}
"""Masks that agree by more than this are of one object."""
BOX_MARGIN = 0.125
"""By how much of its width and height a region's box is made larger on each side: regions end within their object."""
LEAST_STABILITY = 0.6
LARGEST_SHARE = 0.7
"""Of the picture; a mask that covers more is of the ground."""
LEAST_INSIDE = 0.2
"""Of a mask, in its box, which may be a small part of an object; one of which less lies there has run out of it."""
HIT_IOU = 0.5
"""A mask that agrees with a true object by more than this is its mask."""


@dataclass(frozen=True)
class FoundMask:
    """The mask that a prompt gave, in an eighth of its bytes, for there may be hundreds of them.

    bits: uint8, of `np.packbits`; size: (height, width) of the mask in pixels; area_px: how many of them it holds
    """

    bits: np.ndarray
    size: tuple[int, int]
    area_px: int
    predicted_iou: float
    stability: float

    @property
    def mask(self) -> np.ndarray:
        """bool [H, W], a new array."""
        height, width = self.size
        return np.unpackbits(self.bits, count=height * width).reshape(height, width).view(bool)


@dataclass(frozen=True)
class FoundObjects:
    """What the regions gave.

    masks: bool [H, W] by the region's number; rows: one a region for a table
    """

    masks: dict[int, np.ndarray]
    rows: list[dict[str, Any]]

    @property
    def merged(self) -> int:
        """How many masks were mostly another one."""
        return sum(row["same_as"] is not None for row in self.rows)

    @property
    def dropped(self) -> int:
        """How many masks were of no object."""
        return sum(bool(row["dropped"]) for row in self.rows)


def find_mask(model: "SamModel", encoding: LazyEncoding, prompts: Prompts) -> FoundMask:
    """The mask predicted best. A step that a lab recalls: another threshold has most of the regions in common."""
    prediction = model.predict_masks(encoding.value, prompts)
    logits = prediction.logits_at(prediction.best)
    mask = logits > 0
    predicted_iou = float(prediction.iou[prediction.best])
    size, area_px = (mask.shape[0], mask.shape[1]), int(np.count_nonzero(mask))
    return FoundMask(np.packbits(mask), size, area_px, predicted_iou, float(stability_score(logits)))


def find_objects(
    model: "SamModel", encoding: LazyEncoding, regions: Sequence[Region], by: ObjectPrompts, lab: LabLike
) -> FoundObjects:
    """A mask for each region, by its box or by its peak."""
    found: dict[int, FoundMask] = {}
    for region in regions[:MAX_OBJECTS]:
        lab.report(region.label / max(1, len(regions)), f"Mask {region.label} of {min(len(regions), MAX_OBJECTS)}")
        found[region.label] = lab.recall(find_mask, model, encoding, region_prompts(region, by))
    # Hundreds of masks of a large picture are compared on a part of their pixels.
    step = -(-max(next(iter(found.values())).size) // COMPARED_PX) if by == "boxes" and found else 1
    masks = {number: each.mask[::step, ::step] for number, each in found.items()}
    boxes = {region.label: larger_box(region.box) for region in regions[:MAX_OBJECTS]}
    dropped = {
        number: ground_reason(mask, found[number].stability, boxes[number]) if by == "boxes" else ""
        for number, mask in masks.items()
    }
    order = [number for number, mask in masks.items() if mask.any() and not dropped[number]]
    if by == "boxes":
        order.sort(key=lambda number: -found[number].stability)
    same_as = same_objects(masks, order, SAME_OBJECT_IOU[by])
    rows = [
        {
            "object": region.label,
            "x": region.peak[0],
            "y": region.peak[1],
            "similarity": region.peak_similarity,
            "predicted_iou": found[region.label].predicted_iou,
            "stability_score": found[region.label].stability,
            "area_px": found[region.label].area_px,
            "area_share": float(found[region.label].area_px / np.prod(found[region.label].size)),
            "same_as": same_as.get(region.label),
            "dropped": dropped[region.label],
        }
        for region in regions[:MAX_OBJECTS]
    ]
    kept = {number: found[number].mask for number in sorted(order) if same_as.get(number) is None}
    return FoundObjects(kept, rows)


def region_prompts(region: Region, by: ObjectPrompts) -> Prompts:
    """What the model is asked with for a region."""
    return Prompts(boxes=(larger_box(region.box),)) if by == "boxes" else Prompts(points=((*region.peak, 1),))


def larger_box(box: Box) -> Box:
    """x1, y1, x2, y2 as shares of the picture, `BOX_MARGIN` larger on each side, within the picture."""
    x1, y1, x2, y2 = box
    dx, dy = BOX_MARGIN * (x2 - x1), BOX_MARGIN * (y2 - y1)
    return max(0.0, x1 - dx), max(0.0, y1 - dy), min(1.0, x2 + dx), min(1.0, y2 + dy)


def ground_reason(mask: np.ndarray, stability: float, box: Box) -> str:
    """Why a mask, bool [H, W], is not an object's; empty where it may be. box: that it was asked for with, as shares of
    the picture
    """
    if not mask.any():
        return "empty"
    if mask.mean() > LARGEST_SHARE:
        return f"covers over {100 * LARGEST_SHARE:.0f} % of the picture"
    if stability < LEAST_STABILITY:
        return f"stability score under {LEAST_STABILITY:g}"
    height, width = mask.shape
    left, top = int(box[0] * width), int(box[1] * height)
    right, bottom = int(np.ceil(box[2] * width)), int(np.ceil(box[3] * height))
    inside = np.count_nonzero(mask[top:bottom, left:right]) / np.count_nonzero(mask)
    return "" if inside >= LEAST_INSIDE else "runs far beyond its region's box"


def same_objects(masks: Mapping[int, np.ndarray], order: Sequence[int], iou: float) -> dict[int, int]:
    """Number of a mask -> of the one before it in `order` that it is mostly the same as, by more than `iou`."""
    kept: list[int] = []
    same_as: dict[int, int] = {}
    for number in order:
        same = next((other for other in kept if mask_iou(masks[number], masks[other]) > iou), None)
        if same is None:
            kept.append(number)
        else:
            same_as[number] = same
    return same_as


def ellipse_in(box: Box, size: tuple[int, int]) -> np.ndarray:
    """bool [H, W]: the ellipse that fills a box of shares of the picture. size: (height, width) in pixels"""
    (height, width), (x1, y1, x2, y2) = size, box
    y, x = (np.arange(height)[:, None] + 0.5) / height, (np.arange(width) + 0.5) / width
    across, down = (2 * x - x1 - x2) / (x2 - x1), (2 * y - y1 - y2) / (y2 - y1)
    inside: np.ndarray = across**2 + down**2 <= 1
    return inside


def count_hits(masks: Sequence[np.ndarray], true_boxes: Sequence[Box]) -> int:
    """How many of the true round things, each in a box of shares, have a mask of their own among bool [H, W]."""
    return sum(any(mask_iou(mask, ellipse_in(box, mask.shape)) > HIT_IOU for mask in masks) for box in true_boxes)


def count_peaked(regions: Sequence[Region], true_boxes: Sequence[Box]) -> int:
    """How many of the true round things, each in a box of shares, have a region's peak on them."""

    def holds(box: Box, peak: tuple[float, float]) -> bool:
        x1, y1, x2, y2 = box
        across, down = (2 * peak[0] - x1 - x2) / (x2 - x1), (2 * peak[1] - y1 - y2) / (y2 - y1)
        return across**2 + down**2 <= 1

    return sum(any(holds(box, region.peak) for region in regions) for box in true_boxes)
