"""A look inside a model without prompts: one side, or two models or two pictures side by side."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from samkit.experiments.inputs import Inputs
from samkit.models.files.catalogue import catalogue
from samkit.ui.bench.tables.table import KNOBS_SHARE, Places, Setup, Table, Visit, notes_place, result_places
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.model_names import model_name
from samkit.ui.controls.own_models import loadable_own
from samkit.ui.controls.picture_picker import picture_picker
from samkit.ui.parts.inline_image import fit_within, inline_image
from samkit.ui.parts.leftovers import nothing_below, nothing_here
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.parts.picture_view import picture_view, view_name
from samkit.ui.state.picture_pair import picture_pair
from samkit.ui.state.workspace import Workspace

ALONE, MODELS, PICTURES = "One", "Models", "Pictures"
BESIDE, MODEL_B = "beside", "model_b"
"""The knobs that say what stands side by side, and which the second model is."""
THUMB_PX = (220, 110)
SHOWN_PX = (1280, 1280)
NO_OTHER = "There is no other model on this machine yet: “Change model” in the sidebar downloads one."


class Sides(Table):
    def __init__(self, takes_picture: bool = True):
        self.takes_picture = takes_picture

    def arrange(self, visit: Visit) -> Places:
        """The picture beside the main one, where one side alone is shown; else the main one has all the room."""
        work, knobs = visit.work, visit.knobs
        options = [ALONE, MODELS, PICTURES] if self.takes_picture else [ALONE, MODELS]
        alone = self.takes_picture and knobs.get(BESIDE, ALONE) == ALONE
        with st.container(key="row_screen"):
            shown, beside = st.columns([1 - KNOBS_SHARE, KNOBS_SHARE], gap="medium")
        with beside:
            kind = knobs.choose("Side by side", BESIDE, options, ALONE)
            if kind == MODELS:
                _choose_model(work, knobs)
            else:
                nothing_here()
        with shown:
            notes = notes_place()
            if alone:
                with st.container(key="row_pictures"):
                    left, right = st.columns(2, gap="small")
                with left:
                    _tools(work, kind)
                    picture = work.picture
                    small = fit_within(picture.rgb, *SHOWN_PX)
                    picture_view(small, f"The picture, {picture.name}", view_name(picture))
                    st.caption(f"{plain_text(picture.name)} · {picture.width} × {picture.height} px")
                nothing_below()
                return Places(beside, notes, *result_places(right))
            nothing_here()
            if self.takes_picture:
                _tools(work, kind)
            return Places(beside, notes, *result_places(st.container()))

    def setups(self, visit: Visit) -> list[Setup]:
        work, kind = visit.work, visit.knobs.get(BESIDE, ALONE)
        first = Setup(visit.model, work.model_ref, Inputs(image=work.picture if self.takes_picture else None))
        if kind == PICTURES:
            return [first, Setup(visit.model, work.model_ref, Inputs(image=picture_pair(work).b.picture), "B")]
        ref = visit.knobs.get(MODEL_B)
        if kind == MODELS and ref in _other_models(work):
            with st.spinner(f"Loading {plain_text(ref)}", show_time=True):
                return [first, Setup(visit.load(ref), ref, first.inputs, "B")]
        return [first]

    def show(self, work: Workspace, knobs: KnobValues, inputs: Inputs, params: Mapping[str, Any]) -> None:
        if self.takes_picture:
            work.open_picture(inputs.picture, inputs.prompts)


def _other_models(work: Workspace) -> list[str]:
    """References of the models on this machine but for the visitor's own."""
    refs = [entry.name for entry in catalogue() if entry.on_disk] + loadable_own()
    return [ref for ref in refs if ref != work.model_ref]


def _choose_model(work: Workspace, knobs: KnobValues) -> None:
    others = _other_models(work)
    if others:
        knobs.select("Second model", MODEL_B, others, others[0], format_func=model_name)
    else:
        st.info(NO_OTHER, icon=":material/cloud_download:")


def _tools(work: Workspace, kind: str) -> None:
    """The buttons that change the picture or the two of them; beside two, small pictures of them."""
    shown = [(work, "change_picture")]
    if kind == PICTURES:
        shown.append((picture_pair(work).b, "change_picture_b"))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="tools_sides"):
        for each, key in shown:
            picture_picker(each, key)
            if kind != ALONE:
                with st.container(width=64):
                    inline_image(fit_within(each.picture.rgb, *THUMB_PX), each.picture.name, "samkit-thumb")
                st.caption(
                    f"{plain_text(each.picture.name)} · {each.picture.width} × {each.picture.height} px",
                    width="content",
                )
