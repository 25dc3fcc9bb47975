"""What the process that decodes may take. Windows knows no such limits; there only the server's clock ends it."""

import os
import time

from samkit.media.decoding.messages import BUFFER_BYTES

try:
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]

BASE_BYTES = 640 * 2**20 + BUFFER_BYTES
"""Address space for the interpreter, FFmpeg, the index of a film, and the memory through which frames go."""
MAX_FILES = 256
HELD_FRAMES = 24
"""Frames that a decoder holds at most, with those that are being converted."""


def give_up_the_rest(files: int) -> None:
    """From here on only so many files are opened, none is written, and nothing is left where the process dies."""
    if resource is None:
        return
    opened = 1 + max(filter(_is_open, range(MAX_FILES)))
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, opened + files),
    ):
        resource.setrlimit(limit, (value, value))


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def allow_memory(more: int, pixels: int = 0) -> None:
    """Address space for frames of so many pixels, of four bytes each, and `more` bytes."""
    if resource is not None:
        limit = BASE_BYTES + more + HELD_FRAMES * 4 * pixels
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def allow_seconds(seconds: float) -> None:
    """So much computing from here on; then the process ends."""
    if resource is not None:
        until = int(time.process_time() + seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (until, resource.getrlimit(resource.RLIMIT_CPU)[1]))
