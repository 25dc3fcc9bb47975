"""Choosing a picture: samples, an upload, one used before, or a frame of a film."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from samkit.media.pictures import FORMATS_TEXT, Picture
from samkit.media.samples import SAMPLES, load_sample, sample_names
from samkit.ui.controls.dialogs import close_dialog, dismissed, empty_when_opened, stays_open
from samkit.ui.controls.frame_picker import frame_picker
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.inline_image import data_url, fit_within
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.uploads import uploaded_picture
from samkit.ui.state.visitors import visitor_id, when_a_visitor_left
from samkit.ui.state.workspace import Workspace
from samkit.work.memory import Memory

UPLOAD_TYPES = ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "gif"]
UPLOAD_MB = 64
THUMB_PX = (320, 240)
THUMB_SHOWN_PX = 110
PICTURES, FRAME = "Pictures", "A frame of a film"

_thumbnails = Memory(4 * 2**20)
when_a_visitor_left(_thumbnails.let_go)


def _thumbnail(key: str, picture: Callable[[], Picture], visitor: str | None) -> str:
    return _thumbnails.get(key, lambda: data_url(fit_within(picture().rgb, *THUMB_PX), lossless=False), visitor)


def picture_picker(work: Workspace, key: str = "change_picture") -> None:
    """A button that opens the choice. key: another one for a second picture."""
    pressed = st.button(
        "Picture", icon=":material/image:", key=key, help="Samples, your own, one used before, or a frame of a film"
    )
    if stays_open(work, key, pressed):
        _picture_dialog(work)


@st.dialog("Choose a picture", width="large", on_dismiss=dismissed)
def _picture_dialog(work: Workspace) -> None:
    kind = st.segmented_control(
        "Choose from",
        [PICTURES, FRAME],
        default=PICTURES,
        required=True,
        key="picture_kind",
        label_visibility="collapsed",
    )
    if kind == PICTURES:
        _pictures(work)
        return
    frame = frame_picker()
    if frame is not None:
        work.open_picture(frame, own_first=True)
        close_dialog(work)


def _pictures(work: Workspace) -> None:
    uploaded = st.file_uploader(
        f"Your own: {FORMATS_TEXT}, up to {UPLOAD_MB} MB",
        type=UPLOAD_TYPES,
        key=empty_when_opened("picture_upload"),
        max_upload_size=UPLOAD_MB,
    )
    if uploaded is not None:
        with sentences():
            work.open_picture(uploaded_picture(uploaded), own_first=True)
            close_dialog(work)
    if len(work.recent) > 1:
        st.caption("Used before")
        _grid(
            work,
            [
                (f"recent_{picture.sha256}", picture.name, partial(_same, picture), None, visitor_id())
                for picture in work.recent
            ],
        )
    st.caption("Samples")
    _grid(
        work,
        [
            (f"sample_{name}", SAMPLES[name].title, partial(load_sample, name), SAMPLES[name].prompts, None)
            for name in sample_names()
        ],
    )


def _same(picture: Picture) -> Picture:
    return picture


def _grid(work: Workspace, rows: list) -> None:
    """rows: (key, title, what gives the picture, prompts or None, whose picture it is as in `Memory.get`)."""
    for start in range(0, len(rows), 4):
        for (key, title, picture, prompts, visitor), column in zip(
            rows[start : start + 4], st.columns(4), strict=False
        ):
            with column:
                st.html(
                    f'<img alt="" src="{_thumbnail(key, picture, visitor)}" '
                    f'style="height:{THUMB_SHOWN_PX}px;width:100%;object-fit:contain;object-position:center bottom">'
                )
                if st.button(plain_text(title), key=key, width="stretch", type="tertiary"):
                    work.open_picture(picture(), prompts, own_first=True)
                    close_dialog(work)
