"""SAM workbench: `streamlit run Home.py`."""

import streamlit as st

from samkit.ui.live.guard import MIDDLEWARE
from samkit.ui.live.routes import ROUTES
from samkit.ui.script.ready import ready_soon

app = st.App("samkit/ui/script/main.py", routes=ROUTES, middleware=MIDDLEWARE, lifespan=ready_soon)
