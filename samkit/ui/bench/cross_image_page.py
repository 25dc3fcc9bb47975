"""The Cross-image segmentation page, put together: it has two canvases where the other pages have one, and needs a
model with a memory.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import streamlit as st

from samkit.experiments import cross_image
from samkit.experiments.result import Inputs, Result
from samkit.ui.bench.header import About, page_header
from samkit.ui.bench.keep import keep_bar, recipe
from samkit.ui.bench.opened_run import opened_notes, restore_from_link
from samkit.ui.bench.workbench import kept_result, timings_tab
from samkit.ui.controls.knobs import Knobs
from samkit.ui.controls.masks_panel import masks_panel, refine_toggle
from samkit.ui.controls.memory_models import can_follow, offer_models
from samkit.ui.controls.sidebar import encoding_knobs, sidebar_bottom, sidebar_is_old, sidebar_top
from samkit.ui.experiments.cross_image import (
    draw_files,
    draw_knobs,
    draw_main,
    draw_numbers,
    draw_passes,
    figures,
    restore,
)
from samkit.ui.parts.edge import sentences
from samkit.ui.state.experiment_pages import ExperimentPage
from samkit.ui.state.models import shared_model
from samkit.ui.state.picture_pair import PicturePair, pair_editor, pair_tools, picture_pair
from samkit.ui.state.workspace import Workspace, workspace

TRACKS_KEPT = 6


def cross_image_page(page: ExperimentPage, about: About, try_it: Callable[[PicturePair, Knobs], None]) -> None:
    """Run the whole page."""
    work = workspace()
    pair, knobs = picture_pair(work), Knobs(work, page.name)
    page_header(page, about, try_it=lambda: try_it(pair, knobs.without_run()))
    with sentences():
        restore_from_link(page, work, knobs, restore, lambda inputs, params: _show_run(pair, inputs, params))
        sidebar_top(work)
        with st.spinner(f"Loading {work.model_ref}", show_time=True):
            model = shared_model(work.model_ref, work.device, work.dtype)
        if can_follow(model):
            side, fit = encoding_knobs(knobs, model.info)
            with st.container(key="workbench"):
                _workbench(page, work, pair, model, {"side": side, "fit": fit}, knobs)
        else:
            offer_models(work, model, "Following an object to another picture")
    with sentences():
        sidebar_bottom()


def _show_run(pair: PicturePair, inputs: Inputs, params: dict) -> None:
    pair.show(inputs.image, inputs.image_b, inputs.prompts, params["prompt_on"])


@st.fragment
def _workbench(page: ExperimentPage, work: Workspace, pair: PicturePair, model, encoding: dict, knobs: Knobs) -> None:
    with sentences():
        pair_tools(pair, page.name)
        pair_editor(pair, page.name)
        with st.container(key="row_main"):
            main, beside = st.columns([7, 4], gap="medium")
        with beside:
            values = draw_knobs(knobs)
        masks = st.container()
        with masks:
            values |= refine_toggle(knobs)
        if pair.prompt_on is None:
            with main:
                st.info(
                    "Click one of the pictures, or drag a box around something in it: it is then looked for in the "
                    "other one.",
                    icon=":material/ads_click:",
                )
            return
        values = {**encoding, **values, "prompt_on": pair.prompt_on, "mask_index": knobs.get("mask_index")}
        params = knobs.params(cross_image.Params, values)
        inputs = Inputs(image=pair.a.picture, prompts=pair.prompts, image_b=pair.b.picture)
        with main:
            opened_notes(knobs, values)
            place, progress_place = st.container(), st.empty()
        result = kept_result(
            SimpleNamespace(NAME=cross_image.NAME, run=partial(cross_image.run, tracks=_tracks())),
            model,
            inputs,
            params,
            progress_place,
        )
        with place:
            draw_main(inputs, result, knobs)
        with masks:
            _masks(inputs, result, knobs, page.name)
        titles = ["Passes", "Numbers", "Files", "Recipe", "Timings"]
        passes, numbers, files, recipe_tab, timings = st.tabs(titles)
        with passes:
            draw_passes(result)
        with numbers:
            draw_numbers(result)
        with files:
            draw_files(inputs, result, page.name)
        with recipe_tab:
            st.json(recipe(page, inputs, model, params), expanded=2)
        with timings:
            timings_tab(result)
        keep_bar(page, work, model, inputs, result, figures)
        if sidebar_is_old():
            st.rerun()


def _masks(inputs: Inputs, result: Result, knobs: Knobs, page: str) -> None:
    """All four masks of both pictures, A at the left."""
    with st.container(key="row_masks"):
        columns = st.columns(2, gap="medium")
    on_a = result.params.prompt_on == "a"
    sides = (
        (("prompted", "mask_index"), ("tracked", "tracked_index"))
        if on_a
        else (("tracked", "tracked_index"), ("prompted", "mask_index"))
    )
    for column, letter, picture, (name, knob) in zip(columns, "AB", (inputs.image, inputs.image_b), sides, strict=True):
        with column:
            st.markdown(
                f"**Masks of {letter}** · "
                + ("the framed one is remembered" if name == "prompted" else "found in the last pass")
            )
            masks = [result.masks[f"{name}_{i}"] for i in range(cross_image.MASK_COUNT)]
            masks_panel(
                picture.rgb, masks, result.tables[f"{name}_masks"], int(result.metrics[knob]), knobs, page, knob
            )


class _Tracks(OrderedDict):
    """Objects that were followed, the last few."""

    def __setitem__(self, key, track) -> None:
        super().__setitem__(key, track)
        while len(self) > TRACKS_KEPT:
            self.popitem(last=False)


def _tracks() -> _Tracks:
    return st.session_state.setdefault("samkit.tracks", _Tracks())
