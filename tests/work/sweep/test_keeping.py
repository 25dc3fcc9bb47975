"""A sweep in the run store: one run with all that it says and its cells' runs below it, whatever breaks on the way."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.entities import ViewType

from samkit.tracking.store.edit import delete_run
from samkit.tracking.store.parent import PARENT, SWEEP_UUID
from samkit.tracking.store.search import Query, search_runs
from samkit.tracking.store.store import RunStore
from samkit.work.sources import Sources
from samkit.work.sweep import keeping
from samkit.work.sweep.compute import run_folder
from samkit.work.sweep.keeping import deliver_sweeps, keep_sweep, kept_as, waiting_sweeps, want_kept
from samkit.work.sweep.results import SweepFolder
from samkit.work.sweep.spec import spec_from_text
from tests.tracking.conftest import made_up_bundle
from tests.work.sweep import tiny
from tests.work.sweep.test_report import made_up

SPEC = (
    tiny.SPEC.replace("[null, 0]", "[0, 1]").replace("[{truth: box}, {truth: inside}]", "{truth: box}") + "keep: all\n"
)
CELLS = 3 * 2


@pytest.fixture
def sweep(tmp_path, home_with_store) -> SweepFolder:
    """Of six cells, of which the last one was not computed yet."""
    (tmp_path / "files").mkdir()
    sweep = tiny.sweep(tiny.make_files(tmp_path / "files"), SPEC)
    compute(sweep, range(CELLS - 1))
    return sweep


def compute(sweep: SweepFolder, numbers) -> None:
    """As if a process had computed these cells."""
    with sweep.running() as file:
        for number in numbers:
            cell = sweep.cells[number]
            made_up_bundle(run_folder(sweep.path, cell.id), number, run_uuid=f"{number:032x}")
            file.add(made_up(sweep, cell, number))


def everything(store: RunStore) -> list:
    return list(store.client().search_runs(list(store.experiments().values()), run_view_type=ViewType.ALL))


def assert_whole(store: RunStore, sweep: SweepFolder, computed: int) -> None:
    """One run of the sweep, one of each computed cell below it, and nothing else."""
    runs = everything(store)
    (parent,) = [run for run in runs if SWEEP_UUID in run.data.tags]
    below = [run for run in runs if run.data.tags.get(PARENT) == parent.info.run_id]
    assert len(below) == computed == len({run.data.tags["samkit.cell"] for run in below}) == len(runs) - 1
    assert {run.info.status for run in below} == {"FINISHED"}
    assert parent.info.status == ("FINISHED" if computed == CELLS else "KILLED")
    # It has taken as long as its cells, however much later it was sent.
    assert parent.info.end_time == int((sweep.path / "outcomes.jsonl").stat().st_mtime * 1000)
    assert parent.data.metrics["cells/done"] == computed and not waiting_sweeps(store)
    files = {file.path for file in store.client().list_artifacts(parent.info.run_id)}
    assert files == {"spec.yaml", "cells.parquet", "settings.csv", "report.html"}


def test_a_sweep_is_one_run_with_its_cells_below_however_often_it_is_sent(sweep, tmp_path, monkeypatch):
    import pyarrow.parquet

    monkeypatch.setattr("samkit.work.sweep.summary.FEWEST", 2)
    store = RunStore()
    kept = keep_sweep(sweep, store)
    assert kept.run is not None and kept.children == CELLS - 1 and kept_as(sweep, store) == kept.run.run_id
    assert_whole(store, sweep, CELLS - 1)
    compute(sweep, [CELLS - 1])
    assert waiting_sweeps(store) == [sweep.id]
    assert keep_sweep(sweep, store).run == kept.run, "a resumed sweep is the same run"
    assert_whole(store, sweep, CELLS)
    parent = store.client().get_run(kept.run.run_id)
    metrics, steps = parent.data.metrics, store.client().get_metric_history(kept.run.run_id, "by_setting/true_iou")
    assert metrics["cells/missing"] == 0 and metrics["interval/true_iou_low"] < metrics["true_iou"]
    assert {point.step: point.value for point in steps[-2:]}[1] == pytest.approx(0.91)
    assert parent.data.params["param.mask_index"] == "[0, 1]" and parent.data.params["prompts"] == "box"
    described = parent.data.tags["mlflow.note.content"]
    assert "| 1 | mask index 1 |" in described and f"/sweep?id={sweep.id})" in described
    text = Path(store.client().download_artifacts(kept.run.run_id, "spec.yaml", str(tmp_path))).read_text()
    assert spec_from_text(text) == sweep.spec, "it is one to run again"
    table = store.client().download_artifacts(kept.run.run_id, "cells.parquet", str(tmp_path))
    assert pyarrow.parquet.read_table(table).num_rows == CELLS
    data = [each.dataset for each in parent.inputs.dataset_inputs]
    pixels = {Sources().picture(cell.case.picture).sha256 for cell in sweep.cells}
    assert [each.name for each in data] == ["0.png", "1.png"] and {each.digest for each in data} == {
        sha256[:36] for sha256 in pixels
    }, "as single runs name them, and once however often the sweep is sent"
    # The app lists the runs of cells, which open as any others, and not the sweep's.
    listed = search_runs(store, Query()).runs
    assert len(listed) == len(store.runs()) == CELLS and kept.run.run_id not in {run.run_id for run in listed}
    assert listed[0].metrics["true_iou"] > 0 and listed[0].facts["size"] in ("small", "medium")
    opened = store.load(listed[0].run_id, tmp_path / "opened")
    assert "true_iou" not in opened.record.metrics, "a replay measures what the run itself measured"
    delete_run(store, listed[0].run_id)
    keep_sweep(sweep, store)
    assert len(store.runs()) == CELLS - 1, "what somebody deleted stays deleted"


class Killed(BaseException):
    """Nothing that samkit would catch."""


MOMENTS = {
    "before the sweep's run is there": ("create_run", 1),
    "before its figures": ("log_batch", 1),
    "before its files": ("log_artifacts", 1),
    "before it is whole": ("set_terminated", 1),
    "between two cells": ("create_run", 3),
    "in the middle of a cell": ("log_artifacts", 3),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_end_in_the_middle_loses_nothing_and_doubles_nothing(moment, sweep, monkeypatch):
    store = RunStore()
    client, (method, call) = store.client(), MOMENTS[moment]
    calls, asked = [], getattr(client, method)

    def dies(*arguments, **more):
        calls.append(1)
        if len(calls) == call:
            raise Killed
        return asked(*arguments, **more)

    monkeypatch.setattr(client, method, dies)
    with pytest.raises(Killed):
        keep_sweep(sweep, store)
    monkeypatch.undo()
    monkeypatch.setenv("SAMKIT_HOME", str(sweep.path.parent.parent))
    assert waiting_sweeps() == [sweep.id]
    (delivered,) = deliver_sweeps()
    assert delivered.run is not None
    assert_whole(RunStore(), sweep, CELLS - 1)


def test_a_sweep_waits_for_a_store_that_is_away_or_full(sweep, monkeypatch):
    store = RunStore()
    monkeypatch.setattr(store, "reachable", lambda *_: False)
    away = keep_sweep(sweep, store)
    assert away.run is None and "does not answer" in away.sentence and "safe" in away.sentence
    monkeypatch.undo()
    monkeypatch.setenv("SAMKIT_HOME", str(sweep.path.parent.parent))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store.client(), "log_artifacts", full)
    refused = keep_sweep(sweep, store)
    assert refused.run is None and "its disk is full" in refused.sentence
    assert waiting_sweeps() == [sweep.id] and deliver_sweeps()[0].run is not None
    assert_whole(RunStore(), sweep, CELLS - 1)
    with sweep.running():
        (sweep.path / keeping.SENT).unlink()
        assert not waiting_sweeps(), "whoever runs it sends it at its end"


CHILD = """
import os, sys
from samkit.tracking.store.store import RunStore
from samkit.work.sweep.keeping import keep_sweep
from samkit.work.sweep.results import find_sweep
keep, calls = RunStore.keep, []
def third_dies(*arguments, **more):
    calls.append(1)
    return os.kill(os.getpid(), 9) if len(calls) == 3 else keep(*arguments, **more)
RunStore.keep = third_dies
keep_sweep(find_sweep(sys.argv[1]))
"""


def test_kill_9_while_sending(sweep):
    ended = subprocess.run([sys.executable, "-c", CHILD, sweep.id], capture_output=True, timeout=120)
    assert ended.returncode == -9
    store = RunStore()
    assert len(everything(store)) == 3 and waiting_sweeps() == [sweep.id]
    assert deliver_sweeps()[0].run is not None
    assert_whole(store, sweep, CELLS - 1)


def test_nothing_waits_that_nobody_wants_or_that_has_no_outcome(sweep, tmp_path):
    assert not waiting_sweeps()
    empty = tiny.sweep(tmp_path / "files", SPEC)
    want_kept(empty)
    assert not waiting_sweeps() and not deliver_sweeps()
    os.remove(sweep.path / "sweep.json")
    (sweep.path / keeping.WANTED).touch()
    assert not waiting_sweeps(), "a folder that can't be read stops nothing"
