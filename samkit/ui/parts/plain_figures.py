"""Figures that came from elsewhere, made anew of the parts that charts here are made of: traces of a few kinds, axes,
lines and legends. What could fetch something (images, maps), and text that could lead elsewhere (annotations, links),
is left out.
"""

import math
import re
from typing import Any

import plotly.graph_objects as go

from samkit.ui.parts.figures import TOOLBAR


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TRACES = {"scatter", "heatmap", "histogram", "bar"}
MAX_TRACES, MAX_SHAPES, MAX_DEPTH, MAX_CHARACTERS = 200, 500, 8, 2_000
_TRACE = _words(
    """
    type x y z x0 dx y0 dy name mode line marker fill fillcolor opacity text customdata hovertemplate hoverinfo
    showlegend legendgroup colorscale zmin zmax zmid zauto reversescale showscale colorbar xaxis yaxis error_x
    error_y nbinsx nbinsy histnorm xbins ybins orientation xgap ygap connectgaps visible textposition textfont
    hoverongaps zsmooth transpose width base offset autobinx autobiny cumulative histfunc coloraxis texttemplate
    """
)
_LAYOUT = _words(
    """
    title legend margin height width hovermode bargap barmode showlegend paper_bgcolor plot_bgcolor font coloraxis
    dragmode uirevision boxmode
    """
)
_AXIS = re.compile(r"[xy]axis[0-9]{0,2}")
_SHAPE = _words(
    """
    type x0 x1 y0 y1 xref yref line fillcolor opacity layer
    """
)
_LEFT_OUT = {"source", "src", "href", "images", "template", "meta", "updatemenus", "sliders", "annotations", "scene"}
_TAG = re.compile(r"<(?!/?(?:br|b|i|sup|sub|extra)\s*/?>)", re.I)


def rebuilt_figure(data: Any, layout: Any) -> go.Figure:
    """data, layout: as in plotly's JSON. Raises ValueError for what makes no figure."""
    if not isinstance(data, list) or not isinstance(layout, dict):
        raise ValueError("no figure")
    traces = [
        {key: _plain(value) for key, value in trace.items() if key in _TRACE}
        for trace in data[:MAX_TRACES]
        if isinstance(trace, dict) and trace.get("type", "scatter") in TRACES
    ]
    kept = {key: _plain(value) for key, value in layout.items() if key in _LAYOUT or _AXIS.fullmatch(str(key))}
    kept["modebar"] = TOOLBAR
    shapes = layout.get("shapes")
    if isinstance(shapes, list):
        kept["shapes"] = [
            {key: _plain(value) for key, value in shape.items() if key in _SHAPE}
            for shape in shapes[:MAX_SHAPES]
            if isinstance(shape, dict) and shape.get("type") in ("line", "rect", "circle")
        ]
    return go.Figure(traces, kept)


def plain_figure_text(text: str) -> str:
    """Text for a figure: plotly reads links and other marks in it."""
    return _TAG.sub("&lt;", text[:MAX_CHARACTERS])


def _plain(value: Any, depth: int = 0) -> Any:
    if depth > MAX_DEPTH:
        return None
    if isinstance(value, str):
        return plain_figure_text(value)
    if isinstance(value, list):
        return [_plain(each, depth + 1) for each in value]
    if isinstance(value, dict):
        if "bdata" in value:
            return {key: value[key] for key in ("dtype", "bdata", "shape") if key in value}
        return {key: _plain(each, depth + 1) for key, each in value.items() if key not in _LEFT_OUT}
    return None if isinstance(value, float) and not math.isfinite(value) else value
