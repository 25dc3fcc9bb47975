"""What the process that decodes may take. Windows knows no such limits; there only the server's clock ends it."""

import os
import time

try:
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]

BASE_BYTES = 640 * 2**20
"""Address space for the interpreter, FFmpeg and the index of a film. 120 MB of it are mapped at the start."""
HELD_FRAMES = 24
"""Frames that a decoder holds at most, with those that are being converted."""


def give_up_the_rest(files: int) -> None:
    """From here on only so many files are opened, none is written, and nothing is left where the process dies."""
    if resource is None:
        return
    opened = max(int(number) for number in os.listdir("/dev/fd")) + 1 if os.path.isdir("/dev/fd") else 64
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, MAX_WRITTEN),
        (resource.RLIMIT_NOFILE, opened + files),
    ):
        resource.setrlimit(limit, (value, value))


MAX_WRITTEN = 8_192 * 8_192 * 4
"""Bytes of the buffer through which frames go: it counts as a file."""


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
