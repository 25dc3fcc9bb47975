"""Temporary folders that go with the process, also where it is killed: all of them lie in one folder of the process,
which it holds locked, and the next process that makes one removes those that nobody holds any more.
"""

import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX, IN_USE = "samkit-scratch-", "in_use.lock"
OLDER_PREFIXES = ("samkit-run-files-", "samkit-films-")
"""Of folders that earlier versions left behind when they were killed."""
OLDER_S = 24 * 3600

_lock = threading.Lock()
_own: list["_ProcessFolder"] = []


class _ProcessFolder:
    def __init__(self) -> None:
        # Somebody may have cleaned up while the process ran.
        Path(tempfile.gettempdir()).mkdir(parents=True, exist_ok=True)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = FileLock(self.path / IN_USE, thread_local=False)
        lock.acquire()
        weakref.finalize(self, _remove, self.path, lock)


def process_folder() -> Path:
    """This process's own. What killed processes left is removed when it is made first."""
    with _lock:
        if not _own or not _own[0].path.is_dir():
            remove_abandoned()
            _own[:] = [_ProcessFolder()]
        return _own[0].path


def scratch_folder(name: str) -> Path:
    """A new folder, for whoever removes it; at the latest it goes with the process. name: how its own name begins"""
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=process_folder()))


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A new folder for a `with` block."""
    folder = scratch_folder(name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned() -> None:
    """Remove the folders of processes that are gone."""
    place = Path(tempfile.gettempdir())
    for prefix in (PREFIX, *OLDER_PREFIXES):
        for folder in place.glob(f"{prefix}*"):
            with suppress(OSError, Timeout):
                if (folder / IN_USE).is_file():
                    with FileLock(folder / IN_USE, timeout=0):
                        shutil.rmtree(folder, ignore_errors=True)
                elif time.time() - folder.stat().st_mtime > OLDER_S:
                    shutil.rmtree(folder, ignore_errors=True)


def _remove(folder: Path, lock: FileLock) -> None:
    lock.release()
    shutil.rmtree(folder, ignore_errors=True)
