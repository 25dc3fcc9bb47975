"""Two pictures on one place with a line between them that is moved: by mouse, by touch, and by the arrow keys."""

from collections.abc import Sequence
from html import escape

import numpy as np
import streamlit as st

from samkit.ui.parts.inline_image import data_url
from samkit.ui.parts.style import part

CSS = part("swipe.css")
_component = st.components.v2.component("samkit_swipe", html='<div class="place"></div>', css=CSS, js=part("swipe.js"))


def swipe_html(pictures: Sequence[np.ndarray], captions: Sequence[str]) -> str:
    """pictures: left and right, uint8 [H, W, 3] of one size; captions: what each is called"""
    height, width = pictures[0].shape[:2]
    left, right = (escape(caption) for caption in captions)
    sources = [data_url(rgb, lossless=False) for rgb in pictures]
    return (
        f'<div class="samkit-swipe" style="--w: {width}; --h: {height}">'
        f'<img src="{sources[1]}" alt="{right}"><img class="left" src="{sources[0]}" alt="{left}">'
        f'<span class="left">{left}</span><span class="right">{right}</span><i></i>'
        f'<input type="range" min="0" max="100" step="0.5" value="50" aria-label="How much of {left} covers {right}">'
        "</div>"
    )


def swipe(pictures: Sequence[np.ndarray], captions: Sequence[str], key: str) -> None:
    """On the page; as `swipe_html`."""
    _component(key=key, data={"html": swipe_html(pictures, captions)})
