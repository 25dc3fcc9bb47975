"""SHA-256 of files, computed once per file state and process: the identity of a checkpoint in caches, runs and
replays.
"""

import hashlib
import os
import threading
from pathlib import Path

_FileState = tuple[str, int, int]
_known: dict[_FileState, str] = {}
_known_lock = threading.Lock()


def file_sha256(path: Path) -> str:
    """SHA-256 of the file's bytes as 64 lower-case hex digits. A file of the same real path, size and modification time
    is not read twice.

    Raises OSError when the file can't be read.
    """
    state = _file_state(path)
    with _known_lock:
        known = _known.get(state)
    if known is not None:
        return known
    with open(path, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    with _known_lock:
        _known[state] = digest
    return digest


def remember_sha256(path: Path, digest: str) -> None:
    """Spare the next `file_sha256(path)` the reading: for a caller that hashed the bytes while it wrote them."""
    with _known_lock:
        _known[_file_state(path)] = digest


def _file_state(path: Path) -> _FileState:
    status = os.stat(path)
    return (os.path.realpath(path), status.st_size, status.st_mtime_ns)
