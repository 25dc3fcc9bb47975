"""Which figures of a sweep a report is about, what they are called, and which end of them is better."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from samkit.work.sweep.grid import AUTO
from samkit.work.sweep.summary import FIRST, metric_names
from samkit.work.sweep.table import Row

TIMES = ("time.encode_ms", "time.decode_ms")
MAX_MAIN = 5
"""Metrics that a report begins with, times apart."""
HIGHER = (
    "true_", "predicted_iou", "stability_score", "mean_predicted_iou", "mean_object_score", "present_share",
    "object_score", "iou_", "refine_iou", "jitter_iou",
)  # fmt: skip
"""How the names of metrics begin of which more is better."""
LOWER = ("predicted_iou_error", "drift", "bfloat16_")
OF_FILMS = ("J_and_F", "J", "F")
MAX_VALUE_CHARACTERS = 60


def main_names(table: Iterable[Row]) -> list[str]:
    """The columns of the metrics and times that people ask for first; where there are none of those, the first that
    there are.
    """
    names = metric_names(table)
    asked = {f"metric.{name}" for name in FIRST}
    metrics = [name for name in names if name in asked][:MAX_MAIN]
    metrics = metrics or [name for name in names if name.startswith("metric.")][:MAX_MAIN]
    return metrics + [name for name in TIMES if name in names]


def better_end(column: str) -> Literal["higher", "lower", None]:
    """Which end of a metric or time is better; None where that is not known, or neither is."""
    kind, _, name = column.partition(".")
    if kind == "time" or name.startswith(LOWER):
        return "lower"
    return "higher" if name in OF_FILMS or name.startswith(HIGHER) else None


def title(column: str) -> str:
    """A column for a person: "metric.true_iou" as "true IoU", "param.side" as "side", "time.encode_ms" as
    "encode, ms". Objects of a film are counted from 1.
    """
    kind, dot, name = column.partition(".")
    if kind == "metric" and (found := re.fullmatch(r"object_(\d+)_(.+)", name)):
        return f"{title(f'metric.{found[2]}')}, object {int(found[1]) + 1}"
    text = (name if dot else kind).replace("_", " ")
    if kind == "time" and " ms" in text:
        text = f"{text.replace(' ms', '', 1)}, ms"
    return " ".join({"iou": "IoU", "f": "F"}.get(word, word) for word in text.split(" "))


def value_text(value: Any) -> str:
    """A value that was swept over, short."""
    if isinstance(value, str):
        try:
            # Tables hold lists as JSON.
            decoded = json.loads(value) if value.startswith("[") else value
        except ValueError:
            decoded = value
        value = decoded
    if isinstance(value, list | tuple):
        text = ", ".join(map(str, value))
    else:
        text = AUTO if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= MAX_VALUE_CHARACTERS else f"{text[: MAX_VALUE_CHARACTERS - 1]}…"


def setting_text(setting: dict[str, Any]) -> str:
    """Such as "side 512, window sizes 8, 8, 8, 8"; "" for the only one."""
    parts = [
        value_text(value) if column in ("model", "prompts") else f"{title(column)} {value_text(value)}"
        for column, value in setting.items()
    ]
    return "; ".join(parts)


def slim(table: Sequence[Row], names: Iterable[str]) -> list[Row]:
    """The table with these metrics alone, which is quicker to sum up."""
    wanted = set(names)
    return [
        {name: value for name, value in row.items() if name in wanted or not name.startswith(("metric.", "time."))}
        for row in table
    ]
