"""What a person is told of an encoding that takes long: before it is begun how long it will take here, and meanwhile
how far it is.
"""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate

from samkit.errors import SamkitError
from samkit.experiments.lab import Progress
from samkit.machine import stands_back
from samkit.models.network.blocks_done import after_each_block
from samkit.words import time_text

LONG_S = 4.0
"""Others are over before anybody has read that they began."""
ASK_S = 45.0
"""Whoever opens a page does not expect one that takes longer: it is made when they say so."""
TELLING_S = 0.5
"""Of a shorter one much of the time goes elsewhere, so it says little of others."""


class LongEncoding(SamkitError):
    """An encoding that would take long, and that nobody has asked for. model: its SHA-256; side: in pixels"""

    def __init__(self, model: str, side: int, seconds: float):
        super().__init__(
            f"Encoding a picture at a side of {side} pixels takes about {time_text(seconds)} on this machine."
        )
        self.model, self.side, self.seconds = model, side, seconds


class Pace:
    """How long encodings take on this machine, of each model by the last one that was made here. Safe for threads."""

    def __init__(self) -> None:
        self._factors: dict[str, float] = {}
        self._lock = threading.Lock()

    def note(self, model: str, said: float, taken: float) -> None:
        """said: seconds that it was to take by `block_seconds`"""
        if said >= TELLING_S:
            with self._lock:
                self._factors.pop(model, None)
                self._factors[model] = taken / said

    def factor(self, model: str) -> float:
        """How many times longer than said: this model, else the last one of all, else by how busy the machine is."""
        with self._lock:
            last = next(reversed(self._factors.values()), None)
            learned = self._factors.get(model, last)
        return _crowd() if learned is None else learned


def _crowd() -> float:
    """How many want each core at the moment, at least 1."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return max(1.0, load / (os.cpu_count() or 1))


PACE = Pace()


@dataclass(eq=False)
class UnderWay:
    """A long encoding while it is made. side: in pixels; ends: about when, by `time.perf_counter`"""

    side: int
    ends: float

    @property
    def left_s(self) -> float:
        return max(0.0, self.ends - time.perf_counter())


_before_others: list[UnderWay] = []


def goes_first() -> UnderWay | None:
    """The long encoding behind which work in the background stands in line for the processor at this moment; of
    several the one that ends last.
    """
    return max(list(_before_others), key=lambda each: each.ends, default=None)


@contextmanager
def _known_to_others(encoding: UnderWay) -> Iterator[None]:
    """Background work itself, whose threads have stepped back, makes nobody else wait."""
    if stands_back():
        yield
        return
    _before_others.append(encoding)
    try:
        yield
    finally:
        _before_others.remove(encoding)


@contextmanager
def told_of(seconds: Sequence[float], side: int, report: Progress) -> Iterator[None]:
    """While an encoding is made, report after each block of it the share that is done, 0..1, and a line.

    seconds: about, of each block of the encoder, before it is begun. From the first block on, what is left is reckoned
             from the time that it took
    """
    total = sum(seconds)
    if total < LONG_S:
        yield
        return
    shares = [done / total for done in accumulate(seconds)]
    begun, done = time.perf_counter(), 0
    under_way = UnderWay(side, begun + total)
    what = f"Encoding at a side of {side} pixels"
    report(0.0, f"{what}: about {time_text(total)}")

    def told() -> None:
        nonlocal done
        if done == len(shares):
            return
        share, done, now = shares[done], done + 1, time.perf_counter()
        left = (now - begun) / share * (1 - share)
        under_way.ends = now + left
        report(share, f"{what}: block {done} of {len(shares)}, about {time_text(left)} left")

    with after_each_block(told), _known_to_others(under_way):
        yield
