"""Answers questions on one film, from stdin to stdout, until stdin ends.

Arguments: the film's path; the number of an open file in memory that takes frames, -1 to send them after the answer;
"decord" to have that too.
"""

import json
import mmap
import os
import sys
from collections.abc import Callable
from typing import Any

import av
from av.video.plane import VideoPlane

from samkit.media.decoding import limits
from samkit.media.decoding.decord_reader import DecordReader
from samkit.media.decoding.messages import BUFFER_BYTES, MAX_LINE, NUMBER
from samkit.media.decoding.pyav_reader import PyavReader, Refused

DECORD_BYTES = 2**30
"""Address space more for decord: numpy, an FFmpeg of its own and frames that it reads ahead."""
DECORD_FILES = 4
"""The film, opened by decord; it closes and opens it again."""

Answer = tuple[dict[str, Any], bytes | memoryview]


class Program:
    def __init__(self, path: str, buffer: int, with_decord: bool):
        self._more = DECORD_BYTES if with_decord else 0
        limits.allow_memory(self._more)
        self._path = path
        self._map = mmap.mmap(buffer, BUFFER_BYTES) if buffer >= 0 else None
        self._decord: DecordReader | None = None
        if with_decord:
            import decord  # noqa: F401 (while its files may still be opened)
        self._pyav = PyavReader(path)
        self._opened = False
        self._size: tuple[int, int] | None = None
        """(width, height) of the frames that are read one after the other; None where they are read otherwise."""
        self._ahead: tuple[int, VideoPlane] | None = None
        """The next frame and its stamp, where it was decoded ahead."""
        limits.give_up_the_rest(DECORD_FILES if with_decord else 0)
        self.does: dict[str, Callable[..., Answer]] = {
            "open": self.open,
            "packets": self.packets,
            "decode": self.decode,
            "frame": self.frame,
            "decord times": self.decord_times,
            "decord frame": self.decord_frame,
        }

    def open(self) -> Answer:
        facts = self._pyav.open()
        self._opened = True
        limits.allow_memory(self._more, facts["width"] * facts["height"])
        return facts, b""

    def packets(self) -> Answer:
        table, broken = self._pyav.packets()
        return {"broken": broken}, table

    def decode(self, count: int | None, by_dts: bool) -> Answer:
        stamps, facts, broken = self._pyav.decoded(count, by_dts)
        return facts | {"broken": broken}, b"".join(NUMBER.pack(stamp) for stamp in stamps)

    def frame(self, width: int, height: int, by_dts: bool, **place: Any) -> Answer:
        if not self._opened:
            self.open()
        self._pyav.by_dts = by_dts
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] == place["stamp"]:
            rgb = ahead[1]
        else:
            rgb = _converted(self._pyav.frame(**place), width, height)
        self._size = (width, height) if place["run_on"] else None
        return self._sent(memoryview(rgb), rgb.line_size)

    def look_ahead(self) -> None:
        """Where frames are read one after the other, have the next one ready before somebody waits for it."""
        if self._size is not None and self._ahead is None:
            frame = self._pyav.next_frame()
            if frame is not None and frame.pts is not None:
                self._ahead = frame.pts, _converted(frame, *self._size)

    def decord_times(self) -> Answer:
        return {}, self._by_decord().times().tobytes()

    def decord_frame(self, index: int) -> Answer:
        rgb = self._by_decord().frame(index)
        return self._sent(rgb.reshape(-1).data, rgb.strides[0])

    def _by_decord(self) -> DecordReader:
        """Opened where it is asked for: PyAV has looked at the film by then."""
        if self._decord is None:
            self._decord = DecordReader(self._path)
        return self._decord

    def _sent(self, pixels: memoryview, row: int) -> Answer:
        """row: bytes from one row of pixels to the next"""
        if self._map is None:
            return {"row": row}, pixels
        self._map[: len(pixels)] = pixels
        return {"row": row}, b""


def _converted(frame: av.VideoFrame, width: int, height: int) -> VideoPlane:
    return frame.reformat(width=width, height=height, format="rgb24").planes[0]


def main() -> None:
    path, given, more = sys.argv[1:4]
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # Under the lowest number that is free: `limits` lets no number be used that is not.
    buffer = os.dup(int(given)) if int(given) >= 0 else -1
    if buffer >= 0:
        os.close(int(given))

    def say(answer: dict[str, Any], content: bytes | memoryview = b"") -> None:
        answers.write(json.dumps(answer | {"bytes": len(content)}).encode() + b"\n")
        answers.write(content)
        answers.flush()

    program: Program | None = None
    while line := questions.readline(MAX_LINE):
        question = json.loads(line)
        limits.allow_seconds(question.pop("seconds"))
        try:
            if program is None:
                program = Program(path, buffer, more == "decord")
            say(*program.does[question.pop("do")](**question))
            program.look_ahead()
        except Refused as refused:
            say({"refused": refused.kind} | refused.facts)
        except MemoryError:
            say({"refused": "too much"})
        except (OSError, ValueError):
            say({"refused": "damaged"})


if __name__ == "__main__":
    main()
