"""Home: what this is, the experiments as cards, and the state of model, store and cache. It is read from files and
counters, so that neither torch nor mlflow is loaded for it.
"""

import streamlit as st

from samkit.experiments.registry import ENTRIES, Entry
from samkit.models.files.catalogue import catalogue
from samkit.settings import tracking_uri
from samkit.ui.controls.model_picker import model_line, model_name
from samkit.ui.state.labs import encoding_memory
from samkit.ui.state.page_links import RUNS_PAGE, page_card, page_file, page_icon
from samkit.ui.state.workspace import workspace
from samkit.words import format_bytes

CARDS_IN_A_ROW = 3


def home_page() -> None:
    st.title("SAM workbench", anchor=False)
    st.markdown(
        "Look inside Segment Anything models: prompt a picture, turn one knob of the model, and see what it does to "
        "the mask. Keep the run, compare it with others later, and replay it to the pixel."
    )
    st.space("small")
    for start in range(0, len(ENTRIES), CARDS_IN_A_ROW):
        with st.container(key=f"row_cards_{start}"):
            columns = st.columns(CARDS_IN_A_ROW, gap="medium")
        for entry, column in zip(ENTRIES[start : start + CARDS_IN_A_ROW], columns, strict=False):
            with column, st.container(border=True, height="stretch"):
                _card(entry)
    st.space("small")
    _state_row()


def _card(entry: Entry) -> None:
    st.image(page_card(entry), width="stretch", alt=f"A picture of {entry.title}")
    st.page_link(page_file(entry), label=f"**{entry.title}**", icon=page_icon(entry))
    st.markdown(f"*{entry.question}*")
    st.caption(f"{entry.summary} {entry.families}.")


def _state_row() -> None:
    """Model, run store and cache side by side."""
    with st.container(key="row_state"):
        model, store, cache = st.columns(3, gap="medium")
    with model, st.container(border=True, height="stretch"):
        ref, entries = workspace().model_ref, catalogue()
        ready = sum(entry.on_disk for entry in entries)
        st.markdown(f":material/deployed_code: Model: **{model_name(ref)}**")
        st.caption(
            f"{model_line(ref)}. {ready} of {len(entries)} known models are on this machine; change it on any "
            "experiment's page."
        )
    with store, st.container(border=True, height="stretch"):
        scheme = tracking_uri().split(":", 1)[0]
        st.markdown(f":material/database: Run store: **{'SQLite, beside the app' if scheme == 'sqlite' else scheme}**")
        st.caption("Runs you keep are MLflow runs: parameters, metrics, prompts and masks.")
        st.page_link(RUNS_PAGE, label="See them, compare and replay them", icon=":material/history:")
    with cache, st.container(border=True, height="stretch"):
        state = encoding_memory().state()
        st.markdown(f":material/memory: Encodings kept: **{state.entries}**")
        st.caption(
            f"{format_bytes(state.used)} of {format_bytes(state.limit)}; knobs that need no new encoding reuse these."
        )
