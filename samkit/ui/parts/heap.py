"""Python's garbage collector kept short: Streamlit runs it after every change of a page, and with torch, MLflow and
plotly loaded a run takes 0.1 s and more.

What modules made stays for good, so it is taken out of what the collector looks through.
"""

import gc
import sys
import threading
import time

import streamlit as st

LOOK_EVERY_S = 1.5


@st.cache_resource(show_spinner=False)
def keep_collector_short() -> None:
    """Once per server: whenever modules were loaded and no more are coming, set aside all that lives."""
    threading.Thread(target=_watch, name="heap", daemon=True).start()


def _watch() -> None:
    before = done = 0
    while True:
        time.sleep(LOOK_EVERY_S)
        loaded = len(sys.modules)
        if loaded == before != done:
            set_aside()
            done = loaded
        before = loaded


def set_aside() -> None:
    """Collect what is garbage now, and let later collections pass over the rest."""
    gc.collect()
    gc.freeze()
