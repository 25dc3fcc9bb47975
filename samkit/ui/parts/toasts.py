"""Toasts end with their page."""

import streamlit as st

from samkit.ui.parts.style import part


def end_toasts_with_page() -> None:
    """Call once per run. Takes no room on the page."""
    with st.container(key="toast_script"):
        st.html(f"<script>{part('toasts.js')}</script>", unsafe_allow_javascript=True)
