"""Light, dark, or as the visitor's system has it: three small buttons, remembered by the browser."""

from collections.abc import Sequence

import streamlit as st

from samkit.ui.parts.style import part

NAMES = {"System": "As the system", "Light": "Light", "Dark": "Dark"}
"""As Streamlit's own menu calls them -> what the buttons say."""
_DRAWN = {
    "System": "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20m0 18V4a8 8 0 0 1 0 16",
    "Light": "M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10M11 1h2v4h-2zm0 18h2v4h-2zM1 11h4v2H1zm18 0h4v2h-4zM3.5 4.9l1.4-1.4 "
    "2.8 2.8-1.4 1.4zm12.8 12.8 1.4-1.4 2.8 2.8-1.4 1.4zM3.5 19.1l2.8-2.8 1.4 1.4-2.8 2.8zM16.3 6.3l2.8-2.8 1.4 "
    "1.4-2.8 2.8z",
    "Dark": "M12 3a9 9 0 1 0 9 9c0-.5 0-.9-.1-1.4A5.4 5.4 0 0 1 13.4 3.1C12.9 3 12.5 3 12 3",
}
_BUTTONS = "".join(
    f'<button type="button" role="radio" data-theme="{name}" aria-label="{label}" title="{label}">'
    f'<svg viewBox="0 0 24 24" aria-hidden="true"><path d="{_DRAWN[name]}"/></svg></button>'
    for name, label in NAMES.items()
)
_component = st.components.v2.component(
    "samkit_theme_switch",
    html=f'<div class="themes" role="radiogroup" aria-label="Light or dark">{_BUTTONS}</div>',
    css=part("theme_switch.css"),
    js=part("theme_switch.js"),
)


def theme_switch(pages: Sequence[str]) -> None:
    """pages: the ends of all pages' addresses, "" for the first one; each remembers its theme for itself."""
    _component(data={"pages": list(pages)}, key="theme_switch", on_chosen_change=lambda: None)
