"""Two sweeps on the same cells, such as of a base model and its fine-tune: differences picture by picture."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from samkit.work.sweep.summary import Mean, summarize
from samkit.work.sweep.table import Row


@dataclass(frozen=True)
class Pair:
    """Cells of two sweeps that ask for the same but for the model. indices: of their rows; a, b: the metric"""

    picture: str
    case: str
    size: str
    index_a: int
    index_b: int
    a: float
    b: float


@dataclass(frozen=True)
class PictureDifference:
    """Means over a picture's pairs. widest: the pair that differs most the way the picture does"""

    picture: str
    a: float
    b: float
    cells: int
    widest: Pair

    @property
    def difference(self) -> float:
        return self.b - self.a


def pairs(first: Sequence[Row], second: Sequence[Row], metric: str, models: tuple[str, str] = ("", "")) -> list[Pair]:
    """Of cells with that metric, in the first one's order. models: those that count of each sweep; "" for all, of which
    then the last one counts where several ask for the same.
    """
    others = dict(_keyed(second, metric, models[1]))
    found = []
    for key, index in _keyed(first, metric, models[0]):
        if (other := others.get(key)) is not None:
            row = first[index]
            a, b = float(row[metric]), float(second[other][metric])
            found.append(Pair(str(row["picture"]), str(row["case"]), str(row.get("size", "")), index, other, a, b))
    return found


def _keyed(table: Sequence[Row], metric: str, model: str) -> Iterable[tuple[str, int]]:
    for index, row in enumerate(table):
        if row.get(metric) is not None and (not model or row["model"] == model):
            yield _key(row), index


def _key(row: Mapping[str, Any]) -> str:
    params = {name: value for name, value in row.items() if name.startswith("param.")}
    return json.dumps([row["picture"], row["case"], row["prompts"], row["repeat"], params], sort_keys=True)


def mean_difference(found: Sequence[Pair], seed: int, size: str = "") -> Mean | None:
    """Of the second less the first, with its bootstrap interval over pictures; None without a pair. size: of the
    objects, "" for all
    """
    rows: list[Row] = [
        {"picture": pair.picture, "status": "done", "metric.difference": pair.b - pair.a}
        for pair in found
        if not size or pair.size == size
    ]
    return summarize(rows, [], seed, by_size=False)[0].means["metric.difference"] if rows else None


def by_picture(found: Sequence[Pair]) -> list[PictureDifference]:
    """From the picture that fell most to the one that rose most."""
    groups: dict[str, list[Pair]] = {}
    for pair in found:
        groups.setdefault(pair.picture, []).append(pair)
    differences = []
    for picture, own in groups.items():
        a, b = float(np.mean([pair.a for pair in own])), float(np.mean([pair.b for pair in own]))
        sign = 1 if b >= a else -1
        widest = max(own, key=lambda pair: sign * (pair.b - pair.a))
        differences.append(PictureDifference(picture, a, b, len(own), widest))
    return sorted(differences, key=lambda each: each.difference)
