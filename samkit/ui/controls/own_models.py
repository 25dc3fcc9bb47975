"""Checkpoints of one's own in the list of models: what each is before it is loaded, and which came or changed."""

import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from samkit.errors import SamkitError
from samkit.models.files.catalogue import catalogue
from samkit.models.files.folders import CHECKPOINT_SUFFIXES, extra_models_folders, look_for_own
from samkit.models.files.licences import LICENCES
from samkit.models.files.locate import plain_name
from samkit.models.files.reference import Choices, split_reference, with_choices
from samkit.ui.controls.dialogs import close_dialog
from samkit.ui.controls.model_names import model_name
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.own_files import OwnFiles
from samkit.ui.state.public import check_owner_only, owner_only
from samkit.ui.state.workspace import Workspace
from samkit.words import format_bytes

if TYPE_CHECKING:
    from samkit.models.files.glance import Glance
    from samkit.models.memory_taken import MemoryTaken

FAMILY_NAMES = {"SAM 1": "sam1", "SAM 2": "sam2", "SAM 3": "sam3", "Adapters": "adapter"}
FAMILY_WORDS = {"sam1": "SAM 1 · ", "sam2": "SAM 2 · ", "sam3": "SAM 3 · ", "adapter": "needs a base · "}
MARKS = {"new": ":green-badge[new]", "changed": ":orange-badge[changed]", None: ""}
SEEN_KEY = "own_files"
LOOK_S = 3
"""Seconds between two looks at the folders of own checkpoints."""
MAX_ROWS = 40
"""Rows that are drawn; what lies further down is found by words."""
MAX_TOLD = 400


@dataclass(frozen=True)
class Look:
    """What is looked for: words that must all be in a name, and a family or ""."""

    words: tuple[str, ...]
    family: str

    def takes(self, *names: str, family: str) -> bool:
        return self.takes_name(*names) and self.takes_family(family)

    def takes_name(self, *names: str) -> bool:
        text = " ".join(names).lower()
        return all(word in text for word in self.words)

    def takes_family(self, family: str) -> bool:
        return self.family in ("", family)


def glance(path: Path) -> "Glance":
    """What that file is. torch is imported for it, and so not before a list is looked at."""
    from samkit.models.files import glance as module

    return module.glance(path)


def _states(path: Path) -> object:
    """What changes with the files' content, without a look into them."""
    from samkit.models.files.glance import states_of

    try:
        return states_of(path)
    except (SamkitError, OSError):
        return None


def memory_line(path: Path) -> str:
    """What a model takes of memory, to follow the size of its file; "" where its table of contents doesn't tell."""
    from samkit.models.memory_taken import memory_taken

    return memory_text(memory_taken(path))


def released_memory_line(name: str) -> str:
    """The same of a released model that is not on this machine."""
    from samkit.models.memory_taken import memory_of_released

    return memory_text(memory_of_released(name))


def memory_text(memory: "MemoryTaken | None") -> str:
    if memory is None:
        return ""
    return (
        f"  \nmemory: {format_bytes(memory.weights)}, and {format_bytes(memory.encoding)} more while it encodes a "
        f"picture at {memory.native_side} px"
    )


def loadable_own(family: str = "") -> list[str]:
    """References of one's own checkpoints that look like whole models, each model of a file. family: "" for any"""
    refs = []
    for path in look_for_own().paths:
        told = glance(path)
        if told.loads and family in ("", told.family):
            refs += [str(path), *(with_choices(str(path), Choices(part=other)) for other in told.others)]
    return refs


def own_files() -> OwnFiles:
    """What this visitor has seen of them."""
    files = st.session_state.get(SEEN_KEY)
    if not isinstance(files, OwnFiles):
        files = st.session_state[SEEN_KEY] = OwnFiles()
    return files


def use_model(work: Workspace, ref: str) -> None:
    own_files().used(split_reference(ref)[0])
    work.model_ref = ref
    close_dialog(work)


def own_rows(work: Workspace, look: Look, tab: str) -> None:
    """The files of one's own. For their owner they are looked for again every few seconds."""
    if owner_only():
        _watched_rows(work, look, tab)
    else:
        _rows(work, look, tab)


@st.fragment(run_every=LOOK_S)
def _watched_rows(work: Workspace, look: Look, tab: str) -> None:
    _rows(work, look, tab)


def _rows(work: Workspace, look: Look, tab: str) -> None:
    with sentences():
        found = look_for_own()
        for sentence in found.unread:
            st.warning(plain_text(sentence), icon=":material/folder_off:")
        own_files().look({str(path): _states(path) for path in found.paths})
        fitting = (path for path in found.paths if look.takes_name(str(path)))
        if look.family:
            # Only then all files have to be opened.
            fitting = (path for path in [*fitting] if look.takes_family(glance(path).family))
        shown = 0
        for path in islice(fitting, MAX_ROWS):
            _row(work, path, tab)
            shown += 1
        if found.paths and not shown:
            st.caption("No file of your own has these words.")
        more = sum(1 for _ in fitting)
        if more:
            st.caption(f"And {more} more: search for a word of their names or folders.")
        if not found.whole:
            st.caption(
                "There are more files in these folders than are looked at: name the folders with models in them."
            )


def _row(work: Workspace, path: Path, tab: str) -> None:
    told = glance(path)
    mark = MARKS[own_files().shown(str(path))]
    name, size, action = st.columns([5, 2, 2], vertical_alignment="center")
    icon = ":material/folder:" if path.is_dir() else ":material/draft:"
    name.markdown(f"{icon} {plain_text(plain_name(path))} {mark}")
    family = FAMILY_WORDS.get(told.family, "")
    done = f"  \n{plain_text(' '.join(told.told)[:MAX_TOLD])}" if told.told else ""
    licence = f"  \n{LICENCES[told.family]}" if told.family in LICENCES else ""
    name.caption(f"{family}{plain_text(str(path.parent))}{done}{licence}")
    size.caption(f"{format_bytes(told.file_bytes)} on disk{memory_line(path) if told.loads else ''}")
    with action:
        if told.loads:
            in_use = str(path) == split_reference(work.model_ref)[0]
            if st.button("In use" if in_use else "Use", disabled=in_use, key=f"own_{tab}_{path}", width="stretch"):
                use_model(work, str(path))
        elif told.family == "adapter":
            _base_picker(work, path, tab)


def _base_picker(work: Workspace, path: Path, tab: str) -> None:
    """For an adapter, or a part of a model: which one it belongs to."""
    names = [entry.name for entry in catalogue() if entry.on_disk]
    base = st.selectbox(
        "Base",
        [*names, *loadable_own()],
        format_func=model_name,
        key=f"base_{tab}_{path}",
        label_visibility="collapsed",
    )
    if st.button("Use with it", key=f"own_{tab}_{path}", width="stretch"):
        use_model(work, with_choices(str(path), Choices(base=base)))


def own_tab(work: Workspace, look: Look) -> None:
    folders = extra_models_folders()
    if not folders:
        st.info(
            "Set SAMKIT_EXTRA_MODELS to a folder with your checkpoints (.safetensors, .pt, .pth, .bin, .ckpt, or "
            "folders that transformers saved) and restart the app; they are then listed here."
        )
        return
    places = plain_text(", ".join(map(str, folders)))
    st.caption(f"Checkpoints in {places} and the folders below. New files appear by themselves.")
    own_rows(work, look, "own")
    uploaded = st.file_uploader(
        "Add a checkpoint",
        type=[suffix.lstrip(".") for suffix in CHECKPOINT_SUFFIXES],
        key="own_upload",
        max_upload_size=3000,
    )
    if uploaded is not None:
        with sentences():
            check_owner_only()
            path = _save_upload(uploaded, folders[0])
            st.success(f"{plain_text(path.name)} is saved and listed under Ready to use.")


def _save_upload(upload: UploadedFile, folder: Path) -> Path:
    """Write an uploaded checkpoint into the folder under its own name, never over another file and never outside the
    folder.
    """
    path = folder / Path(upload.name).name
    if path.exists() and path.stat().st_size == upload.size:
        return path
    if path.exists():
        raise SamkitError(f"{path.name} is already in {folder}: rename your file and upload it again.")
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(upload.getbuffer())
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise SamkitError(
            f"{path.name} could not be saved in {folder} ({error.strerror}). Free some space or choose another folder."
        ) from error
    return path
