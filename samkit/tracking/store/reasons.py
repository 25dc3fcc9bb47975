"""Why a store could not do something, in a line that says what to do. Databases and MLflow wrap their errors in each
other, with the reason innermost.
"""

import errno
import re

FULL = "its disk is full. Free some space there and try again."
LOCKED = "another program holds its database. Try again when that is done."
READ_ONLY = (
    "it can only be read here. Fix the permissions of its file and folder, or set MLFLOW_TRACKING_URI to another store."
)
UNOPENED = (
    "its file can't be opened. Fix the permissions of the file and its folder, or set MLFLOW_TRACKING_URI to another "
    "store."
)
BUSY = "another process is putting the same run there. Try again when that is done."
OTHER_VERSION = (
    "its database is of another version of MLflow, and nothing in it was changed. Where that was older, copy the "
    "database and run `mlflow db upgrade` on it; where it was newer, install that MLflow; or set MLFLOW_TRACKING_URI "
    "to another store."
)

_REASONS = (
    (re.compile(r"out-of-date database schema|Can't locate revision", re.I), OTHER_VERSION),
    (re.compile(r"disk is full|No space left|disk quota|File too large", re.I), FULL),
    (re.compile(r"database (table )?is locked|lock timeout", re.I), LOCKED),
    (re.compile(r"readonly database|read-only (file system|transaction)|permission denied", re.I), READ_ONLY),
    (re.compile(r"unable to open database file", re.I), UNOPENED),
    (re.compile(r"the file lock .* could not be acquired", re.I), BUSY),
)
_ERRNO = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EFBIG: FULL,
    errno.EROFS: READ_ONLY,
    errno.EACCES: READ_ONLY,
    errno.EPERM: READ_ONLY,
}
_DRIVER = re.compile(r"\((?:sqlite3|psycopg\w*|[\w.]*errors)\.\w+\) ([^\n]+)")
MAX_CHARACTERS = 200


def reason_of(error: BaseException) -> str:
    """What went wrong, in one line."""
    chain = _chain(error)
    texts = "\n".join(str(each).strip() for each in chain)
    code = re.search(r"error code (\d{3})|too many (\d{3}) error", texts)
    number = code and (code[1] or code[2])
    if number in ("401", "403"):
        return "it asks for a user and a password. Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
    if number and number.startswith("5"):
        return f"it answers with error {number}. Its own log says why."
    for each in chain:
        if isinstance(each, OSError) and each.errno in _ERRNO:
            return _ERRNO[each.errno]
    for pattern, sentence in _REASONS:
        if pattern.search(texts):
            return sentence
    driver = _DRIVER.search(texts)
    if driver:
        return driver[1][:MAX_CHARACTERS]
    first = str(error).strip().splitlines()
    return first[0][:MAX_CHARACTERS] if first else type(error).__name__


def _chain(error: BaseException | None) -> list[BaseException]:
    """The error and what it came from, outermost first."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = getattr(error, "orig", None) or error.__cause__ or error.__context__
    return chain
