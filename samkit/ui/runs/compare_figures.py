"""Compared runs as pictures and one figure, for the page and for the report."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import plotly.graph_objects as go

from samkit.media.drawing import overlay
from samkit.tracking.compare import COLORS, Comparison, Row
from samkit.ui.parts.inline_image import fit_within
from samkit.ui.runs.compare_tables import value_text

MAX_AXES = 10
GREY = 40
DRAWN_PX = 1100
"""Longest side of a picture that is laid out or sent; counts and IoU are always those of the whole masks."""


def mask_tiles(comparison: Comparison, name: str, width: int, height: int) -> list[np.ndarray | None]:
    """Each run's picture with its mask, uint8 [h, w, 3], all at one scale: the largest fits into width x height pixels.
    None where there is neither.
    """
    masks = comparison.masks(name)
    pictures = [_picture(comparison, index, name, mask) for index, mask in enumerate(masks)]
    sizes = [rgb.shape[:2] for rgb in pictures if rgb is not None]
    if not sizes:
        return [None] * len(masks)
    scale = min(1.0, width / max(size[1] for size in sizes), height / max(size[0] for size in sizes))
    return [_tile(rgb, mask, color, scale) for rgb, mask, color in zip(pictures, masks, COLORS, strict=False)]


def _picture(comparison: Comparison, index: int, name: str, mask: np.ndarray | None) -> np.ndarray | None:
    """What a mask is drawn on: its picture, or an even grey where that is not there. None without both."""
    rgb = comparison.picture(index, name)
    return np.full((*mask.shape, 3), GREY, np.uint8) if rgb is None and mask is not None else rgb


def _tile(
    rgb: np.ndarray | None, mask: np.ndarray | None, color: tuple[int, int, int], scale: float
) -> np.ndarray | None:
    if rgb is None:
        return None
    size = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    if mask is None:
        return small
    small_mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    return overlay(small, small_mask, color, alpha=0.5)


def shrunk(picture: np.ndarray) -> np.ndarray:
    """uint8 [h, w, 3], to be sent."""
    return fit_within(picture, DRAWN_PX, DRAWN_PX)


def parallel_figure(comparison: Comparison) -> go.Figure | None:
    """A line for each run over the parameters and metrics that differ; None where fewer than two do. Texts and gaps
    become places on their axis.

    Where there are too many, parameters and metrics have half of the axes each, or what the others leave.
    """
    settings, measured = _axes((*comparison.circumstances, *comparison.params)), _axes(comparison.metrics)
    settings = settings[: max(MAX_AXES - len(measured), MAX_AXES // 2)]
    rows = settings + measured[: MAX_AXES - len(settings)]
    if len(rows) < 2:
        return None
    count = len(comparison.bundles)
    scale = [[index / max(1, count - 1), f"rgb{color}"] for index, color in enumerate(COLORS[:count])]
    lines = dict(color=list(range(count)), colorscale=scale, cmin=0, cmax=count - 1)
    figure = go.Figure(
        go.Parcoords(
            line=lines, dimensions=[_axis(row) for row in rows], labelfont_size=12, tickfont_size=11, labelangle=-14
        )
    )
    figure.update_layout(height=380, margin=dict(l=60, r=70, t=80, b=20), paper_bgcolor="rgba(0,0,0,0)")
    return figure


def _axes(rows: Sequence[Row]) -> list[Row]:
    """Those by which the runs differ. What each of the four masks has, the chosen one has too; and which mask was
    chosen is no quantity.
    """
    return [
        row
        for row in rows
        if row.differs and row.name != "prompts" and not row.name[-1].isdigit() and not row.name.endswith("_index")
    ]


def _axis(row: Row) -> dict[str, Any]:
    label = row.name.replace("_", " ")
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in row.values):
        return dict(label=label, values=[float(value) for value in row.values])
    texts = [value_text(value) for value in row.values]
    places = sorted(set(texts))
    return dict(
        label=label,
        values=[places.index(text) for text in texts],
        tickvals=list(range(len(places))),
        ticktext=[text[:18] for text in places],
    )
