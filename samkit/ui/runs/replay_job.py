"""A replay in the background: the page goes on meanwhile, and its visitor may cancel it."""

import atexit
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from samkit.experiments.inputs import Inputs
from samkit.experiments.lab import LabLike, Progress
from samkit.tracking.bundle.bundle import Bundle
from samkit.ui.state.jobs import enter_queue, in_queue, job_queue, short_queue
from samkit.ui.state.labs import page_lab
from samkit.ui.state.public import check_side
from samkit.ui.state.visitors import visitor_id
from samkit.work.kept_run import spec_of_bundle
from samkit.work.queue import BackgroundJob
from samkit.work.replay import ReplayOutcome, replay

if TYPE_CHECKING:
    from samkit.models.sam import SamModel
    from samkit.work.lab import Lab

POLL_S = 0.05


class _Watch:
    """What a replay's thread and its holder both see: how much is done, and whether it is cancelled."""

    def __init__(self) -> None:
        self.cancel = threading.Event()
        self._visitor = visitor_id()
        self.share = 0.0
        _watches.add(self)

    def open_lab(self, model: "SamModel", progress: Progress) -> "Lab":
        def report(share: float, line: str) -> None:
            self.share = min(1.0, share)
            progress(share, line)

        return page_lab(model, progress=report, cancelled=self.cancel.is_set, visitor=self._visitor)


_watches: "weakref.WeakSet[_Watch]" = weakref.WeakSet()


@atexit.register
def _cancel_all() -> None:
    """Before the queue waits for its jobs to end."""
    for watch in list(_watches):
        watch.cancel.set()


@dataclass
class _ReplayRun:
    """A replay as the queue takes it: no steps of its own, and a result that takes long."""

    bundle: Bundle
    model: "SamModel"
    inputs: Inputs
    line: str = "Replaying"
    done: int = 0
    total: int = 0
    finished: bool = True

    def steps(self) -> Iterator[object]:
        return iter(())

    def result(self, lab: LabLike) -> ReplayOutcome:
        return replay(self.bundle, model=self.model, progress=lab.report)


class ReplayJob:
    """A run that is being replayed. It ends when it is cancelled, or when nobody holds this any more."""

    def __init__(self, bundle: Bundle, model: "SamModel"):
        """A film waits for its turn among the films of all visitors; any other run takes seconds, and waits for none
        of them.
        """
        self._watch = watch = _Watch()
        inputs = bundle.inputs()
        check_side(bundle.params.get("side"))
        who, limit_s = enter_queue()
        self._job: BackgroundJob[_ReplayRun] = BackgroundJob(
            spec_of_bundle(bundle, inputs),
            lambda: _ReplayRun(bundle, model, inputs),
            job_queue() if bundle.record.video is not None else short_queue(),
            "Reading the run",
            lambda progress: watch.open_lab(model, progress),
            who,
            limit_s,
        )
        in_queue(who, self._job)
        weakref.finalize(self, watch.cancel.set)

    @property
    def active(self) -> bool:
        return self._job.active

    @property
    def share(self) -> float:
        """Of the work that is done, 0..1."""
        return self._watch.share

    @property
    def line(self) -> str:
        """What is being done, for a person."""
        return self._job.line

    @property
    def outcome(self) -> ReplayOutcome | None:
        """None until it is done."""
        return self._job.result

    @property
    def error(self) -> str:
        """A sentence, where it failed."""
        return self._job.error

    def cancel(self) -> None:
        """End it at its next report, or before it has begun."""
        self._watch.cancel.set()
        self._job.pause()

    def wait(self, patience_s: float) -> None:
        """Until it is over, but no longer than that."""
        end = time.monotonic() + patience_s
        while self.active and time.monotonic() < end:
            time.sleep(POLL_S)
