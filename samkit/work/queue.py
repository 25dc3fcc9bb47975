"""Long work in the background, such as segmenting a film: a visitor may leave the page and come back, and other
visitors' pages stay quick meanwhile.
"""

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import contextmanager, suppress
from typing import Protocol

import streamlit as st

from samkit.errors import SamkitError

_log = logging.getLogger(__name__)

AT_ONCE = max(1, (os.cpu_count() or 2) // 4)
"""Jobs of all visitors together that run at a time; others wait for their turn."""
NICE = 10
"""How far below everything else a job's thread stands in line for the processor."""

WAITING, RUNNING, PAUSED, WRITING, DONE, FAILED = "waiting", "running", "paused", "writing", "done", "failed"


_working: "weakref.WeakKeyDictionary[threading.Thread, threading.Event]" = weakref.WeakKeyDictionary()


@atexit.register
def stop_all(patience_s: float = 10.0) -> None:
    """Let every job end after its present step. A thread that the interpreter ends inside torch takes the process down
    with it.
    """
    for wish in list(_working.values()):
        wish.set()
    for thread in list(_working):
        thread.join(patience_s)


class SteppedRun(Protocol):
    """Work that can be stopped after each step, and gone on with later. done: steps made; line: what is being done, for
    a person.
    """

    done: int
    finished: bool
    line: str

    def steps(self): ...

    def result(self, progress): ...


class BackgroundJob:
    """One run of one visitor. `make` builds the `SteppedRun`, which may itself take a while: for a film it records the
    memories.

    preparing: what is being done while it is built, for a person
    state:  one of the six above; run: None before it is built; line: what is being done, for a person
    result: of the whole run, or of the part to which it was finished; error: a sentence, where it failed
    """

    def __init__(
        self, make: Callable[[], SteppedRun], slots: threading.Semaphore, preparing: str = "Recording the memories"
    ):
        self._inner = _Inner(make, slots, preparing)
        # A visitor who is gone leaves nobody to see the result: it stops when the session forgets this handle.
        weakref.finalize(self, self._inner.wish.set)
        self.resume()

    @property
    def state(self) -> str:
        return self._inner.state

    @property
    def run(self):
        return self._inner.run

    @property
    def result(self):
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

    def pause(self) -> None:
        """Stop after the present step; `resume` goes on with the next one."""
        self._inner.wish.set()

    def resume(self) -> None:
        if not self._inner.busy:
            self._inner.start(finish=False)

    def finish_here(self) -> None:
        """Make the result of what was done up to now. For a paused run."""
        if not self._inner.busy:
            self._inner.start(finish=True)


class _Inner:
    """What the thread holds on to; it knows nothing of the session's handle."""

    def __init__(self, make: Callable[[], SteppedRun], slots: threading.Semaphore, preparing: str):
        self.make, self.slots, self.preparing = make, slots, preparing
        self.state, self.run, self.result, self.error, self.line = WAITING, None, None, "", ""
        self.wish = threading.Event()
        self.busy = False

    def start(self, finish: bool) -> None:
        self.busy = True
        self.wish.clear()
        self.state, self.line = WAITING, "Waiting for another run to end"
        thread = threading.Thread(target=self._work, args=(finish,), name="background-job", daemon=True)
        thread.start()
        _working[thread] = self.wish

    def _work(self, finish: bool) -> None:
        try:
            with _turn(self.slots, self.wish) as got_it:
                if not got_it:
                    self.state = PAUSED
                    return
                _step_back()
                self._advance(finish)
        except SamkitError as error:
            self.error, self.state = str(error), FAILED
        except Exception as error:
            _log.exception("unexpected error in a background job")
            self.error = (
                f"Something went wrong inside the app ({type(error).__name__}); the server's log has the details. What "
                "was done is kept."
            )
            self.state = FAILED
        finally:
            self.busy = False

    def _advance(self, finish: bool) -> None:
        self.state = RUNNING
        if self.run is None:
            self.line = self.preparing
            self.run = self.make()
        self.line = self.run.line
        if not finish:
            for _ in self.run.steps():
                self.line = self.run.line
                if self.wish.is_set():
                    break
            if not self.run.finished:
                self.state = PAUSED
                return
        self.state = WRITING
        self.result = self.run.result(lambda share, line: setattr(self, "line", line))
        self.state = DONE


@contextmanager
def _turn(slots: threading.Semaphore, wish: threading.Event):
    """True with a slot held; False if the wish to stop came first."""
    while not slots.acquire(timeout=0.2):
        if wish.is_set():
            yield False
            return
    try:
        yield True
    finally:
        slots.release()


def _step_back() -> None:
    """Leave a core to other visitors, and let their clicks go first: on Linux a thread has a priority of its own."""
    import torch

    from samkit.models.threads import set_own_threads

    with suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
    set_own_threads(max(1, torch.get_num_threads() - 1))


@st.cache_resource(show_spinner=False)
def job_slots() -> threading.Semaphore:
    """The one set of turns of this server."""
    return threading.Semaphore(AT_ONCE)
