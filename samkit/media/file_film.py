"""Films in one file, as the server sees them: an index that was checked, and a process that decodes."""

import hashlib
import math
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from samkit.errors import PictureError
from samkit.files import opened_regular
from samkit.media.decoding.messages import MAX_PACKETS, MAX_SIDE, UNKNOWN
from samkit.media.film_index import FilmIndex, Unordered, index_by_decoding, index_by_packets, read_packets
from samkit.media.film_process import count_in
from samkit.media.film_reader import FilmReader, damaged
from samkit.media.films import Video, shrunk_size
from samkit.media.turn import Turn

DEFAULT_FPS = 25.0
OPENING_S, FRAME_S, ORDER_S = 20.0, 60.0, 60.0
"""Seconds of computing: for opening a film (more for a large file), for a frame, and for finding the frames' order."""
READ_BYTES_PER_S = 50 * 2**20
FIRST_FRAMES = 8
"""Frames at the start that are decoded at opening: what comes out must be what the index says."""
DECORD_AHEAD = 192
"""Frames that decord holds decoded, about: 1280 x 720 pixels a frame are 530 MB."""
DECORD_BYTES = 48 * 2**20
"""As much as those frames may take."""
DECORD_READS = {("mov", "h264"), ("matroska", "h264")}
"""Container and coding of films that decord may read."""
SAME_TIME_S = 2e-3


class FileVideo(Video):
    """A film in one file. Opening it raises PictureError for one that can't be read right.

    with_decord: have decord read too, if it agrees with the index about number and times of the frames, and after each
                 jump with PyAV about the pixels. For files that the owner of this computer named.
    """

    def __init__(self, path: Path, name: str, *, max_side: int | None = None, with_decord: bool = False):
        super().__init__()
        self.path, self.name, self.reader = path, name, "pyav"
        self._next = -1
        """Number of the frame that the decoder gives next; -1 where it has not begun."""
        self._file = FilmReader(path, name, with_decord)
        try:
            self._open(max_side)
            if with_decord and self._decord_agrees():
                self.reader = "decord"
        except BaseException:
            self._file.close()
            raise

    def _open(self, max_side: int | None) -> None:
        self._opening_s = OPENING_S + self._file.bytes / READ_BYTES_PER_S
        facts, _ = self._file.ask("open", self._opening_s)
        try:
            self._container, self._codec = str(facts["format"]), str(facts["codec"])
            unit_s, promised = _unit_s(facts["unit"]), count_in(facts, "promised", 0, 2**63)
            answer, table = self._file.ask("packets", self._opening_s)
            packets, broken, cut = read_packets(table), answer["broken"] is True, answer["cut"] is True
            self._index, first, broken = self._checked_index(packets, unit_s, broken)
            stored = count_in(first, "height", 1, MAX_SIDE), count_in(first, "width", 1, MAX_SIDE)
            self._turn = Turn.from_matrix([float(number) for number in first["matrix"]])
            self.fps = _fps(float(facts["rate"]), self._index.times)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise damaged(self.name) from error
        self.length, self.rotation = self._index.length, self._turn.anticlockwise
        self.original_size = self._turn.size(stored)
        self.size = shrunk_size(self.original_size, max_side)
        if broken or cut:
            promised = max(len(packets), promised if self._container == "mov" else 0)
            known = self.length < promised <= MAX_PACKETS
            frames = f"{self.length} of its {promised} frames" if known else f"{self.length} frames"
            self.warning = f"{self.name} is cut short or damaged: {frames} can be read."

    def _checked_index(
        self, packets: np.ndarray, unit_s: float, broken: bool
    ) -> tuple[FilmIndex, dict[str, Any], bool]:
        """The index, the facts of the first frame, and whether frames are missing. The packets are asked first, then,
        where they don't say it or it is not what comes out of the decoder, all frames.
        """
        if not broken:
            try:
                index = index_by_packets(packets, unit_s, self._container, self._codec)
                stamps, first, _ = self._decoded(FIRST_FRAMES, index.by_dts)
                missing = int(np.searchsorted(index.stamps, stamps[:1])[0]) if len(stamps) else 0
                index = index.without_the_first(missing)
                if len(stamps) and np.array_equal(index.stamps[:FIRST_FRAMES], stamps):
                    return index, first, False
            except Unordered:
                pass
        for by_dts in (False, True):
            stamps, first, broke_off = self._decoded(None, by_dts)
            if not len(stamps) and self._codec == "rawvideo":
                raise PictureError(
                    f"{self.name} holds uncompressed pictures and does not say rightly how their pixels lie, so they "
                    "can't be read. Write it anew in another coding, such as FFV1 in MKV, with the program it comes "
                    "from."
                )
            if not len(stamps):
                raise damaged(self.name)
            try:
                index = index_by_decoding(packets, stamps, by_dts, unit_s, self._container)
                return index, first, broken or broke_off
            except Unordered:
                continue
        raise PictureError(
            f"{self.name} does not say in which order its frames are shown, or when. Convert it first: "
            "`ffmpeg -i FILM NEW.mp4` does."
        )

    def _decoded(self, count: int | None, by_dts: bool) -> tuple[np.ndarray, dict[str, Any], bool]:
        seconds = self._opening_s if count is not None else ORDER_S
        answer, numbers = self._file.ask("decode", seconds, count=count, by_dts=by_dts)
        return np.frombuffer(numbers, "<i8", len(numbers) // 8), answer, answer["broken"] is True

    @cached_property
    def sha256(self) -> str:
        with opened_regular(self.path) as (file, _):
            return hashlib.file_digest(file, "sha256").hexdigest()

    @cached_property
    def timestamps(self) -> np.ndarray:
        return self._index.times

    def _read(self, index: int) -> np.ndarray:
        if self._file.start():
            self._next = -1
        rgb = self._by_decord(index) if self.reader == "decord" else self._by_pyav(index)
        if rgb is None:
            raise PictureError(
                f"Frame {index} of {self.name} can't be decoded: the file is damaged there. Copy or download it again."
            )
        return self._turn(rgb)

    def _by_pyav(self, number: int) -> np.ndarray | None:
        known, size = self._index, self._turn.size(self.size)
        starts, last_start = known.starts(number)
        rgb = self._file.ask_frame(
            "frame",
            FRAME_S,
            size,
            height=size[0],
            width=size[1],
            by_dts=known.by_dts,
            stamp=int(known.stamps[number]),
            dts=int(known.dts[number]),
            run_on=0 <= self._next <= number and known.same_run(self._next, number),
            starts=starts,
            last_start=last_start if starts else UNKNOWN,
        )
        self._next = number + 1 if rgb is not None else -1
        return rgb

    def _decord_agrees(self) -> bool:
        """Whether decord counts the same frames at the same times."""
        height, width = self.size
        small = DECORD_AHEAD * height * width * 3 <= DECORD_BYTES and self.size == self.original_size
        if not small or self._turn != Turn() or (self._container, self._codec) not in DECORD_READS:
            return False
        try:
            _, numbers = self._file.ask("decord times", self._opening_s)
        except PictureError:
            self._file.leave_decord()
            return False
        times = np.frombuffer(numbers, "<f8", len(numbers) // 8)
        return len(times) == self.length and bool(np.allclose(times - times[0], self._index.times, atol=SAME_TIME_S))

    def _by_decord(self, number: int) -> np.ndarray | None:
        """decord's frame; after a jump only if PyAV finds the same, for decord counts wrong in some films. Then PyAV
        reads the rest.
        """
        rgb = self._file.ask_frame("decord frame", FRAME_S, self.size, index=number)
        if number != self._next:
            found = self._by_pyav(number)
            if rgb is None or found is None or not np.array_equal(rgb, found):
                self.reader, rgb = "pyav", found
        self._next = number + 1
        return rgb

    def close(self) -> None:
        with self._lock:
            self._file.close()


def _unit_s(unit: object) -> float:
    """Seconds of a stream's unit of time, given as numerator and denominator."""
    numerator, denominator = unit if isinstance(unit, list) else (0, 0)
    seconds = float(numerator) / float(denominator) if denominator else 0.0
    if not math.isfinite(seconds) or seconds <= 0:
        raise ValueError("unit of time")
    return seconds


def _fps(promised: float, times: np.ndarray) -> float:
    """Frames per second: what the header says where the frames' times bear it out, else their mean."""
    mean = (len(times) - 1) / float(times[-1]) if len(times) > 1 else 0.0
    likely = math.isfinite(promised) and promised > 0
    if mean <= 0:
        return promised if likely and promised <= 1000 else DEFAULT_FPS
    return promised if likely and abs(promised - mean) <= 0.01 * mean else mean
