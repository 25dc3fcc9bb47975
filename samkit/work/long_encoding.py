"""What a person is told who waits for an encoding that takes long: how far it is, and how long it will take."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate

from samkit.experiments.lab import Progress
from samkit.models.network.blocks_done import after_each_block
from samkit.words import time_text

LONG_S = 4.0
"""Others are over before anybody has read that they began."""


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
    what = f"Encoding at a side of {side} pixels"
    report(0.0, f"{what}: about {time_text(total)}")

    def told() -> None:
        nonlocal done
        if done == len(shares):
            return
        share, done = shares[done], done + 1
        left = (time.perf_counter() - begun) / share * (1 - share)
        report(share, f"{what}: block {done} of {len(shares)}, about {time_text(left)} left")

    with after_each_block(told):
        yield
