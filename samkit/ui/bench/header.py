"""The first line of every experiment page: title, the question it answers, and what to know before turning a knob."""

from collections.abc import Callable

import streamlit as st

from samkit.ui.bench.page import ExperimentPage
from samkit.ui.controls.keys import keys

TRIES = "samkit.tries"
"""How often this visitor took a first try."""


def page_header(page: ExperimentPage, try_it: Callable[[], None]) -> None:
    """Title, question, and the About popover with a good first try. What can be done with the run comes into the same
    line later, at the right (`Places.actions`).
    """
    tries = st.session_state.get(TRIES, 0)

    def tried() -> None:
        # Another popover in its place: Streamlit closes none that is open.
        st.session_state[TRIES] = tries + 1
        try_it()

    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="title_row"):
        st.title(page.entry.title, anchor=False, width="content")
        st.html(
            f'<div class="samkit-question" title="{page.entry.question}">{page.entry.question}</div>', width="content"
        )
        about_place = st.popover("About", icon=":material/info:", type="tertiary", key=f"about_{page.name}_{tries}")
        keys(page.name, page.arrows)
    about = page.about
    with about_place:
        st.markdown(f"{about.idea}\n\n**What to look for**\n\n{about.look_for}\n\n{about.paper}")
        st.button(about.try_label, icon=":material/play_arrow:", on_click=tried, key=f"try_{page.name}")
