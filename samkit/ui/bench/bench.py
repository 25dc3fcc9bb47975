"""The one skeleton of all experiment pages: header, sidebar, what lies on the table, the main picture and its knobs,
tabs, and keeping the run.

A page says what is its own (`ExperimentPage`); the order and the places are the same everywhere. Everything below the
header is one fragment, so a click or a knob reruns that and nothing else.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from samkit.ui.bench.header import page_header
from samkit.ui.bench.keep import keep_bar, last_kept
from samkit.ui.bench.long_encoding import ask_for_encoding, stoppable
from samkit.ui.bench.opened_cell import open_cell_from_link
from samkit.ui.bench.opened_run import opened_notes, restore_from_link
from samkit.ui.bench.page import ExperimentPage, Scene, Side
from samkit.ui.bench.results import ProgressBar
from samkit.ui.bench.share import share_button
from samkit.ui.bench.sweeping.dialog import Start, sweep_button
from samkit.ui.bench.tables.table import Visit
from samkit.ui.controls.film_picker import take_film
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.knobs import Panel, draw_knobs
from samkit.ui.controls.masks_panel import REFINE_EDGES
from samkit.ui.controls.memory_models import can_follow, offer_models
from samkit.ui.controls.model_file import model_file
from samkit.ui.controls.model_picker import model_picker
from samkit.ui.controls.paste_drop import paste_and_drop
from samkit.ui.controls.sidebar import ENCODING_KNOBS, Sidebar, draw_sidebar
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.leftovers import nothing_below
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.parts.tables import timings_table
from samkit.ui.parts.turns import page_turn
from samkit.ui.state.kept_work import keep_work
from samkit.ui.state.live_work import make_what_was_missed
from samkit.ui.state.models import shared_model
from samkit.ui.state.picture_pair import picture_pair
from samkit.ui.state.workspace import Workspace, workspace
from samkit.work.long_encoding import LongEncoding

VIEW = "view"
"""The knob that says which view of the main picture is shown."""


def show_page(page: ExperimentPage) -> None:
    """Run a whole page."""
    work = workspace()
    knobs = KnobValues(work, page.name)

    def try_it() -> None:
        knobs.forget_run()
        page.try_it(work, knobs)

    if work.page != page.name:
        work.page, work.dialog = page.name, None
    page_header(page, try_it)
    with sentences():
        sidebar = draw_sidebar()
        page.table.refresh(work, knobs)
        open_cell_from_link(page, work, knobs)
        if restore_from_link(page, work, knobs):
            _below_header(page, work, knobs, sidebar)


def _below_header(page: ExperimentPage, work: Workspace, knobs: KnobValues, sidebar: Sidebar) -> None:
    """The model, and the bench with it; where the model can't do what the page is about, those that can."""
    takes_picture = page.table.takes_picture
    with sidebar.model:
        model_picker(work, takes_dtype=takes_picture)
    load = partial(shared_model, device=work.device, dtype=work.dtype if takes_picture else "float32")
    with st.spinner(f"Loading {plain_text(work.model_ref)}", show_time=True):
        model = load(work.model_ref)
    with sidebar.model:
        model_file(work, model)
    if page.table.needs_memory and not can_follow(model):
        offer_models(work, model, page.table.needs_memory)
    else:
        _bench(Visit(page, work, knobs, model, load, sidebar))


def _bench(visit: Visit) -> None:
    """The encoding's knobs at the side, and the fragment with everything else."""
    if visit.page.table.takes_picture:
        with visit.sidebar.encoding:
            st.divider()
            encoding = draw_knobs(ENCODING_KNOBS, _panel(visit))
        visit = replace(visit, encoding=encoding)
    visit.page.table.begin(visit)
    _take_what_is_dropped(visit)
    with st.container(key="workbench"):
        _workbench(visit)


def _take_what_is_dropped(visit: Visit) -> None:
    """Or pasted: pictures, prompts and films, where the experiment takes them."""
    takes, work = visit.page.entry.experiment.TAKES, visit.work
    if "image" in takes:
        sides = [work, picture_pair(work).b] if visit.page.table.two_canvases else [work]
        paste_and_drop(sides, "prompts" in takes, take_film if "video" in takes else None)


def _panel(visit: Visit) -> Panel:
    inputs = visit.page.table.setups(visit)[0].inputs
    return Panel(visit.knobs, visit.page.entry.experiment.Params, visit.model, inputs, visit.encoding)


@st.fragment
def _workbench(visit: Visit) -> None:
    with page_turn():
        _draw_fragment(visit)


def _draw_fragment(visit: Visit) -> None:
    # In every run: a fragment may write to what lies outside it only where it did so when the whole page ran.
    visit.sidebar.show_cache()
    try:
        _draw_workbench(visit)
        with sentences():
            _ready_to_hover(visit)
    finally:
        keep_work()


def _ready_to_hover(visit: Visit) -> None:
    """Make the encodings that the pointer has missed, last of all: what is on the page has not waited for them."""
    bar = ProgressBar(visit.sidebar.meter)
    try:
        make_what_was_missed(bar, beside=visit.page.table.hovers_beside)
    finally:
        if bar.clear():
            visit.sidebar.show_cache()


def _draw_workbench(visit: Visit) -> None:
    page, table, knobs = visit.page, visit.page.table, visit.knobs
    with sentences():
        actions = st.container(horizontal=True, horizontal_alignment="right", gap="small", key="actions")
        places = table.arrange(visit)
        panel = _panel(visit)
        with places.beside, st.container(key="knobs", gap="small"):
            params = dict(visit.encoding) | draw_knobs(page.knobs, panel)
            if places.masks is not None:
                params |= REFINE_EDGES.draw(panel)
            nothing_below()
        if reason := table.blocked(visit):
            places.main.info(plain_text(reason), icon=":material/ads_click:")
            with actions:
                share_button(page)
            return
        params |= table.params(visit)
        with places.notes:
            opened_notes(knobs, params)
        # Before the work that may take long: a reload in the middle of it finds what was asked for.
        keep_work()
        try:
            with stoppable(places.progress):
                scene = table.scene(visit, params, places)
        except LongEncoding as encoding:
            scene = None
            ask_for_encoding(encoding, page, visit.work, places.main)
        if scene is None:
            with actions:
                sweep_button(_start_of(visit, params))
                share_button(page)
            return
        if places.masks is not None:
            table.draw_masks(scene, places.masks)
        with places.main:
            draw_main(scene)
        with actions:
            keep_bar(scene)
            sweep_button(Start.of(scene))
            share_button(page)
        draw_tabs(scene)
        last_kept(scene)
        visit.sidebar.show_cache()


def _start_of(visit: Visit, params: dict[str, Any]) -> Start:
    """A sweep can begin before there is a run."""
    setup = visit.page.table.setups(visit)[0]
    built = visit.knobs.params(visit.page.entry.experiment.Params, params)
    return Start(visit.page, visit.work, setup.model, setup.inputs, built)


def draw_main(scene: Scene) -> None:
    """The view switch, the chosen view, and the result in one line."""
    views = list(scene.page.views)
    if not views:
        return
    view = views[0]
    if len(views) > 1:
        view = scene.knobs.choose("View", VIEW, views, views[0], label_visibility="collapsed")
    scene.page.views[view](scene)
    if scene.page.summary is not None:
        for side, column in zip(scene.sides, side_columns(scene.sides, "summary", titles=False), strict=True):
            column.caption(plain_text(scene.page.summary(side.result)))


def draw_tabs(scene: Scene) -> None:
    """The page's own tabs, then Recipe and Timings of every side."""
    titles = [*scene.page.tabs, "Recipe", "Timings"]
    for title, tab in zip(titles, st.tabs(titles), strict=True):
        with tab:
            if title in scene.page.tabs:
                scene.page.tabs[title](scene)
                continue
            for side, column in zip(scene.sides, side_columns(scene.sides, title.lower()), strict=True):
                with column:
                    if title == "Recipe":
                        st.json(side.computed.spec.to_dict(), expanded=2)
                    else:
                        timings_table(side.result.timings)
                        st.caption("An encoding taken from the cache shows the time it took when it was made.")


def side_columns(sides: Sequence[Side], name: str, titles: bool = True) -> list[Any]:
    """A column for each side, with its title where there are two. name: of this row, once on a page."""
    with st.container(key=f"row_sides_{name}"):
        columns = st.columns(len(sides), gap="medium")
    if titles and len(sides) > 1:
        for side, column in zip(sides, columns, strict=True):
            column.markdown(f"**{plain_text(side.title)}**")
    return columns
