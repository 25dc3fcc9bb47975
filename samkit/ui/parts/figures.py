"""Plotly figures. Maps go out as float32 of at most `MAP_SIDE` points a side, because the time a heatmap takes to
appear grows with its points.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import plotly.graph_objects as go

from samkit.media.colormaps import Colormap, colormap_table

PLOT = {"displaylogo": False}
"""What every chart on a page is configured with."""
TOOLBAR = {"bgcolor": "rgba(0,0,0,0)", "color": "rgba(128,128,128,.9)", "activecolor": "#0b8f8c"}
"""Plotly's own is half as dark as the paper behind it is clear: dark on a light page."""
TOOLBAR_PX = 30
"""Above what is drawn, for the chart's own buttons."""
TEXT_PX = 14
"""Above the plot, for what stands at a line in it."""
LONE_PX = 7
SMALLEST_BAR = 0.01
"""Share of the largest bar's height below which a bar can't be told from none."""
MAP_SIDE = 200
MAP_WIDTH_PX, MAP_HEIGHT_PX = 540, (240, 460)
LINES = (("#7a8288", "dot"), ("#0b8f8c", "solid"), ("#c0622f", "dash"), ("#7b5ea7", "dashdot"))
"""Colour and dash of the four masks, readable on light and dark."""
TRUE_COLOR = "#c2417c"
"""Of what is compared with the truth."""


def bare_figure(traces: list[dict[str, Any]], height: int, **layout: Any) -> go.Figure:
    """A figure from plain dicts, checked once: Plotly's `add_...` and `update_...` check all that is there again at
    each call, ten times as long in all.
    """
    clear = "rgba(0,0,0,0)"
    return go.Figure(
        traces,
        dict(
            height=height,
            margin=dict(l=8, r=8, t=TOOLBAR_PX, b=8),
            paper_bgcolor=clear,
            plot_bgcolor=clear,
            modebar=TOOLBAR,
        )
        | layout,
    )


def _line_at(axis: str, at: float) -> dict:
    """A thin line over the whole plot at that x or y."""
    other = "y" if axis == "x" else "x"
    ends = {f"{axis}0": at, f"{axis}1": at, f"{other}0": 0, f"{other}1": 1, f"{other}ref": f"{other} domain"}
    return dict(type="line", line=dict(color="rgba(128,128,128,.7)", width=1)) | ends


def _marked(marks: Mapping[float, str]) -> dict:
    """Layout of thin vertical lines with a text above each, where no curve crosses it. marks: x -> text."""
    above = dict(y=1, yref="y domain", yanchor="bottom", showarrow=False, font=dict(size=11))
    lines, texts = [_line_at("x", at) for at in marks], [dict(x=at, text=text) | above for at, text in marks.items()]
    room = dict(margin=dict(l=8, r=8, t=TOOLBAR_PX + TEXT_PX, b=8)) if marks else {}
    return dict(shapes=lines, annotations=texts) | room


def shrink_map(values: np.ndarray, side: int = MAP_SIDE) -> np.ndarray:
    """float [H, W] -> float32 with at most `side` points a side, areas averaged."""
    scale = min(1.0, side / max(values.shape))
    size = (max(1, round(values.shape[1] * scale)), max(1, round(values.shape[0] * scale)))
    return cv2.resize(values.astype(np.float32), size, interpolation=cv2.INTER_AREA)


def band_colorscale(colormap: Colormap) -> list[list]:
    """The colour scale with its ends cut off: black below, white above."""
    table = colormap_table(colormap)
    inner = [[0.001 + 0.998 * i / 16, "rgb({},{},{})".format(*table[round(255 * i / 16)])] for i in range(17)]
    return [[0.0, "rgb(0,0,0)"], *inner, [1.0, "rgb(255,255,255)"]]


def plain_colorscale(colormap: Colormap) -> list[list]:
    table = colormap_table(colormap)
    return [[i / 16, "rgb({},{},{})".format(*table[round(255 * i / 16)])] for i in range(17)]


def map_figure(
    values: np.ndarray, picture_size: tuple[int, int], low: float, high: float, colorscale: list, unit: str
) -> go.Figure:
    """A heatmap of float [h, w] over a picture of (height, width) pixels: hover tells the pixel and the value in
    `unit`.
    """
    small = shrink_map(values)
    dx, dy = picture_size[1] / small.shape[1], picture_size[0] / small.shape[0]
    heatmap = dict(
        type="heatmap",
        z=small,
        x0=dx / 2,
        dx=dx,
        y0=dy / 2,
        dy=dy,
        zmin=low,
        zmax=high if high > low else low + 1e-6,
        colorscale=colorscale,
        colorbar=dict(title=dict(text=unit, side="right"), thickness=12, len=0.75, y=1, yanchor="top", outlinewidth=0),
        hovertemplate=f"x %{{x:.0f}}, y %{{y:.0f}} px<br>{unit} %{{z:.2f}}<extra></extra>",
    )
    axis = dict(showgrid=False, zeroline=False, showticklabels=False, ticks="", constrain="domain")
    height = min(MAP_HEIGHT_PX[1], max(MAP_HEIGHT_PX[0], round(MAP_WIDTH_PX * picture_size[0] / picture_size[1])))
    x_axis = axis | dict(range=[0, picture_size[1]], constraintoward="left")
    y_axis = axis | dict(range=[picture_size[0], 0], scaleanchor="x", constraintoward="top")
    return bare_figure([heatmap], height, xaxis=x_axis, yaxis=y_axis)


def lone_points(values: list[float | None]) -> list[int]:
    """Where a value stands between gaps, so that no line is drawn through it."""
    there = [False, *(value is not None and value == value for value in values), False]
    return [i - 1 for i in range(1, len(there) - 1) if there[i] and not there[i - 1] and not there[i + 1]]


def curves_figure(
    rows: list[dict],
    x: str,
    names: dict[str, str],
    chosen: str,
    x_title: str,
    y_title: str,
    marks: Mapping[float, str],
    height: int = 300,
    from_zero: bool = True,
    mode: str = "lines",
    level: float | None = None,
) -> go.Figure:
    """Lines over a table's column `x`.

    names: column -> legend; chosen: the column drawn thicker; marks: x -> text of a thin vertical line; from_zero: the
    y axis begins there; mode: Plotly's, of lines and points; level: y of a thin line
    """
    points, traces = [row[x] for row in rows], []
    for (column, name), (color, dash) in zip(names.items(), LINES if len(names) > 1 else LINES[1:], strict=False):
        line, values = dict(color=color, dash=dash, width=3 if column == chosen else 1.5), [row[column] for row in rows]
        hover = f"{name}: %{{y:.3f}}<extra></extra>"
        trace = dict(type="scatter", x=points, y=values, name=name, mode=mode, line=line, hovertemplate=hover)
        if mode == "lines" and (lone := lone_points(values)):
            sizes = [LONE_PX if index in lone else 0 for index in range(len(values))]
            trace |= dict(mode="lines+markers", marker=dict(size=sizes, color=color))
        traces.append(trace)
    y_axis = dict(title=dict(text=y_title), rangemode="tozero" if from_zero else "normal")
    lines = _marked(marks)
    if level is not None:
        lines["shapes"].append(_line_at("y", level))
    legend = dict(orientation="h", y=-0.28)
    return bare_figure(
        traces,
        height,
        hovermode="x unified",
        legend=legend,
        xaxis=dict(title=dict(text=x_title)),
        yaxis=y_axis,
        **lines,
    )


def token_figure(values: np.ndarray, colorscale: list, unit: str) -> go.Figure:
    """A heatmap of tokens, float [h, w], each a cell of its own: what is kept with a run."""
    x_axis = dict(title=dict(text="column"), constrain="domain")
    y_axis = dict(title=dict(text="row"), autorange="reversed", scaleanchor="x", constrain="domain")
    cells = _cells(values, colorscale, unit, f"row %{{y}}, column %{{x}}<br>{unit} %{{z:.4g}}<extra></extra>")
    return bare_figure([cells], MAP_HEIGHT_PX[1], xaxis=x_axis, yaxis=y_axis)


def offset_figure(values: np.ndarray, colorscale: list, unit: str) -> go.Figure:
    """A heatmap over how far two tokens lie apart, float [2 rows - 1, 2 columns - 1] with no distance in the middle."""
    rows, columns = (length // 2 for length in values.shape)
    x_axis = dict(title=dict(text="columns to the right"), constrain="domain")
    y_axis = dict(title=dict(text="rows down"), autorange="reversed", scaleanchor="x", constrain="domain")
    cells = _cells(values, colorscale, unit, f"%{{y}} down, %{{x}} to the right<br>{unit} %{{z:.3f}}<extra></extra>")
    places = dict(x0=-columns, dx=1, y0=-rows, dy=1)
    return bare_figure([cells | places], MAP_HEIGHT_PX[1], xaxis=x_axis, yaxis=y_axis)


def rows_figure(values: np.ndarray, names: list[str], colorscale: list, x_title: str, unit: str) -> go.Figure:
    """A table of numbers as colours, float [rows, N], a name to each row; NaN stays empty."""
    hover = f"%{{y}}, {x_title} %{{x}}<br>{unit} %{{z:.3f}}<extra></extra>"
    cells = _cells(values, colorscale, unit, hover) | dict(y=names, hoverongaps=False)
    return bare_figure(
        [cells],
        max(300, 60 + 14 * len(names)),
        xaxis=dict(title=dict(text=x_title)),
        yaxis=dict(autorange="reversed", type="category", tickfont=dict(size=10)),
    )


def matrix_figure(
    values: np.ndarray, x_title: str, y_title: str, unit: str, colorscale: list, limits: tuple[float, float]
) -> go.Figure:
    """A square table of numbers as colours, float [N, N]."""
    x_axis = dict(title=dict(text=x_title), constrain="domain", constraintoward="left")
    y_axis = dict(
        title=dict(text=y_title), autorange="reversed", scaleanchor="x", constrain="domain", constraintoward="top"
    )
    cells = _cells(values, colorscale, unit, f"{x_title} %{{x}}, {y_title} %{{y}}<br>{unit} %{{z:.3f}}<extra></extra>")
    return bare_figure(
        [cells | dict(zmin=limits[0], zmax=limits[1])],
        340,
        margin=dict(l=8, r=8, t=TOOLBAR_PX, b=40),
        xaxis=x_axis,
        yaxis=y_axis,
    )


def _cells(values: np.ndarray, colorscale: list, unit: str, hover: str) -> dict:
    bar = dict(title=dict(text=unit, side="right"), thickness=12, outlinewidth=0)
    return dict(type="heatmap", z=values.astype(np.float32), colorscale=colorscale, colorbar=bar, hovertemplate=hover)


def histogram_figure(values: list[float], x_title: str, y_title: str) -> go.Figure:
    bars = dict(
        type="histogram",
        x=values,
        nbinsx=40,
        marker=dict(color=LINES[1][0]),
        hovertemplate=f"%{{x}}: %{{y}} {y_title}<extra></extra>",
    )
    return bare_figure(
        [bars], 300, bargap=0.05, xaxis=dict(title=dict(text=x_title)), yaxis=dict(title=dict(text=y_title))
    )


def scatter_figure(x: list[float], y: list[float], texts: list[str], x_title: str, y_title: str) -> go.Figure:
    """One dot for each text."""
    hover = f"%{{text}}<br>{x_title} %{{x:.3g}}<br>{y_title} %{{y:.3g}}<extra></extra>"
    dots = dict(
        type="scatter",
        x=x,
        y=y,
        text=texts,
        mode="markers",
        marker=dict(color=LINES[1][0], size=7, opacity=0.6),
        hovertemplate=hover,
    )
    return bare_figure([dots], 300, xaxis=dict(title=dict(text=x_title)), yaxis=dict(title=dict(text=y_title)))


def group_bars_figure(rows: list[dict], group: str, x: str, y: str, y_title: str) -> go.Figure:
    """A bar a row, those of one group in its colour and under its name. group, x, y: columns. Where the largest would
    leave the smallest invisible, the axis is logarithmic.
    """
    values = [row[y] for row in rows if row[y] > 0]
    wide = bool(values) and min(values) < SMALLEST_BAR * max(values)
    y_axis = {"type": "log", "exponentformat": "power"} if wide else {"rangemode": "tozero"}
    groups = list(dict.fromkeys(row[group] for row in rows))
    bars = [
        dict(
            type="bar",
            x=[[name] * len(own), [row[x] for row in own]],
            y=[row[y] for row in own],
            name=name,
            marker=dict(color=LINES[index % len(LINES)][0]),
            hovertemplate=f"{name}, %{{x}}: %{{y:.4g}}<extra></extra>",
            showlegend=False,
        )
        for index, name in enumerate(groups)
        for own in [[row for row in rows if row[group] == name]]
    ]
    x_axis = dict(dividercolor="rgba(128,128,128,.5)", type="multicategory")
    return bare_figure(bars, 380, bargap=0.2, xaxis=x_axis, yaxis=dict(title=dict(text=y_title)) | y_axis)


@dataclass(frozen=True)
class OverWindows:
    """How a chart over window sizes is drawn.

    default: the size that is marked; span: the first and the last size that there will be, None for those that there
    are; height: in pixels; titled: whether the axis of sizes says what it is
    """

    default: int | None
    span: tuple[float, float] | None = None
    height: int = 340
    titled: bool = True


def sweep_iou_figure(rows: list[dict], chosen: int, how: OverWindows) -> go.Figure:
    """IoU of all four masks over the window size, on an axis as long as the values ask; where the truth is known also
    the chosen one's true IoU.
    """
    windows, traces = [row["window"] for row in rows], []
    for index, (color, dash) in enumerate(LINES):
        line = dict(color=color, dash=dash, width=3 if index == chosen else 1.5)
        ious = [row[f"iou_{index}"] for row in rows]
        traces.append(
            dict(
                type="scatter",
                x=windows,
                y=ious,
                name=f"Mask {index + 1}",
                mode="lines+markers",
                line=line,
                hovertemplate="%{y:.3f}",
            )
        )
    drawn = [row[f"iou_{index}"] for row in rows for index in range(len(LINES))]
    title = "IoU with the default's mask"
    if rows and f"true_iou_{chosen}" in rows[0]:
        title = "IoU"
        right = [row[f"true_iou_{chosen}"] for row in rows]
        drawn += right
        traces.append(
            dict(
                type="scatter",
                x=windows,
                y=right,
                name=f"True IoU, mask {chosen + 1}",
                mode="lines+markers",
                line=dict(color=TRUE_COLOR, dash="longdash", width=3),
                marker=dict(symbol="diamond", size=9),
                hovertemplate="%{y:.3f}",
            )
        )
    lowest = min(drawn, default=0.0)
    room = max(0.01, 0.06 * (1 - lowest))
    y_axis = dict(title=dict(text=title), range=[max(-room, lowest - room), 1 + room])
    return _over_windows(traces, y_axis, how)


def readings_iou_figure(rows: list[dict], chosen: int, how: OverWindows) -> go.Figure:
    """IoU of the chosen mask over the window size, a curve for each way in which windows were read (the column
    `reading`); where the truth is known also its true IoU.
    """
    readings = list(dict.fromkeys(row["reading"] for row in rows))
    columns = {f"iou_{chosen}": "", f"true_iou_{chosen}": "true IoU, "}
    traces: list[dict[str, Any]] = []
    for column, words in columns.items():
        for reading, (color, _) in zip(readings, LINES[1:], strict=False):
            own = [row for row in rows if row["reading"] == reading and column in row]
            if own:
                line = dict(color=color, width=2.5, dash="longdash" if words else "solid")
                points = dict(x=[row["window"] for row in own], y=[row[column] for row in own])
                traces.append(
                    dict(type="scatter", name=f"{words}{reading}", mode="lines+markers", line=line, **points)
                    | dict(hovertemplate="%{y:.3f}")
                )
    lowest = min((y for trace in traces for y in trace["y"]), default=0.0)
    room = max(0.01, 0.06 * (1 - lowest))
    y_axis = dict(title=dict(text="IoU, chosen mask"), range=[max(-room, lowest - room), 1 + room])
    return _over_windows(traces, y_axis, how)


def sweep_ms_figure(rows: list[dict], how: OverWindows) -> go.Figure:
    """Median encode times over the window size, each with its range."""
    medians = [row["encode_ms"] for row in rows]
    ends = [(row["encode_ms_low"], row["encode_ms_high"]) for row in rows]
    bars = dict(
        type="data",
        symmetric=False,
        array=[high - median for median, (_, high) in zip(medians, ends, strict=True)],
        arrayminus=[median - low for median, (low, _) in zip(medians, ends, strict=True)],
        color="rgba(128,128,128,.8)",
        thickness=1.2,
        width=4,
    )
    trace = dict(
        type="scatter",
        x=[row["window"] for row in rows],
        y=medians,
        error_y=bars,
        customdata=ends,
        name="Median",
        mode="lines+markers",
        line=dict(color=LINES[1][0], width=1.5),
        hovertemplate="%{y:.1f} ms (%{customdata[0]:.1f} to %{customdata[1]:.1f})<extra></extra>",
    )
    return _over_windows([trace], dict(title=dict(text="encode time (ms)")), how)


def _over_windows(traces: list[dict[str, Any]], y_axis: dict, how: OverWindows) -> go.Figure:
    marks: dict[float, str] = {} if how.default is None else {how.default: "default"}
    legend = dict(orientation="h", y=-0.25 if how.titled else -0.15, yanchor="top")
    x_axis: dict[str, Any] = dict(title=dict(text="window (tokens)")) if how.titled else {}
    if how.span is not None:
        # A curve that grows stays where it is.
        room = 0.04 * (how.span[1] - how.span[0]) or 1
        x_axis["range"] = [how.span[0] - room, how.span[1] + room]
    return bare_figure(
        traces, how.height, hovermode="x unified", legend=legend, xaxis=x_axis, yaxis=y_axis, **_marked(marks)
    )
