"""Choosing a model: the embedded ones, the catalogue with downloads, and checkpoints of one's own."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from samkit.errors import SamkitError
from samkit.models.files.catalogue import CatalogueEntry, catalogue
from samkit.models.files.folders import CHECKPOINT_SUFFIXES, extra_models_folders, own_checkpoints
from samkit.models.files.licences import LICENCES
from samkit.models.files.locate import plain_name
from samkit.models.files.reference import Choices, split_reference, with_choices
from samkit.ui.controls.dialogs import close_dialog, dismissed, stays_open
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.public import check_owner_only, owner_only
from samkit.ui.state.workspace import Workspace
from samkit.words import format_bytes

if TYPE_CHECKING:
    from samkit.models.files.glance import Glance

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("float32", "bfloat16", "float16")
FAMILY_NAMES = {"SAM 1": "sam1", "SAM 2": "sam2", "SAM 3": "sam3", "Adapters": "adapter"}
FAMILY_WORDS = {"sam1": "SAM 1 · ", "sam2": "SAM 2 · ", "sam3": "SAM 3 · ", "adapter": "needs a base · "}
LOOK_S = 3
"""Seconds between two looks at the folders of own checkpoints."""
MAX_TOLD = 400
STATE_TEXTS = {
    "embedded": "comes with the app",
    "on disk": "on disk",
    "partial": "partly downloaded",
    "absent": "not downloaded",
    "to bring": "you bring it",
}
STATE_ICONS = {
    "embedded": ":material/inventory_2:",
    "on disk": ":material/check_circle:",
    "partial": ":material/downloading:",
    "absent": ":material/cloud_download:",
    "to bring": ":material/badge:",
}


def model_name(ref: str) -> str:
    """What people call the model behind a reference."""
    place, choices = split_reference(ref)
    name = next((entry.title for entry in catalogue() if entry.name == place), None) or plain_name(Path(place))
    return f"{name} #{choices}" if str(choices) and len(str(choices)) < 60 else name


def model_line(ref: str) -> str:
    """What stands under the model's name: its family, its size on disk, and what an embedded one is for."""
    place, _ = split_reference(ref)
    entry = next((entry for entry in catalogue() if entry.name == place), None)
    if entry is None:
        return "your own checkpoint"
    known = (f"SAM {entry.version}", entry.size_text, "small, for trying out" if entry.embedded else "")
    return " · ".join(filter(None, known))


def model_picker(work: Workspace, takes_dtype: bool = True) -> None:
    """The model in one line with a button that opens the rest. takes_dtype: off where nothing is encoded."""
    st.markdown(f"**{plain_text(model_name(work.model_ref))}**")
    st.caption(plain_text(model_line(work.model_ref)))
    pressed = st.button("Change model", icon=":material/swap_horiz:", width="stretch", key="change_model")
    if stays_open(work, "change_model", pressed):
        _model_dialog(work)
    device, dtype = st.columns(2, gap="small")
    work.device = device.selectbox(
        "Device",
        DEVICES,
        index=DEVICES.index(work.device),
        key="device_choice",
        help="auto: CUDA, then MPS, then the CPU",
    )
    key = "dtype_choice" + (f"_{work.dtype_changes}" if work.dtype_changes else "")
    help_text = (
        "Of the image encoder. float16 is slow on a CPU."
        if takes_dtype
        else "This page compares number types itself: nothing is encoded here."
    )
    work.dtype = dtype.selectbox(
        "Number type", DTYPES, index=DTYPES.index(work.dtype), key=key, help=help_text, disabled=not takes_dtype
    )


@st.dialog("Choose a model", width="large", on_dismiss=dismissed)
def _model_dialog(work: Workspace) -> None:
    look = _search()
    entries = [entry for entry in catalogue() if look.takes(entry.title, entry.name, family=entry.family)]
    if not owner_only():
        _ready(work, entries, look)
        return
    ready, official, own = st.tabs(["Ready to use", "Official checkpoints", "Your own"])
    with ready:
        _ready(work, entries, look)
    with official:
        st.caption(
            "Meta's released weights and MobileSAM's, Apache-2.0. A download is resumed where it stopped and its "
            "checksum is verified. SAM 3 stands under a licence of its own: you bring the file."
        )
        released = [entry for entry in entries if not entry.embedded]
        for entry in released:
            _entry_row(work, entry, "official")
        if not released:
            st.caption("No released checkpoint has these words.")
    with own:
        _own_tab(work, look)


def glance(path: Path) -> "Glance":
    """What that file is. torch is imported for it, and so not before a list is looked at."""
    from samkit.models.files import glance as module

    return module.glance(path)


@dataclass(frozen=True)
class _Look:
    """What is looked for: words that must all be in a name, and a family or ""."""

    words: tuple[str, ...]
    family: str

    def takes(self, *names: str, family: str) -> bool:
        text = " ".join(names).lower()
        return all(word in text for word in self.words) and self.family in ("", family)


def _search() -> _Look:
    text, families = st.columns([3, 2], vertical_alignment="bottom")
    words = text.text_input("Search", placeholder="tiny, medical, a folder ...", key="model_search")
    chosen = families.segmented_control("Family", list(FAMILY_NAMES), key="model_family", default=None)
    return _Look(tuple(words.lower().split()), FAMILY_NAMES.get(str(chosen), ""))


def _ready(work: Workspace, entries: Sequence[CatalogueEntry], look: _Look) -> None:
    here = [entry for entry in entries if entry.on_disk]
    for entry in here:
        _entry_row(work, entry, "ready")
    if owner_only():
        _own_rows(work, look, "ready")
    else:
        for path in own_checkpoints():
            if look.takes(str(path), family=glance(path).family):
                _own_row(work, path, "ready")
    if not here:
        st.caption("No model that comes with the app or was downloaded has these words.")


def _entry_row(work: Workspace, entry: CatalogueEntry, tab: str) -> None:
    state = entry.state()
    name, size, action = st.columns([5, 2, 2], vertical_alignment="center")
    name.markdown(f"{STATE_ICONS[state]} {entry.title}")
    place = "" if entry.embedded or not entry.on_disk else f" · {plain_text(str(entry.local_path().parent))}"
    name.caption(f"{entry.licence}{place}")
    size.caption(" · ".join(filter(None, (entry.size_text, STATE_TEXTS[state]))))
    if state == "to bring":
        name.caption(f"{entry.origin} Put {entry.filename} into {plain_text(str(entry.local_path().parent))}.")
    elif entry.on_disk:
        if action.button(
            "In use" if entry.name == work.model_ref else "Use",
            disabled=entry.name == work.model_ref,
            key=f"use_{tab}_{entry.name}",
            width="stretch",
        ):
            _use(work, entry.name)
    elif action.button(
        "Resume" if state == "partial" else "Download",
        icon=":material/download:",
        key=f"get_{tab}_{entry.name}",
        width="stretch",
    ):
        _download(entry)


@st.fragment(run_every=LOOK_S)
def _own_rows(work: Workspace, look: _Look, tab: str) -> None:
    """The files of one's own, looked for again every few seconds; new ones and changed ones say so."""
    with sentences():
        seen = st.session_state.setdefault("own_files_seen", {})
        there = own_checkpoints()
        first = not seen
        for path in there:
            told = glance(path)
            if not look.takes(str(path), family=told.family):
                continue
            known = seen.setdefault(str(path), None if first else "new")
            mark = {"new": ":green-badge[new]", "changed": ":orange-badge[changed]"}.get(str(known), "")
            _own_row(work, path, tab, mark)
        for path in there:
            size = glance(path).file_bytes, _modified(path)
            before = seen.get(f"{path} state")
            if before is not None and before != size:
                seen[str(path)] = "changed"
            seen[f"{path} state"] = size


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _own_row(work: Workspace, path: Path, tab: str, mark: str = "") -> None:
    told = glance(path)
    place = split_reference(work.model_ref)[0]
    name, size, action = st.columns([5, 2, 2], vertical_alignment="center")
    icon = ":material/folder:" if path.is_dir() else ":material/draft:"
    name.markdown(f"{icon} {plain_text(plain_name(path))} {mark}")
    family = FAMILY_WORDS.get(told.family, "")
    done = f"  \n{plain_text(' '.join(told.told)[:MAX_TOLD])}" if told.told else ""
    licence = f"  \n{LICENCES[told.family]}" if told.family in LICENCES else ""
    name.caption(f"{family}{plain_text(str(path.parent))}{done}{licence}")
    memory = f" · about {format_bytes(told.memory)} of memory" if told.memory and (told.loads or told.family) else ""
    size.caption(f"{format_bytes(told.file_bytes)}{memory}")
    with action:
        if told.loads:
            in_use = str(path) == place
            if st.button("In use" if in_use else "Use", disabled=in_use, key=f"own_{tab}_{path}", width="stretch"):
                _use(work, str(path))
        elif told.family == "adapter":
            _base_picker(work, path, tab)


def _base_picker(work: Workspace, path: Path, tab: str) -> None:
    """For an adapter, or a part of a model: which one it belongs to."""
    names = [entry.name for entry in catalogue() if entry.on_disk]
    others = [str(own) for own in own_checkpoints() if own != path and glance(own).loads]
    base = st.selectbox("Base", [*names, *others], key=f"base_{tab}_{path}", label_visibility="collapsed")
    if st.button("Use with it", key=f"own_{tab}_{path}", width="stretch"):
        _use(work, with_choices(str(path), Choices(base=base)))


def _use(work: Workspace, ref: str) -> None:
    work.model_ref = ref
    close_dialog(work)


def _download(entry: CatalogueEntry) -> None:
    from samkit.models.files.download import download

    bar = st.progress(0.0, text=f"Downloading {entry.title}")

    def progress(done: int, total: int) -> None:
        bar.progress(
            min(1.0, done / max(1, total)),
            text=f"{format_bytes(done)} of {format_bytes(total)}. Closing this window stops the download; it can be "
            "resumed.",
        )

    with sentences():
        check_owner_only()
        download(entry, progress=progress)
        st.success(f"{entry.title} is on disk.", icon=":material/check_circle:")
        st.rerun(scope="fragment")


def _own_tab(work: Workspace, look: _Look) -> None:
    folders = extra_models_folders()
    if not folders:
        st.info(
            "Set SAMKIT_EXTRA_MODELS to a folder with your checkpoints (.safetensors, .pt, .pth, .bin, or folders that "
            "transformers saved) and restart the app; they are then listed here."
        )
        return
    st.caption(f"Checkpoints in {plain_text(', '.join(map(str, folders)))}. New files appear by themselves.")
    _own_rows(work, look, "own")
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
