"""The same cases under two conditions: two sweeps, such as of a base model and its fine-tune, or two settings of one
sweep. Cases differ far more from each other than conditions do, so differences are taken case by case.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from samkit.work.sweep.summary import Mean, summarize
from samkit.work.sweep.table import Row


@dataclass(frozen=True)
class Pair:
    """Cells of two sweeps that ask for the same but for the model. indices: of their rows; a, b: the metric; group: as
    `Case.group`
    """

    picture: str
    case: str
    size: str
    index_a: int
    index_b: int
    a: float
    b: float
    group: str = ""


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
            size, group = str(row.get("size", "")), str(row.get("group", ""))
            found.append(Pair(str(row["picture"]), str(row["case"]), size, index, other, a, b, group))
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
        {"picture": pair.picture, "group": pair.group, "status": "done", "metric.difference": pair.b - pair.a}
        for pair in found
        if not size or pair.size == size
    ]
    return summarize(rows, [], seed, by_size=False)[0].means["metric.difference"] if rows else None


@dataclass(frozen=True)
class SettingDifference:
    """How a setting differs from the best one of its sweep. mean: of the best one less this one over the cases that
    both have, a cell for each, repeats averaged
    """

    setting: dict[str, Any]
    mean: Mean

    @property
    def told_apart(self) -> bool | None:
        """Whether the interval leaves out 0; None where there is none."""
        if self.mean.low is None or self.mean.high is None:
            return None
        return not self.mean.low <= 0 <= self.mean.high


def from_best(
    table: Iterable[Row], columns: Sequence[str], metric: str, best: Mapping[str, Any], seed: int
) -> list[SettingDifference]:
    """Of each other setting in the table that has cases in common with the best one. columns: in which settings
    differ; best: that setting, by column
    """
    settings: dict[str, dict[str, Any]] = {}
    values: dict[str, dict[tuple[str, str], list[float]]] = {}
    groups: dict[tuple[str, str], str] = {}
    for row in table:
        if row["status"] == "done" and row.get(metric) is not None:
            setting = {column: row.get(column) for column in columns}
            name, case = repr(setting), (str(row["picture"]), str(row["case"]))
            settings.setdefault(name, setting)
            values.setdefault(name, {}).setdefault(case, []).append(float(row[metric]))
            groups[case] = str(row.get("group") or "")
    own = values.pop(repr({column: best.get(column) for column in columns}), {})
    differences: list[Row] = [
        {
            "setting": name,
            "picture": case[0],
            "group": groups[case],
            "status": "done",
            "metric.difference": float(np.mean(own[case]) - np.mean(theirs)),
        }
        for name, cases in values.items()
        for case, theirs in cases.items()
        if case in own
    ]
    found = summarize(differences, ["setting"], seed, by_size=False) if differences else []
    return [SettingDifference(settings[each.setting["setting"]], each.means["metric.difference"]) for each in found]


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
