"""A film's process, started anew where it has ended, and what a person is told where it can't read."""

import hashlib
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np

from samkit.errors import PictureError
from samkit.files import opened_regular
from samkit.media.decoding.messages import CODECS, MAX_PACKETS, MAX_SIDE
from samkit.media.film_process import CodeChanged, FilmProcess, ReaderFailed
from samkit.words import listed

MAX_BYTES = 4 * 2**30
MAX_FAILURES = 2
"""Times that a film may end its process before it is not tried again."""
FILES_TEXT = "an MP4, MOV, MKV, WebM, AVI, MPEG, FLV or GIF file"
END_BYTES = 2**16
STARTS = (
    (4, b"ftypM4A", "a sound file"),
    (0, b"ID3", "a sound file"),
    (0, b"OggS", "an Ogg file"),
    (0, b"\x30\x26\xb2\x75", "a Windows Media file"),
    (0, b"#EXTM3U", "a list of addresses"),
    (0, b"ffconcat", "a list of files"),
    (0, b"\x89PNG", "a picture"),
    (0, b"\xff\xd8\xff", "a picture"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b".RMF", "a RealMedia file"),
    (0, b"\x06\x0e\x2b\x34", "an MXF file"),
)
"""(place, bytes there, what such a file is): not read here, but known."""


class FilmReader:
    """Asks a film's process. Questions come from one thread at a time.

    with_decord: whether the process has decord too
    """

    def __init__(self, path: Path, name: str, with_decord: bool = False):
        self.path, self.name, self.with_decord = path, name, with_decord
        self.bytes = check_file(path, name).st_size
        self._seen = _identity(path, name)
        self._process: FilmProcess | None = None
        self._failures, self._closed = 0, False

    def ask(self, do: str, seconds: float, **more: Any) -> tuple[dict[str, Any], bytes]:
        """As `FilmProcess.ask`. Raises PictureError where the film can't be read."""
        try:
            answer, content = self._running().ask(do, seconds, **more)
        except ReaderFailed as failure:
            raise self._failed(failure) from failure
        if "refused" in answer:
            raise self._refusal(answer)
        return answer, content

    def ask_frame(self, do: str, seconds: float, size: tuple[int, int], **more: Any) -> np.ndarray | None:
        """As `FilmProcess.ask_frame`. Raises PictureError where the process fails."""
        try:
            return self._running().ask_frame(do, seconds, size, **more)
        except ReaderFailed as failure:
            raise self._failed(failure) from failure

    def start(self) -> bool:
        """See that a process is there. Returns whether it is a new one."""
        known = self._process
        return self._running() is not known

    def leave_decord(self) -> None:
        """Go on without it; where it has ended the process, that does not count."""
        self.with_decord, self._failures = False, 0

    def close(self) -> None:
        self._closed = True
        if self._process is not None:
            self._process.close()

    def _running(self) -> FilmProcess:
        if self._closed:
            raise PictureError(f"{self.name} was closed. Open it again.")
        if self._process is None or not self._process.alive:
            if self._failures >= MAX_FAILURES:
                raise PictureError(
                    f"{self.name} has ended the program that reads it {MAX_FAILURES} times, so it is not read any "
                    "more. It is damaged or made up: copy or download it again, or convert it to MP4."
                )
            if _identity(self.path, self.name) != self._seen:
                raise PictureError(f"The file of {self.name} was changed after it was opened. Open it again.")
            try:
                self._process = FilmProcess(self.path, self.with_decord)
            except CodeChanged:
                raise self._other_code() from None
            except OSError as error:
                raise PictureError(
                    f"{self.name} can't be read just now: no program could be started for it ({error.strerror}). Try "
                    "again in a moment."
                ) from error
        return self._process

    def _failed(self, failure: ReaderFailed) -> PictureError:
        self._failures += 1
        if failure.too_much:
            return self._too_much()
        return PictureError(
            f"{self.name} ended the program that reads it: it is damaged, or of a kind that can't be read here. Copy "
            "or download it again, or convert it to MP4."
        )

    def _too_much(self) -> PictureError:
        return PictureError(
            f"{self.name} takes more time or memory than a film may: it is damaged, or its header claims too much. Cut "
            "it, or convert it to MP4."
        )

    def _refusal(self, answer: dict[str, Any]) -> PictureError:
        """The sentence on a film that the process does not read."""
        name = self.name
        match answer["refused"]:
            case "only sound":
                return PictureError(f"{name} has only sound in it. Give a film.")
            case "speed":
                return PictureError(
                    f"Parts of {name} are played faster or slower than they were recorded, which is not read here. "
                    "Export it from the program that you cut it with: then it has the frames that you see there."
                )
            case "no pictures":
                return PictureError(f"{name} has no pictures in it. Give a film.")
            case "codec":
                return PictureError(
                    f"{name} holds its pictures as {plain(answer.get('codec'))}, which is not read here. Read are "
                    f"{listed(list(CODECS.values()))}: convert it to one of these."
                )
            case "size":
                return PictureError(
                    f"{name} has {plain(answer.get('width'))} x {plain(answer.get('height'))} pixels a frame; at most "
                    f"{MAX_SIDE} a side and 8K in all are read. Make it smaller first."
                )
            case "too many":
                return PictureError(
                    f"{name} has more than {MAX_PACKETS:,} frames, the most that are read. Cut it first."
                )
            case "too much":
                return self._too_much()
            case "not a film":
                return self._no_film()
            case "damaged":
                return damaged(name)
        return self._other_code()

    def _other_code(self) -> PictureError:
        return PictureError(
            f"{self.name} can't be read: this server's code has changed since it was started. Restart it (in the "
            "window where it runs: Ctrl+C, then the command it was started with)."
        )

    def _no_film(self) -> PictureError:
        with opened_regular(self.path) as (file, _):
            start = file.read(64)
        known = next((what for place, found, what in STARTS if start[place:].startswith(found)), None)
        if known is not None:
            return PictureError(f"{self.name} is {known}, not a film that is read here. Give {FILES_TEXT}.")
        if start[4:8] == b"ftyp":
            return PictureError(
                f"{self.name} is cut short or damaged: the part of the file that says where its frames lie is missing. "
                "Copy or download it again."
            )
        return PictureError(f"{self.name} is not a film that can be read here, or it is damaged. Give {FILES_TEXT}.")


def damaged(name: str) -> PictureError:
    return PictureError(f"{name} has no frames in it that can be decoded. Copy or download it again.")


def plain(text: object) -> str:
    """What a process said, as part of a sentence."""
    return "".join(each if each.isprintable() else "?" for each in str(text))[:60]


def check_file(path: Path, name: str) -> os.stat_result:
    """Raises PictureError for what is not a file of a size that is read."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise PictureError(f"There is no file {str(path)!r:.300}. Check the path.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PictureError(f"{name} can't be opened: {reason}. Check the path.") from error
    if not stat.S_ISREG(status.st_mode):
        raise PictureError(f"{name} is a device or a pipe, not a file. Save the film as a file first.")
    if status.st_size == 0:
        raise PictureError(f"{name} is empty: it has no bytes. Save or download it again.")
    if status.st_size > MAX_BYTES:
        raise PictureError(
            f"{name} is larger than {MAX_BYTES / 2**30:g} GB, the most that is read. Cut it or make it smaller first."
        )
    return status


def _identity(path: Path, name: str) -> tuple[int, int, int, bytes]:
    """What another film at the path would not have: place, size, and the file's two ends. When it was changed does not
    say it, for stores write down there when a file was used.
    """
    status = check_file(path, name)
    try:
        with opened_regular(path) as (file, _):
            ends = file.read(END_BYTES)
            file.seek(max(0, status.st_size - END_BYTES))
            digest = hashlib.sha256(ends + file.read(END_BYTES)).digest()
    except OSError as error:
        raise PictureError(f"{name} can't be opened: {error.strerror or error}. Check the path.") from error
    return status.st_dev, status.st_ino, status.st_size, digest
