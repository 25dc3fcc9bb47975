"""The state of model, store and cache on Home: read from files and counters, so that nothing heavy is loaded for it."""

import streamlit as st

from samkit.models.files.catalogue import catalogue
from samkit.settings import tracking_uri
from samkit.ui.controls.model_picker import model_line, model_name
from samkit.ui.state.encodings import encoding_cache
from samkit.ui.state.workspace import workspace
from samkit.words import format_bytes


def state_row() -> None:
    """Three figures side by side."""
    with st.container(key="row_state"):
        model, store, cache = st.columns(3, gap="medium")
    with model, st.container(border=True, height="stretch"):
        ready = sum(entry.on_disk for entry in catalogue())
        st.markdown(f":material/deployed_code: Model: **{model_name(workspace().model_ref)}**")
        st.caption(
            f"{model_line(workspace().model_ref)}. {ready} of {len(catalogue())} known models are on this machine; "
            "change it on any experiment's page."
        )
    with store, st.container(border=True, height="stretch"):
        scheme = tracking_uri().split(":", 1)[0]
        st.markdown(f":material/database: Run store: **{'SQLite, beside the app' if scheme == 'sqlite' else scheme}**")
        st.caption("Runs you keep are MLflow runs: parameters, metrics, prompts and masks.")
        st.page_link("pages/runs.py", label="See them, compare and replay them", icon=":material/history:")
    with cache, st.container(border=True, height="stretch"):
        state = encoding_cache().state()
        st.markdown(f":material/memory: Encodings kept: **{state.entries}**")
        st.caption(
            f"{format_bytes(state.used)} of {format_bytes(state.limit)}; a knob that needs no new encoding never "
            "makes one."
        )
