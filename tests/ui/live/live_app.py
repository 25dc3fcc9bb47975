"""What Home.py is, with a page that is made for tests."""

import streamlit as st

from samkit.ui.live.routes import ROUTES

app = st.App("live_page.py", routes=ROUTES)
