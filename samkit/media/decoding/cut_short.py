"""Whether a file ends before it should, where its container says how long it is. What is there of it is whole, so its
packets say nothing of it.
"""

import os

HEAD_BYTES = 4096
EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
"""How a Matroska file begins, and how the part of it begins that holds all the rest."""
TS_SYNC = 0x47
TS_PACKETS = ((188, 0), (192, 4))
"""(bytes of a packet of MPEG-TS, where in it the sync byte lies); the second as cameras and discs write them."""


def ends_early(file: int, container: str) -> bool:
    """file: the number of an open file, whose place does not move; container: as FFmpeg calls it"""
    size, head = os.fstat(file).st_size, os.pread(file, HEAD_BYTES, 0) if hasattr(os, "pread") else b""
    if container.startswith("matroska"):
        promised = _matroska_bytes(head)
        return promised is not None and promised > size
    if container == "avi" and head.startswith(b"RIFF"):
        promised = int.from_bytes(head[4:8], "little")
        # The byte that makes it even may lack; who writes before the length is known says the greatest number.
        return promised != 2**32 - 1 and promised + 8 > size + 1
    if container == "mpegts":
        for packet, sync in TS_PACKETS:
            if len(head) > packet + sync and head[sync] == head[packet + sync] == TS_SYNC:
                return size % packet != 0
    return False


def _matroska_bytes(head: bytes) -> int | None:
    """Of the whole file; None where it does not say it, such as one that was recorded live."""
    if not head.startswith(EBML):
        return None
    place, length = _number(head, len(EBML))
    if length is None or head[place + length :][: len(SEGMENT)] != SEGMENT:
        return None
    place, length = _number(head, place + length + len(SEGMENT))
    return None if length is None else place + length


def _number(head: bytes, place: int) -> tuple[int, int | None]:
    """(the place behind it, a number of as many bytes as its first one says); None for one that is unknown."""
    if place >= len(head) or not head[place]:
        return place, None
    count = 9 - head[place].bit_length()
    known = 2 ** (7 * count) - 1
    value = int.from_bytes(head[place : place + count], "big") & known
    return place + count, None if value == known else value
