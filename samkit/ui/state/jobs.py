"""The queues of this server: whose turn it is among the long runs of all visitors. And the one such run that a visitor
has on a page.
"""

import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import streamlit as st

from samkit.errors import BadInput
from samkit.experiments.inputs import Inputs
from samkit.experiments.params import build_params
from samkit.experiments.registry import find_entry, find_experiment
from samkit.ui.state.labs import page_lab
from samkit.ui.state.public import check_side, owner_name, present_limits
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


class LongWork(Protocol):
    """active: whether it waits or is under way"""

    @property
    def active(self) -> bool: ...


_jobs: "weakref.WeakKeyDictionary[LongWork, str]" = weakref.WeakKeyDictionary()
"""Jobs of all visitors -> whose each is, where that counts."""


def enter_queue() -> tuple[str, float | None]:
    """(for whom the next job is, how many seconds it may take). Raises BadInput where this visitor, or all together,
    have as many in the queue as may be.
    """
    limits = present_limits()
    who = owner_name() if limits.public else ""
    active = [name for job, name in list(_jobs.items()) if job.active]
    if limits.jobs_visitor is not None and active.count(who) >= limits.jobs_visitor:
        raise BadInput(
            f"You have as many long runs waiting or under way as a visitor may have here ({active.count(who)}): wait "
            "until one has ended, or cancel it."
        )
    if limits.jobs_all is not None and len(active) >= limits.jobs_all:
        raise BadInput("As many long runs wait on this server as there is room for: try again in some minutes.")
    return who, limits.job_minutes * 60.0 if limits.job_minutes is not None else None


def in_queue(who: str, job: LongWork) -> None:
    """The job counts as that visitor's."""
    _jobs[job] = who


class JobHolder(Generic[RunT]):
    """Holds a visitor's long run on one page. job: None where there is none.

    refused: why the last one was not taken; asked: whether the visitor wants one and none was started yet
    """

    job: BackgroundJob[RunT] | None = None
    refused: str = ""
    asked: bool = False

    def ask(self) -> None:
        """A run is wanted. It starts when the page has read its knobs: what a button knows is what the page showed, and
        a slider may have moved since.
        """
        self.asked = True

    def was_asked(self) -> bool:
        """Whether a run is to be started; true once."""
        asked, self.asked = self.asked, False
        return asked

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
        self.refused = ""
        try:
            check_side(spec.params.get("side"))
            who, limit_s = enter_queue()
        except BadInput as error:
            self.refused = str(error)
            return
        visitor = visitor_id()

        def make() -> RunT:
            params: Any = build_params(find_experiment(spec.experiment).Params, spec.params)
            return run_class(model, inputs, params, page_lab(model, inputs, visitor=visitor))

        open_lab = partial(page_lab, model, inputs, visitor=visitor)
        what = f"a run of {find_entry(spec.experiment).title}"
        self.job = BackgroundJob(spec, make, job_queue(), preparing, open_lab, who, limit_s, what)
        in_queue(who, self.job)

    def discard(self) -> None:
        """The visitor wants the run no more."""
        self.drop_run()

    def drop_run(self) -> None:
        if self.job is not None:
            self.job.pause()
        self.job = None
