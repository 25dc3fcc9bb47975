"""Compared runs as pictures and one figure, for the page and for the report."""

from collections.abc import Sequence
from textwrap import shorten
from typing import Any

import cv2
import numpy as np
import plotly.graph_objects as go

from samkit.media.drawing import overlay
from samkit.tracking.compare import COLORS, Comparison, Row, Shown, color_of
from samkit.ui.parts.figures import bare_figure
from samkit.ui.parts.inline_image import fit_within
from samkit.ui.parts.metric_words import metric_words
from samkit.ui.parts.plain_figures import plain_figure_text
from samkit.ui.runs.compare_tables import is_number_row, shown_text, value_text

MAX_AXES = 10
GREY = 40
DRAWN_PX = 1100
"""Longest side of a picture that is laid out or sent; counts and IoU are always those of the whole masks."""
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "cross", "x", "triangle-up", "triangle-down", "star", "hexagon", "pentagon")
NAME_CHARACTERS = 80
MAX_TICKS = 6
"""Texts that are written at an axis."""


def mask_tiles(comparison: Comparison, shown: Sequence[Shown], width: int, height: int) -> list[np.ndarray | None]:
    """Each mask on its picture, uint8 [h, w, 3], as large as fits into width x height pixels: masks on one picture have
    one scale. A run without a mask has its picture alone; None where there is neither.
    """
    tiles: list[np.ndarray | None] = []
    for each in shown:
        mask = comparison.mask(each)
        rgb = _picture(comparison, each, mask)
        if rgb is None or mask is None:
            tiles.append(None if rgb is None else _fitted(rgb, width, height))
            continue
        scale = min(1.0, width / rgb.shape[1], height / rgb.shape[0])
        tiles.append(_drawn(rgb, mask, color_of(each), scale))
    return tiles


def _fitted(rgb: np.ndarray, width: int, height: int) -> np.ndarray:
    """As large as there is room, whatever the scale of others: a map of tokens has only as many pixels as tokens."""
    scale = min(width / rgb.shape[1], height / rgb.shape[0])
    size = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_NEAREST if scale > 1 else cv2.INTER_AREA)


def swipe_pictures(comparison: Comparison, pair: tuple[Shown, Shown]) -> list[np.ndarray]:
    """Both masks on their pictures, uint8 [h, w, 3] of one size: what is smaller lies in the middle of grey."""
    drawn = []
    for each in pair:
        mask = comparison.mask(each)
        rgb = _picture(comparison, each, mask)
        rgb = np.full((9, 16, 3), GREY, np.uint8) if rgb is None else rgb
        drawn.append(_drawn(rgb, mask, color_of(each), min(1.0, DRAWN_PX / max(rgb.shape[:2]))))
    height, width = (max(rgb.shape[axis] for rgb in drawn) for axis in (0, 1))
    return [_in_the_middle(rgb, height, width) for rgb in drawn]


def swipe_captions(comparison: Comparison, name: str, pair: tuple[Shown, Shown]) -> list[str]:
    """What the two are called: which mask of which run, then of two runs what is different in their names. name: which
    masks are shown, as `Comparison.shown` takes it
    """
    names = told_apart([bundle.name for bundle in comparison.bundles])
    texts = [shown_text(comparison, name, each) for each in pair]
    if pair[0].run == pair[1].run:
        return texts
    return [f"{text} · {names[each.run]}" for text, each in zip(texts, pair, strict=True)]


def _in_the_middle(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    if rgb.shape[:2] == (height, width):
        return rgb
    placed = np.full((height, width, 3), GREY, np.uint8)
    top, left = (height - rgb.shape[0]) // 2, (width - rgb.shape[1]) // 2
    placed[top : top + rgb.shape[0], left : left + rgb.shape[1]] = rgb
    return placed


def _picture(comparison: Comparison, shown: Shown, mask: np.ndarray | None) -> np.ndarray | None:
    """What a mask is drawn on: its picture, or an even grey where that is not there. None without both."""
    rgb = comparison.picture(shown)
    return np.full((*mask.shape, 3), GREY, np.uint8) if rgb is None and mask is not None else rgb


def _drawn(rgb: np.ndarray, mask: np.ndarray | None, color: tuple[int, int, int], scale: float) -> np.ndarray:
    size = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    if mask is None:
        return small
    small_mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    return overlay(small, small_mask, color, alpha=0.5)


def shrunk(picture: np.ndarray) -> np.ndarray:
    """uint8 [h, w, 3], to be sent."""
    return fit_within(picture, DRAWN_PX, DRAWN_PX)


def _in_two_lines(text: str) -> str:
    """Broken at the space that is nearest to its middle."""
    spaces = [at for at, letter in enumerate(text) if letter == " "]
    if not spaces:
        return text
    middle = min(spaces, key=lambda at: abs(at - len(text) / 2))
    return f"{text[:middle]}<br>{text[middle + 1 :]}"


def told_apart(names: Sequence[str]) -> list[str]:
    """The names without the parts that all of them begin with, such as "Mask stability, coffee, ", where something is
    left of each; not longer than `NAME_CHARACTERS`.
    """
    parts = [name.split(", ") for name in names]
    alike = 0
    while all(len(each) > alike + 1 for each in parts) and len({each[alike] for each in parts}) == 1:
        alike += 1
    return [shorten(", ".join(each[alike:]), NAME_CHARACTERS, placeholder=" …") for each in parts]


def lines_figure(comparison: Comparison) -> go.Figure | None:
    """A line for each run over the parameters and metrics that differ; None where fewer than two do. Each axis goes
    from the least to the largest value, texts are places on theirs, and where a run has no value its line has a gap.

    Where there are too many, parameters and metrics have half of the axes each, or what the others leave.
    """
    settings, measured = _axes((*comparison.circumstances, *comparison.params)), _axes(comparison.metrics)
    settings = settings[: max(MAX_AXES - len(measured), MAX_AXES // 2)]
    rows = settings + measured[: MAX_AXES - len(settings)]
    if len(rows) < 2:
        return None
    places, names = [_places(row) for row in rows], told_apart([bundle.name for bundle in comparison.bundles])
    traces = [_line(comparison, index, rows, places, name) for index, name in enumerate(names)]
    titles = [_in_two_lines(plain_figure_text(metric_words(row.name))) for row in rows]
    x_axis = dict(
        tickvals=list(range(len(rows))),
        ticktext=titles,
        tickangle=0,
        range=[-0.3, len(rows) - 0.4],
        side="top",
        gridcolor="rgba(128,128,128,.4)",
        zeroline=False,
        fixedrange=True,
    )
    y_axis = dict(range=[-0.14, 1.1], showgrid=False, showticklabels=False, zeroline=False, fixedrange=True)
    return bare_figure(
        traces,
        420,
        margin=dict(l=10, r=10, t=60, b=10),
        xaxis=x_axis,
        yaxis=y_axis,
        annotations=[note for at, row in enumerate(rows) for note in _ticks(at, row)],
        legend=dict(orientation="h", y=-0.02, yanchor="top"),
        hovermode="closest",
    )


def _axes(rows: Sequence[Row]) -> list[Row]:
    """Those by which runs differ that have a value. What each of the four masks has, the chosen one has too; and which
    mask was chosen is no quantity.
    """
    return [
        row
        for row in rows
        if len({value for value in row.values if value is not None}) > 1
        and row.name != "prompts"
        and not row.name[-1].isdigit()
        and not row.name.endswith("_index")
    ]


def _places(row: Row) -> list[float | None]:
    """Where each run stands on the row's axis, 0..1; None where it has no value."""
    if is_number_row(row):
        there = [float(value) for value in row.values if value is not None]
        low, high = min(there), max(there)
        return [
            None if value is None else (float(value) - low) / (high - low) if high > low else 0.5
            for value in row.values
        ]
    texts = _texts(row)
    return [
        None if value is None else texts.index(value_text(value)) / (len(texts) - 1) if len(texts) > 1 else 0.5
        for value in row.values
    ]


def _texts(row: Row) -> list[str]:
    return sorted({value_text(value) for value in row.values if value is not None})


def _line(
    comparison: Comparison, index: int, rows: Sequence[Row], places: Sequence[list[float | None]], name: str
) -> dict[str, Any]:
    color = f"rgb{COLORS[index]}"
    told = [plain_figure_text(f"{metric_words(row.name)}: {value_text(row.values[index])}") for row in rows]
    return dict(
        type="scatter",
        x=list(range(len(rows))),
        y=[each[index] for each in places],
        mode="lines+markers",
        connectgaps=False,
        name=plain_figure_text(f"{index + 1} · {name}"),
        line=dict(color=color, width=2.5, dash=DASHES[index % len(DASHES)]),
        marker=dict(size=9, symbol=SYMBOLS[index % len(SYMBOLS)]),
        text=told,
        hovertemplate=f"run {index + 1}<br>%{{text}}<extra></extra>",
    )


def _ticks(at: int, row: Row) -> list[dict[str, Any]]:
    """What is written at an axis: its ends, or its texts."""
    if is_number_row(row):
        there = [value for value in row.values if value is not None]
        ends = {0.0: min(there), 1.0: max(there)} if len(set(there)) > 1 else {0.5: there[0]}
        marks = {place: value_text(float(value)) for place, value in ends.items()}
    else:
        texts = _texts(row)
        marks = {number / max(1, len(texts) - 1) if len(texts) > 1 else 0.5: text for number, text in enumerate(texts)}
        marks = marks if len(marks) <= MAX_TICKS else {place: marks[place] for place in (0.0, 1.0)}
    # Numbers stand beyond the ends of their axis, so that no line crosses them.
    beyond = {0.0: "top", 1.0: "bottom"} if is_number_row(row) else {}
    return [
        dict(x=at, y=place, text=plain_figure_text(text[:18]), showarrow=False, font=dict(size=11))
        | (
            dict(yanchor=beyond[place], yshift=-7 if place == 0 else 7)
            if place in beyond
            else dict(xanchor="left", xshift=4, yshift=10)
        )
        for place, text in marks.items()
    ]
