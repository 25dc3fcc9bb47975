"""How masks compare with the one that is right, where somebody brought it along."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from samkit.experiments.measures.mask_curves import CURVE_SIDE_PX
from samkit.experiments.result import Metric, higher
from samkit.media.given_masks import Truth

BOUNDARY_TOLERANCE = 0.008
"""How far an outline may be off and still be right, as a share of the picture's diagonal; the one of DAVIS."""


def add_true_ious(rows: Sequence[dict[str, Any]], masks: Sequence[np.ndarray], truth: Truth | None) -> None:
    """Give each row of a table of masks, bool [H, W] each, its `true_iou`. Nothing without a truth."""
    if truth is None:
        return
    for row, iou in zip(rows, true_ious(masks, truth), strict=True):
        row["true_iou"] = iou


def true_ious(masks: Sequence[np.ndarray], truth: Truth) -> tuple[float, ...]:
    """Each mask's IoU with the truth. A step that a lab recalls."""
    return tuple(truth.iou(mask) for mask in masks)


def truth_metrics(
    masks: Sequence[np.ndarray], chosen: int, truth: Truth | None, key: bool = True, prefix: str = ""
) -> dict[str, Metric]:
    """true_iou and true_boundary_f_measure of the chosen mask, true_iou_best of the best one, true_iou_0 .. 3. None
    without a truth.

    masks: bool [H, W] each; prefix: of all names; key: whether the chosen one's IoU sums a run up
    """
    if truth is None:
        return {}
    ious = true_ious(masks, truth)
    metrics = {
        "true_iou": higher(ious[chosen], key),
        "true_iou_best": higher(max(ious)),
        "true_boundary_f_measure": higher(boundary_f_measure(masks[chosen], truth)),
    }
    metrics |= {f"true_iou_{index}": higher(iou) for index, iou in enumerate(ious)}
    return {f"{prefix}{name}": metric for name, metric in metrics.items()}


def boundary_f_measure(mask: np.ndarray, truth: Truth) -> float:
    """Harmonic mean of two shares, 0..1: of the mask's outline that lies near the truth's, and of the truth's outline
    near the mask's. 1 for two masks without an outline.

    The F of DAVIS (Perazzi et al., 2016), with its outlines and its `BOUNDARY_TOLERANCE`; ignored pixels belong to
    neither mask.
    """
    if truth.ignore is not None:
        mask = mask & ~truth.ignore
    # All pixels of both outlines are in here, so nothing outside counts.
    box = _box_of_outlines(mask, truth.mask)
    own, wanted = _outline(mask[box]), _outline(truth.mask[box])
    if not own.any() or not wanted.any():
        return float(own.any() == wanted.any())
    # How far each pixel is from the nearest of an outline: the same as growing the outline by a disc, at any size.
    radius = int(np.ceil(BOUNDARY_TOLERANCE * np.hypot(*mask.shape)))
    precision = np.count_nonzero(_distance_to(wanted)[own] <= radius) / np.count_nonzero(own)
    recall = np.count_nonzero(_distance_to(own)[wanted] <= radius) / np.count_nonzero(wanted)
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def true_iou_curve(logits: np.ndarray, truth: Truth, thresholds: np.ndarray) -> np.ndarray:
    """float64 [4, N]: IoU with the truth of masks cut at each of the [N] rising thresholds. A step that a lab recalls.

    logits: float32 [4, h, w] over the picture at any resolution. Of maps larger than `CURVE_SIDE_PX` every second,
            third ... row and column is taken, as for the other curves
    """
    at_size = truth.resized((logits.shape[1], logits.shape[2]))
    step = -(-max(logits.shape[1:]) // CURVE_SIDE_PX)
    inside = at_size.mask[::step, ::step]
    counted = None if at_size.ignore is None else ~at_size.ignore[::step, ::step]
    # Compared as float32, like `logits > threshold` compares a float32 array with a Python float.
    edges = np.asarray(thresholds, dtype=logits.dtype)
    curves = np.empty((len(logits), len(edges)))
    for curve, mask_logits in zip(curves, logits[:, ::step, ::step], strict=True):
        values, right = (mask_logits, inside) if counted is None else (mask_logits[counted], inside[counted])
        # How many of the thresholds each pixel is above; from it, how many pixels are above each threshold.
        above = np.searchsorted(edges, values.ravel(), side="left")
        everywhere, shared = (_above_each(each, len(edges)) for each in (above, above[right.ravel()]))
        union = everywhere + np.count_nonzero(right) - shared
        curve[:] = np.where(union > 0, shared / np.maximum(union, 1), 1.0)
    return curves


def _above_each(above: np.ndarray, count: int) -> np.ndarray:
    """int64 [count]. above: how many of the thresholds each value is above."""
    return np.bincount(above, minlength=count + 1)[::-1].cumsum()[::-1][1:]


def _outline(mask: np.ndarray) -> np.ndarray:
    """bool [H, W]: pixels whose right, lower or lower right neighbour is on the other side."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    right, lower, corner = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    edge = (mask != right) | (mask != lower) | (mask != corner)
    edge[-1, -1] = False
    return edge


def _box_of_outlines(mask: np.ndarray, other: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns with both masks, bool [H, W], and a pixel around them where the picture has one: an outline runs
    through the pixel before a mask.
    """
    either = mask | other
    rows, columns = (np.flatnonzero(either.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return slice(0, 1), slice(0, 1)
    return slice(max(0, rows[0] - 1), rows[-1] + 2), slice(max(0, columns[0] - 1), columns[-1] + 2)


def _distance_to(outline: np.ndarray) -> np.ndarray:
    """float32 [H, W], in pixels."""
    return cv2.distanceTransform((~outline).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
