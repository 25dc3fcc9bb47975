"""Opening films: files, and folders of frames.

Files are decoded by PyAV in a process of their own (`film_process.py`), small films that the owner names by decord too,
where it has wheels (Linux on x86-64, Windows) and agrees. Both read the same pixels, in about the same time; decord
decodes ahead of whoever reads slowly and has no setting against it, so large frames are not for it.

Whatever is wrong with a file ends in a PictureError that says what and what to do, or in the frames that are there.
"""

import os
from importlib.util import find_spec
from pathlib import Path

from samkit.media.file_film import FileVideo
from samkit.media.film_reader import MAX_BYTES
from samkit.media.films import Video
from samkit.media.folder_film import FolderVideo
from samkit.media.pictures import clean_name

__all__ = ["MAX_BYTES", "has_decord", "open_video"]


def open_video(
    path: str | os.PathLike, name: str | None = None, *, max_side: int | None = None, own: bool = False
) -> Video:
    """A film from a video file or a folder of pictures (DAVIS-like: one file a frame, in the order of the numbers in
    their names).

    max_side: shrink frames while decoding so that their longest side has at most that many pixels
    own:      whether the owner of this computer named it, so that decord may read it; not for uploads and for runs of
              others

    Raises PictureError for a file that is not a film, has no frames, or is over a cap.
    """
    path = Path(path)
    name = clean_name(name or path.name)
    if path.is_dir():
        return FolderVideo(path, name, max_side)
    return FileVideo(path, name, max_side=max_side, with_decord=own and has_decord())


def has_decord() -> bool:
    return find_spec("decord") is not None
