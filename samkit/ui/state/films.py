"""Films that visitors upload: which are taken, and their files on the server's disk, for readers need a path. The
oldest go when there are too many.
"""

import hashlib
import os
import shutil
import tempfile
import threading
import weakref
from contextlib import suppress
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from samkit.errors import PictureError
from samkit.limits import check
from samkit.media.file_film import FileVideo
from samkit.media.films import Video
from samkit.media.video import open_video
from samkit.scratch import scratch_folder
from samkit.ui.state.public import check_upload, present_limits

FILM_TYPES = ["mp4", "mov", "mkv", "webm", "avi", "m4v", "ts", "mts", "m2ts", "mpg", "mpeg", "flv"]
FILM_UPLOAD_MB = 200
MAX_STORED_BYTES = 2 * 2**30
PART = ".part"
"""The ending of a file that is still being written."""


class FilmStore:
    """Files named by content, in a folder that goes with the server, also where that is killed. One for all visitors:
    they may put films, the same one too, at the same time.
    """

    def __init__(self) -> None:
        self.folder = scratch_folder("films")
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._held: dict[Path, list[weakref.ref[object]]] = {}
        self._lock = threading.Lock()

    def put(self, content: bytes | Path, name: str, holder: object = None) -> Path:
        """The film's path in the store. holder: as `hold` takes it

        Raises PictureError where the disk is full, or the store is, with films that somebody holds.
        """
        try:
            path = self.folder / f"{_digest(content)[:32]}{Path(name).suffix.lower()}"
            if holder is not None:
                self.hold(path, holder)
            if not self.use(path):
                self.folder.mkdir(parents=True, exist_ok=True)
                self._write(content, path)
        except OSError as error:
            raise PictureError(
                f"{name} can't be stored on the server ({error.strerror}): upload a smaller film, or free some space."
            ) from error
        with self._lock:
            fits = self._drop_oldest(path)
            if not fits and not self._is_held(path, but=holder):
                path.unlink(missing_ok=True)
                raise PictureError(
                    f"{name} can't be stored: the server has no more room beside the films that visitors are using. "
                    "Upload a shorter film, or try again later."
                )
        return path

    def hold(self, path: Path, holder: object) -> None:
        """As long as anybody has `holder`, the film stays, whatever others put."""
        with self._lock:
            self._held.setdefault(path, []).append(weakref.ref(holder))

    def use(self, path: Path) -> bool:
        """Whether that film is in the store; it then counts as the one used last, so that others go before it."""
        if path.parent != self.folder:
            return False
        try:
            os.utime(path)
        except OSError:
            return False
        return True

    def _is_held(self, path: Path, but: object = None) -> bool:
        living = [ref for ref in self._held.get(path, []) if ref() is not None]
        if living:
            self._held[path] = living
        else:
            self._held.pop(path, None)
        return any(ref() is not but for ref in living)

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

    def _drop_oldest(self, newest: Path) -> bool:
        """Remove what was used longest ago and nobody holds, until the rest is small enough; whether it is."""
        films: list[tuple[int, int, Path]] = []
        for file in self.folder.iterdir():
            # A file may go at any moment; what is still being written is not in the store.
            with suppress(OSError):
                if file.suffix != PART:
                    films.append((file.stat().st_mtime_ns, file.stat().st_size, file))
        total = sum(size for _, size, _ in films)
        for _, size, file in sorted(films):
            if total <= MAX_STORED_BYTES:
                return True
            if file != newest and not self._is_held(file):
                with suppress(OSError):
                    file.unlink(missing_ok=True)
                    total -= size
        # One that is alone in the store may be larger than all of it.
        return total <= MAX_STORED_BYTES or len(films) == 1 or not any(self._is_held(file) for *_, file in films)


class _Hold:
    """Holds a film until it is opened."""


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
    label = f"Your own: MP4, MOV, MKV, WebM, AVI, MPEG or FLV, up to {FILM_UPLOAD_MB} MB"
    return st.file_uploader(label, type=FILM_TYPES, key=key, max_upload_size=FILM_UPLOAD_MB)


def stored_film(upload: UploadedFile, max_side: int | None = None) -> Video:
    """The film of an upload, read from the store. max_side: in pixels, as in `open_video`. Raises PictureError for what
    is not a film that can be read.
    """
    check_upload(upload.name, upload.size, film=True)
    video = store_and_open(upload.getvalue(), upload.name, upload.name, max_side)
    most = present_limits().film_frames
    check(upload.name, video.length, most, "frames", "Cut it first.")
    return video


def store_and_open(content: bytes | Path, file_name: str, name: str, max_side: int | None) -> Video:
    """The film, kept in the store as long as anybody has it. file_name: gives the kind of file. Raises as
    `stored_film` does.
    """
    store, hold = film_store(), _Hold()
    path = store.put(content, file_name, hold)
    video = open_video(path, name, max_side=max_side)
    store.hold(path, video)
    return video


def use_film(video: Video) -> None:
    """Say that a page shows this film: as long as a visitor looks at it, others leave the store before it."""
    if isinstance(video, FileVideo):
        film_store().use(video.path)
