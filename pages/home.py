"""Home: what this is, the experiments as cards, and the state of model, store and cache. Loads neither torch nor
mlflow.
"""

import streamlit as st

from samkit.ui.home import state_row
from samkit.ui.router import ensure_routed
from samkit.ui.state.experiment_pages import EXPERIMENT_PAGES

ensure_routed()
st.title("SAM workbench", anchor=False)
st.markdown(
    "Look inside Segment Anything models: prompt a picture, turn one knob of the model, and see what it does to "
    "the mask. "
    "Keep the run, compare it with others later, and replay it to the pixel."
)
st.space("small")
for start in range(0, len(EXPERIMENT_PAGES), 3):
    with st.container(key=f"row_cards_{start}"):
        columns = st.columns(3, gap="medium")
    for page, column in zip(EXPERIMENT_PAGES[start : start + 3], columns, strict=False):
        with column, st.container(border=True, height="stretch"):
            st.image(page.card, width="stretch", alt=f"A picture of {page.title}")
            st.page_link(page.file, label=f"**{page.title}**", icon=page.icon)
            st.markdown(f"*{page.question}*")
            st.caption(f"{page.summary} {page.families}.")
st.space("small")
state_row()
