"""Long work in the background, such as segmenting a film: whoever asked for it may go away and come back, and what
others ask for stays quick meanwhile.
"""

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from samkit.errors import SamkitError
from samkit.experiments.inputs import Inputs
from samkit.experiments.lab import LabLike, Progress
from samkit.work.spec import RunSpec

if TYPE_CHECKING:
    from samkit.models.sam import SamModel

_log = logging.getLogger(__name__)

AT_ONCE = max(1, (os.cpu_count() or 2) // 4)
"""Jobs of one queue that run at a time; others wait for their turn."""
NICE = 10
"""How far below everything else a job's thread stands in line for the processor."""

State = Literal["waiting", "running", "paused", "writing", "done", "failed"]
WAITING: State = "waiting"
RUNNING: State = "running"
PAUSED: State = "paused"
WRITING: State = "writing"
DONE: State = "done"
FAILED: State = "failed"

_working: "weakref.WeakKeyDictionary[threading.Thread, threading.Event]" = weakref.WeakKeyDictionary()
"""Threads of all jobs -> what asks them to stop."""


@atexit.register
def stop_all(patience_s: float = 10.0) -> None:
    """Let every job end after its present step. A thread that the interpreter ends inside torch takes the process down
    with it.
    """
    for stop in list(_working.values()):
        stop.set()
    for thread in list(_working):
        thread.join(patience_s)


class SteppedRun(Protocol):
    """Work that can be stopped after each step, and gone on with later.

    done: steps that count made so far, of `total`; line: what is being done, for a person
    """

    model: "SamModel"
    inputs: Inputs

    @property
    def done(self) -> int: ...

    @property
    def total(self) -> int: ...

    @property
    def finished(self) -> bool: ...

    @property
    def line(self) -> str: ...

    def steps(self) -> Iterator[object]: ...

    def result(self, lab: LabLike) -> object: ...


RunT = TypeVar("RunT", bound=SteppedRun)


class JobQueue:
    """So many jobs at a time; the others wait for their turn. at_once: how many."""

    def __init__(self, at_once: int = AT_ONCE):
        self._slots = threading.Semaphore(at_once)

    @contextmanager
    def turn(self, stop: threading.Event) -> Iterator[bool]:
        """True when it is the caller's turn, which lasts until the end of the `with`; False where `stop` was set before
        that.
        """
        while not self._slots.acquire(timeout=0.2):
            if stop.is_set():
                yield False
                return
        try:
            yield True
        finally:
            self._slots.release()


class BackgroundJob(Generic[RunT]):
    """One run that goes on in a thread of its own. It stops when nobody holds this any more.

    spec:   what it was started with
    state:  one of the six above
    run:    None before it is made
    line:   what is being done, for a person
    result: of the whole run, or of the part to which it was finished
    error:  a sentence, where it failed
    """

    def __init__(
        self,
        spec: RunSpec,
        make: Callable[[], RunT],
        queue: JobQueue,
        preparing: str,
        open_lab: Callable[[Progress], LabLike],
    ):
        """make: makes the run in the job's thread; it may take a while. preparing: what is being done meanwhile, for a
        person. open_lab: gives the lab in which the result is made, reporting to the progress it is handed.
        """
        self.spec = spec
        self._inner = _Inner(make, queue, preparing, open_lab)
        # Whoever is gone leaves nobody to see the result: the job stops when its holder is forgotten.
        weakref.finalize(self, self._inner.stop.set)
        self.resume()

    @property
    def state(self) -> State:
        return self._inner.state

    @property
    def run(self) -> RunT | None:
        return self._inner.run

    @property
    def result(self) -> Any:
        return self._inner.result

    @property
    def error(self) -> str:
        return self._inner.error

    @property
    def line(self) -> str:
        return self._inner.line

    @property
    def active(self) -> bool:
        return self.state in (WAITING, RUNNING, WRITING)

    @property
    def stopping(self) -> bool:
        """Whether it was paused, and its present step is not done yet."""
        return self.active and self._inner.stop.is_set()

    def pause(self) -> None:
        """Stop after the present step; `resume` goes on with the next one."""
        self._inner.stop.set()

    def resume(self) -> None:
        self._inner.start(finish=False)

    def finish_here(self) -> None:
        """Make the result of what was done up to this step. For a paused run."""
        self._inner.start(finish=True)


class _Inner(Generic[RunT]):
    """What the thread holds on to; it knows nothing of the job's holder."""

    def __init__(
        self,
        make: Callable[[], RunT],
        queue: JobQueue,
        preparing: str,
        open_lab: Callable[[Progress], LabLike],
    ):
        self.make, self.queue, self.preparing, self.open_lab = make, queue, preparing, open_lab
        self.state: State = WAITING
        self.run: RunT | None = None
        self.result: Any = None
        self.error = self.line = ""
        self.stop = threading.Event()
        self.busy = False
        self._lock = threading.Lock()
        """Held where `state` and `busy` change together: whoever sees a job at rest can start it."""

    def start(self, finish: bool) -> None:
        """Nothing happens while a thread is at work."""
        with self._lock:
            if self.busy:
                return
            self.busy = True
            self.stop.clear()
            self.state, self.line, self.result = WAITING, "Waiting for another run to end", None
        thread = threading.Thread(target=self._work, args=(finish,), name="background-job", daemon=True)
        thread.start()
        _working[thread] = self.stop

    def _work(self, finish: bool) -> None:
        end = FAILED
        try:
            with self.queue.turn(self.stop) as mine:
                if mine:
                    _step_back()
                end = self._advance(finish) if mine else PAUSED
        except SamkitError as error:
            self.error = str(error)
        except Exception as error:
            _log.exception("unexpected error in a background job")
            self.error = (
                f"Something went wrong inside the app ({type(error).__name__}); the server's log has the details. What "
                "was done is kept."
            )
        finally:
            with self._lock:
                self.state, self.busy = end, False

    def _advance(self, finish: bool) -> State:
        """Work until the end or a pause; the state in which the job is then."""
        self.state = RUNNING
        if self.run is None:
            self.line = self.preparing
            self.run = self.make()
        while True:
            self.state, self.line = RUNNING, self.run.line
            if not finish:
                for _ in self.run.steps():
                    self.line = self.run.line
                    if self.stop.is_set():
                        break
                if not self.run.finished:
                    return PAUSED
            self.state = WRITING
            result = self.run.result(self.open_lab(self._report))
            # What was asked for while the result was made is done before that counts.
            if finish or self.run.finished or self.stop.is_set():
                self.result = result
                return DONE

    def _report(self, share: float, line: str) -> None:
        self.line = line


def _step_back() -> None:
    """Leave a core to others, and let their clicks go first: on Linux a thread has a priority of its own."""
    import torch

    from samkit.models.threads import set_own_threads

    with suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
    set_own_threads(max(1, torch.get_num_threads() - 1))
