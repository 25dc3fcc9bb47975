"""The masks of a film's frames as a run keeps them: a file of COCO RLE for each object that was followed."""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from samkit.errors import BadInput
from samkit.media.pictures import Picture
from samkit.media.rle import rle_to_mask
from samkit.tracking.bundle.bundle import Bundle
from samkit.tracking.bundle.film_inputs import open_film

MAX_BYTES = 64 * 2**20
"""Of a file of masks that is read for a comparison."""
FILES_READ = 6
_FILE = re.compile(r"outputs/masks(?:_(\d+))?\.json")
_FRAME = re.compile(r"frame (\d+)(?: of object (\d+))?")


def frame_name(frame: int, number: int = 0) -> str:
    """What the mask of a frame is called. number: of the object, from 0."""
    return f"frame {frame}" + (f" of object {number + 1}" if number else "")


def frame_of(name: str) -> int | None:
    """The frame that a name of `frame_name` says; None for any other name."""
    found = _FRAME.fullmatch(name)
    return int(found[1]) if found else None


def object_of(name: str) -> int | None:
    """The number, from 0, of the object that a frame's name says; None where it says none, and stands for them all."""
    found = _FRAME.fullmatch(name)
    return int(found[2]) - 1 if found and found[2] else None


def whose(name: str) -> int:
    """The number of the object, from 0, whose mask has that name."""
    return object_of(name) or 0


def object_count(bundle: Bundle) -> int:
    """How many objects of a film the run has masks of."""
    return len(_objects(bundle))


def frames_with_masks(bundle: Bundle) -> set[int]:
    """The frames for which the run has a mask of any object."""
    return {frame for number in _objects(bundle) for frame in _rows(bundle, number)}


def masks_by_object(bundle: Bundle) -> dict[int, dict[int, dict[str, Any]]]:
    """Number of the object, from 0 -> frame -> COCO RLE of its mask."""
    return {number: _rows(bundle, number) for number in _objects(bundle)}


def masks_of_frame(bundle: Bundle, frame: int) -> list[str]:
    """The names of the frame's masks, one for each object that has one."""
    return [frame_name(frame, number) for number in sorted(_objects(bundle)) if frame in _rows(bundle, number)]


def frame_mask(bundle: Bundle, name: str) -> np.ndarray:
    """bool [H, W]. KeyError for a name that the run has no mask of."""
    frame, number = _parsed(name)
    return rle_to_mask(_rows(bundle, number)[frame])


def frame_picture(bundle: Bundle, name: str) -> Picture | None:
    """The frame itself, as large as its masks; None where the film is not there."""
    if bundle.record.video is None:
        return None
    try:
        with open_film(bundle.path, bundle.record.video) as film:
            picture = film.picture(_parsed(name)[0])
    except (BadInput, OSError):
        return None
    return picture if picture.size == frame_size(bundle) else None


def frame_sha256(bundle: Bundle, name: str) -> str:
    """What is equal for masks that lie on one frame of one film, as `ground_sha256` says it."""
    return f"{bundle.record.video.sha256}#{_parsed(name)[0]}" if bundle.record.video else ""


def frame_size(bundle: Bundle) -> tuple[int, int]:
    """(height, width) of the film's frames as the run had them."""
    video = bundle.record.video
    return (video.height, video.width) if video else (0, 0)


def _parsed(name: str) -> tuple[int, int]:
    """(frame, number of the object from 0)."""
    found = _FRAME.fullmatch(name)
    if found is None:
        raise KeyError(name)
    return int(found[1]), int(found[2] or 1) - 1


def _objects(bundle: Bundle) -> dict[int, Path]:
    """Number of the object -> file of its masks."""
    found = {relative: _FILE.fullmatch(relative) for relative in bundle.record.files}
    return {int(match[1] or 0): bundle.path / relative for relative, match in found.items() if match}


def _rows(bundle: Bundle, number: int) -> dict[int, dict[str, Any]]:
    """Frame -> COCO RLE; none where the file can't be read or holds masks of another size."""
    path = _objects(bundle).get(number)
    return {} if path is None else _read(path, *frame_size(bundle))


@lru_cache(maxsize=FILES_READ)
def _read(path: Path, height: int, width: int) -> dict[int, dict[str, Any]]:
    try:
        if path.stat().st_size > MAX_BYTES:
            return {}
        rows = json.loads(path.read_bytes())["frames"]
        masks = {int(row["frame"]): row["rle"] for row in rows}
        return {frame: rle for frame, rle in masks.items() if list(rle["size"]) == [height, width]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
