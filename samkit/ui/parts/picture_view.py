"""Pictures that are zoomed and moved together: all views of the same thing name it alike (`view.js`)."""

from html import escape

import numpy as np
import streamlit as st

from samkit.media.pictures import Picture
from samkit.ui.parts.inline_image import data_url


def view_name(picture: Picture) -> str:
    """Of a picture and of everything drawn in its proportions: they are zoomed and moved together."""
    return picture.sha256[:12]


def picture_view(rgb: np.ndarray, alt: str, view: str, *, lossless: bool = False, css_class: str = "") -> None:
    """Show uint8 [H, W, 3] as large as its column and the screen allow. view: name of what is on it, the same for all
    its pictures. The room is reserved before the picture arrives, so nothing moves.
    """
    height, width = rgb.shape[:2]
    st.html(
        f'<div class="samkit-view {css_class}" data-view="{view}" style="{view_style(view, width, height)}">'
        f'<img alt="{escape(alt)}" src="{data_url(rgb, lossless)}"></div>'
    )


def view_style(view: str, width: int, height: int) -> str:
    """The proportions of a picture, and where its zoom is found."""
    parts = ("x", "y", "z", "mx", "my", "mo")
    places = ";".join(f"--v{part}:var(--v{view}-{part},{int(part == 'z')})" for part in parts)
    return f"--w:{width};--h:{height};{places}"
