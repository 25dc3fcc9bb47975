"""All four masks of a prediction in a strip, each with what the model thinks of it and how stable it is; the visitor's
choice is framed.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import streamlit as st

from samkit.media.pictures import Picture
from samkit.ui.controls.keys import with_key
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.knobs import Toggle
from samkit.ui.parts import style
from samkit.ui.parts.inline_image import data_url, fit_within, shrink_mask, tinted_png_url
from samkit.ui.parts.picture_view import view_name, view_style

THUMB_WIDTH_PX, THUMB_HEIGHT_PX = 400, 300
MASK_TITLES = tuple(f"Mask {number}" for number in range(1, 5))
"""A person counts the masks from 1, as their keys do; commands and kept runs count from 0."""
MASK_HELP = (
    "The single mask: for unambiguous prompts. Commands and kept runs call it mask 0",
    *(
        "One of three readings of an ambiguous prompt, such as part, whole and group. Commands and kept runs call it "
        f"mask {index}"
        for index in (1, 2, 3)
    ),
)
REFINE_EDGES = Toggle("refine_edges")
"""Drawn after the knobs, before the result it changes is made."""


def masks_panel(
    picture: Picture,
    masks: Sequence[np.ndarray],
    rows: Sequence[Mapping[str, Any]],
    chosen: int,
    knobs: KnobValues,
    *,
    refined: bool,
    name: str = "mask_index",
    strip: str = "",
    color: tuple[int, int, int] = style.MASK_COLOR,
) -> None:
    """
    masks:   four bool [H, W] over the picture
    rows:    four rows with predicted_iou and stability_score, and true_iou where the truth is known
    refined: whether these masks were refined after the model
    name:    the knob that holds the choice, None while the highest predicted IoU decides; another one for a second
             picture's masks
    color:   RGB of the masks
    strip:   page of the canvas whose live masks are drawn here too, as in the keys of its tools
    """
    small = fit_within(picture.rgb, THUMB_WIDTH_PX, THUMB_HEIGHT_PX)
    address = data_url(small, lossless=False)
    first = name == "mask_index"
    key = knobs.page if first else f"{knobs.page}_{name}"
    _choice_line(knobs, key, name, refined)
    grid = st.container(key="masks_grid" if first else f"masks_grid_{name}", gap="xsmall")
    for index, column in enumerate(grid.columns(4, gap="xsmall")):
        with column.container(gap="xxsmall"):
            row = rows[index]
            figures = f"IoU {row['predicted_iou']:.2f}, "
            figures += f"**true IoU {row['true_iou']:.2f}**, " if "true_iou" in row else ""
            figures += f"stability {row['stability_score']:.2f}"
            origin = "edges refined" if refined else "as the model gave it"
            title = f"{MASK_TITLES[index]} over the picture, {origin}: predicted {figures.replace('*', '')}"
            mask = tinted_png_url(shrink_mask(masks[index], small.shape[:2]), color, 0.5)
            view = view_style(view_name(picture), small.shape[1], small.shape[0])
            st.html(
                f'<div class="samkit-view samkit-mask{" chosen" if index == chosen else ""}" '
                f'data-view="{view_name(picture)}" data-mask-button="{key}_{index}" style="{view}">'
                f'<img alt="" src="{address}"><img alt="{escape(title)}" src="{mask}" data-mask-of="{escape(strip)}" '
                f'data-mask="{index}"></div>'
            )
            icon = "radio_button_checked" if index == chosen else "radio_button_unchecked"
            st.button(
                f"**{index + 1}** · {figures}",
                key=f"mask_button_{key}_{index}",
                icon=f":material/{icon}:",
                type="tertiary",
                width="stretch",
                help=with_key(MASK_HELP[index], f"mask_{index}") if first else MASK_HELP[index],
                on_click=lambda index=index: knobs.set({name: index}),
            )


def _choice_line(knobs: KnobValues, key: str, name: str, refined: bool) -> None:
    """Who has chosen the framed mask, and a way to let the model choose again; always of one height."""
    own = knobs.get(name) is not None
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"mask_choice_{key}"):
        text = "Masks · framed: your choice" if own else "Masks · framed: highest predicted IoU among 2 to 4"
        if refined:
            text += " · :material/auto_fix_high: edges refined by GrabCut after the model: not its own output"
        st.caption(text, width="content")
        if own:
            st.button(
                "Choose by predicted IoU",
                key=f"mask_auto_{key}",
                type="tertiary",
                icon=":material/auto_mode:",
                on_click=lambda: knobs.set({name: None}),
            )
