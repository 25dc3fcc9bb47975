"""The choice of the film that is segmented."""

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from samkit.media.sample_videos import SAMPLE_VIDEOS, load_sample_video
from samkit.ui.controls.dialogs import close_dialog, dismissed, empty_when_opened, stays_open
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.inline_image import fit_within, inline_image
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.films import film_uploader, stored_film
from samkit.ui.state.put_aside import one_too_many, what_lies_there
from samkit.ui.state.recorded import FilmTable, film_table
from samkit.ui.state.workspace import workspace

SAMPLE_PX = (360, 250)
"""The largest picture of a sample that leaves room between two of them."""
FILM_MAX_SIDE = 1280
"""Frames of uploaded films are shrunk to this while they are decoded, in pixels."""


def film_picker(table: FilmTable) -> None:
    """The film's name, length and size, and a button that opens the choice."""
    video = table.video
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        height, width = video.size
        rate = f"{video.seconds:.1f} s at {video.fps:.3g} frames/s, {width} × {height} px"
        pressed = st.button(
            "Film",
            icon=":material/video_library:",
            key="change_film",
            help=f"{plain_text(video.name)}: {video.length} frames, {rate}. Choose a sample, or your own",
        )
        if stays_open(workspace(), "change_film", pressed):
            _film_dialog(table)
    if video.warning:
        st.warning(plain_text(video.warning), icon=":material/broken_image:")


def take_film(upload: UploadedFile) -> str:
    """Put a visitor's own film on the table; a sentence about it. Raises PictureError for what is no film."""
    video = stored_film(upload, FILM_MAX_SIDE)
    film_table().show_film(video)
    workspace().dialog = None
    return f"Took the film **{plain_text(video.name)}**, {video.length} frames."


@st.dialog("Choose a film", width="large", on_dismiss=dismissed)
def _film_dialog(table: FilmTable) -> None:
    _what_goes(table)
    upload = film_uploader(empty_when_opened("film_upload"))
    if upload is not None:
        with sentences(), st.spinner("Reading the film"):
            table.show_film(stored_film(upload, FILM_MAX_SIDE))
            close_dialog(workspace())
    st.caption("Samples, made from the sample pictures: an object that moves, grows and is hidden for a while")
    for sample, column in zip(SAMPLE_VIDEOS.values(), st.columns(len(SAMPLE_VIDEOS), gap="small"), strict=True):
        with column:
            film = load_sample_video(sample.name)
            inline_image(fit_within(film.frame(film.length // 4), *SAMPLE_PX), sample.title, "samkit-mask")
            if st.button(sample.title, key=f"film_{sample.name}", type="tertiary", width="stretch"):
                table.show_film(film)
                close_dialog(workspace())


def _what_goes(table: FilmTable) -> None:
    """What another film takes the place of, before it is taken."""
    there = what_lies_there(table)
    if there is None:
        return
    name, pauses = plain_text(there.name), there.job is not None and there.job.active
    sentences = [
        f"Another film takes the place of **{name}** with {there.what}.",
        f"They are put aside{' and the run pauses' if pauses else ''}: **Back to {name}** brings them back.",
    ]
    goes = one_too_many([there, *table.put_aside])
    if goes is not None:
        sentences.append(
            f"**{plain_text(goes.name)}** with {goes.what}, put aside long ago, goes, unless you choose a film here "
            "that is put aside."
        )
    st.info(" ".join(sentences), icon=":material/inventory_2:")
