"""The queues of this server: whose turn it is among the runs of all visitors that go on in the background."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import streamlit as st

from samkit.experiments.inputs import Inputs
from samkit.ui.state.labs import page_lab
from samkit.work.queue import BackgroundJob, JobQueue, SteppedRun

if TYPE_CHECKING:
    from samkit.models.sam import SamModel

RunT = TypeVar("RunT", bound=SteppedRun)


@st.cache_resource(show_spinner=False)
def job_queue() -> JobQueue:
    """For films and sweeps, which take minutes."""
    return JobQueue()


@st.cache_resource(show_spinner=False)
def short_queue() -> JobQueue:
    """For what takes seconds, and is not to wait for somebody's film."""
    return JobQueue()


def start_job(make: Callable[[], RunT], model: "SamModel", inputs: Inputs, preparing: str) -> BackgroundJob[RunT]:
    """Put a run into the queue. preparing: what is being done while `make` builds it, for a person."""
    return BackgroundJob(make, job_queue(), preparing, partial(page_lab, model, inputs))
