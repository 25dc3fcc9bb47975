"""The Runs page: the list of kept runs, one run (`?show=ID`), or several side by side (`?compare=ID,ID`)."""

import streamlit as st

from samkit.ui.compare_tables import CSS as TABLE_CSS
from samkit.ui.compare_view import compare_view
from samkit.ui.edge import sentences
from samkit.ui.run_view import run_view
from samkit.ui.runs_list import list_view
from samkit.ui.runs_state import present_store
from samkit.ui.runs_transfer import import_panel, spool_panel
from samkit.ui.store_state import store_panel

_CSS = """
.samkit-run-thumb {display: block; width: 100%; max-width: 160px; height: 84px; object-fit: contain; border-radius: 4px;}
.samkit-run-thumb.none {line-height: 84px; text-align: center; font-size: .8rem; opacity: .7; background: rgba(128,128,128,.12);}
.samkit-run-metrics {display: flex; flex-wrap: wrap; gap: .1rem 1rem; font-size: .84rem; font-variant-numeric: tabular-nums;}
.samkit-run-metrics span {min-width: 8.5rem;}
[class*="st-key-run_row_"] {padding: .35rem .7rem;}
[class*="st-key-run_row_"] [data-testid="stPageLink"] a {padding-left: 0;}
.st-key-runs_rows {min-height: 30rem;}
@media (max-width: 900px) {
  [class*="st-key-run_row_"] > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"] {flex-wrap: nowrap;}
  [class*="st-key-run_row_"] [data-testid="stColumn"] {min-width: 0;}
}
"""


def runs_page() -> None:
    st.html(f"<style>{_CSS}{TABLE_CSS}</style>")
    with sentences():
        _sidebar()
    shown, compared = st.query_params.get("show"), st.query_params.get("compare")
    with sentences():
        if shown:
            run_view(shown)
        elif compared:
            compare_view([run_id for run_id in compared.split(",") if run_id])
        else:
            _list()


def _list() -> None:
    st.title("Runs", anchor=False)
    st.html('<div class="samkit-question">What was kept, and what came out?</div>')
    list_view()


def _sidebar() -> None:
    with st.sidebar:
        store_panel()
        _mlflow(present_store())
        st.divider()
        if st.button("Import runs", icon=":material/unarchive:", width="stretch", key="open_import"):
            _import_dialog()
        if st.button("Runs that wait", icon=":material/outbox:", width="stretch", key="open_spool", help="What waits for the store, and why"):
            _spool_dialog()


def _mlflow(store) -> None:
    if store.is_http:
        st.link_button("Open MLflow", store.server_url, icon=":material/open_in_new:", width="stretch")
        return
    with st.popover("Open MLflow", icon=":material/open_in_new:", width="stretch"):
        st.caption("Start MLflow's own pages with this command, then open http://127.0.0.1:5000")
        st.code(store.ui_command(), language="bash", wrap_lines=True)


@st.dialog("Import runs", width="large")
def _import_dialog() -> None:
    with sentences():
        import_panel()


@st.dialog("Runs that wait for the store", width="large")
def _spool_dialog() -> None:
    with sentences():
        spool_panel()
