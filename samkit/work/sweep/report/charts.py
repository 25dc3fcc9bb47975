"""Small charts as SVG: means with their intervals, over the values of something that was swept."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from samkit.work.sweep.report.figures import value_text
from samkit.work.sweep.summary import Mean

WIDTH, HEIGHT = 430, 250
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 14, 46
COLORS = 8
"""Classes of colours that the page's style has."""
MAX_LABELS = 12
"""Values that are named below a chart's axis."""


@dataclass(frozen=True)
class Series:
    """label: "" where there is one alone; means: by the value on the x axis"""

    label: str
    means: Mapping[Any, Mean]


def chart(title: str, axis: str, values: Sequence[Any], series: Sequence[Series]) -> str:
    """An <svg> with a point and an interval for each mean. values: on the x axis, in order; numbers stand where they
    are, anything else at equal distances.
    """
    edges = [
        edge
        for each in series
        for mean in each.means.values()
        for edge in (mean.value, mean.low, mean.high)
        if edge is not None and math.isfinite(edge)
    ]
    if not edges:
        return ""
    ticks = _ticks(min(edges), max(edges))
    low, high = min(ticks[0], min(edges)), max(ticks[-1], max(edges))
    places, numeric = _places(values)

    def y_of(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low))

    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    for tick in ticks:
        y = y_of(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 7}" y="{y + 3.5:.1f}" text-anchor="end">{tick:.6g}</text>')
    parts += _axis_labels(values, places)
    parts.append(f'<text class="axis" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 6}">{escape(axis)}</text>')
    for index, each in enumerate(series):
        # Intervals of one place stand beside each other.
        shift = (index - (len(series) - 1) / 2) * min(7.0, 40 / len(series))
        points = [
            (places[at] + shift, each.means[value], value)
            for at, value in enumerate(values)
            if value in each.means and math.isfinite(each.means[value].value)
        ]
        parts.append(f'<g class="c{index % COLORS}">')
        if numeric and len(points) > 1:
            line = " ".join(f"{x:.1f},{y_of(mean.value):.1f}" for x, mean, _ in points)
            parts.append(f'<polyline points="{line}"/>')
        for x, mean, value in points:
            label = ", ".join(filter(None, (each.label, f"{axis} {value_text(value)}")))
            parts.append(f"<g><title>{escape(label)}: {escape(mean.text)}</title>")
            if mean.low is not None and mean.high is not None:
                parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y_of(mean.low):.1f}" y2="{y_of(mean.high):.1f}"/>')
            parts.append(f'<circle cx="{x:.1f}" cy="{y_of(mean.value):.1f}" r="4"/></g>')
        parts.append("</g>")
    return "".join(parts) + "</svg>"


def legend(labels: Sequence[str]) -> str:
    """Which colour is which."""
    chips = [f'<span class="key c{index % COLORS}"><i></i>{escape(label)}</span>' for index, label in enumerate(labels)]
    return f'<div class="legend">{"".join(chips)}</div>'


def _places(values: Sequence[Any]) -> tuple[list[float], bool]:
    """(where each value stands on the x axis, whether they are numbers)."""
    start, end = LEFT + 24.0, WIDTH - RIGHT - 24.0
    numeric = len(values) > 1 and all(
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) for value in values
    )
    if numeric and max(values) > min(values):
        low, high = min(values), max(values)
        return [start + (end - start) * (value - low) / (high - low) for value in values], True
    count = len(values)
    return [start + (end - start) * ((at + 0.5) / count) for at in range(count)], False


def _axis_labels(values: Sequence[Any], places: Sequence[float]) -> list[str]:
    step = math.ceil(len(values) / MAX_LABELS)
    shown = list(zip(values, places, strict=True))[::step]
    room = max(4, round((WIDTH - LEFT - RIGHT) / max(1, len(shown)) / 6))
    labels = []
    for value, x in shown:
        text = value_text(value)
        short = text if len(text) <= room else f"{text[: room - 1]}…"
        labels.append(
            f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor="middle">{escape(short)}'
            f"<title>{escape(text)}</title></text>"
        )
    return labels


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`, four to seven of them, with the ends inside."""
    if high - low < 1e-9 * max(1.0, abs(high)):
        room = max(abs(high) * 0.05, 1e-3)
        low, high = low - room, high + room
    raw = (high - low) / 4
    size = 10 ** math.floor(math.log10(raw))
    step = next(size * each for each in (1, 2, 2.5, 5, 10) if size * each >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * at, 12) for at in range(first, last + 1)]
