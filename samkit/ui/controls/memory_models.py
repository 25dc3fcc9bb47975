"""Pages that need a model with a memory: whether the present one has it, and which others do."""

import streamlit as st

from samkit.models.files.catalogue import catalogue
from samkit.models.files.folders import own_checkpoints
from samkit.models.files.glance import glance
from samkit.models.files.locate import plain_name
from samkit.models.sam import SamModel
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.workspace import Workspace

OFFERED = 3


def can_follow(model: SamModel) -> bool:
    """Whether the model has a memory."""
    return not model.config.memory_lack


def offer_models(work: Workspace, model: SamModel, what: str) -> None:
    """Say why the model can't be used here, and what can: one click each. what: the beginning of a sentence, what takes
    a memory.
    """
    lack = model.config.memory_lack
    st.info(
        f"{plain_text(model.info.name)} is {lack}. {what} takes a SAM v2, v2.1 or v3 model.", icon=":material/memory:"
    )
    with st.container(horizontal=True, gap="small"):
        for ref, title in _ready(work.model_ref)[:OFFERED]:
            st.button(
                f"Use {plain_text(title)}",
                key=f"offer_{ref}",
                icon=":material/swap_horiz:",
                on_click=_use,
                args=(work, ref),
            )
    st.caption("“Change model” in the sidebar lists the official checkpoints and downloads them.")


def _ready(but: str) -> list[tuple[str, str]]:
    """(reference, title) of the models on this machine that follow objects: files of the visitor's own and downloaded
    ones, then those that come with the app. but: the one in use
    """
    known = sorted((each for each in catalogue() if each.on_disk and each.follows), key=lambda each: each.embedded)
    titles = {entry.name: entry.title for entry in known if not entry.embedded}
    titles |= {str(path): plain_name(path) for path in own_checkpoints() if glance(path).follows}
    titles |= {entry.name: entry.title for entry in known}
    return [(ref, title) for ref, title in titles.items() if ref != but]


def _use(work: Workspace, name: str) -> None:
    work.model_ref = name
