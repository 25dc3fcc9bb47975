"""A whole file as bytes of this process, with the hash of exactly these bytes. Nobody can change or take them away
later, whatever becomes of the file. Knows no torch.
"""

import hashlib
import io
import mmap
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from samkit.errors import CheckpointError
from samkit.files import opened_regular
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


def read_own_bytes(path: Path, needed: Sequence[tuple[int, int]] | None = None) -> OwnBytes:
    """Read the file. Raises CheckpointError where it changes meanwhile, and where it is larger than the memory at hand;
    OSError where it can't be read.

    needed: (first byte, end) of the parts to keep, in order; None for all. The rest is hashed and let go: it reads as
            zeros and takes no memory
    """
    for _ in range(_TRIES):
        with opened_regular(path) as (stream, _):
            before = file_state(path, os.fstat(stream.fileno()))
            own = _read(path, stream, before.size, needed)
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


def _read(
    path: Path, stream: io.BufferedReader, size: int, needed: Sequence[tuple[int, int]] | None = None
) -> OwnBytes | None:
    """None where the file is shorter or longer than `size`."""
    if needed is not None:
        return _read_parts(path, stream, size, needed)
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


def _read_parts(path: Path, stream: io.BufferedReader, size: int, needed: Sequence[tuple[int, int]]) -> OwnBytes | None:
    check_room(path, sum(end - first for first, end in needed))
    # Pages of such memory take room once they are written to.
    data = np.frombuffer(mmap.mmap(-1, max(size, 1)), np.uint8)[:size]
    pieces = [np.empty(_PIECE, np.uint8) for _ in range(2)]
    digest, done, turn = hashlib.sha256(), 0, 0
    waiting: list[Future[None]] = []
    parts = list(needed)
    with ThreadPoolExecutor(1, "checkpoint-hash") as hasher:
        while done < size:
            piece, turn = pieces[turn], 1 - turn
            if len(waiting) == len(pieces):
                # The piece is hashed before it is used again.
                waiting.pop(0).result()
            count = stream.readinto(piece.data[: min(_PIECE, size - done)])
            if not count:
                return None
            waiting.append(hasher.submit(digest.update, piece.data[:count]))
            while parts and parts[0][1] <= done:
                parts.pop(0)
            for first, end in parts:
                if first >= done + count:
                    break
                low, high = max(first, done), min(end, done + count)
                data[low:high] = piece[low - done : high - done]
            done += count
    return None if stream.read(1) else OwnBytes(data, digest.hexdigest())


def _empty(size: int) -> np.ndarray:
    """uint8 [size] from the start of a page on, so that what is aligned in the file is aligned in memory."""
    roomy = np.empty(size + _PAGE, np.uint8)
    first = -roomy.ctypes.data % _PAGE
    return roomy[first : first + size]


class FileSlices:
    """A file's bytes by slices, each read when it is asked for. Unlike a mapped file, one that is cut short meanwhile
    gives less and ends nothing.
    """

    def __init__(self, stream: BinaryIO, size: int):
        self._stream, self._size = stream, size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, piece: slice) -> memoryview:
        first, end, _ = piece.indices(self._size)
        self._stream.seek(first)
        return memoryview(self._stream.read(max(0, end - first)))


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
