"""The skeleton of the pages that look inside a model without prompts: one side, or two models or two pictures side by
side.

Everything below the header is one fragment, as on the other experiments' pages, and stands in the same places.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from samkit.errors import SamkitError
from samkit.experiments.result import Inputs, Result
from samkit.models.files.catalogue import catalogue
from samkit.models.files.folders import own_checkpoints
from samkit.ui.bench.header import About, page_header
from samkit.ui.bench.keep import KeptSide, keep_bar, recipe
from samkit.ui.bench.opened_run import opened_notes, restore_from_link
from samkit.ui.bench.workbench import kept_result, timings_tab
from samkit.ui.controls.knobs import Knobs
from samkit.ui.controls.model_picker import model_name
from samkit.ui.controls.picture_picker import picture_picker
from samkit.ui.controls.sidebar import encoding_knobs, sidebar_bottom, sidebar_is_old, sidebar_top
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.inline_image import fit_within, inline_image
from samkit.ui.state.experiment_pages import ExperimentPage
from samkit.ui.state.last_few import LastFew
from samkit.ui.state.models import shared_model
from samkit.ui.state.picture_pair import PicturePair, picture_pair
from samkit.ui.state.workspace import Workspace, workspace

ALONE, MODELS, PICTURES = "One", "Two models", "Two pictures"
MEASURES_KEPT = 4
THUMB_PX = (220, 110)


@dataclass(frozen=True)
class Side:
    """One of the one or two results on the page."""

    letter: str
    model: Any
    inputs: Inputs
    result: Result

    @property
    def title(self) -> str:
        picture = self.inputs.image
        return f"{self.letter} · {self.model.info.name}" + (f" · {picture.name}" if picture else "")

    def key(self, name: str) -> str:
        """A widget's key on this side."""
        return f"{name}_{self.letter.lower()}"


@dataclass(frozen=True)
class InspectView:
    """What one experiment draws.

    knobs:   draws the experiment's knobs for the first model and returns its parameters by name (side and fit are the
             skeleton's)
    adapt:   those parameters, as near as another model can take them
    main:    draws the main picture of all sides
    tabs:    title -> draws that tab for all sides; the skeleton adds Recipe and Timings
    try_it:  sets up the good first try named in the About text
    figures: title -> interactive figure, made when a run is kept
    restore: a kept run's parameters -> values of the knobs that make them
    """

    knobs: Callable[[Knobs, Any], dict[str, Any]]
    adapt: Callable[[dict[str, Any], Any], dict[str, Any]]
    main: Callable[[Sequence[Side], Knobs], None]
    tabs: Mapping[str, Callable[[Sequence[Side]], None]]
    try_it: Callable[[Workspace, Knobs], None]
    figures: Callable[[Result], dict[str, go.Figure]]
    restore: Callable[[dict], dict[str, Any]]


def inspect_page(page: ExperimentPage, experiment: ModuleType, about: About, view: InspectView) -> None:
    """Run a whole page. The experiment's `run` takes `measured`, where it keeps what does not depend on its knobs."""
    work, takes_picture = workspace(), "image" in experiment.TAKES
    knobs = Knobs(work, page.name)
    page_header(page, about, try_it=lambda: view.try_it(work, knobs.without_run()))
    with sentences():
        restore_from_link(page, work, knobs, view.restore, None if takes_picture else lambda inputs, params: None)
        sidebar_top(work, takes_picture)
        load = partial(shared_model, device=work.device, dtype=work.dtype if takes_picture else "float32")
        with st.spinner(f"Loading {work.model_ref}", show_time=True):
            model = load(work.model_ref)
        encoding = dict(zip(("side", "fit"), encoding_knobs(knobs, model.info), strict=True)) if takes_picture else {}
        with st.container(key="workbench"):
            _workbench(page, experiment, work, model, load, encoding, knobs, view)
    with sentences():
        sidebar_bottom()


@st.fragment
def _workbench(
    page: ExperimentPage,
    experiment: ModuleType,
    work: Workspace,
    model,
    load: Callable,
    encoding: dict,
    knobs: Knobs,
    view: InspectView,
) -> None:
    takes_picture = "image" in experiment.TAKES
    with sentences():
        second, picture_b = _inputs_row(work, knobs, load, takes_picture)
        with st.container(key="row_main"):
            main, beside = st.columns([7, 4], gap="medium")
        with beside:
            values = encoding | view.knobs(knobs, model)
        with main:
            opened_notes(knobs, values)
            # A container, not an empty: the last picture stays in it until the next one comes.
            place, progress_place = st.container(), st.empty()
        stated = SimpleNamespace(NAME=experiment.NAME, run=partial(experiment.run, measured=_measures(page.name)))
        sides = []
        given = [(model, work.picture)] + (
            [(second or model, picture_b or work.picture)] if second or picture_b else []
        )
        for letter, (one, picture) in zip("AB", given, strict=False):
            params = knobs.params(experiment.Params, values if one is model else view.adapt(values, one))
            inputs = Inputs(image=picture if takes_picture else None)
            try:
                sides.append(Side(letter, one, inputs, kept_result(stated, one, inputs, params, progress_place)))
            except SamkitError as error:
                if not sides:
                    raise
                place.warning(f"{one.info.name} can't stand beside it: {error}", icon=":material/compare:")
        with place:
            view.main(sides, knobs)
        titles = [*view.tabs, "Recipe", "Timings"]
        for title, tab in zip(titles, st.tabs(titles), strict=True):
            with tab:
                if title in view.tabs:
                    view.tabs[title](sides)
                    continue
                for side, column in zip(sides, st.columns(len(sides)), strict=True):
                    with column:
                        if len(sides) > 1:
                            st.markdown(f"**{side.title}**")
                        if title == "Recipe":
                            st.json(recipe(page, side.inputs, side.model, side.result.params), expanded=2)
                        else:
                            timings_tab(side.result)
        first, *others = [KeptSide(side.model, side.inputs, side.result) for side in sides]
        keep_bar(page, work, first.model, first.inputs, first.result, view.figures, others)
        if sidebar_is_old():
            st.rerun()


def _inputs_row(work: Workspace, knobs: Knobs, load: Callable, takes_picture: bool) -> tuple[Any, Any]:
    """The picture, and what is put beside it: (second model or None, second picture or None)."""
    with st.container(key="row_inputs"):
        left, middle, right = st.columns([4, 3, 4], gap="medium")
    options = [ALONE, MODELS, PICTURES] if takes_picture else [ALONE, MODELS]
    with middle:
        kind = knobs.choose("Side by side", "beside", options, ALONE)
    with left:
        if takes_picture:
            _picture(work, "change_picture")
        else:
            st.markdown(f"**A** · {model_name(work.model_ref)}")
            st.caption("“Change model” at the side chooses another one.")
    with right:
        if kind == PICTURES:
            pair: PicturePair = picture_pair(work)
            _picture(pair.b, "change_picture_b")
            return None, pair.b.picture
        if kind == MODELS:
            refs = [entry.name for entry in catalogue() if entry.on_disk] + [str(path) for path in own_checkpoints()]
            others = [ref for ref in refs if ref != work.model_ref]
            if not others:
                st.info(
                    "There is no other model on this machine yet: “Change model” at the side downloads one.",
                    icon=":material/cloud_download:",
                )
                return None, None
            ref = knobs.select("Second model", "model_b", others, others[0], format_func=model_name)
            with st.spinner(f"Loading {ref}", show_time=True):
                return load(ref), None
    return None, None


def _picture(work: Workspace, key: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(width=150):
            inline_image(fit_within(work.picture.rgb, *THUMB_PX), work.picture.name, "samkit-thumb")
        with st.container():
            picture_picker(work, key)


def sides_columns(sides: Sequence[Side], name: str) -> list:
    """A column for each side, with its title where there are two. name: of this row, once on a page."""
    with st.container(key=f"row_sides_{name}"):
        columns = st.columns(len(sides), gap="medium")
    if len(sides) > 1:
        for side, column in zip(sides, columns, strict=True):
            column.markdown(f"**{side.title}**")
    return columns


def _measures(page: str) -> LastFew:
    """What experiments have measured, the last few."""
    return st.session_state.setdefault(f"samkit.measures.{page}", LastFew(MEASURES_KEPT))
