"""Answers questions on one film, from stdin to stdout, until stdin ends.

Arguments: the film's path; the number of an open file in memory that takes frames, -1 to send them after the answer;
"decord" to have that too.
"""

import json
import os
import select
import sys
import time
from collections.abc import Callable
from typing import Any

import av
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter

from samkit.media.decoding import limits
from samkit.media.decoding.decord_reader import DecordReader
from samkit.media.decoding.messages import MAX_LINE, NUMBER
from samkit.media.decoding.pyav_reader import PyavReader, Refused
from samkit.media.decoding.shelf import Given, Shelf

DECORD_BYTES = 2**30
"""Address space more for decord: numpy, an FFmpeg of its own and frames that it reads ahead."""
DECORD_FILES = 4
"""The film, opened by decord; it closes and opens it again."""

AHEAD_S = 1.0
"""Seconds of computing after which no more frames are read ahead: they come out of what the last question may take."""


class Program:
    def __init__(self, path: str, buffer: int, with_decord: bool):
        self._more = DECORD_BYTES if with_decord else 0
        limits.allow_memory(self._more)
        self._path = path
        self._shelf = Shelf(buffer)
        self._decord: DecordReader | None = None
        if with_decord:
            import decord  # noqa: F401 (while its files may still be opened)
        self._pyav = PyavReader(path)
        self._opened = False
        self._to_rgb = VideoReformatter()
        """One for all frames: to set it up takes a tenth of a frame's time."""
        self._size: tuple[int, int] | None = None
        """(width, height) of the frames that are read one after the other; None where they are read otherwise."""
        limits.give_up_the_rest(DECORD_FILES if with_decord else 0)
        self.does: dict[str, Callable[..., Given]] = {
            "open": self.open,
            "packets": self.packets,
            "decode": self.decode,
            "frame": self.frame,
            "decord times": self.decord_times,
            "decord frame": self.decord_frame,
        }

    def open(self) -> Given:
        facts = self._pyav.open()
        self._opened = True
        limits.allow_memory(self._more, facts["width"] * facts["height"])
        return facts, b""

    def packets(self) -> Given:
        table, broken, cut = self._pyav.packets()
        return {"broken": broken, "cut": cut}, table

    def decode(self, count: int | None, by_dts: bool) -> Given:
        stamps, facts, broken = self._pyav.decoded(count, by_dts)
        return facts | {"broken": broken}, b"".join(NUMBER.pack(stamp) for stamp in stamps)

    def frame(self, width: int, height: int, by_dts: bool, **place: Any) -> Given:
        if not self._opened:
            self.open()
        self._pyav.by_dts = by_dts
        self._size = (width, height) if place["run_on"] else None
        given = self._shelf.taken(place["stamp"])
        if given is not None:
            return given
        rgb = self._converted(self._pyav.frame(**place), width, height)
        self._shelf.clear(rgb.buffer_size)
        return self._shelf.lay(memoryview(rgb), rgb.line_size)

    def look_ahead(self) -> bool:
        """Where frames are read one after the other, have the next one ready before somebody waits for it. Returns
        whether there may be more to do.
        """
        if self._size is None or not self._shelf.has_room:
            return False
        try:
            frame = self._pyav.next_frame()
            if frame is None or frame.pts is None:
                return False
            rgb = self._converted(frame, *self._size)
        except (OSError, ValueError, MemoryError):
            # Whoever asks for this frame hears of it.
            return False
        self._shelf.lay_ahead(frame.pts, memoryview(rgb), rgb.line_size)
        return True

    def decord_times(self) -> Given:
        return {}, self._by_decord().times().tobytes()

    def decord_frame(self, index: int) -> Given:
        rgb = self._by_decord().frame(index)
        self._shelf.clear(rgb.nbytes)
        return self._shelf.lay(rgb.reshape(-1).data, rgb.strides[0])

    def _by_decord(self) -> DecordReader:
        """Opened where it is asked for: PyAV has looked at the film by then."""
        if self._decord is None:
            self._decord = DecordReader(self._path)
        return self._decord

    def _converted(self, frame: av.VideoFrame, width: int, height: int) -> VideoPlane:
        return self._to_rgb.reformat(frame, width=width, height=height, format="rgb24", threads=1).planes[0]


def _is_asked(questions: int) -> bool:
    """Whether somebody waits for an answer. Not known on Windows, where pipes can't be looked at."""
    return sys.platform == "win32" or bool(select.select([questions], [], [], 0)[0])


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
        except Refused as refused:
            say({"refused": refused.kind} | refused.facts)
        except MemoryError:
            say({"refused": "too much"})
        except (OSError, ValueError):
            say({"refused": "damaged"})
        until = time.process_time() + AHEAD_S
        while program is not None and program.look_ahead() and time.process_time() < until:
            if _is_asked(questions.fileno()):
                break


if __name__ == "__main__":
    main()
