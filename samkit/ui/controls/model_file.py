"""The file of the model in use: what was done to it, which model of several it is, its native side and windows, and a
word when it changes on disk. For checkpoints of one's own.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from samkit.errors import CheckpointError
from samkit.models.files.depends import depends_on
from samkit.models.files.licences import LICENCES
from samkit.models.files.reference import split_reference, with_choices
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.public import check_owner_only, owner_only
from samkit.ui.state.workspace import Workspace

if TYPE_CHECKING:
    from samkit.models.sam import SamModel

LOOK_S = 4
"""Seconds between two looks at the file."""


def model_file(work: Workspace, model: "SamModel") -> None:
    """Under the model's name in the sidebar. Nothing for a plain file of the catalogue."""
    info, own = model.info, _is_own(work.model_ref)
    if not (own or info.changes or info.family in LICENCES):
        return
    if own and owner_only():
        # What is loaded just now is the file as it is; the fragment compares with it, run by run of its own.
        st.session_state["model_file_seen"] = _states(work.model_ref)
        _watch(work.model_ref)
    title = "What was done to this file" if info.changes else "This file"
    with st.expander(title, icon=":material/draft:"):
        st.caption(plain_text(str(info.path)))
        if info.family in LICENCES:
            st.caption(f":material/balance: {LICENCES[info.family]}")
        for change in info.changes:
            st.markdown(f"- {plain_text(change)}")
        if own and info.checkpoint.others:
            _parts(work, info.checkpoint.others)
        if own and owner_only():
            _settings(work, model)


@st.fragment(run_every=LOOK_S)
def _watch(ref: str) -> None:
    """Offer the file again when it is another one than was loaded."""
    states = _states(ref)
    if states == st.session_state.get("model_file_seen", states):
        return
    gone = states is None
    st.info(
        "The file of this model is gone. What is loaded stays." if gone else "The file of this model changed on disk.",
        icon=":material/sync:",
    )
    if not gone and st.button("Load it again", icon=":material/refresh:", key="load_again", width="stretch"):
        st.rerun()


def _states(ref: str) -> object:
    """Of all files that have a say in the model; None where there is none any more."""
    try:
        return depends_on(ref).states
    except CheckpointError:
        return None


def _parts(work: Workspace, others: tuple[str, ...]) -> None:
    place, choices = split_reference(work.model_ref)
    names = ["this one", *others]
    chosen = st.selectbox("The file holds several models", names, key="model_part")
    if chosen != names[0]:
        work.model_ref = with_choices(place, replace(choices, part=chosen))
        st.rerun()


def _settings(work: Workspace, model: "SamModel") -> None:
    """A form for what shapes can't tell, remembered with the file's hash."""
    from samkit.models.files.remembered import remember

    info = model.info
    with st.form("model_settings", border=False):
        side = st.number_input(
            "Native side",
            32,
            4096,
            info.native_side,
            info.side_step,
            help="The side that the model was trained at, in pixels. MedSAM2 and others were trained at 512.",
        )
        windows = st.text_input(
            "Windows of the four stages",
            ", ".join(map(str, info.window_sizes)),
            help="In tokens. What the model was trained with.",
        )
        if st.form_submit_button("Remember for this file", icon=":material/bookmark:", width="stretch"):
            with sentences():
                check_owner_only()
                remember(info.file_sha256, int(side), _window_numbers(windows))
                # What stands behind the file's name would count more.
                place, choices = split_reference(work.model_ref)
                work.model_ref = with_choices(place, replace(choices, native_side=None, window_sizes=None, plain=False))
                st.rerun()
    if info.settings and st.button("Forget", icon=":material/bookmark_remove:", width="stretch", key="forget_settings"):
        with sentences():
            check_owner_only()
            remember(info.file_sha256, None, None)
            st.rerun()


def _window_numbers(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    if len(words) != 4 or not all(word.isascii() and word.isdigit() and len(word) < 4 for word in words):
        raise CheckpointError("Windows are four whole numbers with commas between them, such as 8, 4, 14, 7.")
    return tuple(map(int, words))


def _is_own(ref: str) -> bool:
    from samkit.models.files.catalogue import catalogue

    return split_reference(ref)[0] not in {entry.name for entry in catalogue()}
