"""With how many threads torch computes, for one thread of the process alone.

The number belongs to a result: sums are split over the threads, so another number moves logits in their last digits,
and now and then a pixel of a mask.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_one_at_a_time = threading.Lock()
"""Whoever sets a number while another one does would take the other's for the usual one, and leave it to all."""


def set_usual_threads(count: int) -> None:
    """Let torch use that many threads in this process, at most as many as the machine has cores. Each change makes
    torch prepare its products anew, so that a process that computes with one number sets it once.
    """
    torch.set_num_threads(_at_most_cores(count))


def set_own_threads(count: int | None = None, spared: int = 0) -> None:
    """Let torch use `count` threads in this thread, None for the usual number less `spared`, and in those that begin
    later as many as before.
    """
    with _one_at_a_time:
        usual = torch.get_num_threads()
        torch.set_num_threads(max(1, usual - spared) if count is None else count)
        # torch counts for each thread, but new threads take over the last count that any thread set; so one more thread
        # sets the usual one again.
        restore = threading.Thread(target=torch.set_num_threads, args=(usual,))
        restore.start()
        restore.join()


@contextmanager
def own_threads(count: int) -> Iterator[None]:
    """The same for a while; at most as many as the machine has cores, since more would wait for each other."""
    with _one_at_a_time:
        usual, wanted = torch.get_num_threads(), _at_most_cores(count)
    if usual == wanted:
        yield
        return
    set_own_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


def _at_most_cores(count: int) -> int:
    return max(1, min(count, os.cpu_count() or 1))
