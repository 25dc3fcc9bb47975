"""What a cell is worth: the figures of its run, and its masks against the truth."""

from typing import Any

from samkit.experiments.measures.truth import truth_metrics
from samkit.experiments.result import Mask, Result
from samkit.media.given_masks import Truth
from samkit.media.masks import mask_area
from samkit.work.sweep.film_truth import FilmTruth, film_metrics

SMALL, LARGE = 32**2, 96**2
"""Pixels of the original picture below which COCO calls an object small, and from which large."""


def size_class(area: int) -> str:
    """small, medium or large, as COCO has it. area: of the true mask, in pixels of the original picture."""
    return "small" if area < SMALL else "medium" if area < LARGE else "large"


def chosen_mask(result: Result[Any]) -> Mask | None:
    """The mask that a run is about; of a pair the one that was found on the other picture. None where it has none."""
    return result.masks.get("mask_chosen") or result.masks.get("mask_tracked")


def judged(result: Result[Any], truth: Truth | None, frames: FilmTruth | None = None) -> dict[str, float]:
    """The run's own metrics; with a truth on its picture also, for every experiment that chooses a mask, those of
    `samkit.experiments.measures.truth.truth_metrics`, and `predicted_iou_error`: how far the predicted IoU is from the
    true one. With the truth of a film's frames those of `film_metrics`.
    """
    metrics = {name: metric.value for name, metric in result.metrics.items()}
    if frames is not None and "masks.json" in result.files:
        return metrics | film_metrics(result.files["masks.json"], frames)
    if truth is None or chosen_mask(result) is None:
        return metrics
    chosen = result.masks.get("mask_chosen")
    four = [each.pixels for index in range(4) if (each := result.masks.get(f"mask_{index}")) is not None]
    if "true_iou" not in metrics and chosen is not None and chosen.on == "image" and len(four) == 4:
        found = truth_metrics(four, result.index(), truth)
        metrics |= {name: metric.value for name, metric in found.items()}
    if "true_iou" in metrics and "predicted_iou" in metrics:
        metrics["predicted_iou_error"] = abs(metrics["predicted_iou"] - metrics["true_iou"])
    return metrics


def truth_facts(truth: Truth | None) -> dict[str, Any]:
    """What is known of the object itself."""
    if truth is None:
        return {}
    area = mask_area(truth.mask)
    return {"true_area_px": area, "size": size_class(area)}
