"""run.json as samkit wrote it before schema 2, when a mask's picture, a metric's better end and a run's facts followed
from names. This file holds the rules of those names, and nothing else knows them.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from samkit.experiments.result import Better, Ground

FACTS = {
    "mask-stability": ("mask_index",),
    "window-size": ("mask_index", "window_1", "window_2", "window_3", "window_4"),
    "position-encoding": ("height", "width", "channels", "row", "column"),
    "block-norms": ("blocks", "max_norm_block", "similarity_grid_h", "similarity_grid_w"),
    "cross-image": ("mask_index", "tracked_index"),
    "semantic-similarity": ("mask_index", "tokens", "known_count"),
    "video-priors": ("frames",),
}
"""Experiment -> what stood among its metrics and measures nothing."""
KEY_FIGURES = {
    "mask-stability": ("stability_score", "threshold_iou", "area_share", "iou_unscaled"),
    "window-size": ("iou_default", "drift"),
    "position-encoding": ("mean_norm", "frequency", "mean_frequency", "bfloat16_error"),
    "block-norms": ("max_norm", "outliers", "last_max_over_median"),
    "cross-image": ("predicted_iou", "stability_score", "area_share", "object_score"),
    "semantic-similarity": ("regions", "largest_similarity", "similar_share", "objects"),
    "video-priors": ("present_share", "mean_object_score", "mean_predicted_iou", "mean_area_share"),
}
"""Experiment -> the metrics that sum a run up, the first first."""
FIRST_FIGURES = ("predicted_iou", "stability_score", "iou", "j_and_f", "object_score")
MAX_KEY_FIGURES = 4
HIGHER = ("iou", "stability_score", "j", "f", "j_and_f", "object_score", "found", "present_share")
LOWER = ("ms", "drift", "bfloat16_error", "bfloat16_max", "error")
"""Names, or ends or beginnings of names, of metrics of which more or less is better."""


def upgraded(document: dict) -> dict:
    """What a document of schema 1 says, as schema 2 says it. Entries that are not what they should be stay as they
    are, for the check behind it.
    """
    metrics, masks = document.get("metrics"), document.get("masks")
    changes: dict[str, Any] = {"schema": 2}
    experiment = str(document.get("experiment"))
    if isinstance(metrics, dict):
        facts = {name: metrics[name] for name in FACTS.get(experiment, ()) if _is_number(metrics.get(name))}
        key_figures = key_figure_names(experiment, metrics)
        changes["facts"] = {name: _whole(value) for name, value in facts.items()}
        changes["metrics"] = {
            name: {"value": value, "better": better_of(str(name)), "key": name in key_figures}
            for name, value in metrics.items()
            if name not in facts
        }
    if isinstance(masks, list) and all(isinstance(name, str) for name in masks):
        changes["masks"] = {name: _mask_entry(document, experiment, name) for name in masks}
    return document | changes


def better_of(name: str) -> Better | None:
    """Which values of a metric are better, by its name; None where neither is."""
    stem = "_".join(word for word in name.split("_") if not word.isdigit())
    if any(stem == end or stem.endswith(f"_{end}") for end in LOWER):
        return "lower"
    if any(stem == end or stem.endswith(f"_{end}") or stem.startswith(f"{end}_") for end in HIGHER):
        return "higher"
    return None


def key_figure_names(experiment: str, metrics: Iterable[str]) -> tuple[str, ...]:
    """The metrics that sum a run of that experiment up, the first first. metrics: the names of those there are"""
    metrics = tuple(metrics)
    if experiment in KEY_FIGURES:
        return tuple(name for name in KEY_FIGURES[experiment] if name in metrics)
    left_out = FACTS.get(experiment, ())
    names = [name for name in metrics if name not in left_out and not name.endswith(("_ms", "_index", "_px"))]
    names.sort(key=lambda name: FIRST_FIGURES.index(name) if name in FIRST_FIGURES else len(FIRST_FIGURES))
    return tuple(names[:MAX_KEY_FIGURES])


def fact_names(experiment: str, metrics: Mapping[str, float]) -> tuple[str, ...]:
    """Those of a stored run's metrics that are facts."""
    return tuple(name for name in FACTS.get(experiment, ()) if name in metrics)


def _mask_entry(document: dict, experiment: str, name: str) -> dict:
    on, index = _ground(document, experiment, name)
    return {"on": on, "index": index} if index else {"on": on}


def _ground(document: dict, experiment: str, name: str) -> tuple[Ground, int]:
    """Where a mask of that name lay. Masks that are not known lay on the first picture."""
    has_second = document.get("picture_b") is not None
    if experiment == "cross-image" and has_second:
        params = document.get("params")
        prompted_on_b = isinstance(params, dict) and params.get("prompt_on") == "b"
        on_b = ("prompted" in name and prompted_on_b) or ("tracked" in name and not prompted_on_b)
        return ("image_b" if on_b else "image"), 0
    if experiment == "semantic-similarity" and has_second and name in ("mask_similar", "mask_objects"):
        return "image_b", 0
    number = name.removeprefix("mask_prior_")
    if experiment == "video-priors" and number != name and re.fullmatch(r"[0-9]{1,4}", number):
        return "prior", int(number)
    return "image", 0


def _is_number(value: object) -> bool:
    """Whether it is a finite number that a float holds."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def _whole(value: float) -> int | float:
    """A whole number as an int, as far as a float holds every one of them."""
    return int(value) if abs(value) < 2**53 and value == int(value) else value
