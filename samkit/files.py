"""Files whose path somebody else wrote: only regular ones are opened, no more is read than they were large, and what is
written appears when it is whole.
"""

import hashlib
import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from samkit.errors import BadInput, StoreError

CHUNK = 2**20
_PART = re.compile(r"\.(.+\.)?[0-9a-f]{8}\.part")
"""Folders in which something is written before it takes its place."""
ABANDONED_S = 3600.0
"""Nothing in one has changed for so long: whoever wrote it was killed."""


@contextmanager
def opened_regular(path: Path, limit: int = sys.maxsize) -> Iterator[tuple[BufferedReader, int]]:
    """(the file, its bytes). Raises OSError where it can't be opened, and where it is a device, a pipe or a folder, or
    larger than `limit` bytes. Nothing waits: a pipe without a writer would.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    with open(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path.name} is a device, a pipe or a folder, not a file")
        if status.st_size > limit:
            raise OSError(f"{path.name} has {status.st_size:,} bytes, more than the {limit:,} that are read")
        yield file, status.st_size


def read_small(path: Path, limit: int, what: str) -> bytes:
    """The content of a file of at most `limit` bytes. Raises BadInput with a sentence. what: how it calls the file"""
    try:
        with opened_regular(path, limit) as (file, size):
            return file.read(size)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"{what} {str(path)[:300]} can't be read ({reason}): check the path.") from error


@contextmanager
def written_whole(path: Path, what: str) -> Iterator[Path]:
    """The file to write, which takes the place of `path` at the end; what was there stays until then. Raises StoreError
    with a sentence. what: how it calls the file
    """
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreError(f"{what} {path} can't be written ({error.strerror or error}): take another place.") from error


def remove_abandoned_parts(folder: Path) -> None:
    """Remove what killed processes left of folders that were to appear in `folder`."""
    with suppress(OSError), os.scandir(folder) as entries:
        parts = [Path(each.path) for each in entries if _PART.fullmatch(each.name)]
        for part in parts:
            with suppress(OSError):
                if not part.is_symlink() and part.is_dir() and time.time() - _last_change(part) > ABANDONED_S:
                    shutil.rmtree(part, ignore_errors=True)


def _last_change(folder: Path) -> float:
    """Of it and of all that it holds, in seconds since 1970."""
    inside = (os.path.join(place, name) for place, folders, files in os.walk(folder) for name in (*folders, *files))
    return max(os.lstat(path).st_mtime for path in (str(folder), *inside))


def file_digest(path: Path, limit: int) -> str | None:
    """SHA-256 in hex of a regular file of at most `limit` bytes; None for anything else. A file that goes on for ever
    is read only as far as its size says.
    """
    digest = hashlib.sha256()
    try:
        with opened_regular(path, limit) as (file, left):
            while left > 0 and (chunk := file.read(min(CHUNK, left))):
                digest.update(chunk)
                left -= len(chunk)
    except (OSError, ValueError):
        return None
    return digest.hexdigest()
