"""All four masks of a frame, of a film's run that is done or goes on."""

import streamlit as st

from samkit.experiments.video_priors import MASK_COUNT, FilmRun
from samkit.media.drawing import overlay
from samkit.media.rle import rle_to_mask
from samkit.ui.controls.masks_panel import MASK_TITLES
from samkit.ui.parts import style
from samkit.ui.parts.inline_image import fit_within, inline_image, shrink_mask

THUMB_PX = (240, 240)


def last_frame(run: FilmRun) -> None:
    """The frame that was segmented last, with all four masks."""
    if run.rows:
        frame_masks(run, run.done - 1)


def frame_masks(run: FilmRun, place: int) -> None:
    """All four masks of the frame at that place of the run, the best one framed."""
    row, candidates = run.rows[place], run.candidates[place]
    small = fit_within(run.video.frame(row["frame"]), *THUMB_PX)
    absent = "" if row["object_score"] > 0 else ", judged absent"
    st.caption(f"Frame {row['frame']}: object score {row['object_score']:.1f}{absent}")
    with st.container(key="film_masks"):
        columns = st.columns(MASK_COUNT, gap="small")
    for index, column in enumerate(columns):
        mask = shrink_mask(rle_to_mask(candidates[index]), small.shape[:2])
        best = index == row["best"]
        with column:
            shown = overlay(small, mask, style.MASK_COLOR, alpha=0.5)
            inline_image(
                shown, f"Mask {index} of frame {row['frame']}", "samkit-mask chosen" if best else "samkit-mask"
            )
            title = f"{MASK_TITLES[index]} · IoU {row[f'predicted_iou_{index}']:.2f}"
            st.caption(f"**{title} · best**" if best else title)
