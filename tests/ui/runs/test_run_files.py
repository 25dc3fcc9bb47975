"""Fetched runs lie on the disk within their bound, and go with the process."""

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from samkit import scratch
from samkit.errors import StoreError
from samkit.tracking.compare import MAX_COMPARED
from samkit.ui.runs.state import RunFiles

SCRIPT = """
    import sys, time
    from samkit.ui.runs.state import RunFiles
    files = RunFiles()
    (files._folder / "run").mkdir()
    print(files._folder, flush=True)
    if sys.argv[1] == "stay":
        time.sleep(60)
"""


@pytest.fixture(autouse=True)
def temporary(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@dataclass(eq=False)
class Fetched:
    path: Path
    record: dict


class Store:
    """Runs of some bytes each, whatever their run.json says of its files."""

    uri = "made up"

    def load(self, run_id: str, folder: Path):
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(bytes(1000))
        return Fetched(folder, {"files": {"a.png": {"bytes": -5}}})


def run(number: int):
    return SimpleNamespace(run_id=f"{number:032x}", name=str(number), tags={})


def test_a_temporary_folder_that_somebody_cleaned_up_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "cleaned"))
    monkeypatch.setattr(scratch, "_own", [])
    for _ in range(2):
        with scratch.scratch("run") as folder:
            assert folder.is_dir() and folder.is_relative_to(tmp_path / "cleaned")
        shutil.rmtree(tmp_path / "cleaned")


def test_the_bound_is_of_the_bytes_on_the_disk():
    files = RunFiles(limit_bytes=MAX_COMPARED * 1000 + 2500)
    for number in range(30):
        assert files.open(Store(), run(number)).path.is_dir()
    left = [folder for folder in files._folder.iterdir() if folder.is_dir()]
    assert len(left) == MAX_COMPARED + 2 and files.open(Store(), run(29)).path.parent in left


def test_a_folder_that_is_in_use_stays_until_it_is_not():
    files = RunFiles(limit_bytes=0)
    shown = files.open(Store(), run(0))
    for number in range(1, MAX_COMPARED + 3):
        files.open(Store(), run(number))
    fetched_again = files.open(Store(), run(0))
    assert fetched_again is not shown, "it was dropped"
    assert (shown.path / "a.png").is_file() and (fetched_again.path / "a.png").is_file()
    folder = shown.path
    del shown
    assert not folder.exists() and (fetched_again.path / "a.png").is_file()


def test_after_a_fetch_that_failed_one_at_a_time_tries_again():
    """Two who waited and one who came later all get the same run, whole."""
    begun, fail, waiting = threading.Event(), threading.Event(), threading.Semaphore(0)
    at_once, most, calls, counting = 0, 0, 0, threading.Lock()

    class Failing(Store):
        def load(self, run_id: str, folder: Path):
            nonlocal at_once, most, calls
            with counting:
                calls += 1
                first, at_once = calls == 1, at_once + 1
                most = max(most, at_once)
            try:
                if first:
                    begun.set()
                    fail.wait(30)
                    raise StoreError("It does not answer.")
                waiting.release()
                # Long enough for anybody who is not kept out to come in.
                time.sleep(0.3)
                return super().load(run_id, folder)
            finally:
                with counting:
                    at_once -= 1

    files, store = RunFiles(), Failing()
    with ThreadPoolExecutor(4) as pool:
        failed = pool.submit(files.open, store, run(0))
        begun.wait(30)
        waiters = [pool.submit(files.open, store, run(0)) for _ in range(2)]
        time.sleep(0.1)  # Both wait; where one of them comes later, that is the late one's case.
        fail.set()
        waiting.acquire(timeout=30)
        late = pool.submit(files.open, store, run(0))
        bundles = [future.result(30) for future in (*waiters, late)]
    assert isinstance(failed.exception(), StoreError)
    assert (most, calls) == (1, 2) and all(bundle is bundles[0] for bundle in bundles)
    assert (bundles[0].path / "a.png").is_file() and not files._fetching


def test_the_folder_goes_with_the_process(tmp_path):
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), "go"],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    folder = Path(process.stdout.strip())
    assert folder.parent.parent == tmp_path and not folder.parent.exists()


def test_what_a_killed_process_left_goes_when_the_next_one_starts(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), "stay"], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    folder = Path(process.stdout.readline().strip())
    scratch.remove_abandoned()
    assert folder.is_dir(), "it is in use"
    process.kill()
    process.wait()
    others, older = tmp_path / f"{scratch.PREFIX}other", tmp_path / "samkit-films-older"
    others.mkdir()
    older.mkdir()
    os.utime(older, (0, 0))
    scratch.remove_abandoned()
    assert not folder.exists() and others.is_dir(), "one without the file that is locked may be just being made"
    assert not older.exists(), "earlier versions locked nothing"
