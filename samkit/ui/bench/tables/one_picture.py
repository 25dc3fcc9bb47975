"""One picture with prompts on it; for some experiments a second one in which things are looked for."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from samkit.experiments.inputs import Inputs
from samkit.media.pictures import Picture
from samkit.ui.bench.found import note_found
from samkit.ui.bench.live_masks import follow_knobs, live_link
from samkit.ui.bench.page import Scene
from samkit.ui.bench.tables.table import Places, Setup, Table, Visit, result_places, screen_rows
from samkit.ui.controls.canvas import lay_masks
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.masks_panel import masks_panel
from samkit.ui.controls.picture_picker import picture_picker
from samkit.ui.controls.prompt_editor import canvas_frame, prompt_editor
from samkit.ui.parts.inline_image import fit_within, inline_image
from samkit.ui.parts.leftovers import nothing_below
from samkit.ui.state.picture_pair import PicturePair, picture_pair
from samkit.ui.state.workspace import Workspace

SAME, ANOTHER = "Same picture", "Another picture"
COMPARE_WITH = "compare_with"
"""The knob that says which picture things are looked for in."""
THUMB_PX = (260, 140)


class OnePicture(Table):
    """compared: whether another picture may be looked through instead of the prompted one."""

    def __init__(self, compared: bool = False):
        self.compared = compared

    def arrange(self, visit: Visit) -> Places:
        rows = screen_rows(visit.work.picture)
        with rows.left:
            prompt_editor(visit.work, visit.page.name, live=live_link(visit, visit.work))
        with rows.below:
            masks = st.container()
        if self.compared:
            with rows.beside:
                _choose_compared(visit.work, visit.knobs)
        return Places(rows.beside, rows.notes, *result_places(rows.right), masks)

    def setups(self, visit: Visit) -> list[Setup]:
        work = visit.work
        hint = work.given.hint_for(visit.model, work.picture, visit.encoding)
        inputs = Inputs(image=work.picture, prompts=work.prompts, mask_hint=hint, truth=work.given.truth)
        if self.compared:
            inputs = replace(inputs, image_b=_compared_picture(work, visit.knobs))
        return [Setup(visit.model, work.model_ref, inputs)]

    def blocked(self, visit: Visit) -> str:
        return "" if visit.work.is_marked else visit.page.no_prompt

    def draw_masks(self, scene: Scene, place: DeltaGenerator) -> None:
        result = scene.result
        masks = [result.masks[f"mask_{index}"] for index in range(4)]
        with place:
            pixels = [mask.pixels for mask in masks]
            masks_panel(
                scene.inputs.picture,
                pixels,
                result.tables["masks"],
                result.index(),
                scene.knobs,
                refined=result.params.refine_edges,
                strip=scene.page.name,
            )
            note_found(scene, scene.work, pixels, result.index())
            lay_masks(
                canvas_frame(),
                scene.inputs.picture,
                scene.inputs.prompts,
                pixels,
                result.index(),
                own=scene.knobs.get("mask_index") is not None,
            )
        follow_knobs(scene)

    def show(self, work: Workspace, knobs: KnobValues, inputs: Inputs, params: Mapping[str, Any]) -> None:
        work.open_picture(inputs.picture, inputs.prompts)
        work.given.take_hint(inputs.mask_hint)
        work.given.take_truth(inputs.truth)
        if not self.compared:
            return
        if inputs.image_b is not None:
            picture_pair(work).b.show_picture(inputs.image_b)
        knobs.set({COMPARE_WITH: SAME if inputs.image_b is None else ANOTHER})


def _compared_picture(work: Workspace, knobs: KnobValues) -> Picture | None:
    return picture_pair(work).b.picture if knobs.get(COMPARE_WITH, SAME) == ANOTHER else None


def _choose_compared(work: Workspace, knobs: KnobValues) -> None:
    """The choice of what is looked through, and of the other picture."""
    pair = picture_pair(work)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="row_compared"):
        if knobs.choose("Look for it in", COMPARE_WITH, [SAME, ANOTHER], SAME) == SAME:
            nothing_below()
            return
        other = pair.b.picture
        with st.container(width=170):
            inline_image(fit_within(other.rgb, *THUMB_PX), other.name, "samkit-thumb")
        with st.container(width="content"):
            picture_picker(pair.b, "change_picture_b")
        st.button(
            "Swap",
            help="Swap the pictures and their prompts",
            icon=":material/swap_horiz:",
            key="swap_similarity",
            on_click=_swap,
            args=(pair,),
        )


def _swap(pair: PicturePair) -> None:
    first, second = (pair.a.picture, pair.a.prompts), (pair.b.picture, pair.b.prompts)
    given = pair.b.given, pair.a.given
    pair.a.show_picture(*second)
    pair.b.show_picture(*first)
    pair.a.given, pair.b.given = given
