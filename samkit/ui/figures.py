"""Plotly figures. Maps go out as float32 of at most `MAP_SIDE` points a side, because the time a heatmap takes to appear grows with its points."""

import cv2
import numpy as np
import plotly.graph_objects as go

from samkit.experiments.colormaps import Colormap, colormap_table

MAP_SIDE = 200
MAP_WIDTH_PX, MAP_HEIGHT_PX = 540, (240, 460)
LINES = (("#7a8288", "dot"), ("#0b8f8c", "solid"), ("#c0622f", "dash"), ("#7b5ea7", "dashdot"))
"""Colour and dash of masks 0 to 3, readable on light and dark."""


def _layout(figure: go.Figure, height: int, **more) -> go.Figure:
    figure.update_layout(height=height, margin=dict(l=8, r=8, t=8, b=8), paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", **more)
    return figure


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


def map_figure(values: np.ndarray, picture_size: tuple[int, int], low: float, high: float, colorscale: list, unit: str) -> go.Figure:
    """A heatmap of float [h, w] over a picture of (height, width) pixels: hover tells the pixel and the value in `unit`."""
    small = shrink_map(values)
    dx, dy = picture_size[1] / small.shape[1], picture_size[0] / small.shape[0]
    heatmap = go.Heatmap(
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
    figure = _layout(go.Figure(heatmap), height)
    figure.update_xaxes(**axis, range=[0, picture_size[1]], constraintoward="left")
    figure.update_yaxes(**axis, range=[picture_size[0], 0], scaleanchor="x", constraintoward="top")
    return figure


def curves_figure(
    rows: list[dict],
    x: str,
    names: dict[str, str],
    chosen: str,
    x_title: str,
    y_title: str,
    marks: dict[float, str],
    height: int = 300,
    from_zero: bool = True,
) -> go.Figure:
    """Lines over a table's column `x`.

    names: column -> legend; chosen: the column drawn thicker; marks: x -> text of a thin vertical line; from_zero: the y axis begins there.
    """
    figure = go.Figure()
    for (column, name), (color, dash) in zip(names.items(), LINES if len(names) > 1 else LINES[1:], strict=False):
        line = dict(color=color, dash=dash, width=3 if column == chosen else 1.5)
        points = [row[x] for row in rows], [row[column] for row in rows]
        figure.add_scatter(x=points[0], y=points[1], name=name, mode="lines", line=line, hovertemplate=f"{name}: %{{y:.3f}}<extra></extra>")
    for at, text in marks.items():
        figure.add_vline(x=at, line=dict(color="rgba(128,128,128,.7)", width=1), annotation_text=text, annotation_font_size=11)
    _layout(figure, height, hovermode="x unified", legend=dict(orientation="h", y=-0.28))
    figure.update_xaxes(title=x_title)
    figure.update_yaxes(title=y_title, rangemode="tozero" if from_zero else "normal")
    return figure


def token_figure(values: np.ndarray, colorscale: list, unit: str) -> go.Figure:
    """A heatmap of tokens, float [h, w], each a cell of its own: what is kept with a run."""
    figure = go.Figure(
        go.Heatmap(
            z=values.astype(np.float32),
            colorscale=colorscale,
            colorbar=dict(title=dict(text=unit, side="right"), thickness=12, outlinewidth=0),
            hovertemplate=f"row %{{y}}, column %{{x}}<br>{unit} %{{z:.4g}}<extra></extra>",
        )
    )
    _layout(figure, MAP_HEIGHT_PX[1])
    figure.update_xaxes(title="column", constrain="domain")
    figure.update_yaxes(title="row", autorange="reversed", scaleanchor="x", constrain="domain")
    return figure


def matrix_figure(values: np.ndarray, x_title: str, y_title: str, unit: str, colorscale: list, limits: tuple[float, float]) -> go.Figure:
    """A square table of numbers as colours, float [N, N]."""
    figure = token_figure(values, colorscale, unit)
    figure.update_traces(zmin=limits[0], zmax=limits[1], hovertemplate=f"{x_title} %{{x}}, {y_title} %{{y}}<br>{unit} %{{z:.3f}}<extra></extra>")
    figure.update_layout(height=340, margin=dict(l=8, r=8, t=8, b=40))
    figure.update_xaxes(title=x_title, constraintoward="left")
    figure.update_yaxes(title=y_title, constraintoward="top")
    return figure


def histogram_figure(values: list[float], x_title: str, y_title: str) -> go.Figure:
    figure = go.Figure(go.Histogram(x=values, nbinsx=40, marker_color=LINES[1][0], hovertemplate=f"%{{x}}: %{{y}} {y_title}<extra></extra>"))
    _layout(figure, 300, bargap=0.05)
    figure.update_xaxes(title=x_title)
    figure.update_yaxes(title=y_title)
    return figure


def scatter_figure(x: list[float], y: list[float], texts: list[str], x_title: str, y_title: str) -> go.Figure:
    """One dot for each text."""
    figure = go.Figure(go.Scatter(x=x, y=y, text=texts, mode="markers", marker=dict(color=LINES[1][0], size=7, opacity=0.6)))
    figure.update_traces(hovertemplate=f"%{{text}}<br>{x_title} %{{x:.3g}}<br>{y_title} %{{y:.3g}}<extra></extra>")
    _layout(figure, 300)
    figure.update_xaxes(title=x_title)
    figure.update_yaxes(title=y_title)
    return figure


def sweep_figure(rows: list[dict], chosen: int, default: int | None) -> go.Figure:
    """IoU of all four masks (left axis) and milliseconds (right axis) over the window size. default: the size that is marked."""
    figure = go.Figure()
    windows = [row["window"] for row in rows]
    for index, (color, dash) in enumerate(LINES):
        line = dict(color=color, dash=dash, width=3 if index == chosen else 1.5)
        ious = [row[f"iou_{index}"] for row in rows]
        figure.add_scatter(x=windows, y=ious, name=f"IoU, mask {index}", mode="lines+markers", line=line, hovertemplate="%{y:.3f}")
    times = [row["encode_ms"] for row in rows]
    bars = dict(marker_color="rgba(128,128,128,.3)", hovertemplate="%{y:.0f} ms")
    figure.add_bar(x=windows, y=times, name="encode time", yaxis="y2", **bars)
    if default is not None:
        figure.add_vline(x=default, line=dict(color="rgba(128,128,128,.7)", width=1), annotation_text="default", annotation_font_size=11)
    _layout(figure, 340, hovermode="x unified", legend=dict(orientation="h", y=-0.25))
    figure.update_xaxes(title="window (tokens)")
    figure.update_layout(
        yaxis=dict(title="IoU with the default's mask", range=[0, 1.05], dtick=0.2, overlaying="y2"),
        yaxis2=dict(title="encode time (ms)", side="right", showgrid=False),
    )
    return figure
