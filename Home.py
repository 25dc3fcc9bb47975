"""The way in: `streamlit run Home.py`."""

from samkit.ui.router import route

route()
