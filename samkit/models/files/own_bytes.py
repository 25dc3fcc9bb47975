"""A whole file as bytes of this process, with the hash of exactly these bytes. Nobody can change or take them away
later, whatever becomes of the file. Knows no torch.
"""

import hashlib
import io
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from samkit.errors import CheckpointError
from samkit.machine import memory_at_hand
from samkit.models.files.hashes import file_state, remember_state
from samkit.words import format_bytes

_PIECE = 8_000_000
"""Bytes that are hashed while the next ones are read."""
_PAGE = 4096
_TRIES = 2
"""A file that is put in the place of another one just then is read once more."""


@dataclass(frozen=True)
class OwnBytes:
    """data: uint8 [N], at the start of a page of memory; sha256: of it, 64 hex digits."""

    data: np.ndarray
    sha256: str

    def stream(self) -> io.BufferedReader:
        """To be read as a file is."""
        return io.BufferedReader(_ArrayFile(self.data))


def read_own_bytes(path: Path) -> OwnBytes:
    """Read the file. Raises CheckpointError where it changes meanwhile, and where it is larger than the memory at hand;
    OSError where it can't be read.
    """
    for _ in range(_TRIES):
        with open(path, "rb", buffering=0) as stream:
            before = file_state(path, os.fstat(stream.fileno()))
            own = _read(path, stream, before.size)
            after = file_state(path, os.fstat(stream.fileno()))
        if own is not None and before == after:
            remember_state(before, own.sha256)
            return own
    raise CheckpointError(
        f"{path.name} was written to while it was read: wait until the copy or download is done, and load the model "
        "again."
    )


def check_room(path: Path, size: int) -> None:
    """Raise CheckpointError where a file of that many bytes doesn't fit into memory."""
    room = memory_at_hand()
    if room is not None and size > room:
        raise CheckpointError(
            f"{path.name} has {format_bytes(size)}, and {format_bytes(room)} of memory are free here: choose a smaller "
            "model, or end what else takes memory."
        )


def _read(path: Path, stream: io.RawIOBase, size: int) -> OwnBytes | None:
    """None where the file is shorter or longer than `size`."""
    check_room(path, size)
    data = _empty(size)
    view = data.data
    digest = hashlib.sha256()
    done = 0
    # hashlib lets go of the lock, so that hashing one piece takes no time from reading the next.
    with ThreadPoolExecutor(1, "checkpoint-hash") as hasher:
        while done < size:
            count = stream.readinto(view[done : min(done + _PIECE, size)])
            if not count:
                return None
            hasher.submit(digest.update, view[done : done + count])
            done += count
    return None if stream.read(1) else OwnBytes(data, digest.hexdigest())


def _empty(size: int) -> np.ndarray:
    """uint8 [size] from the start of a page on, so that what is aligned in the file is aligned in memory."""
    roomy = np.empty(size + _PAGE, np.uint8)
    first = -roomy.ctypes.data % _PAGE
    return roomy[first : first + size]


class _ArrayFile(io.RawIOBase):
    """uint8 [N] as a file, without a copy."""

    def __init__(self, data: np.ndarray):
        self._view = data.data
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._view)}[whence]
        if start + offset < 0:
            raise OSError("before the start of the file")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._view[self._at : self._at + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)
