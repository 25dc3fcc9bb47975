"""A film as a value: sizes, times, and frames in any order, whatever reads it. It has a lock, because no decoder may be
used by two threads at once.
"""

import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from samkit.errors import PictureError
from samkit.media.pictures import Picture

BACKWARD_CHUNK = 24
"""Frames read forwards and handed out backwards at a time: decoders only run forwards."""


class Video(ABC):
    """A film. Sizes are as a person sees it: turned as the file says, and shrunk where a longest side was asked for.

    name:     what a person knows it by; reader: which part of samkit reads it
    length:   number of frames
    size:     (height, width) in pixels; original_size: before shrinking
    fps:      frames per second, the mean where the rate varies
    rotation: degrees anticlockwise that the stored frames are turned
    """

    reader: str
    name: str
    length: int
    fps: float
    size: tuple[int, int]
    original_size: tuple[int, int]
    rotation: int = 0
    warning: str = ""
    """A sentence on what is wrong with the file, where there are frames all the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @abstractmethod
    def _read(self, index: int) -> np.ndarray:
        """uint8 [H, W, 3] of a frame; called with the lock held."""

    @property
    @abstractmethod
    def sha256(self) -> str:
        """Of the film's content, in hex."""

    @property
    def shrunk_side(self) -> int | None:
        """The longest side that frames are shrunk to, in pixels; None where they are as large as they are stored."""
        return max(self.size) if self.size != self.original_size else None

    @property
    def content_key(self) -> str:
        """What tells the film's frames from those of others: the content of its file, and the size they are read at."""
        return f"{self.sha256} {self.size[0]} x {self.size[1]}"

    @cached_property
    def timestamps(self) -> np.ndarray:
        """float64 [length]: when each frame is shown, in seconds."""
        return np.arange(self.length) / self.fps

    @property
    def seconds(self) -> float:
        return float(self.timestamps[-1] + 1 / self.fps)

    def frame(self, index: int) -> np.ndarray:
        """uint8 [H, W, 3], RGB, of frame 0..length - 1. Raises PictureError for another index or a frame that can't be
        decoded.
        """
        if not 0 <= index < self.length:
            raise PictureError(f"{self.name} has the frames 0 to {self.length - 1}; there is no frame {index}.")
        with self._lock:
            return self._read(index)

    def frames(self, start: int = 0, stop: int | None = None, step: int = 1) -> Iterator[np.ndarray]:
        """Frames like `range(start, stop, step)` gives indices, one at a time; a negative step runs backwards (stop
        None: through frame 0).
        """
        if stop is None:
            stop = self.length if step > 0 else -1
        indices = range(start, stop, step)
        if step > 0:
            for index in indices:
                yield self.frame(index)
            return
        for first in range(0, len(indices), BACKWARD_CHUNK):
            chunk = indices[first : first + BACKWARD_CHUNK]
            held = [self.frame(index) for index in reversed(chunk)]
            while held:
                yield held.pop()

    def picture(self, index: int) -> Picture:
        """A frame as a picture."""
        return Picture.from_array(self.frame(index), frame_name(self.name, index))

    def frame_of(self, picture: Picture) -> int | None:
        """Which frame the picture is: known by its name, and the same pixels. None for any other picture."""
        film, index = film_and_frame(picture.name)
        if index is None or film != self.name or index >= self.length:
            return None
        return index if self.picture(index) == picture else None

    def close(self) -> None:  # noqa: B027 (films without a file have nothing to give back)
        """Give back the file. The film can't be read afterwards."""

    def __enter__(self) -> "Video":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def frame_name(film: str, index: int) -> str:
    """What a person knows a frame by, as a picture."""
    return f"{film}, frame {index}"


def film_and_frame(name: str) -> tuple[str, int] | tuple[None, None]:
    """The film and the index in a name of `frame_name`; two times None for any other name."""
    match = re.fullmatch(r"(.+), frame (\d{1,9})", name)
    return (match[1], int(match[2])) if match else (None, None)


def shrunk_size(size: tuple[int, int], max_side: int | None) -> tuple[int, int]:
    """(height, width) with the longest side at most `max_side`, proportions kept, even numbers."""
    if max_side is None or max(size) <= max_side:
        return size
    height, width = (max(2, round(length * max_side / max(size) / 2) * 2) for length in size)
    return height, width
