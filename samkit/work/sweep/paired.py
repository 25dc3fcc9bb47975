"""The same cases under two conditions: two sweeps, such as of a base model and its fine-tune, or two settings of one
sweep. Cases differ far more from each other than conditions do, so differences are taken case by case.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from samkit.work.sweep.summary import Mean, summarize
from samkit.work.sweep.table import Row

Way = Literal["cell", "prompts", "object"]
"""What cells of two sweeps are paired by, beside picture and parameters: all that was asked for; the very points and
boxes, whatever rule they came from; the object alone, where each of the sweeps has one kind of prompts.
"""
MARKS, DIGITS = ("points", "boxes"), 4


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


def paired(
    first: Sequence[Row],
    second: Sequence[Row],
    metric: str,
    models: tuple[str, str] = ("", ""),
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[list[Pair], Way]:
    """Cells with that metric, in the first one's order, and what they are paired by: the first way by which any are.

    models: those that count of each sweep; "" for all, of which then the last one counts where several ask for the same
    defaults: of the experiment's parameters, by name, for what only one of the sweeps writes down
    """
    sides = [
        [index for index, row in enumerate(table) if row.get(metric) is not None and model in ("", row["model"])]
        for table, model in zip((first, second), models, strict=True)
    ]
    kinds = [{table[index]["prompts"] for index in side} for table, side in zip((first, second), sides, strict=True)]
    usual = {f"param.{name}": value for name, value in defaults.items()}
    keys: dict[Way, Callable[[Row], Any]] = {"cell": _asked, "prompts": _prompted}
    if all(len(each) == 1 for each in kinds):
        keys["object"] = _object
    for way, key in keys.items():
        others = {_key(key, second[index], usual): index for index in sides[1]}
        of_first = ((index, others.get(_key(key, first[index], usual))) for index in sides[0])
        found = [_pair(first, second, metric, index, other) for index, other in of_first if other is not None]
        if found:
            return found, way
    return [], "cell"


def count_unpaired(
    first: Sequence[Row], second: Sequence[Row], metric: str, models: tuple[str, str], found: Sequence[Pair]
) -> tuple[int, int]:
    """How many cells with that metric each sweep has that have no partner in the other one. Arguments as those of
    `paired`; found: what it gave
    """
    counts = [
        sum(row.get(metric) is not None and model in ("", row["model"]) for row in table)
        for table, model in zip((first, second), models, strict=True)
    ]
    return counts[0] - len({pair.index_a for pair in found}), counts[1] - len({pair.index_b for pair in found})


def _pair(first: Sequence[Row], second: Sequence[Row], metric: str, index: int, other: int) -> Pair:
    row = first[index]
    a, b, size = float(row[metric]), float(second[other][metric]), str(row.get("size", ""))
    return Pair(str(row["picture"]), str(row["case"]), size, index, other, a, b, str(row.get("group", "")))


def _key(what: Callable[[Row], Any], row: Row, usual: Mapping[str, Any]) -> str:
    params = {name: value for name, value in row.items() if name.startswith("param.")}
    return json.dumps([row["picture"], what(row), {**usual, **params}], sort_keys=True)


def _asked(row: Row) -> Any:
    return [row["case"], row["prompts"], row["repeat"]]


def _prompted(row: Row) -> Any:
    """The points and boxes themselves. They have been through a page, perhaps, which rounds."""
    given = json.loads(row.get("used_prompts") or "{}")
    return {kind: [[round(value, DIGITS) for value in each] for each in given.get(kind, ())] for kind in MARKS}


def _object(row: Row) -> Any:
    """Objects have other names in other sources; the pixels that their masks have they keep."""
    area = row.get("true_area_px")
    return row["case"] if area is None else area


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
