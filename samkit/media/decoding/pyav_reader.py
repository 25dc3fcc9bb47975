"""A film's packets and frames by PyAV. Frames go by the stamp of their packet, so that what comes out of the decoder is
known for what it is, whatever the container promised.
"""

import os
import stat
import struct
from collections.abc import Iterator
from typing import Any

import av

# PyAV would import the following where a film needs them. By then no file can be opened.
import av.audio.codeccontext
import av.audio.stream
import av.sidedata.motionvectors
import av.subtitles.codeccontext
import av.subtitles.stream
from av.container import InputContainer
from av.stream import Disposition

from samkit.media.decoding.cut_short import ends_early
from samkit.media.decoding.edit_speed import EditSpeed
from samkit.media.decoding.messages import (
    CODECS,
    DECODERS,
    FORMATS,
    HIDDEN,
    KEY,
    MAX_PACKETS,
    MAX_PIXELS,
    MAX_SIDE,
    PACKET,
    UNKNOWN,
)

OPTIONS = {"format_whitelist": ",".join(FORMATS), "codec_whitelist": ",".join(DECODERS), "protocol_whitelist": "none"}
DISPLAY_MATRIX = struct.Struct("=9i")
LATE_PACKETS = 64
"""Packets after a frame's own that are decoded at most before the frame comes out: decoders hold back 16 or fewer."""


class Refused(Exception):
    """A film that is not read. kind: of `REFUSALS`; facts: what the sentence on it needs."""

    def __init__(self, kind: str, **facts: Any):
        super().__init__(kind)
        self.kind, self.facts = kind, facts


def _without_waiting(path: str, flags: int) -> int:
    """As a pipe without a writer would."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


class PyavReader:
    """by_dts: packets go by when they are decoded; else by when they are shown."""

    def __init__(self, path: str):
        self.by_dts, self._until = False, UNKNOWN
        self._file = open(path, "rb", buffering=0, opener=_without_waiting)  # noqa: SIM115 (as long as the process)
        if not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
            raise Refused("not a film")
        self._frames: Iterator[av.VideoFrame] | None = None
        self._clean = True

    def open(self) -> dict[str, Any]:
        """The header's facts, none of which is to be believed."""
        self._rewind()
        if self._container.format.name.startswith("mov"):
            self._check_speed()
        stream, codec = self._stream, self._stream.codec_context
        rate = stream.average_rate or stream.guessed_rate
        return {
            "format": self._container.format.name.split(",")[0],
            "codec": codec.codec.canonical_name,
            "width": codec.width,
            "height": codec.height,
            "rate": float(rate) if rate else 0.0,
            "unit": [stream.time_base.numerator, stream.time_base.denominator] if stream.time_base else [0, 0],
            "promised": max(0, stream.frames),
        }

    def packets(self) -> tuple[bytes, bool, bool]:
        """All packets as `PACKET`, in the order of the file; whether reading broke off; and whether the file ends
        before it should.
        """
        self._rewind()
        table, broken = bytearray(), self._reaches_past_the_end()
        hidden_mask = 0x10 if self._stream.codec_context.name == "vp8" else 0
        try:
            for packet in self._demux():
                shown = not packet.is_discard and not (hidden_mask and not memoryview(packet)[0] & hidden_mask)
                flags = KEY * packet.is_keyframe | HIDDEN * (not shown)
                times = (UNKNOWN if value is None else value for value in (packet.pts, packet.dts, packet.pos))
                table += PACKET.pack(*times, flags)
                broken = broken or (packet.is_corrupt and shown)
                if len(table) > MAX_PACKETS * PACKET.size:
                    raise Refused("too many")
        except av.FFmpegError:
            broken = True
        return bytes(table), broken, ends_early(self._file.fileno(), self._container.format.name)

    def decoded(self, count: int | None, by_dts: bool) -> tuple[list[int], dict[str, Any], bool]:
        """The stamps of the first `count` frames (None: of all) as the decoder hands them out, the first one's facts,
        and whether decoding broke off. Frames without a stamp count as `UNKNOWN`.
        """
        self.by_dts = by_dts
        self._rewind()
        stamps: list[int] = []
        facts: dict[str, Any] = {}
        try:
            for frame in self._decode():
                if not stamps:
                    facts = {"width": frame.width, "height": frame.height, "matrix": _matrix(frame)}
                stamps.append(UNKNOWN if frame.pts is None else frame.pts)
                if count is not None and len(stamps) >= count:
                    break
        except av.FFmpegError:
            return stamps, facts, True
        return stamps, facts, False

    def frame(self, stamp: int, dts: int, run_on: bool, starts: list[int], last_start: int) -> av.VideoFrame:
        """The frame of that stamp. From where the last one was read, if `run_on`; else from the first of `starts` that
        leads there, at last from the beginning. Containers find places too late, and decoders hand out frames before
        they are whole: such a way does not lead there.

        dts:        of the frame's packet, `UNKNOWN` where it has none
        starts:     times of key frames, as the container looks for them
        last_start: the greatest stamp of a key frame at which decoding may begin
        """
        if run_on and self._frames is not None:
            frame = self._run_to(stamp, dts)
            if frame is not None:
                return frame
        for time in starts:
            try:
                self._container.seek(time, stream=self._stream, backward=True)
            except av.FFmpegError:
                continue
            self._frames = self._decode(last_start)
            frame = self._run_to(stamp, dts)
            if frame is not None and self._clean:
                return frame
        self._rewind()
        self._frames = self._decode()
        frame = self._run_to(stamp, dts, strict=True)
        if frame is None:
            self._frames = None
            raise Refused("damaged")
        return frame

    def next_frame(self) -> av.VideoFrame | None:
        """The frame after the last one; None where it does not come."""
        try:
            return next(self._frames, None) if self._frames is not None else None
        except av.FFmpegError:
            self._frames = None
            return None

    def _run_to(self, stamp: int, dts: int, strict: bool = False) -> av.VideoFrame | None:
        """None where that frame does not come. strict: an error of the decoder is one of the film."""
        self._until = dts
        try:
            for frame in self._frames or ():
                self._clean = self._clean and not frame.is_corrupt
                if frame.pts == stamp:
                    return frame
                if not self.by_dts and frame.pts is not None and frame.pts > stamp:
                    return None
        except av.FFmpegError as error:
            self._frames = None
            if strict:
                raise Refused("damaged") from error
        return None

    def _decode(self, last_start: int | None = None) -> Iterator[av.VideoFrame]:
        """Frames from the next key frame on, none where that has a later stamp than `last_start`."""
        self._clean, self._until = True, UNKNOWN
        waiting, late = last_start is not None, 0
        for packet in self._demux():
            if self.by_dts:
                packet.pts = packet.dts
            if waiting:
                if not packet.is_keyframe or packet.pts is None:
                    continue
                if last_start is not None and packet.pts > last_start:
                    return
                waiting = False
            late = late + 1 if UNKNOWN < self._until < (packet.dts if packet.dts is not None else UNKNOWN) else 0
            if late > LATE_PACKETS:
                return
            yield from packet.decode()
        yield from self._stream.codec_context.decode(None)

    def _demux(self) -> Iterator[av.Packet]:
        """The film's packets that have something in them. An empty one would end the decoder."""
        return (packet for packet in self._container.demux(self._stream) if packet.size > 0)

    def _rewind(self) -> None:
        """The file from its beginning."""
        self._frames = None
        self._file.seek(0)
        try:
            self._container: InputContainer = av.open(
                self._file, "r", metadata_errors="ignore", options=OPTIONS, buffer_size=2**18
            )
        except MemoryError as error:
            raise Refused("too much") from error
        except av.FFmpegError as error:
            raise Refused("not a film", detail=str(error.strerror)[:100]) from error
        pictures = [each for each in self._container.streams.video if not each.disposition & Disposition.attached_pic]
        if not pictures:
            raise Refused("only sound" if self._container.streams.audio else "no pictures")
        self._stream = pictures[0]
        codec = self._stream.codec_context
        if codec is None or codec.codec.canonical_name not in CODECS:
            raise Refused("codec", codec=codec.codec.long_name[:60] if codec is not None else "an unknown coding")
        if max(codec.width, codec.height) > MAX_SIDE or codec.width * codec.height > MAX_PIXELS:
            raise Refused("size", width=codec.width, height=codec.height)
        codec.thread_count = 1
        codec.options = {"max_pixels": str(MAX_PIXELS)}

    def _check_speed(self) -> None:
        place = self._file.tell()
        changes = EditSpeed(self._file, os.fstat(self._file.fileno()).st_size).changes()
        self._file.seek(place)
        if changes:
            raise Refused("speed")

    def _reaches_past_the_end(self) -> bool:
        """Whether the container's own index names frames behind the end of the file."""
        if not self._container.format.name.startswith("mov"):
            return False
        size = os.fstat(self._file.fileno()).st_size
        entries = self._stream.index_entries
        return any(entries[number].pos + entries[number].size > size for number in range(len(entries)))


def _matrix(frame: av.VideoFrame) -> list[int]:
    """The four numbers that say how the frame is turned and mirrored to be shown: x' = ax + cy, y' = bx + dy."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None or len(bytes(data)) != DISPLAY_MATRIX.size:
        return [1, 0, 0, 1]
    a, b, _, c, d, *_ = DISPLAY_MATRIX.unpack(bytes(data))
    return [a, b, c, d]
