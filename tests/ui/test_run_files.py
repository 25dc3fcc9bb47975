"""Fetched runs lie on the disk within their bound, and go with the process."""

import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest

from samkit.tracking.compare import MAX_COMPARED
from samkit.ui.runs.state import FILES_FOLDER, IN_USE, RunFiles

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


class Store:
    """Runs of some bytes each, whatever their run.json says of its files."""

    uri = "made up"

    def load(self, run_id: str, folder: Path):
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(bytes(1000))
        return SimpleNamespace(path=folder, record={"files": {"a.png": {"bytes": -5}}})


def run(number: int):
    return SimpleNamespace(run_id=f"{number:032x}", name=str(number), tags={})


def test_the_bound_is_of_the_bytes_on_the_disk():
    files = RunFiles(limit_bytes=MAX_COMPARED * 1000 + 2500)
    for number in range(30):
        assert files.open(Store(), run(number)).path.is_dir()
    left = [folder for folder in files._folder.iterdir() if folder.is_dir()]
    assert len(left) == MAX_COMPARED + 2 and files.open(Store(), run(29)).path in left


def test_the_folder_goes_with_the_process(tmp_path):
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), "go"],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    folder = Path(process.stdout.strip())
    assert folder.name.startswith(FILES_FOLDER) and folder.parent == tmp_path and not folder.exists()


def test_what_a_killed_process_left_goes_when_the_next_one_starts(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), "stay"], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    folder = Path(process.stdout.readline().strip())
    RunFiles()
    assert folder.is_dir(), "it is in use"
    process.kill()
    process.wait()
    others = tmp_path / f"{FILES_FOLDER}other"
    others.mkdir()
    kept = RunFiles()
    assert not folder.exists() and others.is_dir(), "one without the file that is locked is not known"
    assert (kept._folder / IN_USE).is_file()
