"""The skeleton of every experiment page: header, sidebar, prompts and masks, the experiment's picture and knobs, tabs,
and keeping the run.

A page brings its own `View`; everything below the header is one fragment, so a click or a knob reruns that and nothing
else.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from samkit.experiments.result import Inputs, Result
from samkit.media.pictures import Picture
from samkit.ui.bench.header import About, page_header
from samkit.ui.bench.keep import keep_bar, recipe
from samkit.ui.bench.opened_run import opened_notes, restore_from_link
from samkit.ui.controls.knobs import Knobs
from samkit.ui.controls.masks_panel import masks_panel, refine_toggle
from samkit.ui.controls.picture_picker import picture_picker
from samkit.ui.controls.prompt_editor import prompt_editor
from samkit.ui.controls.sidebar import encoding_knobs, sidebar_bottom, sidebar_is_old, sidebar_top
from samkit.ui.parts.edge import sentences
from samkit.ui.state.encodings import encoding_cache
from samkit.ui.state.experiment_pages import ExperimentPage
from samkit.ui.state.models import shared_model
from samkit.ui.state.workspace import Workspace, workspace

RESULTS_KEPT = 8
RESULTS_KEPT_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Scene:
    """What an experiment is run on. encoding: side and fit by name; picture_b: None where there is one picture."""

    work: Workspace
    model: Any
    knobs: Knobs
    encoding: Mapping[str, Any]
    picture_b: Picture | None = None

    @property
    def inputs(self) -> Inputs:
        return Inputs(image=self.work.picture, prompts=self.work.prompts, image_b=self.picture_b)


@dataclass(frozen=True)
class View:
    """What one experiment draws.

    knobs: draws the experiment's knobs and returns its parameters by name (side, fit and mask_index are the skeleton's)
    main:  draws the main picture
    tabs:  title -> draws that tab; the skeleton adds Recipe and Timings
    try_it: sets up the good first try named in the About text
    figures: title -> interactive figure, made when a run is kept
    restore: a kept run's parameters -> values of the knobs that make them
    stores: named arguments for the experiment's `run`: where it keeps what a knob need not make again
    picture_b: draws the choice of a second picture and returns it, or None
    show: puts a run's inputs and parameters on the page; None where there is one picture
    no_prompt: what to do, where nothing can be run without a prompt; empty where it can
    """

    knobs: Callable[[Scene], dict[str, Any]]
    main: Callable[[Result, Scene], None]
    tabs: Mapping[str, Callable[[Result, Scene], None]]
    try_it: Callable[[Workspace, Knobs], None]
    figures: Callable[[Result], dict[str, go.Figure]]
    restore: Callable[[dict], dict[str, Any]]
    stores: Callable[[], dict[str, Any]] = dict
    picture_b: Callable[[Workspace, Knobs], Picture | None] | None = None
    show: Callable[[Inputs, dict], None] | None = None
    no_prompt: str = ""


def experiment_page(page: ExperimentPage, experiment: ModuleType, about: About, view: View) -> None:
    """Run a whole page."""
    work = workspace()
    knobs = Knobs(work, page.name)
    page_header(page, about, try_it=lambda: view.try_it(work, knobs.without_run()))
    with sentences():
        restore_from_link(page, work, knobs, view.restore, view.show)
        sidebar_top(work)
        with st.spinner(f"Loading {work.model_ref}", show_time=True):
            model = shared_model(work.model_ref, work.device, work.dtype)
        side, fit = encoding_knobs(knobs, model.info)
        with st.container(key="workbench"):
            _workbench(page, experiment, work, model, {"side": side, "fit": fit}, knobs, view)
    with sentences():
        sidebar_bottom()


@st.fragment
def _workbench(
    page: ExperimentPage, experiment: ModuleType, work: Workspace, model, encoding: dict, knobs: Knobs, view: View
) -> None:
    with sentences():
        with st.container(key="row_top"):
            left, right = st.columns([6, 5], gap="medium")
        second = st.container()
        with st.container(key="row_main"):
            main, beside = st.columns([7, 4], gap="medium")
        with left:
            picture_picker(work)
            prompt_editor(work, page.name)
        with second:
            scene = Scene(work, model, knobs, encoding, view.picture_b(work, knobs) if view.picture_b else None)
        with beside:
            values = view.knobs(scene)
        with right:
            values |= refine_toggle(knobs)
        if view.no_prompt and work.prompts.is_empty:
            with main:
                st.info(view.no_prompt, icon=":material/ads_click:")
            return
        values = {**encoding, **values, "mask_index": knobs.get("mask_index")}
        params = knobs.params(experiment.Params, values)
        inputs = scene.inputs
        with main:
            opened_notes(knobs, values)
            # A container, not an empty: the last picture stays in it until the next one comes.
            place, progress_place = st.container(), st.empty()
        stated = SimpleNamespace(NAME=experiment.NAME, run=partial(experiment.run, **view.stores()))
        result = kept_result(stated, model, inputs, params, progress_place)
        with right:
            masks = [result.masks[f"mask_{i}"] for i in range(4)]
            masks_panel(
                work.picture.rgb, masks, result.tables["masks"], int(result.metrics["mask_index"]), knobs, page.name
            )
        with place:
            view.main(result, scene)
        titles = [*view.tabs, "Recipe", "Timings"]
        for title, tab in zip(titles, st.tabs(titles), strict=True):
            with tab:
                if title == "Recipe":
                    st.json(recipe(page, inputs, model, params), expanded=2)
                elif title == "Timings":
                    timings_tab(result)
                else:
                    view.tabs[title](result, scene)
        keep_bar(page, work, model, inputs, result, view.figures)
        if sidebar_is_old():
            st.rerun()


def kept_result(experiment, model, inputs: Inputs, params, place) -> Result:
    """The experiment's result, from the visitor's last few when nothing it depends on has changed. Progress shows in
    `place`.
    """
    kept: OrderedDict = st.session_state.setdefault("samkit.results", OrderedDict())
    pictures = tuple(picture.sha256 if picture is not None else None for picture in (inputs.image, inputs.image_b))
    key = (experiment.NAME, model.info.sha256, model.device, model.dtype, *pictures, inputs.prompts, params)
    if key not in kept:
        shown = time.perf_counter()
        bar = None

        def progress(share: float, line: str) -> None:
            nonlocal bar
            # Most steps take less time than a bar takes to appear, and a bar that flashes is worse than none.
            if bar is None and time.perf_counter() - shown > 0.5:
                bar = place.progress(0.0)
            if bar is not None:
                bar.progress(min(1.0, share), text=line)

        kept[key] = experiment.run(model, inputs, params, encode=encoding_cache().encode, progress=progress)
        if bar is not None:
            place.empty()
        while len(kept) > RESULTS_KEPT or (
            len(kept) > 1 and sum(map(_result_bytes, kept.values())) > RESULTS_KEPT_BYTES
        ):
            kept.popitem(last=False)
        return kept[key]
    kept.move_to_end(key)
    return kept[key]


def _result_bytes(result: Result) -> int:
    return sum(array.nbytes for arrays in (result.images, result.masks, result.arrays) for array in arrays.values())


def timings_tab(result: Result) -> None:
    rows = [
        {"step": name.removesuffix("_ms").replace("_", " "), "ms": round(value, 1)}
        for name, value in result.timings.items()
    ]
    st.dataframe(rows, hide_index=True, width="content")
    st.caption("An encoding taken from the cache shows the time it took when it was made.")
