"""A run from elsewhere, looked through before it is kept: every file that a page or a replay will open is opened
once.
"""

import zipfile
import zlib
from typing import Literal

import numpy as np

from samkit.errors import BadInput, SamkitError
from samkit.media.pictures import Picture, read_picture
from samkit.media.video import open_video
from samkit.tracking.bundle.arrays import check_whole
from samkit.tracking.bundle.bundle import ARRAYS, PICTURES, Bundle
from samkit.tracking.bundle.film_inputs import memories
from samkit.tracking.bundle.record import KEPT_FILM, PictureEntry

MAX_PIXELS = 1_500_000_000
"""Of all masks and pictures that a run made; a replay and a comparison hold them in memory."""


def check_contents(bundle: Bundle, name: str) -> None:
    """Raises BadInput where a file is not what its name says. name: what the user calls the run's file."""
    try:
        _look_through(bundle)
    except (
        SamkitError,
        OSError,
        ValueError,
        TypeError,
        KeyError,
        zipfile.BadZipFile,
        NotImplementedError,
        EOFError,
        zlib.error,
        RecursionError,
        OverflowError,
        MemoryError,
    ) as error:
        raise BadInput(
            f"{name} can't be imported: {_said(error)} Nothing of it was kept; export it again where it was made."
        ) from None


def _said(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "it takes more memory than is free here."
    text = str(error).strip() or type(error).__name__
    return text if text.endswith(".") else f"{text}."


def _left(room: int, pixels: int) -> int:
    if pixels > room:
        raise BadInput(f"its masks and pictures have more than {MAX_PIXELS // 10**6} million pixels together.")
    return room - pixels


def _look_through(bundle: Bundle) -> None:
    record, folder = bundle.record, bundle.path
    _ = bundle.prompts
    for name in PICTURES:
        if f"inputs/{name}.png" in record.files:
            read_picture(folder / "inputs" / f"{name}.png")
    _check_given(bundle)
    room = MAX_PIXELS
    for mask in record.masks:
        room = _left(room, bundle.mask(mask).size)
    for path in bundle.images():
        picture = read_picture(path)
        room = _left(room, picture.width * picture.height)
    for name, rows in bundle.tables().items():
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise BadInput(f"its table {name[:60]!r} is not a list of rows.")
    _check_arrays(bundle)
    if record.video is not None:
        memories(folder)
        if KEPT_FILM.fullmatch(record.video.place):
            open_video(folder / record.video.place, record.video.name)


def _check_given(bundle: Bundle) -> None:
    """Hint and truths: what their entries say they are, and as large as their pictures."""
    record = bundle.record
    if (hint := bundle.mask_hint()) is not None and record.mask_hint is not None:
        on_b = record.picture_b is not None and record.params.get("prompt_on") == "b"
        _check_one("mask hint", hint.sha256, record.mask_hint.sha256)
        if hint.kind == "mask":
            _check_size("mask hint", hint.values, bundle.picture("image_b" if on_b else "image"))
    sides: tuple[tuple[Literal["truth", "truth_b"], Literal["image", "image_b"]], ...]
    sides = ("truth", "image"), ("truth_b", "image_b")
    for field, image in sides:
        entry: PictureEntry | None = getattr(record, field)
        truth = bundle.truth(field)
        if truth is not None and entry is not None:
            _check_one(field, truth.sha256, entry.sha256)
            _check_size(field, truth.mask, bundle.picture(image))


def _check_one(what: str, sha256: str, said: str) -> None:
    if sha256 != said:
        raise BadInput(f"its {what} is not the one that run.json names.")


def _check_size(what: str, mask: np.ndarray, picture: Picture | None) -> None:
    if picture is not None and mask.shape != picture.size:
        raise BadInput(f"its {what} has another size than its picture.")


def _check_arrays(bundle: Bundle) -> None:
    if ARRAYS in bundle.record.files:
        check_whole(bundle.path / ARRAYS)
