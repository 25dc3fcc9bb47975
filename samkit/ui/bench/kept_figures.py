"""Interactive figures as files that are kept with a run: the figure's own numbers, without plotly's 4 MB in each.

plotly.js is looked for beside the run, as in an exported zip, then one folder further up, and last in the network. The
app draws the numbers itself.
"""

import json
from html import escape
from pathlib import Path

import plotly.graph_objects as go
import streamlit as st
from plotly.offline import get_plotlyjs_version

from samkit.errors import BadInput
from samkit.files import read_small
from samkit.tracking.bundle.bundle import PLOTLY
from samkit.ui.parts.plain_figures import rebuilt_figure

MAX_BYTES = 32 * 2**20
_BEGIN, _END = '<script type="application/json" id="figure-numbers">', "</script>"
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><div id="figure">This figure needs {plotly} beside the run's folder, or a network.</div>
{begin}{numbers}{end}
<script>
const places = {places};
function draw() {{
  const {{data, layout}} = JSON.parse(document.getElementById("figure-numbers").textContent);
  document.getElementById("figure").textContent = "";
  Plotly.newPlot("figure", data, layout, {{displaylogo: false, responsive: true}});
}}
function load() {{
  if (!places.length) return;
  const script = document.createElement("script");
  script.src = places.shift();
  script.onload = draw;
  script.onerror = load;
  document.head.append(script);
}}
load();
</script></body></html>
"""


def figure_html(figure: go.Figure, title: str) -> bytes:
    """The file of a figure."""
    # No text in the numbers may end the element that holds them.
    numbers = figure.to_json().replace("</", "<\\/")
    places = [f"../{PLOTLY}", f"../../{PLOTLY}", f"https://cdn.plot.ly/plotly-{get_plotlyjs_version()}.min.js"]
    return _PAGE.format(
        title=escape(title), plotly=PLOTLY, begin=_BEGIN, numbers=numbers, end=_END, places=json.dumps(places)
    ).encode()


def read_figure(path: Path) -> go.Figure:
    """The figure in a file that `figure_html` wrote, made anew of what may be in one. BadInput for any other file."""
    try:
        _, begin, rest = read_small(path, MAX_BYTES, "The figure").decode().partition(_BEGIN)
        numbers, end, _ = rest.partition(_END)
        if not (begin and end):
            raise ValueError
        figure = json.loads(numbers)
        return rebuilt_figure(figure["data"], figure["layout"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise BadInput(f"{path.name} can't be shown here: download it under Files and open it in a browser.") from None


def kept_figure(path: Path) -> None:
    """Show it on a page."""
    st.plotly_chart(read_figure(path), key=f"kept_{path.stem}", config={"displaylogo": False})
