"""Films that visitors upload: which are taken, and their files on the server's disk, for readers need a path. The
oldest go when there are too many.
"""

import hashlib
import os
import shutil
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from samkit.errors import PictureError
from samkit.media.file_film import FileVideo
from samkit.media.films import Video
from samkit.media.video import open_video

FILM_TYPES = ["mp4", "mov", "mkv", "webm", "avi", "m4v"]
FILM_UPLOAD_MB = 200
MAX_STORED_BYTES = 2 * 2**30
PART = ".part"
"""The ending of a file that is still being written."""


class FilmStore:
    """Files named by content, in a folder that goes when the server ends. One for all visitors: they may put films, the
    same one too, at the same time.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="samkit-films-")
        self._lock = threading.Lock()

    def put(self, content: bytes | Path, name: str) -> Path:
        """The film's path in the store. Raises PictureError where the disk is full."""
        try:
            path = Path(self._folder.name) / f"{_digest(content)[:32]}{Path(name).suffix.lower()}"
            if not self.use(path):
                self._write(content, path)
        except OSError as error:
            raise PictureError(
                f"{name} can't be stored on the server ({error.strerror}): upload a smaller film, or free some space."
            ) from error
        with self._lock:
            self._drop_oldest(path)
        return path

    def use(self, path: Path) -> bool:
        """Whether that film is in the store; it then counts as the one used last, so that others go before it."""
        if path.parent != Path(self._folder.name):
            return False
        try:
            os.utime(path)
        except OSError:
            return False
        return True

    def _write(self, content: bytes | Path, path: Path) -> None:
        """Under a name of its own until the file is whole: whoever finds `path` finds all of the film."""
        handle, part = tempfile.mkstemp(dir=path.parent, suffix=PART)
        try:
            with open(handle, "wb") as target:
                if isinstance(content, bytes):
                    target.write(content)
                else:
                    with content.open("rb") as source:
                        shutil.copyfileobj(source, target)
            os.replace(part, path)
        finally:
            Path(part).unlink(missing_ok=True)

    def _drop_oldest(self, newest: Path) -> None:
        """Remove what was used longest ago, until the rest is small enough."""
        films: list[tuple[int, int, Path]] = []
        for file in Path(self._folder.name).iterdir():
            # A file may go at any moment; what is still being written is not in the store.
            with suppress(OSError):
                if file.suffix != PART:
                    films.append((file.stat().st_mtime_ns, file.stat().st_size, file))
        total = sum(size for _, size, _ in films)
        for _, size, file in sorted(films):
            if total <= MAX_STORED_BYTES:
                return
            if file != newest:
                with suppress(OSError):
                    file.unlink(missing_ok=True)
                    total -= size


def _digest(content: bytes | Path) -> str:
    """SHA-256 in hex."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def use_film(video: Video) -> None:
    """Say that a page shows this film: as long as a visitor looks at it, others leave the store before it."""
    if isinstance(video, FileVideo):
        film_store().use(video.path)
