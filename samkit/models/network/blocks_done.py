"""Whoever waits for an encoder can hear of each block that is done; and end it there, by raising."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_waiting = threading.local()
"""Of each thread its own: visitors encode at the same time."""


@contextmanager
def after_each_block(told: Callable[[], None]) -> Iterator[None]:
    """Have `told` called after each block of an encoder that this thread runs."""
    before = getattr(_waiting, "told", None)
    _waiting.told = told
    try:
        yield
    finally:
        _waiting.told = before


def block_done() -> None:
    told = getattr(_waiting, "told", None)
    if told is not None:
        told()
