"""Whether an edit list of MP4 or MOV plays a part of its film faster, slower or standing still. FFmpeg plays all of it
at one speed, so such a film's frames would be there at other times than a player shows them, and more or fewer of them.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

MAX_BOXES = 20_000
MAX_EDIT_LIST = 2**20
"""Bytes that are read of one."""
SPEED_ONE = 1 << 16
ENTRIES = ((struct.Struct(">III"), 2**32 - 1), (struct.Struct(">QQI"), 2**64 - 1))
"""By the version of a list: length, time and speed of a part, and the time that stands for no picture."""
Box = tuple[bytes, int, int]
"""Kind of a box, and where its content begins and ends."""


class EditSpeed:
    """file: its place moves"""

    def __init__(self, file: BinaryIO, size: int):
        self._file, self._size, self._left = file, size, MAX_BOXES

    def changes(self) -> bool:
        return any(
            self._changes(track)
            for film in self._of_kind(b"moov", 0, self._size)
            for track in self._of_kind(b"trak", *film[1:])
            if self._has_pictures(track)
        )

    def _has_pictures(self, track: Box) -> bool:
        heads = (each for media in self._of_kind(b"mdia", *track[1:]) for each in self._of_kind(b"hdlr", *media[1:]))
        return any(self._read(begin + 8, 4) == b"vide" for _, begin, end in heads if end - begin >= 12)

    def _changes(self, track: Box) -> bool:
        lists = (each for edits in self._of_kind(b"edts", *track[1:]) for each in self._of_kind(b"elst", *edits[1:]))
        return any(
            self._has_another_speed(self._read(begin, min(end - begin, MAX_EDIT_LIST))) for _, begin, end in lists
        )

    @staticmethod
    def _has_another_speed(content: bytes) -> bool:
        """content: of a box `elst`"""
        if len(content) < 8:
            return False
        entry, nothing = ENTRIES[content[0] == 1]
        count = min(int.from_bytes(content[4:8], "big"), (len(content) - 8) // entry.size)
        entries = entry.iter_unpack(content[8 : 8 + count * entry.size])
        return any(speed != SPEED_ONE and time != nothing for _, time, speed in entries)

    def _of_kind(self, kind: bytes, begin: int, end: int) -> Iterator[Box]:
        return (box for box in self._boxes(begin, end) if box[0] == kind)

    def _boxes(self, begin: int, end: int) -> Iterator[Box]:
        while end - begin >= 8 and self._left > 0:
            self._left -= 1
            size, kind = struct.unpack(">I4s", self._read(begin, 8).rjust(8, b"\0"))
            head = 8
            if size == 1:
                size, head = int.from_bytes(self._read(begin + 8, 8), "big"), 16
            size = size or end - begin
            if size < head:
                return
            yield kind, begin + head, min(begin + size, end)
            begin += size

    def _read(self, begin: int, count: int) -> bytes:
        self._file.seek(begin)
        return self._file.read(count)
