"""Two pictures of which either is prompted and the other one segmented."""

from collections.abc import Mapping
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from samkit.experiments.inputs import Inputs
from samkit.prompts import Prompts
from samkit.ui.bench.found import note_found
from samkit.ui.bench.live_masks import live_link
from samkit.ui.bench.page import Scene
from samkit.ui.bench.tables.table import Places, Setup, Table, Visit, result_places, screen_rows
from samkit.ui.controls.canvas import LiveLink, lay_masks
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.masks_panel import masks_panel
from samkit.ui.controls.pair_editor import pair_editor, pair_tools
from samkit.ui.controls.prompt_editor import canvas_frame
from samkit.ui.state.picture_pair import picture_pair
from samkit.ui.state.workspace import Workspace

NO_PROMPT = "Click something in one picture, or choose Box and drag around it: the model looks for it in the other one."


class Pair(Table):
    needs_memory = "Following an object to another picture"
    two_canvases = True

    def arrange(self, visit: Visit) -> Places:
        pair = picture_pair(visit.work)
        rows = screen_rows()
        with rows.beside:
            pair_tools(pair, visit.page.name)
        pair_editor(pair, visit.page.name, rows.left, rows.right, lambda letter: _live(visit, letter))
        with rows.below:
            masks = st.container()
        return Places(rows.beside, rows.notes, *result_places(rows.below), masks)

    def setups(self, visit: Visit) -> list[Setup]:
        pair = picture_pair(visit.work)
        marked = pair.b if pair.prompt_on == "b" else pair.a
        inputs = Inputs(
            image=pair.a.picture,
            prompts=pair.prompts,
            image_b=pair.b.picture,
            mask_hint=marked.given.hint_for(visit.model, marked.picture, visit.encoding),
            truth=pair.a.given.truth,
            truth_b=pair.b.given.truth,
        )
        return [Setup(visit.model, visit.work.model_ref, inputs)]

    def params(self, visit: Visit) -> dict[str, Any]:
        return {"prompt_on": picture_pair(visit.work).prompt_on}

    def blocked(self, visit: Visit) -> str:
        return NO_PROMPT if picture_pair(visit.work).prompt_on is None else ""

    def draw_masks(self, scene: Scene, place: DeltaGenerator) -> None:
        """All four masks of both pictures, A at the left."""
        pair = picture_pair(scene.work)
        with place, st.container(key="row_masks"):
            columns = st.columns(2, gap="small")
        on_a = scene.result.params.prompt_on == "a"
        names = ("prompted", "tracked") if on_a else ("tracked", "prompted")
        pictures = (scene.inputs.image, scene.inputs.image_b)
        for column, letter, picture, name in zip(columns, "AB", pictures, names, strict=True):
            assert picture is not None
            knob = "mask_index" if name == "prompted" else "tracked_index"
            role = "the framed one is remembered" if name == "prompted" else "of the last pass"
            masks = [scene.result.masks[f"mask_{name}_{index}"].pixels for index in range(4)]
            rows = scene.result.tables[f"{name}_masks"]
            with column:
                st.caption(f"**Masks of {letter}**, {name} · {role}")
                refined, chosen = scene.result.params.refine_edges, scene.result.index(knob)
                strip = scene.page.name if letter == "A" else f"{scene.page.name}-b"
                masks_panel(picture, masks, rows, chosen, scene.knobs, refined=refined, name=knob, strip=strip)
                prompts = scene.inputs.prompts if name == "prompted" else Prompts()
                note_found(scene, pair.a if letter == "A" else pair.b, masks, chosen, name)
                threshold = scene.result.params.threshold
                own = scene.knobs.get(knob) is not None
                lay_masks(canvas_frame(letter == "B"), picture, prompts, masks, chosen, threshold, own)

    def show(self, work: Workspace, knobs: KnobValues, inputs: Inputs, params: Mapping[str, Any]) -> None:
        assert inputs.image_b is not None
        picture_pair(work).open(inputs.picture, inputs.image_b, inputs.prompts, params["prompt_on"])
        pair = picture_pair(work)
        (pair.b if params["prompt_on"] == "b" else pair.a).given.take_hint(inputs.mask_hint)
        pair.a.given.take_truth(inputs.truth)
        pair.b.given.take_truth(inputs.truth_b)


def _live(visit: Visit, letter: str) -> LiveLink:
    pair = picture_pair(visit.work)
    return live_link(visit, pair.a if letter == "a" else pair.b, letter)
