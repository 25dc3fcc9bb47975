"""A sweep is deleted only after a question that says which."""

import streamlit as st

from samkit.ui.parts.edge import sentences
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.page_links import SWEEPS_PAGE
from samkit.ui.state.sweeps import delete_sweep
from samkit.words import format_bytes
from samkit.work.sweep.results import SweepFolder

_ASKED = "samkit.sweep_to_delete"


def delete_button(sweep: SweepFolder, active: bool, key: str, quiet: bool = False) -> None:
    """Opens the question, which is drawn here. active: whether the sweep is under way, and can't be deleted so."""
    st.button(
        "Delete",
        icon=":material/delete:",
        key=key,
        type="tertiary" if quiet else "secondary",
        disabled=active,
        help="Cancel it first" if active else None,
        on_click=_ask,
        args=(sweep.id,),
    )
    # Drawn as long as it is open: a list that is drawn anew while sweeps go on would close it.
    if st.session_state.get(_ASKED) == sweep.id:
        _question(sweep)


def _ask(sweep_id: str | None) -> None:
    st.session_state[_ASKED] = sweep_id


def _dismissed() -> None:
    _ask(None)


@st.dialog("Delete this sweep?", width="small", on_dismiss=_dismissed)
def _question(sweep: SweepFolder) -> None:
    st.markdown(f"**{plain_text(sweep.spec.name or sweep.id)}**")
    size = sum(file.stat().st_size for file in sweep.path.rglob("*") if file.is_file())
    st.caption(f"Its cells, masks and runs ({format_bytes(size)}) go for good. What was kept in MLflow stays.")
    with st.container(horizontal=True):
        sure = st.button("Delete", icon=":material/delete:", type="primary", key="confirm_delete_sweep")
        cancelled = st.button("Cancel", key="cancel_delete_sweep")
    if sure or cancelled:
        _ask(None)
    if sure:
        with sentences():
            delete_sweep(sweep)
            st.toast(f"Deleted **{plain_text(sweep.spec.name or sweep.id)}**", icon=":material/delete:")
            st.switch_page(SWEEPS_PAGE)
    if cancelled:
        st.rerun()
