"""One sweep: how far it is, its charts with the chosen cell beside them, and its tables."""

from collections.abc import Callable
from functools import partial
from html import escape

import streamlit as st

from samkit.experiments.registry import find_entry
from samkit.ui.bench.sweeping.page_sweep import keep_sweep_button
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.leftovers import nothing_here
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.clock import shown_moment
from samkit.ui.state.page_links import COMPARE_SWEEPS_PAGE, SWEEPS_PAGE
from samkit.ui.state.public import owner_only
from samkit.ui.state.sweep_standing import ICONS, Standing, standing
from samkit.ui.state.sweeps import cancel_sweep, is_own, resume_sweep, seen_sweep, shown_sweeps
from samkit.ui.sweeps.cell_panel import draw_cell
from samkit.ui.sweeps.charts import Shown, choose_shown, draw_heat, draw_means, draw_points
from samkit.ui.sweeps.delete_dialog import delete_button
from samkit.ui.sweeps.looked_at import LookedAt, look_at
from samkit.ui.sweeps.tables import csv_of, draw_cells, draw_failures, draw_settings, draw_sizes, draw_worst
from samkit.work.sweep.live_table import opened_sweep
from samkit.work.sweep.report.page import make_report
from samkit.work.sweep.results import SweepFolder, sweeps_folder
from samkit.work.sweep.spec_text import spec_text

POLL_S = 1.0
GROWN = 1.25
"""So many times the cells that the charts show, and they are drawn anew by themselves."""
MAX_OFFERED = 50
"""The latest sweeps among which those of the same experiment are offered for comparing."""


def sweep_view(sweep_id: str) -> None:
    sweep = seen_sweep(sweep_id)
    looked, now = look_at(sweep), standing(sweep)
    _head(looked, now)
    _follow(looked, now)
    _body(looked, now.active)


def _head(looked: LookedAt, now: Standing) -> None:
    sweep = looked.sweep
    entry = find_entry(sweep.spec.experiment)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="title_row"):
        st.title(plain_text(sweep.spec.name or f"Sweep of {entry.title}"), anchor=False, width="content")
        st.html(
            f'<div class="samkit-question">{entry.title} · {escape(shown_moment(sweep.created))}</div>',
            width="content",
        )
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="sweep_actions"):
        st.page_link(SWEEPS_PAGE, label="All sweeps", icon=":material/arrow_back:")
        st.space("stretch")
        if is_own(sweep):
            _own_actions(sweep, now)
        if owner_only():
            keep_sweep_button(sweep, looked.computed, "keep_sweep")
        st.download_button(
            "CSV",
            csv_of(looked),
            f"{sweep.id}.csv",
            "text/csv",
            icon=":material/table_view:",
            key="sweep_csv",
            on_click="ignore",
        )
        st.download_button(
            "Report",
            partial(make_report, sweep),
            f"{sweep.id}.html",
            "text/html",
            icon=":material/article:",
            key="sweep_report",
            on_click="ignore",
            help="One HTML file that needs no network",
            disabled=not looked.computed,
        )
        _compare(sweep)
        with st.popover("Spec", icon=":material/data_object:"):
            st.caption("The same sweep from the command line: python -m samkit sweep sweep.yaml")
            st.code(spec_text(sweep.spec), language="yaml")
        if is_own(sweep):
            delete_button(sweep, now.active, "delete_sweep")


def _own_actions(sweep: SweepFolder, now: Standing) -> None:
    if now.active:
        st.button(
            "Cancel", icon=":material/stop:", key="cancel_sweep", on_click=_do, args=(partial(cancel_sweep, sweep),)
        )
        return
    if now.computed < now.cells:
        st.button(
            "Resume",
            icon=":material/resume:",
            type="primary",
            key="resume_sweep_page",
            on_click=_do,
            args=(partial(resume_sweep, sweep),),
            help="Compute what is missing",
        )
    if now.failed:
        st.button(
            "Try failed again",
            icon=":material/refresh:",
            key="retry_sweep",
            on_click=_do,
            args=(partial(resume_sweep, sweep, True),),
        )


def _do(action: Callable[[], None]) -> None:
    """What a button does; a refusal stays on the page until the next press."""
    with sentences():
        action()


def _compare(sweep: SweepFolder) -> None:
    others = []
    for name in shown_sweeps()[:MAX_OFFERED]:
        with sentences():
            other = opened_sweep(sweeps_folder() / name)
            if other.spec.experiment == sweep.spec.experiment and (other.id != sweep.id or len(sweep.spec.models) > 1):
                others.append(other)
    with st.popover("Compare", icon=":material/compare_arrows:"):
        if not others:
            st.markdown(
                "There is nothing to compare yet. Two sweeps of the same experiment are compared cell by cell, such as "
                "of a model and its fine-tune: choose the other model on the experiment's page and press **Sweep "
                "this…** there; or sweep over both models at once."
            )
        for other in others[:12]:
            called = f"{other.spec.name or other.id} · {shown_moment(other.created)}"
            own = "its models with each other" if other.id == sweep.id else called
            st.page_link(
                COMPARE_SWEEPS_PAGE,
                label=plain_text(own),
                query_params={"a": sweep.id, "b": other.id},
                icon=":material/compare_arrows:",
            )


def _follow(looked: LookedAt, drawn: Standing) -> None:
    """How far it is, drawn anew every second while it goes on; the whole page where there is more to show."""
    sweep, computed = looked.sweep, looked.computed

    @st.fragment(run_every=POLL_S if drawn.active else None)
    def poll() -> None:
        with sentences():
            now = standing(sweep)
            if now.active or now.computed < now.cells:
                st.progress(now.share, text=f"{ICONS.get(now.state, '')} {now.state.capitalize()}: {now.text}")
            else:
                st.markdown(f"{ICONS['done']} Done: {now.text}")
            if now.error:
                st.error(plain_text(now.error), icon=":material/error:")
            if now.state != drawn.state or (drawn.active and now.computed >= max(computed + 1, GROWN * computed)):
                st.rerun()

    poll()


@st.fragment
def _body(looked: LookedAt, active: bool) -> None:
    with sentences():
        if not looked.computed:
            sentence = "The first cells will show here." if active else "No cell was computed yet: press Resume."
            st.info(sentence, icon=":material/hourglass_top:")
            return
        shown = choose_shown(looked)
        if shown is None:
            draw_failures(looked)
            return
        with st.container(key="row_sweep_charts"):
            left, middle, right = st.columns([1.25, 1.1, 0.95], gap="small")
        with left:
            draw_means(looked, shown)
        with middle:
            draw_points(looked, shown)
        with right, st.container(key="sweep_cell"):
            draw_cell(looked, shown.metric)
        _tabs(looked, shown)


def _tabs(looked: LookedAt, shown: Shown) -> None:
    failed = sum(row["status"] == "failed" for row in looked.rows)
    tabs: dict[str, Callable[[], None]] = {
        "Settings": partial(draw_settings, looked, shown),
        "Worst pictures": partial(draw_worst, looked, shown),
        "By size": partial(draw_sizes, looked, shown),
        "Heat map": partial(draw_heat, looked, shown),
        f"Failures{f' ({failed})' if failed else ''}": partial(draw_failures, looked),
        "Cells": partial(draw_cells, looked, shown),
    }
    # A switch and not tabs: of these only the one that is looked at is made.
    names = list(tabs)
    wanted = st.segmented_control(
        "Table", names, default=names[0], required=True, label_visibility="collapsed", key=f"tab_{looked.sweep.id}"
    )
    for name in names:
        # Each in a place of its own: what another one has left there goes at once.
        if name == (wanted or names[0]):
            with st.container():
                tabs[name]()
        else:
            nothing_here()
