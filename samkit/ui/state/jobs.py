"""The one queue of this server: whose turn it is among the long runs of all visitors."""

from collections.abc import Callable

import streamlit as st

from samkit.work.queue import BackgroundJob, JobQueue, SteppedRun


@st.cache_resource(show_spinner=False)
def job_queue() -> JobQueue:
    return JobQueue()


def start_job(make: Callable[[], SteppedRun], preparing: str) -> BackgroundJob:
    """Put a run into the queue. preparing: what is being done while `make` builds it, for a person."""
    return BackgroundJob(make, job_queue(), preparing)
