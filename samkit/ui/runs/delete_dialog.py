"""Runs are deleted only after a question that says how many, and which."""

from collections.abc import Mapping

import streamlit as st

from samkit.tracking.store.edit import delete_run, read_run
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.runs.state import present_store, runs_table
from samkit.ui.state.public import check_may_change

NAMED = 6


def runs_text(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def ask_to_delete(names: Mapping[str, str]) -> None:
    """names: run id -> name."""
    st.dialog(f"Delete {runs_text(len(names))}?", width="small")(_question)(dict(names))


def _question(names: dict[str, str]) -> None:
    lines = [f"- {plain_text(name)}" for name in list(names.values())[:NAMED]]
    if len(names) > NAMED:
        lines.append(f"- and {len(names) - NAMED} more")
    st.markdown("\n".join(lines))
    st.caption("They leave all lists, and come back by Restore: Filters, “Deleted runs instead”.")
    with st.container(horizontal=True):
        sure = st.button(
            f"Delete {runs_text(len(names))}", icon=":material/delete:", type="primary", key="confirm_delete"
        )
        cancelled = st.button("Cancel", key="cancel_delete")
    if cancelled:
        st.rerun()
    if sure:
        with sentences():
            store, table = present_store(), runs_table()
            for run_id in names:
                check_may_change(read_run(store, run_id).tags)
                delete_run(store, run_id)
                table.chosen.pop(run_id, None)
            table.redraw()
            st.toast(f"Deleted {runs_text(len(names))}.", icon=":material/delete:")
            st.rerun()
