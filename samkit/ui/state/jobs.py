"""The queues of this server: whose turn it is among the long runs of all visitors. And the one such run that a visitor
has on a page.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import streamlit as st

from samkit.experiments.inputs import Inputs
from samkit.experiments.params import build_params
from samkit.experiments.registry import find_experiment
from samkit.ui.state.labs import page_lab
from samkit.ui.state.visitors import visitor_id
from samkit.work.queue import BackgroundJob, JobQueue, SteppedRun
from samkit.work.spec import RunSpec

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


class JobHolder(Generic[RunT]):
    """Holds a visitor's long run on one page. job: None where there is none."""

    job: BackgroundJob[RunT] | None = None

    def start(
        self,
        run_class: Callable[..., RunT],
        spec: RunSpec,
        model: "SamModel",
        inputs: Inputs,
        preparing: str,
    ) -> None:
        """Put what the spec says into the queue, in place of a run before.

        run_class: makes the run of model, inputs, params and a lab; model, inputs: those that the spec refers to;
        preparing: what is being done meanwhile, for a person
        """
        self.drop_run()
        visitor = visitor_id()

        def make() -> RunT:
            params: Any = build_params(find_experiment(spec.experiment).Params, spec.params)
            return run_class(model, inputs, params, page_lab(model, inputs, visitor=visitor))

        self.job = BackgroundJob(spec, make, job_queue(), preparing, partial(page_lab, model, inputs, visitor=visitor))

    def drop_run(self) -> None:
        if self.job is not None:
            self.job.pause()
        self.job = None
