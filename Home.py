"""SAM workbench: `streamlit run Home.py`."""

import streamlit as st

from samkit.ui.live.guard import MIDDLEWARE
from samkit.ui.live.routes import ROUTES

app = st.App("samkit/ui/script/main.py", routes=ROUTES, middleware=MIDDLEWARE)
