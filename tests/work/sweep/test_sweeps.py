"""Sweeps that run: the same as single runs, nothing encoded twice, nothing lost and nothing twice whatever dies."""

import csv
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from samkit.errors import BadInput, StoreError
from samkit.media.mask_files import read_mask_file
from samkit.tracking.bundle.bundle import read_bundle
from samkit.work.execute import compute
from samkit.work.lab import Lab
from samkit.work.sweep.compute import CellComputer, WorkerSettings, mask_file, run_folder
from samkit.work.sweep.local import LocalEngine
from samkit.work.sweep.results import OUTCOMES, Outcome, find_sweep, read_outcome
from samkit.work.sweep.run import Progress, run_sweep
from samkit.work.sweep.summary import counts, summarize, swept_columns
from samkit.work.sweep.table import rows, write_table
from tests.work.sweep.tiny import CELLS, HELD, MANY, SPEC, make_files, sweep


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_files(tmp_path_factory.mktemp("sweep"))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path))


class HereEngine:
    """Computes in this process, and stops after so many cells."""

    def __init__(self, sweep, most=None):
        self._computer = CellComputer(WorkerSettings(str(sweep.path), sweep.spec.keep, 1))
        self._most = most

    def run(self, cells):
        yield from (self._computer.outcome(cell) for cell in itertools.islice(cells, self._most))


def test_two_workers_give_what_single_runs_give(folder):
    made = sweep(folder, SPEC + "keep: masks\n")
    run_sweep(made, LocalEngine(made.path, "masks", workers=2, threads=1))
    outcomes = made.outcomes()
    assert len(outcomes) == CELLS
    assert counts(made) | {"seconds": 0} == {
        "cells": CELLS, "done": CELLS, "failed": 0, "missing": 0, "encodings": 2, "different_encodings": 2, "seconds": 0
    }  # fmt: skip
    lab = Lab()
    computer = CellComputer(WorkerSettings(str(made.path), "metrics", 1))
    for cell in made.cells:
        run = computer.computed(cell).run
        single = compute(cell.run_spec(run.spec.prompts, 1), lab)
        outcome = outcomes[cell.id]
        assert outcome.run == single.spec.id
        own = {name: metric.value for name, metric in single.result.metrics.items()}
        assert {name: outcome.metrics[name] for name in own} == own
        kept = read_mask_file(mask_file(made.path, cell.id)).mask()
        assert np.array_equal(kept, single.result.masks["mask_chosen"].pixels)


def test_resuming_computes_what_is_missing_and_nothing_twice(folder):
    made = sweep(folder)
    run_sweep(made, HereEngine(made, most=5))
    assert made.state() == "stopped" and len(made.missing()) == CELLS - 5
    with open(made.path / OUTCOMES, "ab") as file:
        file.write(b'{"cell":"torn')
    assert len(made.outcomes()) == 5
    run_sweep(made, HereEngine(made))
    lines = (made.path / OUTCOMES).read_bytes().splitlines()
    assert len(lines) == CELLS and all(read_outcome(line) for line in lines)
    assert find_sweep("latest").state() == "done"
    assert run_sweep(made, HereEngine(made)).total == 0


@pytest.mark.parametrize(
    ("experiment", "prompts"),
    [("window-size", "prompts: {truth: box}"), ("block-norms", "")],
)
def test_metrics_are_the_same_to_the_bit_however_a_cell_was_computed(folder, experiment, prompts):
    """By a worker, by another one after the sweep was resumed, and by itself."""
    made = sweep(
        folder,
        f"experiment: {experiment}\nmodels: tiny.safetensors\npictures: {{files: photos/*.png, masks: masks}}\n"
        f"{prompts}\ndevice: cpu\nthreads: 1\n",
    )
    run_sweep(made, HereEngine(made, most=1))
    run_sweep(made, LocalEngine(made.path, "metrics", workers=1, threads=1))
    outcomes, computer = made.outcomes(), CellComputer(WorkerSettings(str(made.path), "metrics", 1))
    assert len(outcomes) == len(made.cells) and {outcome.status for outcome in outcomes.values()} == {"done"}
    for cell in made.cells:
        single = compute(cell.run_spec(computer.computed(cell).prompts, 1), Lab())
        own = {name: metric.value for name, metric in single.result.metrics.items()}
        # As text, in which every digit counts and what is no number is equal to itself.
        assert repr({name: outcomes[cell.id].metrics[name] for name in own}) == repr(own)


def test_whole_runs_are_kept_and_a_resumed_sweep_leaves_them(folder):
    made = sweep(folder, SPEC + "keep: all\n")
    run_sweep(made, HereEngine(made, most=3))
    written = {path: path.stat().st_mtime_ns for path in made.path.glob("runs/*/*/run.json")}
    assert len(written) == 3
    run_sweep(made, HereEngine(made))
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert len(list(made.path.glob("runs/*/*/run.json"))) == CELLS
    for cell, outcome in made.outcomes().items():
        kept = read_bundle(run_folder(made.path, cell))
        assert kept.run_uuid == outcome.run
        metrics = {name: metric.value for name, metric in kept.record.metrics.items()}
        assert {name: outcome.metrics[name] for name in metrics} == metrics
    # A process that died between the run and its outcome leaves a run that is not written twice.
    (made.path / OUTCOMES).write_bytes(b"")
    run_sweep(made, HereEngine(made))
    assert made.state() == "done" and {path: path.stat().st_mtime_ns for path in written} == written


@contextmanager
def files_of_at_most(size):
    """No file may be longer than so many bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("keep", "room"), [("metrics", 1500), ("masks", 100), ("all", 2000)])
def test_a_full_disk_ends_a_sweep_and_resuming_goes_on(folder, keep, room):
    made = sweep(folder, SPEC + f"keep: {keep}\n")
    with files_of_at_most(room), pytest.raises(StoreError, match="all before is kept: make room and resume"):
        run_sweep(made, HereEngine(made))
    before = made.outcomes()
    assert made.state() == "stopped" and len(before) < CELLS and (keep != "metrics" or before)
    assert [outcome.reason for outcome in before.values() if outcome.status == "failed"] == []
    assert not list(made.path.rglob("*.part"))
    run_sweep(made, HereEngine(made))
    lines = [read_outcome(line) for line in (made.path / OUTCOMES).read_bytes().splitlines()]
    assert sorted(line.cell for line in lines) == sorted(cell.id for cell in made.cells)
    assert {line.status for line in lines} == {"done"}
    kept = {
        "metrics": 0,
        "masks": len(list(made.path.glob("masks/*/*.png"))),
        "all": len(list(made.path.glob("runs/*/*"))),
    }
    assert kept[keep] == (0 if keep == "metrics" else CELLS)


def test_a_file_torn_at_any_byte_is_read_up_to_there(folder):
    made = sweep(folder)
    lines = [Outcome(f"{number:016x}", "done", metrics={"a": 0.5}).line() for number in range(3)]
    whole = b"".join(lines)
    for length in range(len(whole) + 1):
        (made.path / OUTCOMES).write_bytes(whole[:length])
        complete = whole[:length].count(b"\n")
        assert len(made.outcomes()) == complete
        with made.running() as file:
            file.add(Outcome("f" * 16, "done"))
        assert len(made.outcomes()) == complete + 1


def test_a_cell_that_cannot_be_computed_fails_alone(folder, tmp_path):
    made = sweep(folder)
    (folder / "photos" / "0.png").rename(tmp_path / "away.png")
    try:
        run_sweep(made, HereEngine(made))
    finally:
        (tmp_path / "away.png").rename(folder / "photos" / "0.png")
    failed = [outcome for outcome in made.outcomes().values() if outcome.status == "failed"]
    assert len(failed) == CELLS // 3 and all("0.png" in outcome.reason for outcome in failed)
    run_sweep(made, HereEngine(made), made.missing(failed_too=True))
    assert counts(made)["failed"] == 0 and len(made.outcomes()) == CELLS


def test_clicks_correct_and_need_no_other_encoding(folder):
    made = sweep(folder, SPEC.replace("[{truth: box}, {truth: inside}]", "{truth: clicks, count: 3}"))
    run_sweep(made, HereEngine(made))
    assert all(len(outcome.prompts["points"]) == 3 for outcome in made.outcomes().values())
    assert counts(made)["encodings"] == 2


def kill_first_workers(monkeypatch, times):
    """The first so many workers are killed as soon as they were started."""
    start, left = subprocess.Popen, [times]

    def started(*arguments, **options):
        process = start(*arguments, **options)
        if left[0]:
            left[0] -= 1
            process.send_signal(signal.SIGKILL)
        return process

    monkeypatch.setattr(subprocess, "Popen", started)


def test_a_killed_worker_costs_a_retry_and_two_the_cell(folder, monkeypatch):
    made = sweep(folder)
    kill_first_workers(monkeypatch, 3)
    run_sweep(made, LocalEngine(made.path, "metrics", workers=1, threads=1))
    outcomes = list(made.outcomes().values())
    assert [outcome.status for outcome in outcomes] == ["failed"] + ["done"] * (CELLS - 1)
    assert [outcome.tries for outcome in outcomes] == [2, 2] + [1] * (CELLS - 2)
    assert "SIGKILL" in outcomes[0].reason and "memory" in outcomes[0].reason


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_or_interrupted_command_is_resumed(folder, tmp_path, how):
    (folder / f"many{how}.yaml").write_text(MANY)
    root, environment = Path(__file__).parents[3], os.environ | {"SAMKIT_HOME": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-c", HELD, "sweep", str(folder / f"many{how}.yaml"), "--workers", "1", "--no-store"],
        cwd=root, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        # Whatever runs the tests in the background may ignore it, and a child inherits that.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    while (line := process.stderr.readline()) != "Held.\n":
        assert line, "it ended before it was held"
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode == (-how if how == signal.SIGKILL else 130)
    made = find_sweep("latest")
    assert len(made.outcomes()) == 20 < len(made.cells)
    deadline = time.monotonic() + 60
    while made.is_running and time.monotonic() < deadline:
        time.sleep(0.02)
    run_sweep(made, HereEngine(made))
    lines = (made.path / OUTCOMES).read_bytes().count(b"\n")
    assert lines == len(made.cells) and made.state() == "done"


def test_one_process_runs_a_sweep_at_a_time(folder):
    made = sweep(folder)
    with made.running():
        assert made.state() == "running"
        with pytest.raises(BadInput, match="by another process"):
            run_sweep(find_sweep(made.id), HereEngine(made))


def test_a_cancelled_sweep_stops(folder, monkeypatch):
    made = sweep(folder)
    monkeypatch.setattr("samkit.work.sweep.run.TELL_S", 0.0)
    progress = run_sweep(made, HereEngine(made), tell=lambda _: made.cancel())
    assert progress.done == 1 and made.state() == "cancelled"


def test_table_and_means(folder, tmp_path):
    made = sweep(folder)
    run_sweep(made, HereEngine(made))
    table = rows(made)
    write_table(table, tmp_path / "cells.parquet")
    write_table(table, tmp_path / "cells.csv")
    read = pyarrow.parquet.read_table(tmp_path / "cells.parquet").to_pylist()
    with open(tmp_path / "cells.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(read) == CELLS
    assert [row["metric.true_iou"] for row in read] == [row["metric.true_iou"] for row in table]
    columns = swept_columns(made.spec)
    assert columns == ["prompts", "param.mask_index"]
    first = summarize(table, columns, seed=0)[0]
    assert first.setting == {"prompts": "box", "param.mask_index": None}
    mean = first.means["metric.true_iou"]
    values = [row["metric.true_iou"] for row in table if row["prompts"] == "box" and row["param.mask_index"] is None]
    assert mean.value == pytest.approx(np.mean(values)) and (mean.low, mean.high, mean.pictures) == (None, None, 2)
    assert summarize(table, columns, seed=0) == summarize(table, columns, seed=0)
    with pytest.raises(BadInput, match=r"\.parquet or \.csv"):
        write_table(table, tmp_path / "cells.txt")


def test_an_outcome_comes_back_as_it_was():
    outcome = Outcome("a" * 16, "done", metrics={"x": 1.5}, encoded=("k",), prompts={"points": [], "boxes": []})
    assert read_outcome(outcome.line()) == outcome
    assert read_outcome(json.dumps({"later": 1, "cell": "b", "status": "done"}).encode()) == Outcome("b", "done")
    assert replace(outcome, tries=2) != outcome


def test_the_rate_leaves_out_the_start_of_the_workers():
    assert Progress(0, 0, 9, 20.0, 0).left_s is None
    assert Progress(5, 0, 9, 12.0, 0, first_s=10.0).rate == 2 and Progress(5, 0, 9, 12.0, 0, first_s=10.0).left_s == 2
    assert Progress(1, 0, 9, 10.0, 0, first_s=10.0).rate == 0.1
