"""The one queue of this server's background jobs."""

import streamlit as st

from samkit.work.queue import JobQueue


@st.cache_resource(show_spinner=False)
def job_queue() -> JobQueue:
    """All visitors' jobs take turns in it."""
    return JobQueue()
