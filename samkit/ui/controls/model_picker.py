"""Choosing a model: the embedded ones, the catalogue with downloads, and checkpoints of one's own."""

from collections.abc import Sequence

import streamlit as st

from samkit.models.files.catalogue import CatalogueEntry, catalogue
from samkit.ui.controls.dialogs import dismissed, stays_open
from samkit.ui.controls.model_names import model_line, model_name
from samkit.ui.controls.own_models import (
    FAMILY_NAMES,
    Look,
    memory_line,
    own_files,
    own_rows,
    own_tab,
    released_memory_line,
    use_model,
)
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
    "to bring": "you bring it",
}
STATE_ICONS = {
    "embedded": ":material/inventory_2:",
    "on disk": ":material/check_circle:",
    "partial": ":material/downloading:",
    "absent": ":material/cloud_download:",
    "to bring": ":material/badge:",
}


def model_picker(work: Workspace, takes_dtype: bool = True) -> None:
    """The model in one line with a button that opens the rest. takes_dtype: off where nothing is encoded."""
    st.markdown(f"**{plain_text(model_name(work.model_ref))}**")
    st.caption(plain_text(model_line(work.model_ref)))
    pressed = st.button("Change model", icon=":material/swap_horiz:", width="stretch", key="change_model")
    if pressed:
        own_files().list_opened()
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
        own_tab(work, look)


def _search() -> Look:
    text, families = st.columns([3, 2], vertical_alignment="bottom")
    words = text.text_input("Search", placeholder="tiny, medical, a folder ...", key="model_search")
    chosen = families.segmented_control("Family", list(FAMILY_NAMES), key="model_family", default=None)
    return Look(tuple(words.lower().split()), FAMILY_NAMES.get(str(chosen), ""))


def _ready(work: Workspace, entries: Sequence[CatalogueEntry], look: Look) -> None:
    here = [entry for entry in entries if entry.on_disk]
    for entry in here:
        _entry_row(work, entry, "ready")
    if not here:
        st.caption("No model that comes with the app or was downloaded has these words.")
    own_rows(work, look, "ready")


def _entry_row(work: Workspace, entry: CatalogueEntry, tab: str) -> None:
    state = entry.state()
    name, size, action = st.columns([5, 2, 2], vertical_alignment="center")
    name.markdown(f"{STATE_ICONS[state]} {entry.title}")
    place = "" if entry.embedded or not entry.on_disk else f" · {plain_text(str(entry.local_path().parent))}"
    name.caption(f"{entry.licence}{place}")
    memory = memory_line(entry.local_path()) if entry.on_disk else released_memory_line(entry.name)
    size.caption(" · ".join(filter(None, (entry.size_text, STATE_TEXTS[state]))) + memory)
    if state == "to bring":
        name.caption(f"{entry.origin} Put {entry.filename} into {plain_text(str(entry.local_path().parent))}.")
    elif entry.on_disk:
        if action.button(
            "In use" if entry.name == work.model_ref else "Use",
            disabled=entry.name == work.model_ref,
            key=f"use_{tab}_{entry.name}",
            width="stretch",
        ):
            use_model(work, entry.name)
    elif action.button(
        "Resume" if state == "partial" else "Download",
        icon=":material/download:",
        key=f"get_{tab}_{entry.name}",
        width="stretch",
    ):
        _download(entry)


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
