"""Which frames a film shows, in which order and when: from its packets' own times, not from what its header says."""

from dataclasses import dataclass

import numpy as np

from samkit.media.decoding.messages import HIDDEN, KEY, PACKET, UNKNOWN

PACKET_TYPE = np.dtype([("pts", "<i8"), ("dts", "<i8"), ("pos", "<i8"), ("flags", "u1")])
assert PACKET_TYPE.itemsize == PACKET.size

IN_ORDER = {"mjpeg", "rawvideo", "ffv1", "png", "qtrle", "gif", "prores", "dnxhd", "dvvideo", "flv1", "h263", "vp8"}
"""Codings whose frames are shown in the order in which they are decoded."""
SOUGHT_AS_SHOWN = {"mov", "matroska"}
"""Containers in which a place is found by when it is shown; in others by when it is decoded."""
MAX_REORDERED = 40
"""Places by which a frame may be shown later or earlier than it lies in the file."""
STARTS_BEFORE = (0, 1, 4)
"""Key frames before a frame at which its decoding is begun, one try after the other."""
MAX_STAMP = 2.0**53
UNTRUE_SHOWN_TIMES = {"avi"}
"""Containers that don't say when a frame is shown; FFmpeg guesses."""
UNSOUGHT = {"mpeg"}
"""Containers in which some packets have no times. FFmpeg guesses others after a jump, so there is none."""


class Unordered(Exception):
    """The packets don't say in which order frames are shown."""


@dataclass(frozen=True)
class FilmIndex:
    """Frames by number, in the order in which they are shown.

    by_dts: whether frames go by when they are decoded, for want of better
    stamps: int64 [length], of each frame its packet's time
    dts:    int64 [length], of each frame when it is decoded; `UNKNOWN` where the packet does not say
    times:  float64 [length], when it is shown in seconds, 0 for the first
    keys:   int64 [keys, 3], in the order in which they are shown: number of the first frame that is not shown before
            the key frame, the key frame's stamp, and the time by which the container finds it
    """

    by_dts: bool
    stamps: np.ndarray
    dts: np.ndarray
    times: np.ndarray
    keys: np.ndarray

    @property
    def length(self) -> int:
        return len(self.stamps)

    def starts(self, index: int) -> tuple[list[int], int]:
        """Times of key frames before that frame, nearest first, and the nearest one's stamp."""
        last = int(np.searchsorted(self.keys[:, 0], index, side="right")) - 1
        if last < 0:
            return [], 0
        rows = [self.keys[last - before] for before in STARTS_BEFORE if last - before >= 0]
        return [int(row[2]) for row in rows], int(self.keys[last, 1])

    def same_run(self, first: int, second: int) -> bool:
        """Whether no key frame comes after the first frame up to the second."""
        a, b = np.searchsorted(self.keys[:, 0], [first, second], side="right")
        return bool(a == b)

    def without_the_first(self, count: int) -> "FilmIndex":
        keys = self.keys.copy()
        keys[:, 0] = np.maximum(keys[:, 0] - count, 0)
        times = self.times[count:]
        return FilmIndex(self.by_dts, self.stamps[count:], self.dts[count:], times - times[:1].sum(), keys)


def read_packets(table: bytes) -> np.ndarray:
    """Of the bytes that the decoding process gave: a row of `PACKET_TYPE` for each packet, in the order of the file."""
    return np.frombuffer(table, PACKET_TYPE, len(table) // PACKET_TYPE.itemsize)


def index_by_packets(packets: np.ndarray, unit_s: float, container: str, codec: str) -> FilmIndex:
    """The index of a film whose packets say what it shows. Raises Unordered for another."""
    by_dts = container in UNTRUE_SHOWN_TIMES
    if by_dts and codec not in IN_ORDER:
        raise Unordered
    packets = _from_first_key(packets)
    shown = packets[packets["flags"] & HIDDEN == 0]
    stamps = shown["dts" if by_dts else "pts"]
    order = np.argsort(stamps, kind="stable")
    moved = np.abs(order - np.arange(len(order)))
    if not _rises(stamps[order]) or moved.max(initial=0) > MAX_REORDERED:
        raise Unordered
    return _index(packets, stamps[order], stamps[order], by_dts, unit_s, container)


def index_by_decoding(
    packets: np.ndarray, stamps: np.ndarray, by_dts: bool, unit_s: float, container: str
) -> FilmIndex:
    """The index of a film of which every frame was decoded. stamps: in the order in which they came. Raises Unordered
    where they don't tell frames from each other.
    """
    packets = _from_first_key(packets)
    known = packets["dts" if by_dts else "pts"]
    # Frames that go by their decoding are not in the order of their stamps, but are shown at these times, one after the
    # other.
    shown_at = np.sort(stamps)
    if not _rises(shown_at if by_dts else stamps) or not np.isin(stamps, known).all():
        raise Unordered
    return _index(packets, stamps, shown_at, by_dts, unit_s, container)


def _index(
    packets: np.ndarray, stamps: np.ndarray, shown_at: np.ndarray, by_dts: bool, unit_s: float, container: str
) -> FilmIndex:
    of_packets = packets["dts" if by_dts else "pts"]
    sorting = np.argsort(of_packets, kind="stable")
    places = sorting[np.searchsorted(of_packets, stamps, sorter=sorting)] if len(stamps) else sorting[:0]
    times = (shown_at - shown_at[:1].sum()).astype(np.float64) * unit_s
    return FilmIndex(by_dts, stamps, packets["dts"][places], times, _keys(packets, stamps, by_dts, container))


def _keys(packets: np.ndarray, stamps: np.ndarray, by_dts: bool, container: str) -> np.ndarray:
    keys = packets[(packets["flags"] & KEY > 0) & (container not in UNSOUGHT)]
    own = keys["dts" if by_dts else "pts"]
    sought = np.where((keys["dts"] == UNKNOWN) | (container in SOUGHT_AS_SHOWN), keys["pts"], keys["dts"])
    if by_dts:
        numbers = {int(stamp): number for number, stamp in enumerate(stamps)}
        first = np.array([numbers.get(int(stamp), -1) for stamp in own], np.int64)
    else:
        first = np.searchsorted(stamps, own, side="left").astype(np.int64)
    rows = np.stack([first, own, sought], axis=1) if len(own) else np.empty((0, 3), np.int64)
    usable = (own != UNKNOWN) & (sought != UNKNOWN) & (first >= 0)
    return rows[usable][np.argsort(first[usable], kind="stable")]


def _from_first_key(packets: np.ndarray) -> np.ndarray:
    """Without what lies before the first key frame: no player shows it."""
    keys = np.flatnonzero(packets["flags"] & KEY)
    return packets[keys[0] :] if len(keys) else packets


def _rises(stamps: np.ndarray) -> bool:
    """Whether they are times, each after the one before."""
    return bool((np.abs(stamps.astype(np.float64)) < MAX_STAMP).all() and (stamps[1:] > stamps[:-1]).all())
