"""The way in: `streamlit run Home.py`. Sets the page up and routes to the files in pages/."""

import streamlit as st

from samkit.ui.experiment_pages import EXPERIMENT_PAGES
from samkit.ui.style import apply_style

st.set_page_config(page_title="SAM workbench", page_icon=":material/frame_inspect:", layout="wide", initial_sidebar_state="auto")
apply_style()

home = st.Page("pages/home.py", title="Home", icon=":material/home:", default=True)
experiments = [st.Page(page.file, title=page.title, icon=page.icon, url_path=page.url_path) for page in EXPERIMENT_PAGES]
st.navigation({"": [home], "Experiments": experiments}).run()
