"""A frame of a film as a picture: the film, the frame's number on a slider, and how it looks. One frame is decoded at a
time.
"""

from dataclasses import dataclass

import streamlit as st

from samkit.media.films import Video
from samkit.media.pictures import Picture
from samkit.media.sample_videos import SAMPLE_VIDEOS, load_sample_video
from samkit.ui.controls.dialogs import empty_when_opened
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.inline_image import fit_within, inline_image
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.films import film_uploader, stored_film, use_film

_KEY = "samkit.frame_source"
OWN = "own"
PREVIEW_PX = (640, 360)


@dataclass
class FrameSource:
    """Where a visitor takes frames from.

    film:   name of a sample film, or OWN
    own:    the film uploaded last that could be read, in its own size, for its frames are taken as any picture is;
            own_id: of that upload
    index:  of the frame looked at last
    """

    film: str = next(iter(SAMPLE_VIDEOS))
    own: Video | None = None
    own_id: str | None = None
    index: int = 0

    @property
    def video(self) -> Video:
        return load_sample_video(self.film) if self.own is None or self.film != OWN else self.own


def frame_picker() -> Picture | None:
    """Draw the choice. The frame as a picture when its button is pressed, else None."""
    source = st.session_state.setdefault(_KEY, FrameSource())
    left, right = st.columns([2, 3], gap="medium")
    with left:
        _choose_film(source)
    with right, sentences():
        return _choose_frame(source)


def _choose_film(source: FrameSource) -> None:
    """A sample film or the visitor's own. A film that can't be read leaves the one before in its place."""
    uploaded = film_uploader(empty_when_opened("frame_film_upload"))
    if uploaded is not None and uploaded.file_id != source.own_id:
        with sentences(), st.spinner("Reading the film"):
            source.own, source.own_id = stored_film(uploaded), uploaded.file_id
            source.film = st.session_state["frame_film"] = OWN
    titles = {OWN: plain_text(source.own.name)} if source.own is not None else {}
    titles |= {sample.name: sample.title for sample in SAMPLE_VIDEOS.values()}
    st.session_state.setdefault("frame_film", source.film)
    source.film = st.radio("Film", list(titles), format_func=titles.get, key="frame_film")


def _choose_frame(source: FrameSource) -> Picture | None:
    """Slider, button and preview. Raises PictureError for a frame that can't be decoded, after the slider is drawn."""
    video = source.video
    use_film(video)
    last = video.length - 1
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        if last:
            key = f"frame_index_{source.film}_{video.length}"
            st.session_state.setdefault(key, min(source.index, last))
            source.index = st.slider("Frame", 0, last, key=key)
        else:
            source.index = 0
        pressed = st.button("Use this frame", icon=":material/check:", type="primary", key="use_frame")
    height, width = video.size
    st.caption(f"{video.timestamps[source.index]:.2f} s of {video.seconds:.2f} s · {width} × {height} px")
    if video.warning:
        st.warning(plain_text(video.warning), icon=":material/broken_image:")
    picture = video.picture(source.index)
    inline_image(fit_within(picture.rgb, *PREVIEW_PX), picture.name, "samkit-preview")
    return picture if pressed else None
