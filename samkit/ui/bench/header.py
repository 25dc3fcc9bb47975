"""The top of every experiment page: title, the question it answers, and what to know before turning a knob."""

from collections.abc import Callable

import streamlit as st

from samkit.ui.bench.page import ExperimentPage


def page_header(page: ExperimentPage, try_it: Callable[[], None]) -> None:
    """Title, question, and the About popover with a good first try."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        with st.container(width="content"):
            st.title(page.entry.title, anchor=False)
            st.html(f'<div class="samkit-question">{page.entry.question}</div>')
        about_place = st.popover("About", icon=":material/info:")
    about = page.about
    with about_place:
        st.markdown(f"{about.idea}\n\n**What to look for**\n\n{about.look_for}\n\n{about.paper}")
        st.button(about.try_label, icon=":material/play_arrow:", on_click=try_it, key=f"try_{page.name}")
