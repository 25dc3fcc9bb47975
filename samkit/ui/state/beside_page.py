"""Slow work for which a page does not stand still: a thread beside the page's own does it. Meanwhile the page is drawn
without what comes of it and its buttons answer; when it is there the page is drawn again.
"""

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import streamlit as st

from samkit.errors import SamkitError
from samkit.experiments.lab import Progress
from samkit.machine import refused_by_machine
from samkit.work.queue import end_before_exit

if TYPE_CHECKING:
    from samkit.work.lab import Lab

T = TypeVar("T")
PATIENCE_S = 0.2
"""For so long a page stands still all the same: what is done by then needs no second drawing."""
_KEY = "samkit.errands"
_log = logging.getLogger(__name__)


class Errand(Generic[T]):
    """One piece of such work. key: says what comes of it; line: what is being done, for a person, as far as it says"""

    def __init__(self, key: str):
        self.key, self.line = key, ""
        self._stop, self._done = threading.Event(), threading.Event()
        self._value: T | None = None
        self._error: Exception | None = None

    def begin(self, make: Callable[[], T]) -> None:
        thread = threading.Thread(target=self._work, args=(make,), name="beside-page", daemon=True)
        thread.start()
        end_before_exit(thread, self._stop)

    def tell(self, share: float, line: str) -> None:
        """A lab's progress."""
        self.line = line

    def call_off(self) -> None:
        """Nobody waits for it any more: it ends at its next report."""
        self._stop.set()

    @property
    def called_off(self) -> bool:
        return self._stop.is_set()

    @property
    def done(self) -> bool:
        return self._done.is_set()

    def wait(self, seconds: float) -> bool:
        """Whether it is done by then."""
        return self._done.wait(seconds)

    @property
    def value(self) -> T:
        """What came of it; raises what ended it otherwise. Only of one that is done."""
        if self._error is not None:
            raise self._error
        assert self._value is not None
        return self._value

    def _work(self, make: Callable[[], T]) -> None:
        try:
            self._value = make()
        except Exception as error:
            self._error = refused_by_machine(error) or error
            if not isinstance(self._error, SamkitError):
                _log.exception("unexpected error beside a page")
        finally:
            self._done.set()


def errand(name: str, key: str, prepare: Callable[[Errand[T]], Callable[[], T]]) -> Errand[T]:
    """This session's work of that name: what is under way or done, where it has that key; else it is begun anew, and
    what was under way under the name before is called off.

    prepare: gives what the thread is to do; called in the page's own thread, which alone knows the session
    """
    errands: dict[str, Errand[T]] = st.session_state.setdefault(_KEY, {})
    there = errands.get(name)
    if there is not None and there.key == key and not there.called_off:
        return there
    call_off(name)
    begun = errands[name] = Errand(key)
    begun.begin(prepare(begun))
    return begun


def call_off(name: str) -> None:
    """What is under way under that name, if anything is, is not waited for any more."""
    there = st.session_state.get(_KEY, {}).pop(name, None)
    if there is not None:
        there.call_off()


def is_waited_for(name: str) -> Errand[Any] | None:
    """What is under way under that name."""
    there: Errand[Any] | None = st.session_state.get(_KEY, {}).get(name)
    return there if there is not None and not there.done else None


def recall_beside(
    name: str,
    lab: "Lab",
    open_lab: "Callable[[Progress, Callable[[], bool]], Lab]",
    step: "Callable[[Lab], tuple[Any, ...]]",
) -> Any | None:
    """What a step gives, as `Lab.recall` has it; None while a thread beside the page makes it.

    lab: the page's; open_lab: another one, which reports to a progress and asks whether it is called off; step: the
    function and its arguments, in a lab
    """
    arguments = step(lab)
    if lab.knows(*arguments):
        call_off(name)
        return lab.recall(*arguments)

    def prepare(begun: Errand[Any]) -> Callable[[], Any]:
        own = open_lab(begun.tell, lambda: begun.called_off)
        return lambda: own.recall(*step(own))

    there = errand(name, lab.key(*arguments), prepare)
    if not there.wait(PATIENCE_S):
        return None
    try:
        return there.value
    except SamkitError:
        call_off(name)  # Whoever does something on the page has it tried again.
        raise
