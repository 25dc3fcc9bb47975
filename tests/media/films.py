"""Real film files for tests, written with PyAV: whole, turned, with uneven times, with sound alone, cut short,
damaged.
"""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def moving_frames(count: int, height: int = 64, width: int = 96) -> list[np.ndarray]:
    """A bright square on a ramp, a step to the right each frame; every frame differs."""
    frames = []
    for index in range(count):
        rgb = (
            np.linspace(20, 120, width, dtype=np.float64)[None, :, None].repeat(height, 0).repeat(3, 2).astype(np.uint8)
        )
        left = 4 + (2 * index) % (width - 24)
        rgb[8:28, left : left + 16] = (230, 60, 40)
        rgb[40:44, : 2 * index % width] = 255
        frames.append(rgb)
    return frames


def write_film_file(
    path: Path,
    frames: list[np.ndarray],
    fps: int = 10,
    gop: int = 8,
    times: list[int] | None = None,
    container: str = "mp4",
) -> Path:
    """times: of each frame in milliseconds, for uneven rates."""
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream("libx264", rate=fps, options={"crf": "10", "preset": "veryfast"})
        stream.height, stream.width, stream.pix_fmt, stream.gop_size = *frames[0].shape[:2], "yuv420p", gop
        if times:
            stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for index, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            if times:
                frame.pts, frame.time_base = times[index], Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def write_sound(path: Path) -> Path:
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        for _ in range(20):
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def turn(path: Path, matrix: tuple[int, int, int, int] | int) -> Path:
    """Write a matrix into an MP4 file's track header, that of a quarter or half turn clockwise as a phone does that was
    held upright.
    """
    matrices = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
    a, b, c, d = (value * 65536 for value in (matrices[matrix] if isinstance(matrix, int) else matrix))
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40
    entries = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    content[start : start + 36] = b"".join(int(value).to_bytes(4, "big", signed=True) for value in entries)
    path.write_bytes(content)
    return path


def cut(path: Path, share: float) -> Path:
    """Leave the first part of the file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path
