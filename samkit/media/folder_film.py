"""Films as folders of pictures, one a frame."""

import functools
import hashlib
import operator
import re
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from samkit.errors import PictureError
from samkit.files import file_digest
from samkit.media.films import Video, shrunk_size
from samkit.media.pictures import MAX_BYTES, GreyRange, deep_grey_range, read_picture

FOLDER_FPS = 24.0
MAX_FRAMES = 500_000
FRAME_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


def frame_files(folder: Path) -> list[Path]:
    """The pictures of a film in a folder, in its order: by the numbers in their names, 9.jpg before 10.jpg. No frames
    are folders, and files whose name begins with a dot, which macOS puts beside each file that it copies.
    """
    return sorted(filter(Path.is_file, _named_as_frames(folder)), key=_by_number)


def lost_frames(folder: Path) -> list[Path]:
    """Links among a film's pictures that lead nowhere; the frames after them have lower numbers than they should."""
    return [file for file in _named_as_frames(folder) if file.is_symlink() and not file.exists()]


def frames_digest(files: Sequence[Path], room: int = sys.maxsize) -> str | None:
    """SHA-256 in hex of a film in a folder, from the hashes of its frames; None where one of them can't be read, or all
    have more than `room` bytes.
    """
    digest = hashlib.sha256()
    for file in files:
        own = file_digest(file, min(MAX_BYTES, room))
        if own is None:
            return None
        room -= file.stat().st_size
        digest.update(bytes.fromhex(own))
    return digest.hexdigest()


def _named_as_frames(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.suffix.lower() in FRAME_SUFFIXES and file.name[0] != "."]


def _by_number(file: Path) -> tuple[list[str | int], str]:
    parts = re.split(r"([0-9]+)", file.name)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], file.name


class FolderVideo(Video):
    """A folder with one picture a frame. Deep greyscale is shown in one range for the whole film."""

    reader = "folder"

    def __init__(self, folder: Path, name: str, max_side: int | None = None):
        super().__init__()
        self.name = name
        try:
            self.files, lost = frame_files(folder), lost_frames(folder)
        except OSError as error:
            raise PictureError(
                f"The folder {name} can't be opened: {error.strerror}. Check its permissions."
            ) from error
        if not self.files:
            raise PictureError(
                f"The folder {name} has no pictures in it: a film as a folder has one JPEG, PNG or TIFF file a frame."
            )
        if len(self.files) > MAX_FRAMES:
            raise PictureError(f"The folder {name} has more than {MAX_FRAMES:,} pictures, the most that are read.")
        if lost:
            self.warning = (
                f"{name} has {len(lost)} links in it that lead to no picture ({lost[0].name[:100]} is one): these "
                "frames are left out, and those behind them move up."
            )
        self.length, self.fps = len(self.files), FOLDER_FPS
        self.original_size = read_picture(self.files[0]).size
        self.size = shrunk_size(self.original_size, max_side)

    @cached_property
    def _grey(self) -> GreyRange | None:
        """Of all frames together, so that their brightness does not change with the brightest pixel of each."""
        if deep_grey_range(self.files[0]) is None:
            return None
        ranges = [each for each in map(deep_grey_range, self.files) if each is not None]
        return functools.reduce(operator.or_, ranges)

    def _read(self, index: int) -> np.ndarray:
        picture = read_picture(self.files[index], grey=self._grey)
        if picture.size != self.original_size:
            height, width = self.original_size
            raise PictureError(
                f"{picture.name} is {picture.width} x {picture.height} pixels, the first frame {width} x {height}: "
                "frames must have one size."
            )
        if self.size == self.original_size:
            return picture.rgb
        return cv2.resize(picture.rgb, self.size[::-1], interpolation=cv2.INTER_AREA)

    @cached_property
    def sha256(self) -> str:
        digest = frames_digest(self.files)
        if digest is None:
            raise PictureError(f"Frames of {self.name} can't be read any more. Check its folder, and open it again.")
        return digest
