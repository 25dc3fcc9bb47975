"""What a store's error comes to for a person: full, locked, read-only, each with what to do."""

import os
import shutil
import sqlite3
import subprocess
import sys
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from samkit.errors import StoreError
from samkit.tracking.bundle.dates import UNKNOWN, created_ms, shown_time
from samkit.tracking.store.keep import keep_run
from samkit.tracking.store.reasons import FULL, LOCKED, OTHER_VERSION, READ_ONLY, UNOPENED, reason_of
from samkit.tracking.store.search import search_runs
from samkit.tracking.store.spool import Spool
from samkit.tracking.store.store import RunStore, store_errors
from tests.tracking.conftest import made_up_bundle

FLUSHED = (
    "(raised as a result of Query-invoked autoflush; consider using a session.no_autoflush block if this flush is "
    "occurring prematurely)\n"
)
ERRORS = [
    ("database or disk is full", FULL),
    ("database is locked", LOCKED),
    ("attempt to write a readonly database", READ_ONLY),
    ("unable to open database file", UNOPENED),
    ("no such table: runs", "no such table: runs"),
]


@pytest.mark.parametrize(("message", "reason"), ERRORS)
def test_the_innermost_reason_is_the_one_that_is_said(message, reason):
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import OperationalError

    inner = sqlite3.OperationalError(message)
    outer = OperationalError("INSERT INTO runs", {}, inner)
    wrapped = MlflowException(f"{FLUSHED}(sqlite3.OperationalError) {message}\n[SQL: INSERT INTO runs]")
    wrapped.__cause__ = outer
    for error in (outer, wrapped, MlflowException(str(wrapped))):
        assert reason_of(error) == reason


def test_a_database_of_another_mlflow_is_refused_and_left_as_it_is(bundle, tmp_path):
    RunStore(f"sqlite:///{tmp_path / 'own.db'}").keep(bundle)
    other = tmp_path / "other.db"
    shutil.copy(tmp_path / "own.db", other)
    with sqlite3.connect(other) as database:
        database.execute("UPDATE alembic_version SET version_num = '0584bdc529eb'")
    before = other.read_bytes()
    with pytest.raises(StoreError) as error:
        RunStore(f"sqlite:///{other}").runs()
    assert str(error.value).endswith(OTHER_VERSION)
    assert other.read_bytes() == before


@pytest.mark.parametrize("error", [OSError(28, os.strerror(28)), OSError(27, os.strerror(27))])
def test_a_full_disk_says_so(error):
    with pytest.raises(StoreError, match="Free some space"), store_errors("sqlite:////x.db", "did not take it"):
        raise error


def test_a_locked_database_is_named_and_the_run_waits(bundle, monkeypatch):
    store = RunStore()
    store.runs()
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def no_patience(connection, _):
        connection.execute("PRAGMA busy_timeout = 100")

    event.listen(Engine, "connect", no_patience)
    try:
        with sqlite3.connect(store.uri.removeprefix("sqlite:///")) as other:
            other.execute("BEGIN EXCLUSIVE")
            outcome = keep_run(bundle, RunStore(f"{store.uri}?timeout=0.1"))
            other.rollback()
    finally:
        event.remove(Engine, "connect", no_patience)
    assert not outcome.kept and LOCKED in outcome.sentence
    assert len(Spool().deliver(RunStore()).delivered) == 1 and len(RunStore().runs()) == 1


LOOK = """
import sys
from samkit.tracking.store.search import search_runs
from samkit.tracking.store.store import RunStore
from samkit.errors import StoreError
from samkit.tracking.bundle.bundle import read_bundle
store, bundle = RunStore(sys.argv[1]), read_bundle(sys.argv[2])
print(len(search_runs(store).runs))
try:
    store.keep(bundle)
except StoreError as error:
    print(error)
"""


def test_a_store_that_can_only_be_read_is_listed_and_says_why_it_takes_nothing(bundle, tmp_path):
    folder = tmp_path / "read-only"
    folder.mkdir()
    uri = f"sqlite:///{folder / 'one.db'}"
    RunStore(uri).keep(bundle)
    shutil.copytree(made_up_bundle(tmp_path / "more", 1).path, folder / "more")
    for file in (folder, *folder.rglob("*")):
        file.chmod(0o555 if file.is_dir() else 0o444)
    # Permissions say nothing to root, unless it gives up the right to pass over them.
    as_others = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []
    try:
        done = subprocess.run(
            [*as_others, sys.executable, "-c", LOOK, uri, str(folder / "more")],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        count, message = done.stdout.strip().splitlines()
        assert count == "1" and READ_ONLY in message
    finally:
        for file in (folder, *folder.rglob("*")):
            file.chmod(0o755)


@pytest.mark.parametrize("milliseconds", [None, 253402343999000, -(10**18), 10**30, float("nan")])
def test_a_time_that_no_calendar_has_is_shown_as_unknown(milliseconds):
    assert shown_time(milliseconds, ZoneInfo("Pacific/Auckland")) == UNKNOWN


def test_times_are_read_with_bounds():
    assert created_ms("2026-11-25T07:40:08.336+00:00") == 1795592408336
    assert shown_time(1795592408336, UTC) == "2026-11-25 07:40"
    for wrong in ("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "yesterday", "1999-12-31T00:00:00+00:00"):
        with pytest.raises(ValueError):
            created_ms(wrong)


def test_a_run_of_a_far_year_does_not_keep_the_others_from_the_list(bundle):
    store = RunStore()
    kept = store.keep(bundle)
    store.client().create_run(kept.experiment_id, start_time=253402343999000, tags={"samkit.run_uuid": "f" * 32})
    far = store.client().search_runs([kept.experiment_id], "attributes.status = 'RUNNING'")[0]
    store.client().set_terminated(far.info.run_id, "FINISHED")
    assert {shown_time(run.created_ms) for run in search_runs(store).runs} > {UNKNOWN}
