"""SAM workbench: `streamlit run Home.py`."""

import streamlit as st

app = st.App("samkit/ui/script/main.py")
