"""Plotly figures of a sweep: means with their intervals, a heat map of two parameters, cells as points, differences."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from samkit.ui.parts.figures import LINES, bare_figure
from samkit.ui.parts.plain_figures import plain_figure_text

COLORS = ("#0b8f8c", "#c0622f", "#7b5ea7", "#3d7edb", "#c2417c", "#7a8a1e", "#7a8288", "#b58900", "#5b9e3f", "#a0522d")
"""Of series, readable on light and dark."""
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
GRID = "rgba(128,128,128,.25)"
MANY = 2_000
"""From so many points on they are drawn by WebGL."""
LABEL_CHARACTERS = 40


@dataclass(frozen=True)
class Series:
    """One setting: its means from left to right. low, high: ends of intervals, None where there is none; cells: of each

    facet: the number of the small chart that it is in
    """

    name: str
    x: Sequence[Any]
    y: Sequence[float]
    low: Sequence[float | None]
    high: Sequence[float | None]
    cells: Sequence[int]
    facet: int = 0


def label(text: str) -> str:
    """Text of somebody's in a figure."""
    short = text if len(text) <= LABEL_CHARACTERS else f"…{text[-LABEL_CHARACTERS:]}"
    return plain_figure_text(short)


def means_figure(
    series: Sequence[Series],
    x_title: str,
    y_title: str,
    facets: Sequence[str] = ("",),
    height: int = 330,
    color_title: str = "",
) -> go.Figure:
    """Means over a parameter, with intervals. x: numbers, or texts. A line leads from number to number; texts, such as
    pictures, have no order, and nothing lies between two of them. facets: titles of the small charts, which share their
    axes' ends. color_title: of the settings' names
    """
    is_text = any(isinstance(x, str) for each in series for x in each.x)
    names = list(dict.fromkeys(each.name for each in series))
    first = {name: next(each for each in series if each.name == name) for name in names}
    step = 0.0 if is_text else _beside(series, len(names))
    traces = [_mean_line(each, names, step, in_legend=len(names) > 1 and each is first[each.name]) for each in series]
    layout: dict[str, Any] = {}
    notes: list[dict[str, Any]] = []
    span = _span(series)
    for at, title in enumerate(facets):
        axis, domain = _axis(at), _facet(at, len(facets))
        layout[f"xaxis{axis}"] = dict(
            domain=domain, anchor=f"y{axis}", gridcolor=GRID, zeroline=False, title=dict(text=x_title)
        ) | (dict(type="category") if is_text else {})
        layout[f"yaxis{axis}"] = dict(
            anchor=f"x{axis}", gridcolor=GRID, zeroline=False, range=span, showticklabels=at == 0
        ) | (dict(title=dict(text=y_title)) if at == 0 else dict(matches="y"))
        if title:
            place = dict(x=sum(domain) / 2, y=1, xref="paper", yref="paper", yanchor="bottom")
            notes.append(place | dict(showarrow=False, text=label(title), font=dict(size=11)))
    if is_text and len(names) > 1:
        layout |= dict(scattermode="group", scattergap=0.6)
    return _figure(traces, height, color_title, annotations=notes, **layout)


def _beside(series: Sequence[Series], lines: int) -> float:
    """How far lines stand beside each other on an axis of numbers, so that no interval covers another one."""
    places = sorted({float(x) for each in series for x in each.x})
    if lines < 2 or len(places) < 2:
        return 0.0
    narrowest = min(after - before for before, after in pairwise(places))
    return min(0.01 * (places[-1] - places[0]), 0.5 * narrowest / lines)


def _mean_line(series: Series, names: Sequence[str], step: float, in_legend: bool) -> dict[str, Any]:
    """The trace of one setting. names: of all, whose places give the colours; step: from one to the next, across"""
    number, axis = names.index(series.name), _axis(series.facet)
    color = COLORS[number % len(COLORS)] if len(names) > 1 else LINES[1][0]
    name = label(series.name) if len(names) > 1 else ""
    aside = step * (number - (len(names) - 1) / 2)
    return dict(
        type="scatter",
        x=[label(x) if isinstance(x, str) else x + aside if aside else x for x in series.x],
        text=[label(str(x)) for x in series.x],
        y=list(series.y),
        name=label(series.name),
        legendgroup=series.name,
        showlegend=in_legend,
        offsetgroup=series.name,
        mode="markers" if any(isinstance(x, str) for x in series.x) else "lines+markers",
        line=dict(color=color, width=2, dash=DASHES[number // len(COLORS) % len(DASHES)]),
        marker=dict(size=7, color=color),
        error_y=_bars(series, color),
        customdata=[_told(series, at) for at in range(len(series.x))],
        hovertemplate="%{text}: %{y:.4g} %{customdata}<extra>" + name + "</extra>",
        xaxis=f"x{axis}",
        yaxis=f"y{axis}",
    )


def _axis(facet: int) -> str:
    """How Plotly numbers the axes of that small chart."""
    return "" if facet == 0 else str(facet + 1)


def _facet(at: int, count: int) -> list[float]:
    """From where to where the small chart lies, of the figure's width."""
    width, gap = 1 / count, 0.02
    return [at * width + (gap if at else 0), (at + 1) * width - (gap if at + 1 < count else 0)]


def _span(series: Sequence[Series]) -> list[float] | None:
    """The ends of all small charts' axes, intervals and some room included; None where there is no number."""
    ends = [
        value
        for each in series
        for value in (*each.y, *(end for end in (*each.low, *each.high) if end is not None))
        if value == value
    ]
    if not ends:
        return None
    room = 0.06 * ((max(ends) - min(ends)) or abs(max(ends)) or 1)
    return [min(ends) - room, max(ends) + room]


def _bars(series: Series, color: str) -> dict[str, Any]:
    up = [None if high is None else high - y for y, high in zip(series.y, series.high, strict=True)]
    down = [None if low is None else y - low for y, low in zip(series.y, series.low, strict=True)]
    return dict(type="data", symmetric=False, array=up, arrayminus=down, color=color, thickness=1.3, width=4)


def _told(series: Series, at: int) -> str:
    low, high, cells = series.low[at], series.high[at], series.cells[at]
    between = "" if low is None or high is None else f"[{low:.4g}, {high:.4g}] "
    return f"{between}of {cells:,} cell{'s' if cells != 1 else ''}"


def heat_figure(
    x: Sequence[str], y: Sequence[str], values: Sequence[Sequence[float | None]], titles: tuple[str, str, str]
) -> go.Figure:
    """A mean for each pair of values. values: by rows, as y; titles: of x, y and the mean"""
    cells = dict(
        type="heatmap",
        x=[label(text) for text in x],
        y=[label(text) for text in y],
        z=[list(row) for row in values],
        colorscale="Viridis",
        texttemplate="%{z:.3g}" if len(x) * len(y) <= 120 else None,
        hovertemplate=f"{titles[0]} %{{x}}<br>{titles[1]} %{{y}}<br>{titles[2]} %{{z:.4g}}<extra></extra>",
        colorbar=dict(title=dict(text=titles[2], side="right"), thickness=12, outlinewidth=0),
        xgap=1,
        ygap=1,
    )
    return _figure(
        [cells],
        xaxis=dict(type="category", title=dict(text=titles[0])),
        yaxis=dict(type="category", title=dict(text=titles[1])),
    )


@dataclass(frozen=True)
class Points:
    """Cells of one colour. texts: what each is; numbers: which each is, for whoever clicks"""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    texts: Sequence[str]
    numbers: Sequence[int]


def points_figure(
    groups: Sequence[Points],
    x_title: str,
    y_title: str,
    chosen: tuple[float, float] | None = None,
    height: int = 330,
    color_title: str = "",
) -> go.Figure:
    """A point for each cell; `chosen` is ringed. color_title: of the groups' names"""
    count = sum(len(each.x) for each in groups)
    kind = "scattergl" if count > MANY else "scatter"
    size, opacity = (7, 0.75) if count < 300 else (5, 0.5)
    traces: list[dict[str, Any]] = [
        dict(
            type=kind,
            x=list(each.x),
            y=list(each.y),
            text=[label(text) for text in each.texts],
            customdata=list(each.numbers),
            name=label(each.name),
            showlegend=len(groups) > 1,
            mode="markers",
            marker=dict(color=COLORS[at % len(COLORS)], size=size, opacity=opacity),
            hovertemplate="%{text}<br>%{x:.4g}, %{y:.4g}<extra></extra>",
        )
        for at, each in enumerate(groups)
    ]
    if chosen is not None:
        ring = dict(symbol="circle-open", size=15, color="#d9372c", line=dict(width=2.5))
        mark = dict(type=kind, x=[chosen[0]], y=[chosen[1]], mode="markers", marker=ring)
        traces.append(mark | dict(showlegend=False, hoverinfo="skip"))
    axis = dict(gridcolor=GRID, zeroline=False)
    return _figure(
        traces,
        height,
        color_title,
        xaxis=axis | dict(title=dict(text=x_title)),
        yaxis=axis | dict(title=dict(text=y_title)),
        hovermode="closest",
        clickmode="event+select",
        dragmode="zoom",
    )


def differences_figure(names: Sequence[str], differences: Sequence[float], y_title: str, better: int) -> go.Figure:
    """A bar for each picture, from the one that fell most to the one that rose most, with a dot at its end, which is
    seen at a difference of 0 too. better: 1 where more is better, -1 where less is, for the colours.
    """
    colors = ["#0b8f8c" if better * value >= 0 else "#c0622f" for value in differences]
    shared = dict(
        x=list(range(1, len(names) + 1)),
        y=list(differences),
        text=[label(name) for name in names],
        hovertemplate="%{text}<br>%{y:+.4g}<extra></extra>",
        showlegend=False,
    )
    bars = shared | dict(type="bar", textposition="none", marker=dict(color=colors, line=dict(width=0)))
    size = 9 if len(names) < 60 else 4
    dots = shared | dict(type="scatter", mode="markers", marker=dict(color=colors, size=size))
    ticks = dict(dtick=1) if len(names) <= 12 else {}
    return _figure(
        [bars, dots],
        bargap=0.05 if len(names) < 400 else 0,
        xaxis=dict(
            title=dict(text="pictures, by their difference"), gridcolor=GRID, range=[0.4, len(names) + 0.6], **ticks
        ),
        yaxis=dict(title=dict(text=y_title), gridcolor=GRID, zerolinecolor="rgba(128,128,128,.7)"),
        clickmode="event+select",
        dragmode="zoom",
    )


def _figure(traces: list[dict[str, Any]], height: int = 330, color_title: str = "", **layout: Any) -> go.Figure:
    legend = dict(orientation="h", y=-0.22, yanchor="top", font=dict(size=11))
    if color_title:
        legend |= dict(title=dict(text=f"{color_title}:", font=dict(size=11)))
    return bare_figure(traces, height, **dict(legend=legend) | layout)
