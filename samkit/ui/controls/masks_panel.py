"""All four masks of a prediction, two by two, each with what the model thinks of it and how stable it is; the visitor's
choice is framed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import streamlit as st

from samkit.media.drawing import overlay
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.knobs import Toggle
from samkit.ui.parts import style
from samkit.ui.parts.inline_image import fit_within, inline_image, shrink_mask

THUMB_WIDTH_PX, THUMB_HEIGHT_PX = 400, 300
MASK_TITLES = tuple(f"Mask {index}" for index in range(4))
MASK_HELP = (
    "Token 0, the single mask: for unambiguous prompts",
    *("A multimask token: one of three readings of an ambiguous prompt, such as part, whole and group",) * 3,
)
REFINE_EDGES = Toggle("refine_edges")
"""Drawn above the masks, before the result they come from is made."""


def masks_panel(
    rgb: np.ndarray,
    masks: Sequence[np.ndarray],
    rows: Sequence[Mapping[str, Any]],
    chosen: int,
    knobs: KnobValues,
    *,
    refined: bool,
    name: str = "mask_index",
) -> None:
    """
    rgb:     uint8 [H, W, 3]; masks: four bool [H, W] over it
    rows:    four rows with predicted_iou and stability_score
    refined: whether these masks were refined after the model
    name:    the knob that holds the choice, None while the highest predicted IoU decides; another one for a second
             picture's masks
    """
    small = fit_within(rgb, THUMB_WIDTH_PX, THUMB_HEIGHT_PX)
    first = name == "mask_index"
    key = knobs.page if first else f"{knobs.page}_{name}"
    grid = st.container(key="masks_grid" if first else f"masks_grid_{name}", gap="xsmall")
    for pair in ((0, 1), (2, 3)):
        for index, column in zip(pair, grid.columns(2, gap="small"), strict=True):
            with column.container(gap="xxsmall"):
                shown = overlay(small, shrink_mask(masks[index], small.shape[:2]), style.MASK_COLOR, alpha=0.5)
                row = rows[index]
                figures = f"IoU {row['predicted_iou']:.2f}, stability {row['stability_score']:.2f}"
                origin = "edges refined" if refined else "as the model gave it"
                title = f"Mask {index} over the picture, {origin}: predicted {figures}"
                inline_image(shown, title, "samkit-mask chosen" if index == chosen else "samkit-mask")
                icon = "radio_button_checked" if index == chosen else "radio_button_unchecked"
                st.button(
                    f"**{MASK_TITLES[index]}** · {figures}",
                    key=f"mask_button_{key}_{index}",
                    icon=f":material/{icon}:",
                    type="tertiary",
                    width="stretch",
                    help=MASK_HELP[index],
                    on_click=lambda index=index: knobs.set({name: index}),
                )
    if refined:
        st.caption(":material/auto_fix_high: Edges refined by GrabCut after the model: not its own output.")
    _choice_line(knobs, key, name)


def _choice_line(knobs: KnobValues, key: str, name: str) -> None:
    """Who has chosen the framed mask, and a way to let the model choose again."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if knobs.get(name) is None:
            st.caption("Framed: highest predicted IoU among masks 1 to 3. Press a label to choose another.")
            return
        st.caption("Framed: your choice.")
        st.button(
            "Choose by predicted IoU",
            key=f"mask_auto_{key}",
            type="tertiary",
            icon=":material/auto_mode:",
            on_click=lambda: knobs.set({name: None}),
        )
