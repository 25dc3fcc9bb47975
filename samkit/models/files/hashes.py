"""SHA-256 of files, computed once per file state and process: by it a file is looked for. Of a model that is loaded the
hash is of what was loaded, see own_bytes.py.
"""

import hashlib
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from samkit.files import opened_regular


class FileState(NamedTuple):
    """What changes whenever a file does, as far as the system tells: whoever sets the time of a change back can't set
    back the time of that.
    """

    path: str
    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


_SETTLED_NS = 100_000_000
"""The clock of files is coarse: of one that was changed just before it was read, a later change may not show."""

_known: dict[FileState, str] = {}
_known_lock = threading.Lock()


def file_sha256(path: Path) -> str:
    """SHA-256 of the file's bytes as 64 lower-case hex digits. A file in the same state is not read twice.

    Raises OSError when the file can't be read.
    """
    known = known_sha256(path)
    if known is not None:
        return known
    with opened_regular(path) as (stream, _):
        before = file_state(path, os.fstat(stream.fileno()))
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        after = file_state(path, os.fstat(stream.fileno()))
    if before == after:
        remember_state(before, digest)
    return digest


def known_sha256(path: Path) -> str | None:
    """The same of a file that was read in this state already; None for any other. Raises OSError as above."""
    with _known_lock:
        return _known.get(file_state(path))


def located_sha256(files: Sequence[Path]) -> str:
    """Of a checkpoint in one file: that file's. Of one in parts: of the hashes of its parts, a line each."""
    hashes = [file_sha256(file) for file in files]
    return hashes[0] if len(hashes) == 1 else sha256_of_parts(hashes)


def sha256_of_parts(hashes: Sequence[str]) -> str:
    """hashes: 64 hex digits each, in the order of the files' names."""
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def remember_sha256(path: Path, digest: str) -> None:
    """Spare the next `file_sha256(path)` the reading: for a caller that hashed the bytes while it wrote them."""
    with _known_lock:
        _known[file_state(path)] = digest


def remember_state(state: FileState, digest: str) -> None:
    """The same for a file that was read, and was in that state all the while."""
    if time.time_ns() - state.changed_ns > _SETTLED_NS:
        with _known_lock:
            _known[state] = digest


def file_state(path: Path, status: os.stat_result | None = None) -> FileState:
    """status: of the open file, where it is open. Raises OSError for a file that is not there."""
    status = os.stat(path) if status is None else status
    return FileState(
        os.path.realpath(path), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    )
