"""Home: what this is, the experiments as cards, and the state of model, store and cache. It is read from files and
counters, so that neither torch nor mlflow is loaded for it.
"""

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from samkit.experiments.registry import ENTRIES, Entry
from samkit.models.files.catalogue import catalogue
from samkit.settings import tracking_uri
from samkit.ui.controls.model_names import model_line, model_name
from samkit.ui.controls.owner_door import about_server
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.state.labs import encoding_memory
from samkit.ui.state.page_links import RUNS_PAGE, SWEEPS_PAGE, page_card, page_file, page_icon
from samkit.ui.state.workspace import workspace
from samkit.words import format_bytes

CARDS_IN_A_ROW = 4


@dataclass(frozen=True)
class Card:
    """A page and what it is for."""

    title: str
    question: str
    text: str
    page: str
    icon: str
    picture: Path

    @classmethod
    def of(cls, entry: Entry) -> "Card":
        text = f"{entry.summary} {entry.families}."
        return cls(entry.title, entry.question, text, page_file(entry), page_icon(entry), page_card(entry.name))


RUNS = Card(
    "Runs",
    "What changed between two runs?",
    "Find the runs you kept, compare their masks and numbers, open them again, replay them to the pixel.",
    RUNS_PAGE,
    ":material/history:",
    page_card("runs"),
)
SWEEPS = Card(
    "Sweeps",
    "Which value, model or prompt is best, and by how much?",
    "Run an experiment over many values, pictures and models, and chart what came out, with intervals.",
    SWEEPS_PAGE,
    ":material/stacked_line_chart:",
    page_card("sweeps"),
)


def home_page() -> None:
    st.title("SAM workbench", anchor=False)
    st.markdown(
        "Look inside Segment Anything models: prompt a picture, turn one knob of the model, and see what it does to "
        "the mask. Keep the run, compare it with others later, and replay it to the pixel."
    )
    cards = [Card.of(entry) for entry in ENTRIES]
    for start in range(0, len(cards), CARDS_IN_A_ROW):
        with st.container(key=f"row_cards_{start}"):
            columns = st.columns(CARDS_IN_A_ROW, gap="small")
        for card, column in zip(cards[start : start + CARDS_IN_A_ROW], columns, strict=False):
            with column, st.container(border=True, height="stretch", gap="xsmall"):
                _draw_picture(card)
                _draw_text(card)
    with st.container(key="row_cards_kept"):
        halves = st.columns(2, gap="small")
    for card, column in zip((RUNS, SWEEPS), halves, strict=True):
        with column, st.container(border=True, height="stretch"):
            picture, text = st.columns([2, 3], gap="small", vertical_alignment="center")
            with picture:
                _draw_picture(card)
            with text.container(gap="xsmall"):
                _draw_text(card)
    st.space("small")
    _state_row()
    about_server()


def _draw_picture(card: Card) -> None:
    st.image(card.picture, width="stretch", alt=f"A picture of {card.title}")


def _draw_text(card: Card) -> None:
    st.page_link(card.page, label=f"**{card.title}**", icon=card.icon)
    st.markdown(f"*{card.question}*")
    st.caption(card.text)


def _state_row() -> None:
    """Model, run store and cache side by side."""
    with st.container(key="row_state"):
        model, store, cache = st.columns(3, gap="medium")
    with model, st.container(border=True, height="stretch"):
        ref, entries = workspace().model_ref, catalogue()
        ready = sum(entry.on_disk for entry in entries)
        st.markdown(f":material/deployed_code: Model: **{plain_text(model_name(ref))}**")
        st.caption(
            f"{plain_text(model_line(ref))}. {ready} of {len(entries)} known models are on this machine; change it "
            "on any experiment's page."
        )
    with store, st.container(border=True, height="stretch"):
        scheme = tracking_uri().split(":", 1)[0]
        place = "SQLite, beside the app" if scheme == "sqlite" else scheme[:40]
        st.markdown(f":material/database: Run store: **{plain_text(place)}**")
        st.caption("Runs you keep are MLflow runs: parameters, metrics, prompts and masks.")
        st.page_link(RUNS_PAGE, label="See them, compare and replay them", icon=":material/history:")
    with cache, st.container(border=True, height="stretch"):
        state = encoding_memory().state()
        st.markdown(f":material/memory: Encodings kept: **{state.entries}**")
        st.caption(
            f"{format_bytes(state.used)} of {format_bytes(state.limit)}; knobs that need no new encoding reuse these."
        )
