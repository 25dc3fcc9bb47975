"""The few rules of look that the theme can't express. Colours come from the theme's own variables, so light and dark
both hold.
"""

from pathlib import Path

import streamlit as st

FOREGROUND = "#1aa260"
BACKGROUND = "#d9372c"
BOX = "#2f7de1"
MASK_COLOR = (22, 160, 170)
"""RGB of the mask drawn over a picture; prompts keep the three colours above, in hex."""
ACCENTS = {"light": "#0b6e75", "dark": "#3fb8bd"}
"""The theme's primary colours, which it gives to no style sheet but its own."""


def part(name: str) -> str:
    """The text of a script, style sheet or piece of a page in this folder."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


_CSS = part("style.css") + part("home.css")


def apply_style() -> None:
    """Put the rules on the page; call once per run."""
    st.html(
        f"<style>{_CSS}</style><style>:root {{--samkit-accent: {ACCENTS['dark' if is_dark() else 'light']}}}</style>"
    )


def is_dark() -> bool:
    """Whether the visitor sees the dark theme."""
    return st.context.theme.type == "dark"
