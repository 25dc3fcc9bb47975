"""How the server's threads take turns: at Python's lock, at making pages, and clicks before pages."""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

LOCK_S = 0.0005
"""By default a thread may keep Python's lock for ten times as long. A decode gives it up and takes it back in each of
some hundred steps, and would wait so long at each of them while other visitors' pages are being made: with three of
them 6 s in place of 0.4 s, on two cores.
"""
PAGES_AT_ONCE = max(1, (os.cpu_count() or 1) // 2)
"""More pages at a time are made no sooner, as only one thread computes in Python; but each of them asks for Python's
lock and for Streamlit's, and so do clicks, which then wait for all of them.
"""
PAGE_TURN_S = 0.3
"""Most pages that change are made within this time."""


CLICK_S, CLICKS_S = 0.03, 0.3
"""How long a page waits for clicks at a time, and in all: it is made also where somebody clicks all the time."""


def keep_turns_short() -> None:
    sys.setswitchinterval(LOCK_S)


class Turns:
    """So many threads at a time, in the order in which they came. A turn is over with its `with` block, or after
    `lasts_s` seconds although its thread goes on: nobody waits until somebody else's encoding is done.
    """

    def __init__(self, at_once: int, lasts_s: float, clock: Callable[[], float] = time.monotonic):
        self._at_once, self._lasts_s, self._clock = at_once, lasts_s, clock
        self._begun: dict[int, float] = {}
        """Thread -> when its turn began."""
        self._waiting: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A turn of this thread; within one of its own it simply goes on."""
        who = threading.get_ident()
        if who in self._begun:
            yield
            return
        self._wait(who)
        try:
            yield
        finally:
            with self._lock:
                del self._begun[who]
                self._call_next()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def under_way(self) -> bool:
        """Whether anybody has a turn, or goes on after it."""
        return bool(self._begun)

    def _wait(self, who: int) -> None:
        called, left = threading.Event(), None
        with self._lock:
            self._waiting.append(called)
            self._call_next()
        while True:
            # Only the first in line looks whether there is room, so that a turn that ends wakes one thread alone.
            called.wait(left)
            with self._lock:
                called.clear()
                left = self._until_free()
                if left <= 0:
                    self._waiting.popleft()
                    self._begun[who] = self._clock()
                    self._call_next()
                    return

    def _until_free(self) -> float:
        """Seconds until there is room at the latest; 0 where there is."""
        now = self._clock()
        ends = sorted(end for begun in self._begun.values() if (end := begun + self._lasts_s) > now)
        return ends[-self._at_once] - now if len(ends) >= self._at_once else 0.0

    def _call_next(self) -> None:
        if self._waiting:
            self._waiting[0].set()


class Clicks:
    """Clicks that are being answered. A page that is being made computes in Python meanwhile, and a click would wait
    for it at each step: on two busy cores 36 ms in place of 72 ms for nine of ten.
    """

    def __init__(self) -> None:
        self._under_way = 0
        self._lock = threading.Lock()
        self._none = threading.Event()
        self._own = threading.local()

    @contextmanager
    def one(self) -> Iterator[None]:
        with self._lock:
            self._under_way += 1
            self._none.clear()
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
                if not self._under_way:
                    self._none.set()

    def begin_page(self) -> None:
        """This thread may be held up for `CLICKS_S` from now on."""
        self._own.left = CLICKS_S

    def go_first(self) -> None:
        """Wait until no click is under way, as long as this thread may be held up."""
        left = getattr(self._own, "left", CLICK_S)
        if not self._under_way or left <= 0:
            return
        begun = time.monotonic()
        self._none.wait(min(left, CLICK_S))
        if hasattr(self._own, "left"):
            self._own.left = left - (time.monotonic() - begun)


_pages = Turns(PAGES_AT_ONCE, PAGE_TURN_S)
clicks = Clicks()


@contextmanager
def page_turn() -> Iterator[None]:
    """For a script that makes a page or a large part of one."""
    _let_clicks_go_first()
    with _pages.turn():
        clicks.begin_page()
        yield


def pages_under_way() -> bool:
    """Whether anybody's page is being made."""
    return _pages.under_way


@lru_cache
def _let_clicks_go_first() -> None:
    """At each element of a page: what lies between two of them is short. Streamlit offers no place for it, so where
    this version has none of that name pages don't wait.
    """
    with suppress(ImportError, AttributeError):
        from streamlit.runtime.scriptrunner_utils.script_run_context import ScriptRunContext

        enqueue = ScriptRunContext.enqueue

        def enqueue_after_clicks(context: ScriptRunContext, message: Any) -> None:
            clicks.go_first()
            enqueue(context, message)

        ScriptRunContext.enqueue = enqueue_after_clicks  # type: ignore[assignment, method-assign]
