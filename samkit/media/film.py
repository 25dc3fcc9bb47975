"""Films out: MP4 that plays in a browser, and the masks of every frame as PNG files in a zip or as COCO run-length
encoding.

Frames are encoded in a process of its own, as films are read: the server holds neither the encoder's libraries nor the
frames it looks ahead at.
"""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np

from samkit.errors import PictureError
from samkit.media.drawing import mask_to_png
from samkit.media.film_process import small_environment
from samkit.media.rle import mask_to_rle, rle_to_mask

LEAST_FPS, MOST_FPS = 0.1, 1000.0
"""Of a film that is written. What is outside of this, such as of a film whose header lies, no player shows."""
PROGRAM = "samkit.media.film_encoder"


class FilmWriter:
    """Writes H.264 in an MP4 file, 4:2:0, so that every browser plays it. The file appears when the writer is closed
    without an error.

    Odd sides get one more row or column, the last one again: 4:2:0 needs even ones.
    """

    def __init__(self, path: str | Path, fps: float):
        self.path = Path(path)
        self.frames = 0
        self._partial = self.path.with_name(f".{self.path.name}.part")
        self._rate = Fraction(min(max(fps, LEAST_FPS), MOST_FPS)).limit_denominator(1001)
        self._encoder: subprocess.Popen[bytes] | None = None

    def add(self, rgb: np.ndarray) -> None:
        """Append a frame: uint8 [H, W, 3], all of one size."""
        height, width = rgb.shape[:2]
        if height % 2 or width % 2:
            rgb = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        try:
            if self._encoder is None:
                self._encoder = self._start(*rgb.shape[:2])
            assert self._encoder.stdin is not None
            self._encoder.stdin.write(np.ascontiguousarray(rgb).data)
        except OSError as error:
            raise self._cannot_be_written(self._end() or str(error)) from error
        self.frames += 1

    def close(self) -> None:
        """Finish the file. Without any frame there is none."""
        if self._encoder is None:
            return
        try:
            reason = self._end(finish=True)
            if not reason:
                os.replace(self._partial, self.path)
        except OSError as error:
            self._partial.unlink(missing_ok=True)
            raise self._cannot_be_written(str(error)) from error
        if reason:
            raise self._cannot_be_written(reason)

    def _start(self, height: int, width: int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-P", "-m", PROGRAM, str(self._partial.absolute()), str(self._rate), f"{width}x{height}"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=small_environment(),
            start_new_session=True,
        )

    def _end(self, finish: bool = False) -> str:
        """No encoder goes on; "" where it has finished the film, as it is let do with `finish`, else why not."""
        if self._encoder is None:
            return ""
        encoder, self._encoder = self._encoder, None
        if not finish:
            encoder.kill()
        # Ends its standard input, which ends the film.
        _, told = encoder.communicate()
        if not encoder.returncode:
            return ""
        self._partial.unlink(missing_ok=True)
        return told.decode(errors="replace").strip()[:200] or "its encoder broke off"

    def _cannot_be_written(self, reason: str) -> PictureError:
        return PictureError(f"The film can't be written to {self.path} ({reason}): make room or choose another place.")

    def __enter__(self) -> "FilmWriter":
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self._end()


def write_film(path: str | Path, frames: Iterable[np.ndarray], fps: float) -> Path:
    """All frames, uint8 [H, W, 3] each, as one MP4 file."""
    with FilmWriter(path, fps) as writer:
        for rgb in frames:
            writer.add(rgb)
    return writer.path


def masks_to_json(masks: Sequence[Mapping]) -> bytes:
    """Rows with `frame` (index), `rle` (of `mask_to_rle`) and whatever else belongs to the frame, as one JSON file."""
    return json.dumps({"format": "coco-rle-per-frame", "frames": list(masks)}, separators=(",", ":")).encode()


def masks_from_json(content: bytes) -> dict[int, np.ndarray]:
    """frame -> bool [H, W], of what `masks_to_json` wrote. Raises PictureError for anything else."""
    try:
        rows = json.loads(content)["frames"]
        return {int(row["frame"]): rle_to_mask(row["rle"]) for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise PictureError(f"This is not a file of masks per frame ({error!r:.100}).") from error


def zip_masks(masks: bytes) -> bytes:
    """A zip file with a PNG for each frame, named by frame. masks: COCO RLE, as `masks_to_json` writes it."""
    return zip_mask_folders({"": masks})


def zip_mask_folders(folders: Mapping[str, bytes]) -> bytes:
    """A zip file with a folder for each object, named so; as `zip_masks` otherwise."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for folder, masks in folders.items():
            for frame, mask in masks_from_json(masks).items():
                archive.writestr(f"{folder}/{frame:06d}.png".lstrip("/"), mask_to_png(mask))
    return file.getvalue()


def mask_row(frame: int, mask: np.ndarray, **more: float | int | bool) -> dict:
    """A row for `masks_to_json`. mask: bool [H, W]."""
    return {"frame": frame, "rle": mask_to_rle(mask), **more}
