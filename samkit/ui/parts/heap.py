"""The process's memory: the garbage collector kept short, and what is free given back to the system.

Streamlit runs the collector after every change of a page, and with torch, MLflow and plotly loaded a run takes 0.1 s
and more. What modules made stays for good, so it is taken out of what the collector looks through. What visitors made
is taken out with it, and does not stay: when one of them has left, everything is looked through once.
"""

import ctypes
import gc
import sys
import threading
import time
from contextlib import suppress

import streamlit as st

LOOK_EVERY_S = 1.5
AGAIN_AFTER_S = 4.0
"""What a visitor's background work still holds is free when its present step has ended."""
ARENAS = 2
"""Each of glibc's arenas keeps free memory of its own for the threads that use it; by default there are 8 for each
core.
"""
MMAP_BYTES = 4 * 2**20
"""From this size on a block is the system's own again once it is free. By itself glibc raises the bound with every
large block that is let go, to 32 MB, and keeps their room for the next ones.
"""
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8

_wanted = threading.Event()


@st.cache_resource(show_spinner=False)
def keep_collector_short() -> None:
    """Once per server: whenever modules were loaded and no more are coming, set aside all that lives."""
    hold_less_back()
    threading.Thread(target=_watch, name="heap", daemon=True).start()


def give_back() -> None:
    """Let the memory of those who left go, soon and in another thread."""
    _wanted.set()


def _watch() -> None:
    before = done = 0
    while True:
        if _wanted.wait(LOOK_EVERY_S):
            _wanted.clear()
            clean_up()
            time.sleep(AGAIN_AFTER_S)
            clean_up()
        loaded = len(sys.modules)
        if loaded == before != done:
            set_aside()
            done = loaded
        before = loaded


def clean_up() -> None:
    """Collect all garbage, also among what was set aside, and give free memory back to the system."""
    gc.unfreeze()
    set_aside()
    trim()


def set_aside() -> None:
    """Collect what is garbage now, and let later collections pass over the rest."""
    gc.collect()
    gc.freeze()


def trim() -> None:
    """Where the C library is glibc: what it holds free goes back to the system."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def hold_less_back() -> None:
    """The same: fewer places that keep free memory, and no large blocks in them. Arenas that are there stay."""
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_ARENA_MAX, ARENAS)
        library.mallopt(M_MMAP_THRESHOLD, MMAP_BYTES)
