"""Long work in the background, such as segmenting a film: whoever asked for it may go away and come back, and what
others ask for stays quick meanwhile.
"""

import atexit
import logging
import os
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from samkit.errors import SamkitError
from samkit.experiments.inputs import Inputs
from samkit.experiments.lab import LabLike, Progress
from samkit.machine import refused_by_machine, stand_back
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
"""Threads that compute in the background -> what asks them to stop."""


@atexit.register
def stop_all(patience_s: float = 10.0) -> None:
    """Let every job end after its present step. A thread that the interpreter ends inside torch takes the process down
    with it.
    """
    for stop in list(_working.values()):
        stop.set()
    for thread in list(_working):
        thread.join(patience_s)


def end_before_exit(thread: threading.Thread, stop: threading.Event) -> None:
    """Wait for that thread too before the interpreter ends. stop: what asks it to"""
    _working[thread] = stop


def anything_at_work() -> bool:
    """Whether anything computes in the background, for anybody, or waits to."""
    return any(thread.is_alive() for thread in list(_working))


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
    """So many jobs at a time; the others wait for their turn, which goes round among those who ask: whoever has put
    many into the queue waits longer for the next one than somebody who has put in one. at_once: how many run at a time
    """

    def __init__(self, at_once: int = AT_ONCE):
        self._at_once = at_once
        self._waiting: list[Ticket] = []
        self._at_work: list[Ticket] = []
        self._served: dict[str, int] = {}
        self._count = 0
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, ticket: "Ticket", stop: threading.Event) -> Iterator[bool]:
        """True when it is the ticket's turn, which lasts until the end of the `with`; False where `stop` was set before
        that.
        """
        with self._changed:
            self._waiting.append(ticket)
            while not (mine := self._free > 0 and self._next() is ticket) and not stop.is_set():
                self._changed.wait(0.2)
            self._waiting.remove(ticket)
            if mine:
                self._at_work.append(ticket)
                self._count += 1
                self._served[ticket.who] = self._count
            self._changed.notify_all()
        if not mine:
            yield False
            return
        try:
            yield True
        finally:
            with self._changed:
                self._at_work.remove(ticket)
                if not self._waiting:
                    self._served.clear()
                self._changed.notify_all()

    def place(self, ticket: "Ticket") -> int | None:
        """How many turns it is until this one's, as things stand; 1 for the next. None for one that doesn't wait."""
        with self._changed:
            if ticket not in self._waiting:
                return None
            waiting, served = self._waiting, dict(self._served)
            try:
                for place in range(1, len(waiting) + 1):
                    following = self._next()
                    if following is ticket:
                        return place
                    self._waiting = [each for each in self._waiting if each is not following]
                    self._served[following.who] = self._count + place
            finally:
                self._waiting, self._served = waiting, served
        return None

    @property
    def at_work(self) -> list[str]:
        """What is under way, as its tickets call it."""
        with self._changed:
            return [ticket.what for ticket in self._at_work]

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    @property
    def _free(self) -> int:
        return self._at_once - len(self._at_work)

    def _next(self) -> "Ticket":
        """Of whoever has the fewest jobs running and was served longest ago; of theirs the first."""
        order = {ticket: number for number, ticket in enumerate(self._waiting)}
        running = Counter(ticket.who for ticket in self._at_work)
        return min(order, key=lambda each: (running[each.who], self._served.get(each.who, 0), order[each]))


@dataclass(eq=False)
class Ticket:
    """A place in a queue. who: for whom; what: the work, for others who wait"""

    who: str
    what: str = "another run"


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
        who: str = "",
        limit_s: float | None = None,
        what: str = "another run",
    ):
        """make: makes the run in the job's thread; it may take a while. preparing: what is being done meanwhile, for a
        person. open_lab: gives the lab in which the result is made, reporting to the progress it is handed. who: for
        whom, as the queue takes it. limit_s: for so many seconds it may work in all; then it is finished where it is.
        what: it is, for others who wait
        """
        self.spec = spec
        self._inner = _Inner(make, queue, preparing, open_lab, Ticket(who, what), limit_s)
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
    def note(self) -> str:
        """A sentence, where it was finished before its end."""
        return self._inner.note

    @property
    def away(self) -> bool:
        """Whether its holder watches no more: then it pauses as soon as another one waits for its turn."""
        return self._inner.away

    @away.setter
    def away(self, away: bool) -> None:
        self._inner.away = away

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
        ticket: "Ticket",
        limit_s: float | None,
    ):
        self.make, self.queue, self.preparing, self.open_lab = make, queue, preparing, open_lab
        self.ticket, self.limit_s, self.worked_s, self.since = ticket, limit_s, 0.0, 0.0
        self.note = ""
        self.state: State = WAITING
        self.run: RunT | None = None
        self.result: Any = None
        self.error = self.line = ""
        self.stop = threading.Event()
        self.busy = self.away = False
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
        end_before_exit(thread, self.stop)

    def _work(self, finish: bool) -> None:
        end = FAILED
        try:
            with self.queue.turn(self.ticket, self.stop) as mine:
                if mine:
                    _step_back()
                self.since = time.monotonic()
                try:
                    end = self._advance(finish) if mine else PAUSED
                finally:
                    self.worked_s += time.monotonic() - self.since
        except SamkitError as error:
            self.error = str(error)
        except Exception as error:
            refused = refused_by_machine(error)
            if refused is None:
                _log.exception("unexpected error in a background job")
            self.error = str(refused or _unexpected(error))
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
                    if self.stop.is_set() or self.over_time or (self.away and self.queue.is_wanted):
                        break
                if not self.run.finished and self.over_time and self.run.done:
                    self.note = f"{self._too_long()} What was done until then is here."
                    finish = True
                elif not self.run.finished:
                    return PAUSED
            self.state = WRITING
            result = self.run.result(self.open_lab(self._report))
            # What was asked for while the result was made is done before that counts.
            if finish or self.run.finished or self.stop.is_set():
                self.result = result
                return DONE

    @property
    def over_time(self) -> bool:
        return self.limit_s is not None and self.worked_s + time.monotonic() - self.since > self.limit_s

    def _too_long(self) -> str:
        return f"This took longer than the {(self.limit_s or 0) / 60:g} minutes that a run may take on this server."

    def _report(self, share: float, line: str) -> None:
        self.line = line
        # Work in steps ends between two of them; any other has nothing to show of a part.
        if self.over_time and self.run is not None and not self.run.total:
            raise SamkitError(self._too_long())


def _unexpected(error: Exception) -> str:
    return (
        f"Something went wrong inside the app ({type(error).__name__}); the server's log has the details. What was "
        "done is kept."
    )


def _step_back() -> None:
    """Leave a core to others, and let their clicks go first."""
    from samkit.models.threads import set_own_threads

    stand_back(NICE)
    set_own_threads(spared=1)
