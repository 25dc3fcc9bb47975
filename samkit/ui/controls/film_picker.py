"""The film that is segmented: the choice of it, and a slider over its frames."""

from collections.abc import Callable

import numpy as np
import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from samkit.media.drawing import overlay
from samkit.media.rle import rle_to_mask
from samkit.media.sample_videos import SAMPLE_VIDEOS, load_sample_video
from samkit.ui.controls.dialogs import close_dialog, dismissed, stays_open
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.parts import style
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.inline_image import fit_within, inline_image
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.films import film_uploader, stored_film
from samkit.ui.state.recorded import FilmTable, film_table
from samkit.ui.state.workspace import Workspace, workspace
from samkit.work.queue import BackgroundJob

FILM_MAX_SIDE = 1280
"""Frames of uploaded films are shrunk to this while they are decoded, in pixels."""
SHOWN_PX = (900, 520)
FRAME = "frame"
"""The knob that says which frame is looked at."""
OF_THE_RUN = "The mask is the run's."
MEMORIES_ALONE = "No run has come here: the mask is what the recorded memories alone find on this frame."
NOTHING_REMEMBERED = "Nothing is remembered yet, so there is no mask."


def film_picker(table: FilmTable) -> None:
    """The film's name, length and size, and a button that opens the choice."""
    video = table.video
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        pressed = st.button("Film", icon=":material/movie:", key="change_film", help="Samples, or your own")
        if stays_open(workspace(), "change_film", pressed):
            _film_dialog(table)
        height, width = video.size
        rate = f"{video.seconds:.1f} s at {video.fps:.3g} frames/s"
        st.caption(f"{video.name} · {video.length} frames, {rate} · {width} × {height} px")
    if video.warning:
        st.warning(video.warning, icon=":material/broken_image:")


def take_film(upload: UploadedFile) -> str:
    """Put a visitor's own film on the table; a sentence about it. Raises PictureError for what is no film."""
    video = stored_film(upload, FILM_MAX_SIDE)
    film_table().show_film(video)
    workspace().dialog = None
    return f"Took the film **{plain_text(video.name)}**, {video.length} frames."


@st.dialog("Choose a film", width="large", on_dismiss=dismissed)
def _film_dialog(table: FilmTable) -> None:
    upload = film_uploader("film_upload")
    if upload is not None:
        with sentences(), st.spinner("Reading the film"):
            table.show_film(stored_film(upload, FILM_MAX_SIDE))
            close_dialog(workspace())
    st.caption("Samples, made from the sample pictures: an object that moves, grows and is hidden for a while")
    for sample, column in zip(SAMPLE_VIDEOS.values(), st.columns(len(SAMPLE_VIDEOS)), strict=True):
        with column:
            film = load_sample_video(sample.name)
            inline_image(film.frame(film.length // 4), sample.title, "samkit-mask")
            if st.button(sample.title, key=f"film_{sample.name}", type="tertiary", width="stretch"):
                table.show_film(film)
                close_dialog(workspace())


def film_frame(work: Workspace, table: FilmTable, knobs: KnobValues, look: Callable[[int], np.ndarray | None]) -> None:
    """A slider over the film; the frame under it, with its mask; a button that takes it as the picture to mark an
    object on.

    look: what the memories find on a frame where no run has come, bool [H, W]; None where nothing is remembered
    """
    last = table.video.length - 1
    index = knobs.slider("Frame", FRAME, 0, last, 0, 1, limited=True) if last else knobs.only(FRAME, 0)
    shown, mask = table.video.frame(index), mask_of_frame(table.job, index)
    found, origin = (look(index), MEMORIES_ALONE) if mask is None else (mask, OF_THE_RUN)
    if found is not None:
        shown = overlay(shown, found, style.MASK_COLOR)
    description = f"Frame {index} of the film" + (" with its mask" if found is not None else "")
    inline_image(fit_within(shown, *SHOWN_PX), description, "samkit-figure")
    st.caption(origin if found is not None else NOTHING_REMEMBERED)
    st.button(
        "Mark an object on this frame",
        on_click=_take_frame,
        args=(work, table, index),
        icon=":material/ads_click:",
        key="take_frame",
    )


def _take_frame(work: Workspace, table: FilmTable, index: int) -> None:
    work.show_picture(table.video.picture(index))


def mask_of_frame(job: BackgroundJob | None, index: int) -> np.ndarray | None:
    """bool [H, W]: what a run has found on that frame of the film; None where it has not come there."""
    rows = list(getattr(job.run, "masks", ())) if job is not None else []
    return next((rle_to_mask(row["rle"]) for row in rows if row["frame"] == index), None)
