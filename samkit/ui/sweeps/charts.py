"""The charts of a sweep: a metric over what was swept, cells as points, and two parameters as a heat map."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from samkit.ui.parts.figures import PLOT
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.parts.sweep_figures import Points, Series, heat_figure, label, means_figure, points_figure
from samkit.ui.sweeps.columns import NOTHING, axes, is_numeric, metrics, quantities, title, trimmed, value_text
from samkit.ui.sweeps.looked_at import LookedAt
from samkit.work.sweep.summary import FEWEST, SettingSummary, summarize
from samkit.work.sweep.table import Row

MAX_SERIES, MAX_FACETS, MAX_TICKS = 10, 4, 200
USUAL_QUANTITY = ("metric.predicted_iou", "true_area_px")
CHART_PX = 318
ERROR_HELP = "Predicted IoU error is absolute: how far the predicted IoU is from the true one, above it or below it."


@dataclass(frozen=True)
class Shown:
    """What the charts show: columns of the table. color, facet: "" for none; point_x: what a cell is placed by"""

    metric: str
    x: str
    color: str
    facet: str
    point_x: str


def choose_shown(looked: LookedAt) -> Shown | None:
    """The row of choices above the charts; None where no cell has a metric yet."""
    names = metrics(looked)
    if not names:
        return None
    across, placed = axes(looked), quantities(looked)
    key = looked.sweep.id
    with st.container(key="sweep_choices"):
        places = st.columns([1.35, 1, 1, 1, 1.35], gap="small")
    told = ERROR_HELP if "metric.predicted_iou_error" in names else None
    metric = places[0].selectbox("Metric", names, format_func=title, key=f"metric_{key}", help=told)
    x = places[1].selectbox("Over", across, format_func=title, key=f"x_{key}")
    rest = [column for column in across if column != x]
    colors = [NOTHING, *rest]
    usual = next((at for at, column in enumerate(colors) if column not in (NOTHING, "size", "picture")), 0)
    color = places[2].selectbox("Colour by", colors, usual, format_func=title, key=f"color_{key}_{x}")
    facets = [NOTHING, *(column for column in rest if column not in (color, "picture"))]
    facet = places[3].selectbox("Side by side", facets, format_func=title, key=f"facet_{key}_{x}_{color}")
    others = [column for column in placed if column != metric]
    first = next((others.index(column) for column in USUAL_QUANTITY if column in others), 0)
    point_x = places[4].selectbox("Cells over", others or placed, first, format_func=title, key=f"px_{key}_{metric}")
    return Shown(metric, x, "" if color == NOTHING else color, "" if facet == NOTHING else facet, point_x)


def draw_means(looked: LookedAt, shown: Shown) -> None:
    """The metric's means, with intervals."""
    series, facets, left_out = mean_series(looked, shown)
    bars = any(end is not None for each in series for end in each.high)
    st.markdown(
        f"**Mean {plain_text(title(shown.metric))}** over {plain_text(title(shown.x))}"
        + (", 95 % intervals" if bars else ", too few pictures for intervals"),
        help=INTERVAL_HELP if bars else NO_INTERVAL_HELP,
    )
    figure = means_figure(
        series, label(title(shown.x)), label(title(shown.metric)), facets, CHART_PX, _color_title(shown)
    )
    st.plotly_chart(figure, key=f"means_{looked.sweep.id}", config=PLOT)
    if left_out:
        st.caption(f"{left_out} more settings are not drawn: choose another colour.")


NO_INTERVAL_HELP = (
    f"Each mean is of fewer than {FEWEST} pictures or films, which are too few for an interval: sweep over more."
)
INTERVAL_HELP = (
    "Whole pictures are drawn anew 2,000 times, for objects on one picture are alike. Repeats and objects are averaged"
    f". Means of fewer than {FEWEST} pictures have no interval. All settings have the same pictures, so intervals that "
    "overlap may still be told apart: below, the best setting is compared case by case."
)


def mean_series(looked: LookedAt, shown: Shown) -> tuple[list[Series], list[str], int]:
    """(lines, titles of the small charts, how many lines were left out)."""
    columns = [column for column in (shown.x, shown.color, shown.facet) if column]
    known = [row for row in looked.rows if row["status"] == "done"]
    found = summarize(trimmed(known, columns, shown.metric), columns, looked.sweep.spec.seed, by_size=False)
    found = [each for each in found if shown.metric in each.means]
    values = [each.setting[shown.x] for each in found]
    numeric = is_numeric(shown.x, values)
    facets = _distinct(found, shown.facet)[:MAX_FACETS] if shown.facet else [None]
    colors = _distinct(found, shown.color) if shown.color else [None]
    series = []
    for at, facet in enumerate(facets):
        for color in colors[:MAX_SERIES]:
            own = [
                each
                for each in found
                if (not shown.color or repr(each.setting[shown.color]) == repr(color))
                and (not shown.facet or repr(each.setting[shown.facet]) == repr(facet))
            ]
            if numeric:
                own.sort(key=lambda each: each.setting[shown.x])
            if own:
                series.append(_series(own[:MAX_TICKS], shown, color, at, numeric))
    titles = [f"{title(shown.facet)} {value_text(shown.facet, facet)}" if shown.facet else "" for facet in facets]
    return series, titles, max(0, len(colors) - MAX_SERIES)


def _series(own: Sequence[SettingSummary], shown: Shown, color: Any, facet: int, numeric: bool) -> Series:
    means = [each.means[shown.metric] for each in own]
    values = [each.setting[shown.x] for each in own]
    return Series(
        value_text(shown.color, color) if shown.color else title(shown.metric),
        values if numeric else [value_text(shown.x, value) for value in values],
        [mean.value for mean in means],
        [mean.low for mean in means],
        [mean.high for mean in means],
        [mean.cells for mean in means],
        facet,
    )


def _distinct(found: Sequence[SettingSummary], column: str) -> list[Any]:
    return list({repr(each.setting[column]): each.setting[column] for each in found}.values())


def draw_points(looked: LookedAt, shown: Shown) -> None:
    """Each cell as a point; a click on one chooses it."""
    key = f"points_{looked.sweep.id}"

    def clicked() -> None:
        event: Any = st.session_state.get(key)
        for point in event.selection.points if event else ():
            number = point.get("customdata")
            number = number[0] if isinstance(number, list) else number
            if number is not None:
                looked.choose(int(number))

    groups, chosen = cell_points(looked, shown)
    st.markdown("**Cells**: click one to see it")
    if not groups:
        st.info("No cell has both values.", icon=":material/scatter_plot:")
        return
    figure = points_figure(
        groups, label(title(shown.point_x)), label(title(shown.metric)), chosen, CHART_PX, _color_title(shown)
    )
    st.plotly_chart(figure, key=key, config=PLOT, on_select=clicked, selection_mode="points")


def _color_title(shown: Shown) -> str:
    """What the colours stand for, where their names alone don't say it: a number may be anything."""
    return label(title(shown.color)) if shown.color.startswith("param.") else ""


def cell_points(looked: LookedAt, shown: Shown) -> tuple[list[Points], tuple[float, float] | None]:
    """(groups by colour, where the chosen cell is)."""
    groups: dict[str, tuple[Any, list[int]]] = {}
    for number, row in enumerate(looked.rows):
        if row.get(shown.metric) is not None and row.get(shown.point_x) is not None:
            value = row.get(shown.color) if shown.color else None
            groups.setdefault(repr(value), (value, []))[1].append(number)
    drawn = [
        Points(
            value_text(shown.color, value) if shown.color else "cells",
            [float(looked.rows[at][shown.point_x]) for at in numbers],
            [float(looked.rows[at][shown.metric]) for at in numbers],
            [looked.rows[at]["case"] for at in numbers],
            numbers,
        )
        for value, numbers in list(groups.values())[:MAX_SERIES]
    ]
    row = looked.rows[looked.chosen] if looked.chosen is not None else {}
    at = row.get(shown.point_x), row.get(shown.metric)
    return drawn, (float(at[0]), float(at[1])) if at[0] is not None and at[1] is not None else None


def draw_heat(looked: LookedAt, shown: Shown) -> None:
    """The metric over two of the columns that differ."""
    across = axes(looked)
    if len(across) < 2:
        st.info("A heat map takes two parameters that were swept; this sweep has one.", icon=":material/grid_on:")
        return
    key = looked.sweep.id
    left, right = st.columns([1, 4], gap="medium")
    with left:
        x = st.selectbox("Across", across, format_func=title, key=f"heat_x_{key}")
        down = [column for column in across if column != x]
        y = st.selectbox("Down", down, format_func=title, key=f"heat_y_{key}_{x}")
    with right:
        st.plotly_chart(_heat(looked, shown.metric, x, y), key=f"heat_{key}", config=PLOT)


def _heat(looked: LookedAt, metric: str, x: str, y: str) -> Any:
    known: list[Row] = [row for row in looked.rows if row["status"] == "done"]
    found = summarize(trimmed(known, [x, y], metric), [x, y], looked.sweep.spec.seed, by_size=False)
    means = {
        (repr(each.setting[x]), repr(each.setting[y])): each.means[metric].value
        for each in found
        if metric in each.means
    }
    across, down = _distinct(found, x)[:MAX_TICKS], _distinct(found, y)[:MAX_TICKS]
    values = [[means.get((repr(a), repr(b))) for a in across] for b in down]
    texts = [value_text(x, a) for a in across], [value_text(y, b) for b in down]
    return heat_figure(*texts, values, (label(title(x)), label(title(y)), label(title(metric))))
