"""A look inside a model without prompts: one side, or two models or two pictures side by side."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from samkit.experiments.inputs import Inputs
from samkit.models.files.catalogue import catalogue
from samkit.models.files.folders import own_checkpoints
from samkit.ui.bench.tables.table import Places, Setup, Table, Visit, main_row
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.model_picker import model_name
from samkit.ui.controls.picture_picker import picture_picker
from samkit.ui.parts.inline_image import fit_within, inline_image
from samkit.ui.state.picture_pair import picture_pair
from samkit.ui.state.workspace import Workspace

ALONE, MODELS, PICTURES = "One", "Two models", "Two pictures"
BESIDE, MODEL_B = "beside", "model_b"
"""The knobs that say what stands side by side, and which the second model is."""
THUMB_PX = (220, 110)
NO_OTHER = "There is no other model on this machine yet: “Change model” in the sidebar downloads one."


class Sides(Table):
    def __init__(self, takes_picture: bool = True):
        self.takes_picture = takes_picture

    def arrange(self, visit: Visit) -> Places:
        work, knobs = visit.work, visit.knobs
        with st.container(key="row_inputs"):
            left, middle, right = st.columns([4, 3, 4], gap="medium")
        options = [ALONE, MODELS, PICTURES] if self.takes_picture else [ALONE, MODELS]
        with middle:
            kind = knobs.choose("Side by side", BESIDE, options, ALONE)
        with left:
            if self.takes_picture:
                _picture(work, "change_picture")
            else:
                st.markdown(f"**A** · {model_name(work.model_ref)}")
                st.caption("“Change model” in the sidebar chooses another one.")
        with right:
            if kind == PICTURES:
                _picture(picture_pair(work).b, "change_picture_b")
            elif kind == MODELS:
                _choose_model(work, knobs)
        return Places(*main_row())

    def setups(self, visit: Visit) -> list[Setup]:
        work, kind = visit.work, visit.knobs.get(BESIDE, ALONE)
        first = Setup(visit.model, work.model_ref, Inputs(image=work.picture if self.takes_picture else None))
        if kind == PICTURES:
            return [first, Setup(visit.model, work.model_ref, Inputs(image=picture_pair(work).b.picture), "B")]
        ref = visit.knobs.get(MODEL_B)
        if kind == MODELS and ref in _other_models(work):
            with st.spinner(f"Loading {ref}", show_time=True):
                return [first, Setup(visit.load(ref), ref, first.inputs, "B")]
        return [first]

    def show(self, work: Workspace, knobs: KnobValues, inputs: Inputs, params: Mapping[str, Any]) -> None:
        if self.takes_picture:
            work.show_picture(inputs.picture, inputs.prompts)


def _other_models(work: Workspace) -> list[str]:
    """References of the models on this machine but for the visitor's own."""
    refs = [entry.name for entry in catalogue() if entry.on_disk] + [str(path) for path in own_checkpoints()]
    return [ref for ref in refs if ref != work.model_ref]


def _choose_model(work: Workspace, knobs: KnobValues) -> None:
    others = _other_models(work)
    if others:
        knobs.select("Second model", MODEL_B, others, others[0], format_func=model_name)
    else:
        st.info(NO_OTHER, icon=":material/cloud_download:")


def _picture(work: Workspace, key: str) -> None:
    """The picture, small, and a button that changes it."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(width=150):
            inline_image(fit_within(work.picture.rgb, *THUMB_PX), work.picture.name, "samkit-thumb")
        with st.container():
            picture_picker(work, key)
