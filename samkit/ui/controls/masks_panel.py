"""All four masks of a prediction, two by two, each with what the model thinks of it and how stable it is; the visitor's
choice is framed.
"""

import numpy as np
import streamlit as st

from samkit.media.drawing import overlay
from samkit.ui.controls.knobs import Knobs
from samkit.ui.parts import style
from samkit.ui.parts.inline_image import fit_within, inline_image

THUMB_WIDTH_PX, THUMB_HEIGHT_PX = 400, 300
MASK_TITLES = ("Single", "Multi 1", "Multi 2", "Multi 3")
MASK_HELP = (
    "Token 0, the mask for prompts that leave no doubt",
    *("One of three readings of an unclear prompt, such as part, whole and group",) * 3,
)


REFINE_HELP = (
    "Cuts all four masks again along the picture's own edges, by OpenCV's GrabCut started from the logits. A step "
    "after the model, not its own output: "
    "predicted IoU, stability and the logits stay the model's."
)


def refine_toggle(knobs: Knobs) -> dict[str, bool]:
    """The parameter `refine_edges` by name. Drawn above the masks, before the result they come from is made."""
    return {"refine_edges": knobs.toggle("Refine edges", "refine_edges", False, help=REFINE_HELP)}


def masks_panel(
    rgb: np.ndarray,
    masks: list[np.ndarray],
    rows: list[dict],
    chosen: int,
    knobs: Knobs,
    page: str,
    name: str = "mask_index",
) -> None:
    """
    rgb:   uint8 [H, W, 3]; masks: four bool [H, W]
    rows:  four dicts with predicted_iou and stability_score
    name:  the knob that holds the choice, None while the highest predicted IoU decides; another one for a second
           picture's masks
    """
    small = fit_within(rgb, THUMB_WIDTH_PX, THUMB_HEIGHT_PX)
    step = (
        np.linspace(0, rgb.shape[0] - 1, small.shape[0]).astype(int),
        np.linspace(0, rgb.shape[1] - 1, small.shape[1]).astype(int),
    )
    first = name == "mask_index"
    own = page if first else f"{page}_{name}"
    grid = st.container(key="masks_grid" if first else f"masks_grid_{name}", gap="xsmall")
    for pair in ((0, 1), (2, 3)):
        for index, column in zip(pair, grid.columns(2, gap="small"), strict=True):
            with column.container(gap="xxsmall"):
                shown = overlay(small, np.ascontiguousarray(masks[index][np.ix_(*step)]), style.MASK_COLOR, alpha=0.5)
                row = rows[index]
                figures = f"IoU {row['predicted_iou']:.2f}, stability {row['stability_score']:.2f}"
                title = (
                    f"Mask {index} over the picture, "
                    f"{'edges refined' if knobs.get('refine_edges') else 'as the model gave it'}: predicted {figures}"
                )
                inline_image(shown, title, "samkit-mask chosen" if index == chosen else "samkit-mask")
                st.button(
                    f"**{MASK_TITLES[index]}** · {figures}",
                    key=f"mask_button_{own}_{index}",
                    icon=":material/radio_button_checked:" if index == chosen else ":material/radio_button_unchecked:",
                    type="tertiary",
                    width="stretch",
                    help=MASK_HELP[index],
                    on_click=lambda index=index: knobs.set({name: index}),
                )
    if knobs.get("refine_edges"):
        st.caption(":material/auto_fix_high: Edges refined by GrabCut after the model: not its own output.")
    with st.container(horizontal=True, vertical_alignment="center"):
        if knobs.get(name) is None:
            st.caption("Framed: the multimask with the highest predicted IoU. Choose another by its label.")
        else:
            st.caption("Framed: your choice.")
            st.button(
                "Let the predicted IoU choose",
                key=f"mask_auto_{own}",
                type="tertiary",
                icon=":material/auto_mode:",
                on_click=lambda: knobs.set({name: None}),
            )
