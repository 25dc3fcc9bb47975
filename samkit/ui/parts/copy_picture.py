"""A picture to the clipboard of the visitor."""

import base64
from collections.abc import Callable

import streamlit as st

from samkit.ui.parts.style import part

LABEL = "Copy picture"
COPIED = "Copied: paste it anywhere."
MAKING = "Making the picture"
FORBIDDEN = (
    "Your browser lets this page copy no pictures. It allows that on localhost and over https, once you agree; or take "
    "the picture as a file."
)
_SYMBOL = (
    '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M16 1H4a2 2 0 0 0-2 2v14h2V3h12zm3 4H8a2 2 0 0 0-2 2v14a2 2 '
    '0 0 0 2 2h11a2 2 0 0 0 2-2V7a2 2 0 0 0-2-2m0 16H8V7h11z"/></svg>'
)
_component = st.components.v2.component(
    "samkit_copy_picture",
    html=f'<button type="button">{_SYMBOL}<span></span></button><p role="status"></p>',
    css=part("copy_picture.css"),
    js=part("copy_picture.js"),
)


def copy_picture(key: str, make: Callable[[], bytes], label: str = LABEL) -> None:
    """A button that copies the picture, a PNG file, which `make` makes when it is pressed."""
    asked = st.session_state.get(key, {}).get("asked")
    data = {"label": label, "forbidden": FORBIDDEN, "making": MAKING, "copied": COPIED, "answer": asked}
    if asked:
        data["png"] = base64.b64encode(make()).decode()
    _component(data=data, key=key, on_asked_change=lambda: None)
