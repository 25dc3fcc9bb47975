"""Films out: MP4 that plays in a browser, and the masks of every frame as PNG files in a zip or as COCO run-length
encoding.
"""

import json
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream

from samkit.errors import PictureError
from samkit.media.drawing import mask_to_png
from samkit.media.rle import mask_to_rle, rle_to_mask

LEAST_FPS, MOST_FPS = 0.1, 1000.0
"""Of a film that is written. What is outside of this, such as of a film whose header lies, no player shows."""
QUALITY = "20"
"""x264's constant rate factor: 18 is nearly without loss, 23 its default."""


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
        self._output: tuple[OutputContainer, VideoStream] | None = None

    def add(self, rgb: np.ndarray) -> None:
        """Append a frame: uint8 [H, W, 3], all of one size."""
        height, width = rgb.shape[:2]
        if height % 2 or width % 2:
            rgb = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        try:
            if self._output is None:
                self._output = self._open(*rgb.shape[:2])
            container, stream = self._output
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            container.mux(stream.encode(frame))
        except (OSError, av.FFmpegError) as error:
            raise self._cannot_be_written(error) from error
        self.frames += 1

    def close(self) -> None:
        """Finish the file. Without any frame there is none."""
        if self._output is None:
            return
        container, stream = self._output
        try:
            container.mux(stream.encode(None))
            container.close()
            os.replace(self._partial, self.path)
        except (OSError, av.FFmpegError) as error:
            raise self._cannot_be_written(error) from error
        finally:
            self._output = None

    def _open(self, height: int, width: int) -> tuple[OutputContainer, VideoStream]:
        container = av.open(str(self._partial), "w", format="mp4", options={"movflags": "+faststart"})
        stream = container.add_stream("libx264", rate=self._rate, options={"crf": QUALITY, "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_count = 1
        return container, stream

    def _cannot_be_written(self, error: Exception) -> PictureError:
        return PictureError(f"The film can't be written to {self.path} ({error}): make room or choose another place.")

    def __enter__(self) -> "FilmWriter":
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is None:
            self.close()
        elif self._output is not None:
            self._output[0].close()
            self._output = None
            self._partial.unlink(missing_ok=True)


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
