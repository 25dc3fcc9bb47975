"""Making a store for the first time: MLflow writes its tables without a lock, and two processes that do so at once leave the store broken."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock

LOCK_S = 120
POSTGRES_LOCK = 0x53414D4B4954
"""Any number that nobody else takes."""


@contextmanager
def one_at_a_time(uri: str) -> Iterator[None]:
    """Hold this store's lock, whichever process, home or machine the others are in. A server behind HTTP makes its own store."""
    scheme = urlsplit(uri).scheme
    if scheme == "sqlite":
        file = Path(urlsplit(uri).path[1:])
        file.parent.mkdir(parents=True, exist_ok=True)
        # Beside the file, so that processes with homes of their own share it.
        with FileLock(f"{file}.lock", timeout=LOCK_S):
            yield
    elif scheme.startswith("postgresql"):
        with _postgres_lock(uri):
            yield
    else:
        yield


@contextmanager
def _postgres_lock(uri: str) -> Iterator[None]:
    """PostgreSQL's advisory lock, which ends with the connection, however that ends."""
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import NullPool

    with create_engine(uri, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text(f"SET lock_timeout = '{LOCK_S}s'"))
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": POSTGRES_LOCK})
        yield
