"""What is seen of an experiment's page while torch and the model are loaded: the places that pictures will have.

The style sheet takes it away where the page is there; nothing else moves by it.
"""

import streamlit as st

from samkit.ui.parts.markdown_text import plain_text

PLACES = '<div class="samkit-skeleton" aria-hidden="true"><div></div><div></div></div>'


def skeleton(title: str) -> None:
    """title: of the page"""
    with st.container(key="skeleton"):
        st.caption(f"Opening {plain_text(title)}…")
        st.html(PLACES)
