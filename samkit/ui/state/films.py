"""Films that visitors upload: which are taken, and their files on the server's disk, for readers need a path. The
oldest go when there are too many.
"""

import hashlib
import shutil
import tempfile
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from samkit.errors import PictureError
from samkit.media.films import Video
from samkit.media.video import open_video

FILM_TYPES = ["mp4", "mov", "mkv", "webm", "avi", "m4v"]
FILM_UPLOAD_MB = 200
MAX_STORED_BYTES = 2 * 2**30


class FilmStore:
    """Files named by content, in a folder that goes when the server ends."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="samkit-films-")

    def put(self, content: bytes | Path, name: str) -> Path:
        """The film's path in the store. Raises PictureError where the disk is full."""
        digest = (
            hashlib.sha256(content).hexdigest()
            if isinstance(content, bytes)
            else hashlib.file_digest(content.open("rb"), "sha256").hexdigest()
        )
        path = Path(self._folder.name) / f"{digest[:32]}{Path(name).suffix.lower()}"
        try:
            if not path.exists():
                partial = path.with_suffix(".part")
                if isinstance(content, bytes):
                    partial.write_bytes(content)
                else:
                    shutil.copyfile(content, partial)
                partial.rename(path)
            path.touch()
        except OSError as error:
            raise PictureError(
                f"{name} can't be stored on the server ({error.strerror}): upload a smaller film, or free some space."
            ) from error
        self._drop_oldest(path)
        return path

    def _drop_oldest(self, newest: Path) -> None:
        files = sorted(Path(self._folder.name).iterdir(), key=lambda file: file.stat().st_mtime)
        total = sum(file.stat().st_size for file in files)
        for file in files:
            if total <= MAX_STORED_BYTES or file == newest:
                return
            total -= file.stat().st_size
            file.unlink(missing_ok=True)


@st.cache_resource(show_spinner=False)
def film_store() -> FilmStore:
    """The one store of this server."""
    return FilmStore()


def film_uploader(key: str) -> UploadedFile | None:
    """A visitor's own film, as `stored_film` takes it."""
    label = f"Your own: MP4, MOV, MKV, WebM or AVI, up to {FILM_UPLOAD_MB} MB"
    return st.file_uploader(label, type=FILM_TYPES, key=key, max_upload_size=FILM_UPLOAD_MB)


def stored_film(upload: UploadedFile, max_side: int | None = None) -> Video:
    """The film of an upload, read from the store. max_side: in pixels, as in `open_video`. Raises PictureError for what
    is not a film that can be read.
    """
    return open_video(film_store().put(upload.getvalue(), upload.name), upload.name, max_side=max_side)
