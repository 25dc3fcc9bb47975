"""Films whose frames carry their number in the picture, written in the ways that readers get wrong."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

FRAMES, GOP = 60, 15
HEIGHT, WIDTH = 96, 128


def numbered(number: int) -> np.ndarray:
    """uint8 [H, W, 3]. Along the top, eight blocks are white where that bit of the number is 1; a square moves."""
    rgb = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    rgb[HEIGHT // 2 :] = np.linspace(30, 200, WIDTH, dtype=np.uint8)[None, :, None]
    left = (3 * number) % (WIDTH - 24)
    rgb[HEIGHT // 2 : HEIGHT // 2 + 24, left : left + 24] = (220, 50, 40)
    for bit in range(8):
        rgb[: HEIGHT // 6, bit * WIDTH // 8 : (bit + 1) * WIDTH // 8] = 255 * (number >> bit & 1)
    return rgb


def number_of(rgb: np.ndarray) -> int:
    """What `numbered` wrote into the frame."""
    step = WIDTH // 8
    return sum(1 << bit for bit in range(8) if rgb[4:10, bit * step + 4 : (bit + 1) * step - 4].mean() > 128)


def write_numbered(
    path: Path,
    codec: str = "libx264",
    container: str = "mp4",
    uneven: bool = False,
    options: dict[str, str] | None = None,
    muxing: dict[str, str] | None = None,
    pixels: str = "yuv420p",
    frames: int = FRAMES,
) -> Path:
    """uneven: frames come at 15 to 120 ms; else 25 a second"""
    steps = np.random.default_rng(1).integers(15, 120, frames)
    with av.open(str(path), "w", format=container, options=muxing or {}) as out:
        stream = out.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = WIDTH, HEIGHT, pixels, GOP
        if codec.startswith("mpeg"):
            stream.codec_context.max_b_frames = 2
        if uneven:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered(index), format="rgb24")
            if uneven:
                frame.pts, frame.time_base = int(steps[:index].sum()), Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def trim(path: Path, first_s: float, seconds: float) -> Path:
    """Have the edit list of an MP4 file show only that part, as phones trim."""
    content = bytearray(path.read_bytes())
    movie, media = (_timescale(content, box) for box in (b"mvhd", b"mdhd"))
    place = content.index(b"elst") + 12
    start = int.from_bytes(content[place + 4 : place + 8], "big")
    content[place : place + 4] = round(seconds * movie).to_bytes(4, "big")
    content[place + 4 : place + 8] = (start + round(first_s * media)).to_bytes(4, "big")
    path.write_bytes(content)
    return path


def _timescale(content: bytearray, box: bytes) -> int:
    place = content.index(box) + 16
    return int.from_bytes(content[place : place + 4], "big")


def claim(path: Path, box: bytes, offset: int, value: int, order: str = "little") -> Path:
    """Write a number of four bytes behind the name of a box."""
    content = bytearray(path.read_bytes())
    place = content.index(box) + len(box) + offset
    content[place : place + 4] = value.to_bytes(4, order)  # type: ignore[arg-type]
    path.write_bytes(content)
    return path
