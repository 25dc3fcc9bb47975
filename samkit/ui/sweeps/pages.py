"""The pages of sweeps: the list, one sweep, and two compared."""

from functools import partial

import streamlit as st

from samkit.ui.parts.edge import sentences
from samkit.ui.parts.nothing_named import nothing_named
from samkit.ui.parts.style import part
from samkit.ui.state.page_links import SWEEPS_PAGE
from samkit.ui.state.public import owner_only
from samkit.ui.sweeps.compare_view import compare_view
from samkit.ui.sweeps.sweep_view import sweep_view
from samkit.ui.sweeps.sweeps_list import list_view

_CSS = part("sweeps.css")


def sweeps_page() -> None:
    """The list."""
    _frame()
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="title_row"):
        st.title("Sweeps", anchor=False, width="content")
        st.html(
            '<div class="samkit-question">One experiment over many pictures, models and values.</div>', width="content"
        )
    with sentences():
        list_view()


def sweep_page() -> None:
    """One, `?id=SWEEP`."""
    _frame()
    sweep_id = st.query_params.get("id")
    with sentences():
        if sweep_id:
            sweep_view(sweep_id)
        else:
            _nothing_named("A sweep", "Open a sweep from the list.")


def compare_page() -> None:
    """Two, `?a=SWEEP&b=SWEEP`."""
    _frame()
    first, second = st.query_params.get("a"), st.query_params.get("b")
    with sentences():
        if first and second:
            compare_view(first, second)
        else:
            _nothing_named("Compare two sweeps", "Choose two sweeps in the list, then press Compare.")


_nothing_named = partial(nothing_named, page=SWEEPS_PAGE, label="All sweeps", icon=":material/stacked_line_chart:")


def _frame() -> None:
    st.html(f"<style>{_CSS}</style>")
    with st.sidebar:
        if not owner_only():
            st.caption("You see the sweeps that you started, and others do not.")
        else:
            st.caption(
                "Sweeps go on when their page is closed. They lie below SAMKIT_HOME, and `python -m samkit sweep list` "
                "shows the same ones."
            )
