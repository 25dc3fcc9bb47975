"""Kept runs in today's words: a metric whose name means something else today gets the name of what it is, and a
parameter that came later gets the value that stands for what was done before. Each rule asks what the run says and not
when it was kept, so a run that says it in today's words stays as it is.
"""

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from samkit.experiments.measures.stability import OFFICIAL, mask_stability_name, stability_name

T = TypeVar("T")
OFFSET_BEFORE = {"mask-stability": 1.0, "cross-image": 2.0}
"""Experiment -> its stability offset where a run does not say it."""
NOTHING = ("", "[]", "()", "None")
"""An empty list as text."""
LATER_METRICS = {
    "cross-image": (OFFICIAL, f"prompted_{OFFICIAL}"),
    "semantic-similarity": ("objects_merged", "objects_dropped", "true_with_region", "true_with_mask"),
    "mask-stability": (OFFICIAL, *(f"{OFFICIAL}_{index}" for index in range(4))),
}
"""Experiment -> metrics that runs of today have and kept ones may lack."""


def in_words_of_today(document: dict) -> dict:
    """run.json of schema 2 with today's names and parameters. Entries that are not what they should be stay as they
    are, for the check behind it.
    """
    experiment, params, metrics = (document.get(key) for key in ("experiment", "params", "metrics"))
    if not (isinstance(experiment, str) and isinstance(params, dict) and isinstance(metrics, dict)):
        return document
    names = metric_names(experiment, params, metrics)
    renamed = {names.get(name, name): value for name, value in metrics.items()}
    if experiment == "mask-stability" and isinstance(cuts := renamed.get("threshold_iou"), dict):
        # Neither is better: it follows from where a person puts the cuts.
        renamed["threshold_iou"] = cuts | {"better": None}
    today = document | {"params": params_of_today(experiment, params), "metrics": renamed}
    if isinstance(facts := document.get("facts"), dict):
        today["facts"] = facts_of_today(experiment, facts)
    return today


def metric_names(experiment: str, params: Mapping[str, Any], metrics: Collection[str]) -> dict[str, str]:
    """Kept name -> today's, of those that have another one. params: as values or, as a store has them, as text"""
    if experiment not in OFFSET_BEFORE:
        return {}
    offset = _number(params.get("stability_offset"), OFFSET_BEFORE[experiment])
    threshold = _number(params.get("threshold"), 0.0) if experiment == "cross-image" else 0.0
    wide = stability_name(offset, threshold)
    if wide in metrics:
        return {}
    names = {OFFICIAL: wide, f"prompted_{OFFICIAL}": f"prompted_{wide}"}
    names |= {f"{OFFICIAL}_{index}": mask_stability_name(offset, index) for index in range(4)}
    return {name: today for name, today in names.items() if name in metrics and name != today}


def params_of_today(experiment: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """A kept run's parameters, as today's experiment takes them to do what was done then. params: as values or, as a
    store has them, as text
    """
    today = dict(params)
    if "jitter_px" in today and "jitter_percent" not in today and not _number(today.get("jitter_copies"), 0):
        # Nothing was moved, so the pixels said nothing.
        del today["jitter_px"]
    if experiment == "semantic-similarity" and str(today.get("find_objects")) == "True":
        today.setdefault("object_prompts", "peaks")
    if experiment == "window-size" and str(today.get("sweep_sizes", "")) not in NOTHING and "repeats" in today:
        today.setdefault("sweep_repeats", today["repeats"])
    return today


def facts_of_today(experiment: str, facts: Mapping[str, T]) -> dict[str, T]:
    """A kept run's facts under today's names. All marks on a film's frames were once counted as corrections."""
    if experiment != "video-priors" or "corrections" not in facts or "marks" in facts:
        return dict(facts)
    return {"marks" if name == "corrections" else name: value for name, value in facts.items()}


def later_metrics(experiment: str, kept: Collection[str]) -> set[str]:
    """Metrics that a run of today has and the kept one, with these metrics, was not asked for."""
    return set(LATER_METRICS.get(experiment, ())) - set(kept)


def later_facts(experiment: str, kept: Collection[str]) -> set[str]:
    """Facts that a run of today has and the kept one, with these facts, does not say."""
    return {"corrections"} - set(kept) if experiment == "video-priors" and "marks" in kept else set()


def _number(value: object, otherwise: float) -> float:
    """A number, or a text of one."""
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        return otherwise
    try:
        return float(value)
    except ValueError:
        return otherwise
