"""What becomes of a run when something breaks: it is in the store once and whole, or it waits in the spool, and the
visitor knows which.
"""

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from samkit.errors import StoreError
from samkit.tracking.bundle.archive import export_runs
from samkit.tracking.store import spool as spool_module
from samkit.tracking.store.keep import keep_imported, keep_run
from samkit.tracking.store.spool import ABANDONED_S, Spool, _reason_text
from samkit.tracking.store.store import BEGUN, RunStore
from samkit.ui.state.store_state import deliver_at_start, mend_store
from tests.tracking.conftest import made_up_bundle, patience_of
from tests.tracking.test_bundle import assert_same_run
from tools.running_app import free_port

CHILD = """
import os, resource, sys
from pathlib import Path
from samkit.errors import StoreError
from samkit.tracking.store.keep import keep_run
from samkit.tracking.store.spool import Spool, _reason_text
from samkit.tracking.store.store import RunStore
from tests.tracking.conftest import made_up_bundle
folder, what = Path(sys.argv[1]), sys.argv[2]
store = RunStore()
client = store.client()
bundle = made_up_bundle(folder, int(sys.argv[3]))

def die(*arguments, **more):
    os.kill(os.getpid(), 9)

def some_files_then_die(run_id, path):
    for file in sorted(Path(path).glob("outputs/*"))[:2]:
        client.log_artifact(run_id, str(file), "outputs")
    die()

if what == "before anything is sent":
    RunStore.keep = die
elif what == "when the run is begun":
    client.log_batch = die
elif what == "in the middle of its files":
    client.log_artifacts = some_files_then_die
elif what == "when all is sent":
    client.set_terminated = die
elif what == "before it leaves the spool":
    Spool.remove = die
elif what.startswith("room for"):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(what.split()[-1]),) * 2)
if what == "keep six":
    for seed in range(6):
        bundle = made_up_bundle(folder.with_name(f"{folder.name}-{seed}"), int(sys.argv[3]) + seed)
        print(keep_run(bundle, store).run.run_id)
else:
    try:
        print(keep_run(bundle, store).sentence)
    except StoreError as error:
        print(error)
"""


def child(folder, what: str, seed: int = 3) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), what, str(seed)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def everything(store: RunStore) -> list:
    """Every run in the store, finished or not, as MLflow has it."""
    client = store.client()
    return list(client.search_runs([each.experiment_id for each in client.search_experiments()]))


def assert_kept_once_and_whole(store: RunStore, tmp_path, seed: int = 3) -> None:
    (run,) = everything(store)
    assert run.info.status == "FINISHED"
    assert_same_run(store.load(run.info.run_id, tmp_path / "read back"), seed)


MOMENTS = (
    "before anything is sent",
    "when the run is begun",
    "in the middle of its files",
    "when all is sent",
    "before it leaves the spool",
)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_while_keeping_loses_nothing_and_doubles_nothing(moment, tmp_path):
    process = child(tmp_path / "run", moment)
    process.communicate(timeout=120)
    assert process.returncode == -9
    store = RunStore()
    assert len(Spool().waiting()) == 1, "the run was safe before anything was sent"
    half = [run for run in everything(store) if run.info.status != "FINISHED"]
    assert len(half) == (0 if moment in (MOMENTS[0], MOMENTS[-1]) else 1)
    assert len(store.runs()) == (moment == MOMENTS[-1]), "what is half there is in no list"
    delivery = Spool().deliver(store)
    assert len(delivery.delivered) == 1 and not Spool().waiting() and not delivery.problem
    assert_kept_once_and_whole(store, tmp_path)


def test_a_copy_cut_short_is_removed_once_nobody_can_be_at_work_on_it(bundle, tmp_path):
    spool = Spool()
    left, fresh = (spool.folder / f".{name * 32}.12345678.part" for name in "ab")
    for folder in (left, fresh):
        (folder / "outputs").mkdir(parents=True)
    os.utime(left, (time.time() - ABANDONED_S - 1,) * 2)
    spool.deliver(RunStore())
    assert not left.exists() and fresh.exists() and not spool.waiting()


def test_a_full_disk_below_the_store_leaves_the_run_in_the_spool(tmp_path):
    """No file may grow beyond 64 KB: the run's own files fit, the store's database does not."""
    store = RunStore()
    store.runs()
    process = child(tmp_path / "run", "room for 65536")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and "refused it" in output and "safe in the spool (1 waiting)" in output
    (waiting,) = Spool().entries()
    assert "refused it" in waiting.problem and store.runs() == []
    assert len(Spool().deliver(store).delivered) == 1
    assert_kept_once_and_whole(store, tmp_path)


def test_a_full_disk_below_store_and_spool_is_said_and_leaves_nothing_half_done(tmp_path):
    process = child(tmp_path / "run", "room for 300")
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "Free some space" in output
    assert not Spool().waiting() and not list(Spool().folder.glob(".*")) and RunStore().runs() == []
    outcome = keep_run(made_up_bundle(tmp_path / "again", 3))
    assert outcome.kept


def test_what_copying_says_of_a_full_disk_is_a_reason_without_paths():
    full = "[Errno 28] No space left on device: '/tmp/a' -> '/home/b'"
    assert _reason_text(shutil.Error([("/tmp/a", "/home/b", full)])) == "No space left on device"


def test_two_apps_keep_into_one_sqlite_at_once(tmp_path):
    started = [child(tmp_path / f"app{number}", "keep six", 10 * number) for number in (1, 2)]
    ids = [line for process in started for line in process.communicate(timeout=300)[0].split()]
    assert all(process.returncode == 0 for process in started) and len(set(ids)) == 12
    runs = RunStore().runs()
    assert {run.run_id for run in runs} == set(ids) and not Spool().waiting()
    for run in runs[::5]:
        assert_same_run(RunStore().load(run.run_id, tmp_path / run.run_id), int(run.name.removeprefix("run ")))


@contextmanager
def answering(status: int, body: bytes = b"{}", hangs: bool = False):
    """A web server that calls itself healthy and answers everything else so; gives its URL and the requests that it
    got, health left out.

    hangs: it answers nothing else before the end of the `with`
    """
    ended, asked = threading.Event(), []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            healthy = self.path == "/health"
            if not healthy:
                asked.append(f"{self.command} {self.path}")
                if hangs:
                    ended.wait(240)
            self.send_response(200 if healthy else status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_PATCH = do_GET

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        ended.set()
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "words"), [(500, "500"), (200, "could not answer"), (401, "Set MLFLOW_TRACKING_USERNAME")]
)
def test_a_server_that_fails_leaves_the_run_in_the_spool(status, words, bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with answering(status, b"{}" if status == 500 else b"what?") as (url, asked):
        outcome = keep_run(bundle, RunStore(url))
    assert len(asked) == 1, "it is asked again"
    assert not outcome.kept and words in outcome.sentence and "Traceback" not in outcome.sentence
    (waiting,) = Spool().entries()
    assert words in waiting.problem and waiting.name == "run 0"
    assert len(Spool().deliver(RunStore()).delivered) == 1
    assert_kept_once_and_whole(RunStore(), tmp_path, 0)


def test_a_server_that_hangs_after_its_greeting_keeps_nobody(bundle, monkeypatch):
    waits = patience_of(monkeypatch, "send-")
    with answering(200, hangs=True) as (url, _):
        outcome = keep_run(bundle, RunStore(url), patience_s=1.5)
        assert waits == [1.5]
        assert not outcome.kept and "on its way" in outcome.sentence
        assert [waiting.run_uuid for waiting in Spool().entries()] == [bundle.run_uuid]


def test_a_slow_store_gets_the_run_while_the_visitor_goes_on(bundle, tmp_path, monkeypatch):
    store = RunStore()
    send = store.client().log_artifacts

    def slowly(run_id, path):
        time.sleep(1.5)
        send(run_id, path)

    monkeypatch.setattr(store.client(), "log_artifacts", slowly)
    outcome = keep_run(bundle, store, patience_s=0.5)
    assert not outcome.kept and len(Spool().waiting()) == 1
    give_up = time.monotonic() + 30
    while Spool().waiting() and time.monotonic() < give_up:
        time.sleep(0.1)
    assert not Spool().waiting()
    assert_kept_once_and_whole(store, tmp_path, 0)


IMPORT = """
import os, sys
from mlflow import MlflowClient
moment = sys.argv[1]

def die(*arguments, **more):
    os.kill(os.getpid(), 9)

if moment == "while the spool is filled":
    import shutil
    copy, copies = shutil.copytree, []
    shutil.copytree = lambda *arguments, **more: die() if copies else copies.append(copy(*arguments, **more))
elif moment == "before the first is sent":
    from samkit.tracking.store.store import RunStore
    RunStore.keep = die
elif moment == "in the middle of the first":
    MlflowClient.log_artifacts = die
elif moment == "between the first and the second":
    from samkit.tracking.store.spool import Spool
    remove, removed = Spool.remove, []
    Spool.remove = lambda spool, run_uuid: (remove(spool, run_uuid), die())
from samkit.cli import main
main(["runs", "import", sys.argv[2]])
"""


@pytest.mark.parametrize(
    "moment",
    [
        "while the spool is filled",
        "before the first is sent",
        "in the middle of the first",
        "between the first and the second",
    ],
)
def test_a_kill_while_importing_leaves_each_run_once_and_whole_or_none(moment, tmp_path):
    file = export_runs([made_up_bundle(tmp_path / f"run{seed}", seed) for seed in range(2)], tmp_path / "two.zip")
    killed = subprocess.run([sys.executable, "-c", IMPORT, moment, str(file)], capture_output=True, timeout=120)
    assert killed.returncode == -9
    store = RunStore()
    mend_store(settle_s=0)
    assert not Spool().waiting() and all(run.info.status == "FINISHED" for run in everything(store))
    count = 0 if moment == "while the spool is filled" else 2
    assert sorted(run.name for run in store.runs()) == [f"run {seed}" for seed in range(count)]
    for run in store.runs():
        assert_same_run(store.load(run.run_id, tmp_path / run.run_id), int(run.name.removeprefix("run ")))


def test_an_import_that_the_spool_has_no_room_for_keeps_none(tmp_path, monkeypatch):
    bundles = [made_up_bundle(tmp_path / f"run{seed}", seed) for seed in range(2)]
    copy = shutil.copytree

    def full(source, target, *more, **named):
        if bundles[1].run_uuid in str(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return copy(source, target, *more, **named)

    monkeypatch.setattr(spool_module.shutil, "copytree", full)
    with pytest.raises(StoreError, match="Free some space"):
        keep_imported(bundles)
    assert not Spool().waiting() and not list(Spool().folder.glob(".*.part")) and RunStore().runs() == []


def test_an_import_waits_while_the_store_is_away_and_comes_later(tmp_path):
    bundles = [made_up_bundle(tmp_path / f"run{seed}", seed) for seed in range(2)]
    outcomes = keep_imported(bundles, RunStore(f"http://127.0.0.1:{free_port()}"))
    assert not any(outcome.kept for outcome in outcomes) and len(Spool().waiting()) == 2
    mend_store(settle_s=0)
    assert len(RunStore().runs()) == 2 and not Spool().waiting()


def test_the_next_start_delivers_what_waits_and_takes_away_what_nobody_completes(bundle, tmp_path):
    store = RunStore()
    left = (
        store.client()
        .create_run(store.made_experiment_id("mask-stability"), tags={"samkit.run_uuid": "a" * 32, BEGUN: "1"})
        .info.run_id
    )
    Spool().add(bundle)
    deliver_at_start.clear()
    deliver_at_start()
    give_up = time.monotonic() + 30
    while Spool().waiting() and time.monotonic() < give_up:
        time.sleep(0.1)
    assert [run.run_uuid for run in store.runs()] == [bundle.run_uuid]
    mend_store(settle_s=0)
    assert store.client().get_run(left).info.lifecycle_stage == "deleted"


def test_a_start_without_a_store_makes_none(own_home):
    (own_home / "mlflow.db").unlink()
    mend_store(settle_s=0)
    assert not list(own_home.glob("*.db"))
