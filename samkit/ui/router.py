"""Page setup and navigation over the files in pages/."""

from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from samkit.experiments.registry import ENTRIES
from samkit.ui.controls.owner_door import owner_door
from samkit.ui.parts.heap import keep_collector_short
from samkit.ui.parts.narrow_sidebar import fold_narrow_sidebar
from samkit.ui.parts.skeleton import skeleton
from samkit.ui.parts.style import apply_style
from samkit.ui.parts.theme_switch import theme_switch
from samkit.ui.parts.toasts import end_toasts_with_page
from samkit.ui.parts.turns import keep_turns_short, page_turn
from samkit.ui.parts.upload_answers import keep_upload_answers
from samkit.ui.state.kept_work import draw_notes, hold_address, keep_work, open_kept_work
from samkit.ui.state.page_links import (
    COMPARE_PAGE,
    COMPARE_SWEEPS_PAGE,
    HOME_PAGE,
    RUN_PAGE,
    RUNS_PAGE,
    SWEEP_PAGE,
    SWEEPS_PAGE,
    page_file,
    page_icon,
)
from samkit.ui.state.store_state import deliver_at_start
from samkit.ui.state.visitors import notice_visitor

ICON = Path(__file__).parent / "parts" / "icon.svg"
"""A symbol's name would be fetched from the web."""
HISTORY = ":material/history:"
SWEPT = ":material/stacked_line_chart:"
ABOUT = "A workbench for looking inside Segment Anything models."
"""Streamlit's menu, whose theme switch is needed, is there only where it has something to say of the app."""


def route() -> None:
    """Set the page up and run the file the visitor asked for, when it is its turn."""
    keep_turns_short()
    keep_upload_answers()
    with page_turn():
        _route()


def _route() -> None:
    st.set_page_config(
        page_title="SAM workbench",
        page_icon=str(ICON),
        layout="wide",
        initial_sidebar_state="auto",
        menu_items={"About": ABOUT},
    )
    apply_style()
    fold_narrow_sidebar()
    end_toasts_with_page()
    deliver_at_start()
    keep_collector_short()
    notice_visitor()
    home, experiments, kept = _pages()
    open_kept_work()
    page = st.navigation({"": [home], "Experiments": experiments, "Kept": kept})
    pages = [home, *experiments, *kept]
    hold_address(page.url_path, on=page in experiments)
    notes = st.container()
    drawn = draw_notes(notes)
    if page in experiments:
        skeleton(page.title)
    try:
        page.run()
        if not drawn:
            draw_notes(notes)
        with st.sidebar:
            owner_door()
            theme_switch([each.url_path for each in pages])
    finally:
        keep_work()


def _pages() -> tuple[StreamlitPage, list[StreamlitPage], list[StreamlitPage]]:
    """(Home, the experiments, what is kept)"""
    home = st.Page(HOME_PAGE, title="Home", icon=":material/home:", default=True)
    experiments = [
        st.Page(page_file(entry), title=entry.title, icon=page_icon(entry), url_path=entry.module_name)
        for entry in ENTRIES
    ]
    # A kept run and a comparison have pages of their own: a link from a page to itself with another query changes
    # nothing that lasts.
    kept = [
        st.Page(RUNS_PAGE, title="Runs", icon=HISTORY, url_path="runs"),
        st.Page(RUN_PAGE, title="A kept run", icon=HISTORY, url_path="kept_run", visibility="hidden"),
        st.Page(
            COMPARE_PAGE,
            title="Compare runs",
            icon=":material/compare_arrows:",
            url_path="compare",
            visibility="hidden",
        ),
        st.Page(SWEEPS_PAGE, title="Sweeps", icon=SWEPT, url_path="sweeps"),
        st.Page(SWEEP_PAGE, title="A sweep", icon=SWEPT, url_path="sweep", visibility="hidden"),
        st.Page(
            COMPARE_SWEEPS_PAGE,
            title="Compare two sweeps",
            icon=":material/compare_arrows:",
            url_path="two_sweeps",
            visibility="hidden",
        ),
    ]
    return home, experiments, kept
