"""All four masks of a frame, of a film's run that is done or goes on."""

import numpy as np
import streamlit as st

from samkit.experiments.film.film_run import FilmRun
from samkit.experiments.film.tracks import Found
from samkit.media.drawing import overlay
from samkit.media.rle import rle_to_mask
from samkit.ui.controls.masks_panel import MASK_TITLES
from samkit.ui.parts.inline_image import fit_within, inline_image, shrink_mask
from samkit.ui.parts.markdown_text import plain_text

THUMB_PX = (240, 240)


def last_frame(run: FilmRun) -> None:
    """The frame that was segmented last, with all four masks of each object."""
    for frame in [row["frame"] for row in run.rows[-1:]]:
        frame_masks(run, frame)


def frame_masks(run: FilmRun, frame: int) -> None:
    """All four masks of each object on a frame of the film, the best one framed."""
    found = run.on(frame)
    if not found:
        st.caption(f"Frame {frame} was not segmented.")
        return
    small = fit_within(run.video.frame(frame), *THUMB_PX)
    for number, each in sorted(found.items()):
        name = f"{run.steering.name(number)}, frame" if run.steering.count > 1 else "Frame"
        _object_masks(name, small, each, run.steering.rgb(number), f"film_masks_{number}")


def _object_masks(name: str, small: np.ndarray, found: Found, color: tuple[int, int, int], key: str) -> None:
    row = found.row
    absent = "" if row["object_score"] > 0 else ", judged absent"
    given = ", marked by hand" if row["corrected"] else ""
    st.caption(f"{plain_text(name)} {found.frame}: object score {row['object_score']:.1f}{absent}{given}")
    with st.container(key=key):
        columns = st.columns(4, gap="small")
    for index, (rle, column) in enumerate(zip(found.candidates, columns, strict=False)):
        shown = overlay(small, shrink_mask(rle_to_mask(rle), small.shape[:2]), color, alpha=0.5)
        best, iou = index == row["best"], row[f"predicted_iou_{index}"]
        with column:
            css = "samkit-mask chosen" if best else "samkit-mask"
            inline_image(shown, f"{MASK_TITLES[index]} of frame {found.frame}", css)
            title = f"{MASK_TITLES[index]} · IoU {iou:.2f}" if iou is not None else "The mask given"
            st.caption(f"**{title} · best**" if best else title)
