"""Pictures as values, and reading them safely from files that anyone may have made.

A picture's size is checked against the caps in its header, before a pixel is decoded; only the formats in `FORMATS` are
tried. Whatever is wrong with a file ends in a PictureError that says what and what to do.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from samkit.errors import PictureError
from samkit.files import opened_regular

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
FORMATS_TEXT = "JPEG, PNG, WebP, BMP, TIFF or GIF"
MAX_BYTES = 64 * 2**20
MAX_PIXELS = 50_000_000
MAX_SIDE = 16_384

ORIENTATION_TAG = 0x0112

PictureSource = str | os.PathLike | bytes | bytearray | memoryview | BinaryIO


@dataclass(frozen=True, eq=False)
class Picture:
    """RGB pixels, uint8 [H, W, 3], that can't be written to, and the name a person knows them by. Two pictures are
    equal when their pixels are.
    """

    rgb: np.ndarray
    name: str

    def __post_init__(self) -> None:
        rgb = np.asarray(self.rgb)
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
            raise PictureError(
                f"A picture's pixels must be uint8 of the shape [height, width, 3], not {rgb.dtype} {list(rgb.shape)}."
            )
        if rgb.flags.writeable or not rgb.flags.c_contiguous:
            rgb = np.array(rgb, order="C")
            rgb.flags.writeable = False
        object.__setattr__(self, "rgb", rgb)

    @classmethod
    def from_array(cls, rgb: np.ndarray, name: str = "picture") -> "Picture":
        """A picture with its own copy of uint8 [H, W, 3] pixels."""
        return cls(rgb, name)

    @cached_property
    def sha256(self) -> str:
        """Of shape and pixels, in hex: the same for the same pixels, whatever file they came in."""
        digest = hashlib.sha256(repr(self.rgb.shape).encode())
        digest.update(self.rgb.data)
        return digest.hexdigest()

    @property
    def height(self) -> int:
        return self.rgb.shape[0]

    @property
    def width(self) -> int:
        return self.rgb.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.height, self.width

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)


def read_picture(
    source: PictureSource,
    name: str | None = None,
    *,
    max_side: int = MAX_SIDE,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
    grey: "GreyRange | None" = None,
) -> Picture:
    """A picture from a path, the bytes of a file, or an open binary file (which is read from its start).

    name: what to call it in sentences and runs; the file's own name when left out. max_side in pixels; max_bytes of the
          file.
    grey: of deep greyscale, the range to take instead of the picture's own

    The pixels are as a person sees them: turned as the EXIF orientation says, transparent parts over white, palettes
    and CMYK as RGB, greyscale in all three channels. 16-bit colour keeps its upper 8 bits; 16-bit greyscale is divided
    by the range its brightest pixel needs (8, 10, 12, 14 or 16 bits), because pictures of 12-bit cameras would be near
    black otherwise. Float pixels from 0 to 1 are multiplied by 255; any other range is stretched from least to
    greatest. Colour profiles are not applied: models are trained on pixels as they are stored.

    Raises PictureError for what is not a picture, is damaged, cut short, empty or animated, can't be opened, or is over
    a cap.
    """
    name, data = picture_bytes(source, name, max_bytes)
    return _decoded(_open(data, name, max_side, max_pixels), name, grey)


def deep_grey_range(source: PictureSource) -> "GreyRange | None":
    """The range of a picture in 16-bit, 32-bit or float greyscale; None for any other. Raises as `read_picture`."""
    name, data = picture_bytes(source)
    image = _open(data, name, MAX_SIDE, MAX_PIXELS)
    if not _is_deep_grey(image):
        return None
    with _decoding(image, name):
        return GreyRange.of(np.asarray(image))


def picture_bytes(source: PictureSource, name: str | None = None, max_bytes: int = MAX_BYTES) -> tuple[str, bytes]:
    """(what to call it, the file's content) of a source, as `read_picture` takes one; never empty. Raises PictureError
    where it can't be opened or is larger than `max_bytes`.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        name, data = clean_name(name), bytes(source)
    elif isinstance(source, str | os.PathLike):
        name, data = _read_path(os.fspath(source), name, max_bytes)
    else:
        name, data = _read_file(source, name, max_bytes)
    if not data:
        raise PictureError(f"{name} is empty: it has no bytes. Save or download it again.")
    if len(data) > max_bytes:
        raise _over_bytes(name, max_bytes)
    return name, data


def stored_pixels(data: bytes, name: str) -> tuple[Image.Image, np.ndarray]:
    """A picture file as it is stored: (the opened file, for its mode, format and palette; its pixels [H, W] or
    [H, W, C], upright, of a palette the indices). Checked and refused like `read_picture` does.
    """
    image = _open(data, name, MAX_SIDE, MAX_PIXELS)
    with _decoding(image, name):
        return image, _upright(np.asarray(image), _orientation(image))


def _decoded(image: Image.Image, name: str, grey: "GreyRange | None") -> Picture:
    """The picture of an opened file."""
    with _decoding(image, name):
        return Picture(_upright(_rgb(image, grey), _orientation(image)), name)


@contextmanager
def _decoding(image: Image.Image, name: str) -> Iterator[None]:
    """Decodes an opened file. Raises PictureError where it is animated, damaged or too large for the memory, also for
    what goes wrong inside the block.
    """
    try:
        if image.format != "MPO" and getattr(image, "is_animated", False):
            what = "has several pages" if image.format == "TIFF" else "is animated"
            raise PictureError(f"{name} {what}. Save the one you want as a PNG or JPEG and take that.")
        image.load()
        yield
    except PictureError:
        raise
    except MemoryError as error:
        raise PictureError(
            f"{name} has {image.width} x {image.height} pixels, more than this machine's free memory holds. Make "
            "it smaller first."
        ) from error
    except Exception as error:
        # Pillow's decoders answer damaged files with nearly any exception: OSError, SyntaxError, ValueError,
        # struct.error, IndexError...
        raise _damaged(name, error) from error


def _read_path(path: str | bytes, name: str | None, max_bytes: int) -> tuple[str, bytes]:
    path = os.fsdecode(path)
    name = clean_name(name or Path(path).name)
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise PictureError(f"{name} is a folder. Give the path of one picture file in it.")
        if not stat.S_ISREG(status.st_mode):
            raise PictureError(f"{name} is a device or a pipe, not a file. Save the picture as a file first.")
        if status.st_size > max_bytes:
            raise _over_bytes(name, max_bytes)
        # Files of the system may say that they have no bytes, and wait for some for ever.
        with opened_regular(Path(path), max_bytes) as (file, size):
            return name, file.read(size)
    except FileNotFoundError as error:
        raise PictureError(f"There is no file {path!r:.300}. Check the path.") from error
    except PermissionError as error:
        raise PictureError(
            f"{name} can't be opened: this user may not read it. Change its permissions or copy it."
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PictureError(f"{name} can't be opened: {reason}. Check the path.") from error


def _read_file(file: BinaryIO, name: str | None, max_bytes: int) -> tuple[str, bytes]:
    own_name = getattr(file, "name", None)
    name = clean_name(name or (Path(own_name).name if isinstance(own_name, str) else None))
    if not callable(getattr(file, "read", None)):
        raise PictureError(
            f"A picture is read from a path, bytes or an open binary file, not from a {type(file).__name__}."
        )
    try:
        if file.seekable():
            file.seek(0)
        data = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        raise PictureError(f"{name} can't be read: {error}. Open it again.") from error
    if not isinstance(data, bytes):
        raise PictureError(f"{name} was opened as text. Open it in binary mode.")
    return name, data


def _open(data: bytes, name: str, max_side: int, max_pixels: int) -> Image.Image:
    """The picture with its header read and its size checked, nothing decoded."""
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        if _is_of_known_format(data):
            raise _damaged(name, error) from error
        raise PictureError(
            f"{name} is not a picture that can be read here{_looks_like(data)}. Give a {FORMATS_TEXT} file."
        ) from error
    except Image.DecompressionBombError as error:
        raise PictureError(
            f"{name} says it has more pixels than the {max_pixels / 1e6:g} million that are read. Make it smaller "
            "first."
        ) from error
    except Exception as error:
        raise _damaged(name, error) from error
    width, height = image.size
    if width * height > max_pixels:
        raise PictureError(
            f"{name} has {width} x {height} pixels; at most {max_pixels / 1e6:g} million are read. Make it smaller "
            "first."
        )
    if max(width, height) > max_side:
        raise PictureError(
            f"{name} has {width} x {height} pixels; at most {max_side} a side are read. Make it smaller first."
        )
    return image


def _rgb(image: Image.Image, grey: "GreyRange | None") -> np.ndarray:
    """The decoded picture as uint8 [H, W, 3]."""
    if _is_deep_grey(image):
        values = np.asarray(image)
        return np.repeat((grey or GreyRange.of(values)).to_8_bits(values)[..., None], 3, axis=2)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _is_deep_grey(image: Image.Image) -> bool:
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


@dataclass(frozen=True)
class GreyRange:
    """The least and greatest finite value of greyscale pixels, and whether all are whole numbers. What is measured over
    several pictures shows them alike.
    """

    low: float
    high: float
    whole: bool

    @classmethod
    def of(cls, values: np.ndarray) -> "GreyRange":
        """values: integer or float [H, W]"""
        if values.dtype.kind in "iu":
            return cls(float(values.min()), float(values.max()), True)
        finite = values[np.isfinite(values)].astype(np.float64)
        return (
            cls(float(finite.min(initial=np.inf)), float(finite.max(initial=-np.inf)), False) if finite.size else _FLAT
        )

    def __or__(self, other: "GreyRange") -> "GreyRange":
        return GreyRange(min(self.low, other.low), max(self.high, other.high), self.whole and other.whole)

    def to_8_bits(self, values: np.ndarray) -> np.ndarray:
        """uint8 [H, W] by the rules in `read_picture`. Pixels that are not finite become the least that is."""
        if self.whole and self.low >= 0 and self.high < 2**16:
            bits = next(bits for bits in (8, 10, 12, 14, 16) if self.high < 2**bits)
            table = np.arange(2**bits) * (255 / (2**bits - 1))
            return np.rint(table).astype(np.uint8)[np.clip(values, 0, 2**bits - 1)]
        values = values.astype(np.float64)
        values = np.clip(np.where(np.isfinite(values), values, self.low), self.low, self.high)
        if self.low >= 0 and self.high <= 1:
            return np.rint(values * 255).astype(np.uint8)
        # Halves keep the difference of the greatest floats finite.
        span = self.high / 2 - self.low / 2
        return np.rint((values / 2 - self.low / 2) / (span or 1) * 255).astype(np.uint8)


_FLAT = GreyRange(0.0, 0.0, False)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation 1..8 of a decoded picture; 1 where there is none. Damaged EXIF data says nothing about the
    pixels, so it counts as none.
    """
    try:
        return image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:
        return 1


def _upright(rgb: np.ndarray, orientation: int) -> np.ndarray:
    turned = {
        2: lambda: rgb[:, ::-1],
        3: lambda: rgb[::-1, ::-1],
        4: lambda: rgb[::-1],
        5: lambda: rgb.swapaxes(0, 1),
        6: lambda: rgb[::-1].swapaxes(0, 1),
        7: lambda: rgb[::-1, ::-1].swapaxes(0, 1),
        8: lambda: rgb[:, ::-1].swapaxes(0, 1),
    }.get(orientation)
    return turned() if turned else rgb


def clean_name(name: str | None) -> str:
    """A name fit for a sentence and a file list: one line, no folders, at most 100 characters."""
    name = (name or "").replace("\\", "/").rsplit("/", 1)[-1]
    name = "".join(character if character.isprintable() else "?" for character in name).strip()
    return name[:100] or "The picture"


def _over_bytes(name: str, max_bytes: int) -> PictureError:
    return PictureError(
        f"{name} is larger than {max_bytes / 2**20:g} MB, the most that is read. Make it smaller first."
    )


def _damaged(name: str, error: Exception) -> PictureError:
    if "truncated" in str(error).lower() or isinstance(error, EOFError):
        return PictureError(f"{name} is cut short: the file ends before the picture does. Copy or download it again.")
    return PictureError(f"{name} is damaged and can't be decoded. Copy or download it again, or save it anew as a PNG.")


def _is_of_known_format(data: bytes) -> bool:
    starts = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"II*\x00", b"MM\x00*", b"GIF8")
    return data.startswith(starts) or (data.startswith(b"RIFF") and data[8:12] == b"WEBP")


def _looks_like(data: bytes) -> str:
    """What the first bytes tell of a file that is not a picture, as the end of a sentence."""
    if data[4:8] == b"ftyp":
        return (
            "; it looks like a HEIC or AVIF picture"
            if data[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"avif")
            else "; it looks like a video"
        )
    for start, kind in (
        (b"%PDF", "a PDF"),
        (b"PK\x03\x04", "a ZIP archive or an office document"),
        (b"8BPS", "a Photoshop file"),
        (b"RIFF", "a sound or video"),
    ):
        if data.startswith(start):
            return f"; it looks like {kind}"
    beginning = data[:4096]
    if b"<svg" in beginning:
        return "; it looks like an SVG drawing"
    return "; it looks like text" if b"\x00" not in beginning and beginning.isascii() else ""


def picture_to_png(picture: Picture) -> bytes:
    """The picture as a PNG file, without loss."""
    return array_to_png(picture.rgb)


def array_to_png(array: np.ndarray) -> bytes:
    """uint8 [H, W], [H, W, 3] or [H, W, 4] (greyscale, RGB, RGBA) as a PNG file, without loss."""
    file = BytesIO()
    Image.fromarray(array).save(file, "PNG", compress_level=3)
    return file.getvalue()
