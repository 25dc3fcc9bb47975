"""Page setup and navigation over the files in pages/.

Streamlit has an older way of its own to serve a folder called pages: until the first navigation of a server's life it
runs such a file by itself, without Home.py. A link to a page must work then too, so every page file begins with
`ensure_routed`.
"""

from contextvars import ContextVar
from pathlib import Path

import streamlit as st

from samkit.ui.parts.heap import keep_collector_short
from samkit.ui.parts.style import apply_style
from samkit.ui.state.experiment_pages import EXPERIMENT_PAGES
from samkit.ui.state.store_state import deliver_at_start

ICON = Path(__file__).parent / "parts" / "icon.svg"
"""A symbol's name would be fetched from the web."""

_routed: ContextVar[bool] = ContextVar("routed", default=False)


def route() -> None:
    """Set the page up and run the file the visitor asked for."""
    st.set_page_config(page_title="SAM workbench", page_icon=str(ICON), layout="wide", initial_sidebar_state="auto")
    apply_style()
    deliver_at_start()
    keep_collector_short()
    home = st.Page("pages/home.py", title="Home", icon=":material/home:", default=True)
    experiments = [
        st.Page(page.file, title=page.title, icon=page.icon, url_path=page.url_path) for page in EXPERIMENT_PAGES
    ]
    kept = [
        st.Page("pages/runs.py", title="Runs", icon=":material/history:", url_path="runs"),
        # A page of its own for each: a link from a page to itself with another query changes nothing that lasts.
        st.Page(
            "pages/kept_run.py", title="A kept run", icon=":material/history:", url_path="kept_run", visibility="hidden"
        ),
        st.Page(
            "pages/compare.py",
            title="Compare runs",
            icon=":material/compare_arrows:",
            url_path="compare",
            visibility="hidden",
        ),
    ]
    asked = st.navigation({"": [home], "Experiments": experiments, "Kept": kept})
    token = _routed.set(True)
    try:
        asked.run()
    finally:
        _routed.reset(token)


def ensure_routed() -> None:
    """In a page file: go through the router if Streamlit came here by itself, and then stop."""
    if not _routed.get():
        route()
        st.stop()
