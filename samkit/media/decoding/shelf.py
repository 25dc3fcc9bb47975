"""Where decoded frames lie for the server: the one that it asked for, and the next ones before it asks."""

import mmap
from collections import deque
from typing import Any

from samkit.media.decoding.messages import BUFFER_BYTES

PLACES = 4
"""Frames at most: the one that was given, which stays as it is until the next question, and three ahead of it."""
MOST_BYTES = 64 * 2**20
"""As much as they may take together; a frame that takes more than half of it has no others ahead of it."""

Given = tuple[dict[str, Any], bytes | memoryview]
"""What the server is told of a frame, and its pixels where there is no memory for both."""


class Shelf:
    """buffer: number of an open file in memory that takes frames; -1 for none, then one frame is kept ahead"""

    def __init__(self, buffer: int):
        self._map = mmap.mmap(buffer, BUFFER_BYTES) if buffer >= 0 else None
        self._ahead: deque[tuple[int, Given]] = deque()
        self._places, self._next = 2, 0

    @property
    def has_room(self) -> bool:
        return len(self._ahead) < self._places - 1

    def lay(self, pixels: memoryview, row: int) -> Given:
        """Put a frame into the next place. row: bytes from one row of pixels to the next"""
        if self._map is None:
            return {"row": row, "at": 0}, pixels
        at = self._next * len(pixels)
        self._map[at : at + len(pixels)] = pixels
        self._next = (self._next + 1) % self._places
        return {"row": row, "at": at}, b""

    def lay_ahead(self, stamp: int, pixels: memoryview, row: int) -> None:
        self._ahead.append((stamp, self.lay(pixels, row)))

    def taken(self, stamp: int) -> Given | None:
        """The frame of that stamp where it lies ahead; those before it are forgotten."""
        while self._ahead:
            found, given = self._ahead.popleft()
            if found == stamp:
                return given
        return None

    def clear(self, frame_bytes: int) -> None:
        """Forget all; frames of so many bytes come."""
        self._ahead.clear()
        self._next = 0
        if self._map is not None:
            self._places = max(1, min(PLACES, MOST_BYTES // max(1, frame_bytes)))
