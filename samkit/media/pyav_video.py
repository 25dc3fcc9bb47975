"""Films that PyAV reads: everywhere, and what is left of a file that was cut short."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import av
import numpy as np

from samkit.errors import PictureError
from samkit.media.films import MAX_FRAMES, MAX_SIDE, FileVideo, shrunk_size

DEFAULT_FPS = 25.0
SEEK_BEFORE_S = (0.0, 1.0, 5.0)
"""How far before a frame its decoding is begun, one try after the other."""


@dataclass(frozen=True)
class Probe:
    """What a file's header and first frame say.

    size:     (height, width) as a person sees it
    rotation: degrees anticlockwise that frames are turned for that
    """

    size: tuple[int, int]
    rotation: int
    fps: float


def probe(path: Path, name: str) -> Probe:
    """Open the file, decode one frame, close it. Raises PictureError where there is no film in it."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                kind = "only sound" if container.streams.audio else "no pictures"
                raise PictureError(f"{name} has {kind} in it. Give a film.")
            stream = container.streams.video[0]
            fps = float(stream.average_rate or stream.guessed_rate or DEFAULT_FPS)
            if max(stream.width or 0, stream.height or 0) > MAX_SIDE:
                raise PictureError(
                    f"{name} has {stream.width} x {stream.height} pixels a frame; at most {MAX_SIDE} a side are "
                    "read. Make it smaller first."
                )
            for frame in container.decode(stream):
                rotation = round(frame.rotation / 90) * 90 % 360
                size = (frame.height, frame.width)
                return Probe(size[::-1] if rotation % 180 else size, rotation, fps)
    except av.FFmpegError as error:
        raise _no_film(path, name, error) from error
    raise PictureError(f"{name} has no frames in it: it ends before the first picture. Copy or download it again.")


class PyavVideo(FileVideo):
    """Frames are found by their times: those of all packets are listed when the file is opened, without decoding."""

    reader = "pyav"

    def __init__(self, path: Path, name: str, probed: Probe, max_side: int | None):
        super().__init__(path, name)
        self.rotation, self.original_size, self.fps = probed.rotation, probed.size, probed.fps
        self.size = shrunk_size(probed.size, max_side)
        self._decoded: Iterator[av.VideoFrame] | None = None
        self._next = 0
        self._key_times: list[int] = []
        self._open()
        self._times, broken = self._list_times()
        self._decoded = None
        if broken:
            self._drop_what_cannot_be_decoded()
        self.length = len(self._times)
        if not self.length:
            raise PictureError(f"{name} has no frames in it that can be decoded. Copy or download it again.")

    @cached_property
    def timestamps(self) -> np.ndarray:
        unit_s = self._stream.time_base or Fraction(1, av.time_base)
        return np.array([float((time - self._times[0]) * unit_s) for time in self._times])

    def _list_times(self) -> tuple[list[int], bool]:
        """Times of all frames in the order they are shown, in units of the stream, and whether reading broke off or has
        to be checked.
        """
        times, broken = [], False
        try:
            for packet in self._container.demux(self._stream):
                if packet.pts is not None and not packet.is_discard:
                    times.append(packet.pts)
                    if packet.is_keyframe:
                        self._key_times.append(packet.pts)
                    broken = broken or packet.is_corrupt
                if len(times) > MAX_FRAMES:
                    raise PictureError(
                        f"{self.name} has more than {MAX_FRAMES:,} frames, the most that are read. Cut it first."
                    )
        except av.FFmpegError:
            broken = True
        self._key_times.sort()
        return sorted(times), broken or len(times) < self._stream.frames

    def _drop_what_cannot_be_decoded(self) -> None:
        times = []
        self._container.seek(0)
        try:
            for frame in self._container.decode(self._stream):
                if frame.pts is not None:
                    times.append(frame.pts)
        except av.FFmpegError:
            pass
        promised = max(self._stream.frames, len(self._times))
        self._times = times
        self.warning = f"{self.name} is cut short or damaged: {len(times)} of its {promised} frames are there."

    def _read(self, index: int) -> np.ndarray:
        try:
            frame = self._decode(index)
        except (av.FFmpegError, StopIteration) as error:
            self._decoded = None
            raise PictureError(
                f"Frame {index} of {self.name} can't be decoded: the file is damaged there. Copy or download it again."
            ) from error
        # Scaling happens before turning, so the stored frame's sides are swapped where it lies on its side.
        height, width = self.size[::-1] if self.rotation % 180 else self.size
        rgb = (
            frame.to_ndarray(format="rgb24", width=width, height=height)
            if self.size != self.original_size
            else frame.to_ndarray(format="rgb24")
        )
        return np.ascontiguousarray(np.rot90(rgb, self.rotation // 90))

    def _decode(self, index: int) -> av.VideoFrame:
        """The frame from the running decoder where it comes soon, else from a key frame before it. Some containers
        find a place after the one asked for, or hand out frames before they are whole: then from further and further
        before it, at last from the beginning.
        """
        wanted = self._times[index]
        if self._decoded is not None and self._comes_soon(index):
            frame = self._run_to(index)
            if frame is not None and frame.pts == wanted:
                return frame
        for seconds in SEEK_BEFORE_S:
            self._seek(wanted - self._in_units(seconds))
            frame = self._run_to(index)
            if frame is not None and frame.pts == wanted:
                return frame
        self._container.close()
        self._open()
        frame = self._run_to(index)
        if frame is None:
            raise StopIteration
        return frame

    def _comes_soon(self, index: int) -> bool:
        """Whether no key frame lies between the next frame and that one."""
        if index <= self._next:
            return index == self._next
        return bisect_right(self._key_times, self._times[index]) <= bisect_right(
            self._key_times, self._times[self._next]
        )

    def _run_to(self, index: int) -> av.VideoFrame | None:
        """The first frame from here on that is not before that one; None at the film's end. A frame is only what was
        asked for where its time is, too.
        """
        for frame in self._decoded or ():
            if frame.pts is not None and frame.pts >= self._times[index]:
                self._next = index + 1
                return frame
        return None

    def _seek(self, time: int) -> None:
        self._container.seek(max(time, self._times[0]), stream=self._stream, backward=True)
        self._decoded = self._container.decode(self._stream)

    def _in_units(self, seconds: float) -> int:
        return round(seconds / (self._stream.time_base or Fraction(1, av.time_base)))

    def _open(self) -> None:
        """At the beginning."""
        self._container = av.open(str(self.path))
        self._stream = self._container.streams.video[0]
        self._decoded = self._container.decode(self._stream)

    def close(self) -> None:
        with self._lock:
            self._container.close()


def _no_film(path: Path, name: str, error: av.FFmpegError) -> PictureError:
    with path.open("rb") as file:
        start = file.read(64)
    if start[4:8] == b"ftyp":
        return PictureError(
            f"{name} is cut short or damaged: the part of the file that says where its frames lie is missing. Copy "
            "or download it again."
        )
    return PictureError(
        f"{name} is not a film that can be read here ({error.strerror or error}). Give an MP4, MOV, MKV, WebM or "
        "AVI file."
    )
