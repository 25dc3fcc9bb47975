"""Choosing a model: the embedded ones, the catalogue with downloads, and checkpoints of one's own."""

import os
from collections.abc import Sequence
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from samkit.errors import SamkitError
from samkit.models.files.catalogue import CatalogueEntry, catalogue
from samkit.models.files.folders import CHECKPOINT_SUFFIXES, extra_models_folders, own_checkpoints
from samkit.ui.controls.dialogs import close_dialog, dismissed, stays_open
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.public import check_owner_only, owner_only
from samkit.ui.state.workspace import Workspace
from samkit.words import format_bytes

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("float32", "bfloat16", "float16")
STATE_TEXTS = {
    "embedded": "comes with the app",
    "on disk": "on disk",
    "partial": "partly downloaded",
    "absent": "not downloaded",
}
STATE_ICONS = {
    "embedded": ":material/inventory_2:",
    "on disk": ":material/check_circle:",
    "partial": ":material/downloading:",
    "absent": ":material/cloud_download:",
}


def model_name(ref: str) -> str:
    """What people call the model behind a reference."""
    return next((entry.title for entry in catalogue() if entry.name == ref), Path(ref).stem)


def model_line(ref: str) -> str:
    """What stands under the model's name: its family, its size on disk, and what an embedded one is for."""
    entry = next((entry for entry in catalogue() if entry.name == ref), None)
    if entry is None:
        return "your own checkpoint"
    return f"SAM {entry.version} · {format_bytes(entry.file_bytes)}" + (
        " · small, for trying out" if entry.embedded else ""
    )


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
    entries = catalogue()
    if not owner_only():
        _ready(work, entries)
        return
    ready, official, own = st.tabs(["Ready to use", "Official checkpoints", "Your own"])
    with ready:
        _ready(work, entries)
    with official:
        st.caption(
            "Meta's released weights and MobileSAM's, Apache-2.0. A download is resumed where it stopped and its "
            "checksum is verified."
        )
        for entry in entries:
            if not entry.embedded:
                _entry_row(work, entry, "official")
    with own:
        _own_tab(work)


def _ready(work: Workspace, entries: Sequence[CatalogueEntry]) -> None:
    for entry in entries:
        if entry.on_disk:
            _entry_row(work, entry, "ready")
    for path in own_checkpoints():
        _own_row(work, path, "ready")


def _entry_row(work: Workspace, entry: CatalogueEntry, tab: str) -> None:
    state = entry.state()
    name, size, action = st.columns([4, 2, 2], vertical_alignment="center")
    name.markdown(f"{STATE_ICONS[state]} {entry.title}")
    if entry.embedded:
        name.caption(entry.licence)
    size.caption(f"{format_bytes(entry.file_bytes)} · {STATE_TEXTS[state]}")
    if entry.on_disk:
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


def _own_row(work: Workspace, path: Path, tab: str) -> None:
    name, size, action = st.columns([4, 2, 2], vertical_alignment="center")
    name.markdown(f":material/folder: {plain_text(path.name)}")
    size.caption(format_bytes(path.stat().st_size))
    if action.button(
        "In use" if str(path) == work.model_ref else "Use",
        disabled=str(path) == work.model_ref,
        key=f"own_{tab}_{path}",
        width="stretch",
    ):
        _use(work, str(path))


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


def _own_tab(work: Workspace) -> None:
    folders = extra_models_folders()
    if not folders:
        st.info(
            "Set SAMKIT_EXTRA_MODELS to a folder with your .safetensors, .pt or .pth checkpoints and restart the "
            "app; they are then listed here."
        )
        return
    st.caption(f"Checkpoints in {plain_text(', '.join(map(str, folders)))}")
    for path in own_checkpoints():
        _own_row(work, path, "own")
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
