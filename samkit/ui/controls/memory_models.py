"""Pages that need a model with a memory: whether the present one has it, and which others do."""

import streamlit as st

from samkit.models.files.catalogue import catalogue
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
    ready = [
        entry for entry in catalogue() if entry.on_disk and entry.family == "sam2" and entry.name != work.model_ref
    ]
    with st.container(horizontal=True, gap="small"):
        for entry in sorted(ready, key=lambda entry: entry.embedded)[:OFFERED]:
            st.button(
                f"Use {entry.title}",
                key=f"offer_{entry.name}",
                icon=":material/swap_horiz:",
                on_click=_use,
                args=(work, entry.name),
            )
    st.caption("“Change model” in the sidebar lists the official checkpoints and downloads them.")


def _use(work: Workspace, name: str) -> None:
    work.model_ref = name
