"""Dialogs that stay open. Streamlit closes one when the page, or the fragment that opened it, runs again: as when a
film behind it is done, or a canvas has just come to the screen.
"""

import streamlit as st

from samkit.ui.state.workspace import Workspace, workspace

_CLOSED = "samkit.dialogs_closed"
"""How often this visitor has closed one."""


def stays_open(work: Workspace, name: str, pressed: bool) -> bool:
    """Whether a dialog is to be drawn in this run: from the press that opened it until it is closed. name: of it, on
    its page.
    """
    if pressed:
        work.dialog = name
    return work.dialog == name


def dismissed() -> None:
    """For a dialog's `on_dismiss`."""
    workspace().dialog = None
    _count()


def close_dialog(work: Workspace) -> None:
    """Close the open dialog, and run the whole page with what was chosen in it."""
    work.dialog = None
    _count()
    st.rerun()


def empty_when_opened(key: str) -> str:
    """The key of a widget in a dialog, another one each time that one is opened: an uploader keeps its file, and would
    take it again, or say again why it was refused.
    """
    return f"{key}_{st.session_state.get(_CLOSED, 0)}"


def _count() -> None:
    st.session_state[_CLOSED] = st.session_state.get(_CLOSED, 0) + 1
