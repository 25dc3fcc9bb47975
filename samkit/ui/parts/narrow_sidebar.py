"""In a narrow window the sidebar is folded at first."""

import streamlit as st

from samkit.ui.parts.style import part


def fold_narrow_sidebar() -> None:
    """Call once per run. Takes no room on the page."""
    with st.container(key="sidebar_script"):
        st.html(f"<script>{part('narrow_sidebar.js')}</script>", unsafe_allow_javascript=True)
