"""What a sweep says: means of its metrics for each setting, with bootstrap intervals, and by the size of the objects.

Objects on one picture are alike, so whole pictures are drawn anew and not objects: an interval that took them for
independent would be too narrow. So it is with whole films, and with the pairs of one folder. All settings are given the
same draws of pictures.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from samkit.work.sweep.grid import swept_names
from samkit.work.sweep.results import SweepFolder
from samkit.work.sweep.spec import SweepSpec
from samkit.work.sweep.table import Row

DRAWS = 2000
SHARE = 0.95
"""Of the draws that lie in an interval."""
FEWEST = 5
"""Pictures that an interval takes. The draws of fewer are so much alike that theirs would promise far too much."""
SIZES = ("small", "medium", "large")
FIRST = (
    "J_and_F", "J", "F",
    "true_iou", "true_iou_best", "predicted_iou_error", "true_boundary_f_measure", "predicted_iou", "stability_score"
)  # fmt: skip
"""The metrics that are shown first."""


@dataclass(frozen=True)
class Mean:
    """A metric's mean over cells, and the interval in which the means of redrawn pictures lie. low, high: None where
    there are fewer pictures than `FEWEST`
    """

    value: float
    low: float | None
    high: float | None
    cells: int
    pictures: int

    @property
    def text(self) -> str:
        """Such as "0.770 [0.751, 0.788]"."""
        return f"{self.value:.4g}" + ("" if self.low is None else f" [{self.low:.4g}, {self.high:.4g}]")

    @property
    def too_few(self) -> str:
        """Why it has no interval, as a sentence; "" where it has one."""
        if self.low is not None:
            return ""
        few = "1 picture or film is" if self.pictures == 1 else f"{self.pictures:,} pictures or films are"
        return f"{few} too few for an interval: it takes {FEWEST} or more."


@dataclass(frozen=True)
class SettingSummary:
    """setting: the swept values by the name of their column; size: of the objects, "" for all; means by metric"""

    setting: dict[str, Any]
    size: str
    means: dict[str, Mean]
    failed: int


def swept_columns(spec: SweepSpec) -> list[str]:
    """The columns of the table in which settings differ; repeats and pictures are averaged over."""
    columns = ["model"] if len(spec.models) > 1 else []
    columns += ["prompts"] if len(spec.prompts) > 1 else []
    return columns + [f"param.{name}" for name in swept_names(spec.params, spec.zip)]


def summarize(table: Sequence[Row], columns: Sequence[str], seed: int, by_size: bool = True) -> list[SettingSummary]:
    """One for each setting in the order of the table; where objects of several sizes are known, then one for each of
    these.
    """
    pictures = list(dict.fromkeys(map(_drawn, table)))
    place = {name: index for index, name in enumerate(pictures)}
    draws = _draws(len(pictures), seed)
    settings: dict[str, list[Row]] = {}
    for row in table:
        settings.setdefault(repr([row.get(column) for column in columns]), []).append(row)
    sizes = [size for size in SIZES if any(row.get("size") == size for row in table)]
    summaries = []
    for size in ("", *(sizes if by_size and len(sizes) > 1 else ())):
        for rows in settings.values():
            of_size = [row for row in rows if not size or row.get("size") == size]
            setting = {column: rows[0].get(column) for column in columns}
            failed = sum(row["status"] == "failed" for row in of_size)
            summaries.append(SettingSummary(setting, size, _means(of_size, place, draws), failed))
    return summaries


def _drawn(row: Row) -> str:
    """What is drawn anew as a whole: a picture, a film, or the pairs of a folder."""
    return str(row.get("group") or row["picture"])


def metric_names(table: Iterable[Row]) -> list[str]:
    """Of all metrics and times, as columns of the table: what people ask for first comes first."""
    names = dict.fromkeys(name for row in table for name in row if name.startswith(("metric.", "time.")))
    order = {f"metric.{name}": index for index, name in enumerate(FIRST)}
    return sorted(names, key=lambda name: (order.get(name, len(order)), list(names).index(name)))


def _draws(count: int, seed: int) -> np.ndarray:
    """float64 [DRAWS, count]: how often each picture is in each draw."""
    chance = np.random.default_rng(seed)
    return chance.multinomial(count, np.full(count, 1 / count), size=DRAWS).astype(float)


def _means(rows: list[Row], place: dict[str, int], draws: np.ndarray) -> dict[str, Mean]:
    means = {}
    done = [row for row in rows if row["status"] == "done"]
    for name in metric_names(done):
        with_value = [(place[_drawn(row)], float(row[name])) for row in done if row.get(name) is not None]
        where, values = (np.array(part) for part in zip(*with_value, strict=True))
        sums = np.bincount(where, values, minlength=draws.shape[1])
        counts = np.bincount(where, minlength=draws.shape[1])
        low = high = None
        pictures = int(np.count_nonzero(counts))
        if pictures >= FEWEST:
            drawn = draws @ counts
            redrawn = (draws @ sums)[drawn > 0] / drawn[drawn > 0]
            low, high = (float(edge) for edge in np.quantile(redrawn, [(1 - SHARE) / 2, (1 + SHARE) / 2]))
        means[name] = Mean(float(values.mean()), low, high, len(values), pictures)
    return means


def counts(sweep: SweepFolder) -> dict[str, Any]:
    """How many cells there are and what became of them, and how often something was encoded."""
    outcomes = sweep.outcomes()
    known = [outcomes[cell.id] for cell in sweep.cells if cell.id in outcomes]
    made = Counter(key for outcome in known for key in outcome.encoded)
    return {
        "cells": len(sweep.cells),
        "done": sum(outcome.status == "done" for outcome in known),
        "failed": sum(outcome.status == "failed" for outcome in known),
        "missing": len(sweep.cells) - len(known),
        "encodings": sum(made.values()),
        "different_encodings": len(made),
        "seconds": round(sum(outcome.seconds for outcome in known), 3),
    }
