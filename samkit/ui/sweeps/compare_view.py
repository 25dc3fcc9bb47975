"""Two sweeps on the same cells, such as of a base model and its fine-tune: paired differences."""

from typing import Any

import streamlit as st

from samkit.errors import BadInput
from samkit.experiments.registry import find_experiment
from samkit.ui.controls.model_names import model_name
from samkit.ui.parts.figures import PLOT
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.parts.sweep_figures import differences_figure, label
from samkit.ui.parts.tables import table_height
from samkit.ui.state.clock import shown_moment
from samkit.ui.state.page_links import SWEEP_PAGE, SWEEPS_PAGE
from samkit.ui.state.sweeps import seen_sweep
from samkit.ui.sweeps.cell_panel import draw_cell
from samkit.ui.sweeps.columns import metrics, title
from samkit.ui.sweeps.looked_at import LookedAt, look_at
from samkit.words import listed
from samkit.work.sweep.paired import Pair, PictureDifference, by_picture, count_unpaired, mean_difference, paired
from samkit.work.sweep.report.figures import better_end
from samkit.work.sweep.results import SweepFolder
from samkit.work.sweep.summary import SIZES, Mean

MAX_MOST, MOST_PX = 40, 290
PICKED = "samkit.compared_pair"


def compare_view(first_id: str, second_id: str) -> None:
    first, second = (look_at(seen_sweep(name)) for name in (first_id, second_id))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="title_row"):
        st.page_link(SWEEPS_PAGE, label="All sweeps", icon=":material/arrow_back:")
        st.title("Compare two sweeps", anchor=False, width="content")
        st.html('<div class="samkit-question">What did the change do, picture by picture?</div>', width="content")
    _compare(first, second)


@st.fragment
def _compare(first: LookedAt, second: LookedAt) -> None:
    common = [name for name in metrics(first) if name in metrics(second)]
    if not common:
        raise BadInput("These sweeps have no metric in common yet: wait until both have computed cells.")
    with st.container(key="row_compared_sweeps"):
        places = st.columns([1, 1, 1], gap="small")
    name_a, name_b = told_apart(first.sweep, second.sweep)
    models = _model_of(first, f"A: {name_a}", places[0], 0), _model_of(second, f"B: {name_b}", places[1], -1)
    metric = places[2].selectbox("Metric", common, format_func=title, key="compared_metric")
    defaults = find_experiment(first.sweep.spec.experiment).Params().model_dump(mode="json")
    found, way = paired(first.rows, second.rows, metric, models, defaults)
    if not found:
        st.info(
            "No cell is the same in both: they are paired by picture, parameters, and the prompts that were given; the "
            "model may differ. Sweeps with one kind of prompts each are paired by the object, too.",
            icon=":material/compare_arrows:",
        )
        return
    mean = mean_difference(found, first.sweep.spec.seed)
    assert mean is not None
    pictures, better = by_picture(found), -1 if better_end(metric) == "lower" else 1
    st.markdown(_sentence(found, mean, metric, better))
    if left_out := left_out_sentence(*count_unpaired(first.rows, second.rows, metric, models, found)):
        st.caption(left_out)
    if way == "prompts":
        st.caption("Paired by the points and boxes that were given, however each sweep came by them.")
    elif way == "object":
        kinds = (
            str(looked.rows[index]["prompts"])
            for looked, index in ((first, found[0].index_a), (second, found[0].index_b))
        )
        st.caption(f"Paired by the object. The prompts differ: {plain_text(' in A, '.join(kinds))} in B.")
    with st.container(key="row_sweep_charts"):
        left, middle, right = st.columns([1.3, 1, 1], gap="small")
    with left:
        st.markdown("**Each picture**: click one to see its cell")
        _draw_differences(pictures, metric, better)
    pair = _picked(pictures, better)
    for looked, place, letter, name, model, index in (
        (first, middle, "A", name_a, models[0], pair.index_a),
        (second, right, "B", name_b, models[1], pair.index_b),
    ):
        looked.choose(index)
        with place:
            st.caption(f"{letter}: {plain_text(f'{name}, {model_name(model)}' if model else name)}")
            draw_cell(looked, metric, f"{letter}_")
    with st.container(key="row_most"):
        left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Better by most**")
        _most(sorted(pictures, key=lambda each: -better * each.difference), metric, "better", better)
    with right:
        st.markdown("**Worse by most**")
        _most(sorted(pictures, key=lambda each: better * each.difference), metric, "worse", -better)
    _sizes(found, first.sweep.spec.seed)


def told_apart(first: SweepFolder, second: SweepFolder) -> tuple[str, str]:
    """What two sweeps are called; with when each was made where that is the same name."""
    names = [sweep.spec.name or sweep.id for sweep in (first, second)]
    if names[0] == names[1] and first.id != second.id:
        names = [f"{name} · {shown_moment(sweep.created)}" for name, sweep in zip(names, (first, second), strict=True)]
        if names[0] == names[1]:
            names = [f"{name} · {sweep.id}" for name, sweep in zip(names, (first, second), strict=True)]
    return names[0], names[1]


def _cells(count: int) -> str:
    return f"{count:,} cell{'s' if count != 1 else ''}"


def left_out_sentence(of_a: int, of_b: int) -> str:
    """That cells have no partner; "" where all have one."""
    parts = [f"{_cells(count)} of {letter}" for count, letter in ((of_a, "A"), (of_b, "B")) if count]
    return f"Left out, for the other sweep has no such cell: {listed(parts)}." if parts else ""


def _model_of(looked: LookedAt, name: str, place: Any, usual: int) -> str:
    """Which model of that sweep is compared; "" where it has one. name: of the sweep, with its letter"""
    models = looked.sweep.spec.models
    with place:
        st.page_link(SWEEP_PAGE, label=plain_text(name), query_params={"id": looked.sweep.id})
        if len(models) == 1:
            st.caption(plain_text(model_name(models[0])))
            return ""
        return st.selectbox(
            "Model",
            models,
            len(models) + usual if usual < 0 else usual,
            format_func=model_name,
            key=f"compared_model_{name[0]}",
            label_visibility="collapsed",
        )


def _sentence(found: list[Pair], mean: Mean, metric: str, better: int) -> str:
    a, b = sum(pair.a for pair in found) / len(found), sum(pair.b for pair in found) / len(found)
    text = (
        f"**{plain_text(title(metric))}: {b - a:+.4g}** from A {a:.4g} to B {b:.4g}, over {_cells(len(found))} on "
        f"{mean.pictures:,} picture{'s' if mean.pictures != 1 else ''}"
    )
    if mean.low is None or mean.high is None:
        return f"{text}. {mean.too_few}"
    text += f"; 95 % interval {mean.low:+.4g} to {mean.high:+.4g}. "
    if mean.low <= 0 <= mean.high:
        return text + "It holds 0, so they can't be told apart."
    return text + ("B is better." if better * mean.value > 0 else "B is worse.")


def _draw_differences(pictures: list[PictureDifference], metric: str, better: int) -> None:
    key = "compared_differences"

    def clicked() -> None:
        event: Any = st.session_state.get(key)
        for point in event.selection.points if event else ():
            st.session_state[PICKED] = pictures[int(point["point_index"])].picture

    figure = differences_figure(
        [each.picture for each in pictures],
        [each.difference for each in pictures],
        label(f"B − A, {title(metric)}"),
        better,
    )
    st.plotly_chart(figure, key=key, config=PLOT, on_select=clicked, selection_mode="points")


def _picked(pictures: list[PictureDifference], better: int) -> Pair:
    """Of the chosen picture; at first of the one that got worse most."""
    name = st.session_state.get(PICKED)
    worst = min(pictures, key=lambda each: better * each.difference)
    return next((each for each in pictures if each.picture == name), worst).widest


def _most(order: list[PictureDifference], metric: str, name: str, sign: int) -> None:
    shown = [each for each in order if sign * each.difference > 0][:MAX_MOST]
    if not shown:
        st.caption("None.")
        return
    key = f"compared_{name}"

    def clicked() -> None:
        event: Any = st.session_state.get(key)
        for row in event.selection.rows if event else ():
            st.session_state[PICKED] = shown[row].picture

    rows = [
        {"picture": each.picture, "A": each.a, "B": each.b, "B − A": each.difference, "cells": each.cells}
        for each in shown
    ]
    decimals = {column: st.column_config.NumberColumn(format="%.3f") for column in ("A", "B", "B − A")}
    st.dataframe(
        rows,
        hide_index=True,
        height=table_height(len(rows), MOST_PX),
        key=key,
        column_config=decimals,
        on_select=clicked,
        selection_mode="single-row",
    )


def _sizes(found: list[Pair], seed: int) -> None:
    parts = []
    for size in SIZES:
        mean = mean_difference(found, seed, size)
        if mean is not None:
            low, high = mean.low, mean.high
            between = "" if low is None or high is None else f" [{low:+.3g}, {high:+.3g}]"
            parts.append(f"{size} {mean.value:+.3g}{between} ({_cells(mean.cells)})")
    if parts:
        st.caption(f"By size of the object: {'; '.join(parts)}.")
