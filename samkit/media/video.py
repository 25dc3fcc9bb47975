"""Opening films: files that decord reads, files that PyAV reads, folders of frames.

decord has wheels for Linux on x86-64 and for Windows; elsewhere, and for files it refuses (cut short, odd), PyAV reads.
So it does where frames are large, for decord decodes ahead of whoever reads slowly and has no setting against it. Both
read the same pixels, in about the same time.

Whatever is wrong with a file ends in a PictureError that says what and what to do, or in the frames that are there.
"""

import os
from importlib.util import find_spec
from pathlib import Path

from samkit.errors import PictureError
from samkit.media.films import FolderVideo, Video, shrunk_size
from samkit.media.pictures import clean_name

MAX_BYTES = 4 * 2**30
DECORD_AHEAD = 192
"""Frames that decord holds decoded, about: 1280 x 720 pixels a frame are 530 MB."""
DECORD_BYTES = 48 * 2**20
"""As much as those frames may take."""


def open_video(
    path: str | os.PathLike, name: str | None = None, *, max_side: int | None = None, reader: str | None = None
) -> Video:
    """A film from a video file or a folder of pictures (DAVIS-like: one file a frame, in the order of the numbers in
    their names).

    max_side: shrink frames while decoding so that their longest side has at most that many pixels
    reader:   "decord" or "pyav" to insist on one

    Raises PictureError for a file that is not a film, has no frames, or is over a cap.
    """
    path = Path(path)
    name = clean_name(name or path.name)
    if path.is_dir():
        return FolderVideo(path, name, max_side)
    _check_file(path, name)
    from samkit.media.pyav_video import PyavVideo, probe

    probed = probe(path, name)
    if reader == "decord" or (reader is None and has_decord() and _is_small(shrunk_size(probed.size, max_side))):
        from samkit.media.decord_video import DecordVideo

        try:
            return DecordVideo(path, name, probed, max_side)
        except PictureError:
            if reader == "decord":
                raise
    return PyavVideo(path, name, probed, max_side)


def _is_small(size: tuple[int, int]) -> bool:
    """Whether decord may read frames of that (height, width) in pixels ahead of time."""
    return DECORD_AHEAD * size[0] * size[1] * 3 <= DECORD_BYTES


def has_decord() -> bool:
    return find_spec("decord") is not None


def _check_file(path: Path, name: str) -> None:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise PictureError(f"There is no file {str(path)!r:.300}. Check the path.") from None
    except OSError as error:
        raise PictureError(f"{name} can't be opened: {error.strerror or error}. Check the path.") from error
    if not path.is_file():
        raise PictureError(f"{name} is a device or a pipe, not a file. Save the film as a file first.")
    if size == 0:
        raise PictureError(f"{name} is empty: it has no bytes. Save or download it again.")
    if size > MAX_BYTES:
        raise PictureError(
            f"{name} is larger than {MAX_BYTES / 2**30:g} GB, the most that is read. Cut it or make it smaller first."
        )
