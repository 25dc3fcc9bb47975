"""With how many threads torch computes, for one thread of the process alone.

The number belongs to a result: sums are split over the threads, so another number moves logits in their last digits,
and now and then a pixel of a mask.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def set_own_threads(count: int) -> None:
    """Let torch use `count` threads in this thread, and in those that begin later as many as before."""
    usual = torch.get_num_threads()
    torch.set_num_threads(count)
    # torch counts for each thread, but new threads take over the last count that any thread set; so one more thread
    # sets the usual one again.
    restore = threading.Thread(target=torch.set_num_threads, args=(usual,))
    restore.start()
    restore.join()


@contextmanager
def own_threads(count: int) -> Iterator[None]:
    """The same for a while; at most as many as the machine has cores, since more would wait for each other."""
    usual, wanted = torch.get_num_threads(), max(1, min(count, os.cpu_count() or 1))
    if usual == wanted:
        yield
        return
    set_own_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(usual)
