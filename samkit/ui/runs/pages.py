"""The pages of kept runs: the list, one run, and several side by side, with one sidebar."""

from functools import partial

import streamlit as st

from samkit.tracking.store.store import RunStore
from samkit.ui.parts.edge import sentences
from samkit.ui.parts.nothing_named import nothing_named
from samkit.ui.parts.style import part
from samkit.ui.runs.compare_tables import CSS as TABLE_CSS
from samkit.ui.runs.compare_view import compare_view
from samkit.ui.runs.run_view import run_view
from samkit.ui.runs.runs_list import list_view
from samkit.ui.runs.state import present_store
from samkit.ui.runs.transfer import import_panel, spool_panel
from samkit.ui.state.page_links import RUNS_PAGE
from samkit.ui.state.public import owner_only
from samkit.ui.state.store_state import require_store, store_panel

_CSS = part("runs.css")


def runs_page() -> None:
    """The list."""
    _frame()
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="title_row"):
        st.title("Runs", anchor=False, width="content")
        st.html('<div class="samkit-question">What was kept, and what came out?</div>', width="content")
    with sentences():
        require_store(present_store())
        list_view()


def kept_run_page() -> None:
    """One run, `?id=RUN_ID`."""
    _frame()
    run_id = st.query_params.get("id")
    with sentences():
        if run_id:
            require_store(present_store())
            run_view(run_id)
        else:
            _nothing_named("A kept run", "Open a run from the list.")


def compare_page() -> None:
    """Several side by side, `?runs=RUN_ID,RUN_ID`."""
    _frame()
    run_ids = [run_id for run_id in st.query_params.get("runs", "").split(",") if run_id]
    with sentences():
        if run_ids:
            require_store(present_store())
            compare_view(run_ids)
        else:
            _nothing_named("Compare runs", "Choose two runs or more in the list, then press Compare.")


_nothing_named = partial(nothing_named, page=RUNS_PAGE, label="All runs", icon=":material/history:")


def _frame() -> None:
    st.html(f"<style>{_CSS}{TABLE_CSS}</style>")
    with sentences():
        _sidebar()


def _sidebar() -> None:
    with st.sidebar:
        store_panel()
        if not owner_only():
            st.caption("You see the runs that you kept. Whoever has the link to a run can open it.")
            return
        _mlflow(present_store())
        st.divider()
        if st.button("Import runs", icon=":material/unarchive:", width="stretch", key="open_import"):
            _import_dialog()
        if st.button(
            "Runs that wait",
            icon=":material/outbox:",
            width="stretch",
            key="open_spool",
            help="What waits for the store, and why",
        ):
            _spool_dialog()


def _mlflow(store: RunStore) -> None:
    if store.server_url:
        st.link_button("Open MLflow", store.server_url, icon=":material/open_in_new:", width="stretch")
        return
    with st.popover("Open MLflow", icon=":material/open_in_new:", width="stretch"):
        st.caption("Start MLflow's own pages with this command, then open http://127.0.0.1:5000")
        st.code(store.ui_command(), language="bash", wrap_lines=True)


# The list behind the dialog does not know of the runs that came in until it is drawn again.
@st.dialog("Import runs", width="large", on_dismiss="rerun")
def _import_dialog() -> None:
    with sentences():
        import_panel()


@st.dialog("Runs that wait for the store", width="large")
def _spool_dialog() -> None:
    with sentences():
        spool_panel()
