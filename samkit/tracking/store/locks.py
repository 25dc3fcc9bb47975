"""Locks that lie where a store lies, so that processes with homes of their own hold the same ones.

MLflow writes a new store's tables without a lock, and two processes that do so at once leave it broken; and it has no
unique tag, so two that look for a run and then make it would make it twice.
"""

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock

from samkit.errors import StoreError
from samkit.settings import home_folder

LOCK_S = 120
POSTGRES_LOCK = 0x53414D4B4954
"""Any number that no other program uses."""


@contextmanager
def one_at_a_time(uri: str) -> Iterator[None]:
    """Hold this store's lock, whichever process, home or machine the others are in. A server behind HTTP makes its own
    store.
    """
    scheme = urlsplit(uri).scheme
    with ExitStack() as held:
        if scheme == "sqlite":
            _lock_beside(sqlite_file(uri), held)
        elif scheme.startswith("postgresql"):
            held.enter_context(_postgres_lock(uri, POSTGRES_LOCK))
        yield


@contextmanager
def run_lock(uri: str, run_uuid: str) -> Iterator[None]:
    """While one process puts a run into this store, no other puts that one. Behind HTTP there is no place for a lock
    that all see: this home's is held.
    """
    scheme = urlsplit(uri).scheme
    if scheme.startswith("postgresql"):
        with _postgres_lock(uri, int(run_uuid[:15], 16)):
            yield
        return
    place = Path(f"{sqlite_file(uri)}.locks") if scheme == "sqlite" else home_folder() / ".samkit"
    _make(place)
    with FileLock(place / f"keep-{run_uuid[:2]}.lock", timeout=LOCK_S):
        yield


def sqlite_file(uri: str) -> Path:
    return Path(urlsplit(uri).path[1:])


def _lock_beside(file: Path, held: ExitStack) -> None:
    try:
        _make(file.parent)
        held.enter_context(FileLock(f"{file}.lock", timeout=LOCK_S))
    except OSError as error:
        # A store that can only be read exists already, and nobody creates it.
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS) or not file.is_file():
            raise


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if folder.parent.is_dir() and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise StoreError(
            f"The folder {folder} of the run store can't be made ({error.strerror or error}): set SAMKIT_HOME, or "
            "MLFLOW_TRACKING_URI, to a place where this user may write."
        ) from error


@contextmanager
def _postgres_lock(uri: str, key: int) -> Iterator[None]:
    """PostgreSQL's advisory lock, which ends with the connection, however that ends."""
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import NullPool

    with create_engine(uri, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text(f"SET lock_timeout = '{LOCK_S}s'"))
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": key})
        yield
