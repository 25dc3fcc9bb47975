"""The columns of a sweep's table, for people: what can stand on an axis, and how its values are called."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from samkit.ui.controls.model_names import model_name
from samkit.ui.sweeps.looked_at import LookedAt
from samkit.words import number_text
from samkit.work.sweep.grid import AUTO
from samkit.work.sweep.report.figures import title
from samkit.work.sweep.summary import Mean, metric_names, swept_columns
from samkit.work.sweep.table import Row

__all__ = ["NOTHING", "axes", "is_numeric", "mean_text", "metrics", "quantities", "title", "trimmed", "value_text"]
NOTHING = "nothing"


def value_text(column: str, value: Any) -> str:
    """A value of that column."""
    if column == "model":
        return _model_title(str(value))
    if isinstance(value, list | tuple):
        # The same everywhere, such as in all stages.
        return str(value[0]) if value and len(set(map(str, value))) == 1 else " ".join(map(str, value))
    if value is None:
        return AUTO if column.startswith("param.") else "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def axes(looked: LookedAt) -> list[str]:
    """By which cells can be told apart, what was swept first."""
    found = sorted(swept_columns(looked.sweep.spec), key=lambda column: not column.startswith("param."))
    for column in ("size", "picture"):
        if len({row.get(column) for row in looked.rows if row.get(column)}) > 1:
            found.append(column)
    return found or ["picture"]


def metrics(looked: LookedAt) -> list[str]:
    """Those that a cell has, what people ask for first at the beginning."""
    return metric_names(looked.sample())


def quantities(looked: LookedAt) -> list[str]:
    """What a cell can be placed by: metrics, times, numbers among parameters, the object's area."""
    found = list(metrics(looked))
    sample = looked.sample()
    if any(row.get("true_area_px") is not None for row in sample):
        found.append("true_area_px")
    swept = [name for name in swept_columns(looked.sweep.spec) if name.startswith("param.")]
    return found + [name for name in swept if all(_is_number(row.get(name)) for row in sample)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@lru_cache(maxsize=256)
def _model_title(ref: str) -> str:
    """Looked up once: a table asks for each of its rows."""
    return model_name(ref)


def mean_text(mean: Mean) -> str:
    """As short as a table has room for: "0.77 [0.751, 0.788]"."""
    if mean.low is None or mean.high is None:
        return number_text(mean.value, 3)
    return f"{number_text(mean.value, 3)} [{number_text(mean.low, 3)}, {number_text(mean.high, 3)}]"


def is_numeric(column: str, values: Iterable[Any]) -> bool:
    """Whether an axis of these values is one of numbers."""
    return column.startswith("param.") and all(map(_is_number, values))


def trimmed(rows: Sequence[Row], columns: Sequence[str], metric: str) -> list[Row]:
    """Rows with what a summary of one metric looks at: far fewer values, far faster. Lists become texts."""
    names = ("picture", "group", "status", "size")
    return [
        {name: row.get(name) for name in names}
        | {name: row.get(name) for name in columns}
        | ({metric: row[metric]} if row.get(metric) is not None else {})
        for row in rows
    ]
