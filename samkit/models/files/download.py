"""Fetch a catalogue checkpoint: resumable, verified, and by one process at a time."""

import errno
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import requests
from filelock import FileLock, Timeout

from samkit.errors import DownloadError
from samkit.models.files.catalogue import CatalogueEntry, find_entry
from samkit.models.files.hashes import file_sha256, remember_sha256
from samkit.words import format_bytes

Progress = Callable[[int, int], None]
"""Called with (bytes on disk, bytes in all) for each 256 KiB. While another process downloads the same file, the bytes
are that one's.

An exception raised in it cancels the download; the part stays on disk for the next time.
"""

_CHUNK_BYTES = 1 << 18
_SPARE_DISK_BYTES = 64_000_000
_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S = 10, 30
# The waits between attempts that bring no byte; an attempt that brings some starts the row anew.
_RETRY_WAITS_S = (1.0, 2.0, 4.0)
_LOCK_POLL_S = 0.5
_PASSING_ERRORS = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


class _Interrupted(Exception):
    """The connection failed in a way that another attempt may mend; says how, as the end of a sentence."""


def download(
    entry: CatalogueEntry | str,
    folder: Path | str | None = None,
    progress: Progress | None = None,
    base_url: str | None = None,
) -> Path:
    """The path of the entry's file, downloaded first where it is not there yet (an embedded model always is).

    A file that is there is checked by size and SHA-256 and fetched again if it is another. `folder` defaults to
    `models_folder()`; `base_url` names a mirror that serves the official file names.

    Raises DownloadError: no network, refused, another file than expected, disk full, wrong checksum.
    """
    entry = find_entry(entry) if isinstance(entry, str) else entry
    target, part_path = entry.local_path(folder), entry.part_path(folder)
    if entry.brought:
        raise DownloadError(f"{entry.title} can't be downloaded here. {entry.origin}")
    if entry.url is None:
        return target
    url = entry.url if base_url is None else f"{base_url.rstrip('/')}/{entry.filename}"
    report = progress or (lambda done, total: None)
    try:
        with _disk_errors():
            target.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(entry, target, part_path, report):
            if not _is_whole(entry, target):
                with _Part(part_path, entry.file_bytes) as part:
                    _check_space(entry, target.parent, part.size)
                    _fetch(entry, url, part, report)
                    part.sync()
                if part.sha256 != entry.sha256:
                    with _disk_errors():
                        part_path.unlink()
                    raise DownloadError(
                        f"{entry.filename} arrived with another checksum than the official file's and was removed: "
                        "run the download again."
                    )
                _move_into_place(part_path, target)
                remember_sha256(target, part.sha256)
            report(entry.file_bytes, entry.file_bytes)
    except _DiskError as error:
        raise DownloadError(_disk_sentence(entry, target.parent, error.cause)) from error.cause
    return target


class _DiskError(Exception):
    """An OSError from our own files, kept apart from those of the network and of the caller's progress function."""

    def __init__(self, cause: OSError):
        super().__init__(str(cause))
        self.cause = cause


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _DiskError(error) from error


class _Part:
    """The unfinished file and the hash of its bytes so far. What an earlier attempt left is taken over if it can be a
    beginning of the file.
    """

    def __init__(self, path: Path, expected_bytes: int):
        with _disk_errors():
            self._stream = open(path, "a+b")  # noqa: SIM115 - closed by __exit__
            self.size = 0
            self._hash = hashlib.sha256()
            if self._stream.tell() > expected_bytes:
                self.restart()
            self._stream.seek(0)
            while chunk := self._stream.read(_CHUNK_BYTES):
                self._hash.update(chunk)
                self.size += len(chunk)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _disk_errors():
            self._stream.close()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, chunk: bytes) -> None:
        with _disk_errors():
            self._stream.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)

    def restart(self) -> None:
        with _disk_errors():
            self._stream.truncate(0)
        self._hash = hashlib.sha256()
        self.size = 0

    def sync(self) -> None:
        with _disk_errors():
            self._stream.flush()
            os.fsync(self._stream.fileno())


@contextmanager
def _one_at_a_time(entry: CatalogueEntry, target: Path, part_path: Path, report: Progress) -> Iterator[None]:
    """Hold the file's lock. Whoever finds it taken reports the holder's bytes until it is free; a holder that dies
    frees it.
    """
    lock = FileLock(f"{target}.lock")
    while not lock.is_locked:
        try:
            lock.acquire(timeout=_LOCK_POLL_S)
        except Timeout:
            done = part_path.stat().st_size if part_path.exists() else 0
            report(min(done, entry.file_bytes), entry.file_bytes)
        except OSError as error:
            raise _DiskError(error) from error
    try:
        yield
    finally:
        lock.release()


def _is_whole(entry: CatalogueEntry, target: Path) -> bool:
    with _disk_errors():
        return target.is_file() and target.stat().st_size == entry.file_bytes and file_sha256(target) == entry.sha256


def _check_space(entry: CatalogueEntry, folder: Path, done: int) -> None:
    with _disk_errors():
        free = shutil.disk_usage(folder).free
    missing = entry.file_bytes - done
    if free < missing + _SPARE_DISK_BYTES:
        raise DownloadError(
            f"{entry.filename} needs {format_bytes(missing)} more, and {folder} has {format_bytes(free)} free: "
            "make room there, or set SAMKIT_MODELS_DIR to a folder on another disk."
        )


def _fetch(entry: CatalogueEntry, url: str, part: _Part, report: Progress) -> None:
    """Bring `part` to its full size, over as many connections as it takes."""
    failures = 0
    with requests.Session() as session:
        while part.size < entry.file_bytes:
            before = part.size
            try:
                _fetch_once(session, entry, url, part, report)
            except _Interrupted as error:
                failures = 1 if part.size > before else failures + 1
                if failures > len(_RETRY_WAITS_S):
                    raise DownloadError(
                        f"{entry.filename} stopped at {format_bytes(part.size)} of "
                        f"{format_bytes(entry.file_bytes)}, {urlsplit(url).netloc} {error}: check the "
                        f"network and run `python -m samkit models download {entry.name}` again, which goes on "
                        "from there."
                    ) from error
                time.sleep(_RETRY_WAITS_S[failures - 1])


def _fetch_once(session: requests.Session, entry: CatalogueEntry, url: str, part: _Part, report: Progress) -> None:
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={part.size}-"} if part.size else {})
    response = None
    try:
        response = session.get(url, headers=headers, stream=True, timeout=(_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S))
        _accept(response, entry, part)
        report(part.size, entry.file_bytes)
        for chunk in response.iter_content(_CHUNK_BYTES):
            if part.size + len(chunk) > entry.file_bytes:
                raise _another_file(entry, urlsplit(url).netloc)
            part.write(chunk)
            report(part.size, entry.file_bytes)
    except _PASSING_ERRORS as error:
        raise _Interrupted(_how_it_failed(error)) from error
    except requests.RequestException as error:
        raise DownloadError(f"{url} can't be fetched ({error}): check the address.") from error
    finally:
        if response is not None:
            response.close()
    if part.size < entry.file_bytes:
        raise _Interrupted("ended the connection early")


def _accept(response: requests.Response, entry: CatalogueEntry, part: _Part) -> None:
    """Leave `part` at the byte that the response's body begins with, or raise. A part is given up only where it can't
    be continued.
    """
    status, host = response.status_code, urlsplit(response.url).netloc
    if status in (408, 429) or status >= 500:
        raise _Interrupted(f"answers with HTTP {status}")
    if status not in (200, 206, 416):
        reason = "does not have the file" if status in (404, 410) else "refuses the file"
        raise DownloadError(
            f"{host} {reason} (HTTP {status} for {response.url}): try later, or put {entry.filename} from "
            "elsewhere into the models folder."
        )
    begins_at, total = _offer(response)
    if status != 416 and (
        "text/html" in response.headers.get("Content-Type", "") or total not in (None, entry.file_bytes)
    ):
        raise _another_file(entry, host)
    if begins_at != part.size:
        part.restart()
    if begins_at != part.size:
        raise _Interrupted("does not continue the download where it stopped")


def _offer(response: requests.Response) -> tuple[int | None, int | None]:
    """Where in the file the body begins, and how long the whole file is; None for what the headers don't say."""
    if response.status_code == 200:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdigit() else None
    range_sent = re.match(r"bytes (\d+)-\d+/(\d+|\*)$", response.headers.get("Content-Range", ""))
    if range_sent is None:
        return None, None
    first, total = range_sent.groups()
    return int(first), None if total == "*" else int(total)


def _another_file(entry: CatalogueEntry, host: str) -> DownloadError:
    return DownloadError(
        f"{host} sent something other than {entry.filename} ({format_bytes(entry.file_bytes)}): a login page or a "
        "proxy may stand between; open the address in a browser, then try again."
    )


def _how_it_failed(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "does not answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "broke the connection off"
    return "can't be reached"


def _move_into_place(part_path: Path, target: Path) -> None:
    with _disk_errors():
        os.replace(part_path, target)
        if os.name == "posix":
            # The rename itself is on disk only when the folder is.
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _disk_sentence(entry: CatalogueEntry, folder: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"The disk of {folder} is full: make room for the {format_bytes(entry.file_bytes)} of {entry.filename} "
            "and run the download again, which goes on where it stopped, or set SAMKIT_MODELS_DIR to a folder on "
            "another disk."
        )
    return (
        f"The folder {folder} can't be used ({error.strerror or error}): set SAMKIT_MODELS_DIR to a folder you may "
        "write to."
    )
