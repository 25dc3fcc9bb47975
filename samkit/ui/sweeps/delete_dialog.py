"""Sweeps are deleted only after a question that says which."""

from collections.abc import Sequence

import streamlit as st

from samkit.ui.parts.edge import sentences
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.page_links import SWEEPS_PAGE
from samkit.ui.state.sweeps import delete_sweep
from samkit.words import format_bytes
from samkit.work.sweep.results import SweepFolder


def ask_to_delete(sweeps: Sequence[SweepFolder]) -> None:
    count = "this sweep" if len(sweeps) == 1 else f"{len(sweeps)} sweeps"
    st.dialog(f"Delete {count}?", width="small")(_question)(list(sweeps))


def _question(sweeps: list[SweepFolder]) -> None:
    st.markdown("\n".join(f"- {plain_text(each.spec.name or each.id)}" for each in sweeps))
    size = sum(file.stat().st_size for each in sweeps for file in each.path.rglob("*") if file.is_file())
    st.caption(f"Its cells, masks and runs ({format_bytes(size)}) go for good. What was kept in MLflow stays.")
    with st.container(horizontal=True):
        sure = st.button("Delete", icon=":material/delete:", type="primary", key="confirm_delete_sweep")
        cancelled = st.button("Cancel", key="cancel_delete_sweep")
    if cancelled:
        st.rerun()
    if sure:
        with sentences():
            for each in sweeps:
                delete_sweep(each)
            st.switch_page(SWEEPS_PAGE)
