"""Sweeps in the background of a server: turns are handed on, and what was computed stays."""

import threading
import time

import pytest

from samkit.errors import BadInput, SamkitError
from samkit.limits import read_limits
from samkit.ui.state import public, sweep_standing, sweeps
from samkit.ui.state.sweep_standing import standing
from samkit.ui.state.sweeps import SweepRun
from samkit.work.long_encoding import UnderWay
from samkit.work.queue import JobQueue, Ticket
from tests.work.sweep.made_up import made_up_sweep, outcome

CELLS = 12


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path))


class MadeUpEngine:
    """Gives outcomes that nobody computed, and notes what it was asked for. gate: opened, it gives more than one."""

    asked: list[int]
    gate: threading.Event

    def __init__(self, *settings):
        pass

    def run(self, cells):
        self.asked.append(len(cells))
        for number, cell in enumerate(cells):
            while number and not self.gate.is_set():
                self.gate.wait(0.01)
                yield None
            yield outcome(cell)


@pytest.fixture
def engine(monkeypatch):
    monkeypatch.setattr(MadeUpEngine, "asked", [], raising=False)
    monkeypatch.setattr(MadeUpEngine, "gate", threading.Event(), raising=False)
    monkeypatch.setattr(sweeps, "LocalEngine", MadeUpEngine)
    return MadeUpEngine


def test_a_sweep_lets_others_have_a_turn_and_goes_on_where_it_was(engine, monkeypatch):
    monkeypatch.setattr(sweeps, "TURN_S", 0.0)
    queue = JobQueue(1)
    first = SweepRun(made_up_sweep("long", computed=0), queue, "anna", None)
    second = SweepRun(made_up_sweep("other", computed=0), queue, "bert", None)
    second_done = threading.Event()
    watcher = threading.Thread(target=lambda: (second.join(60), second_done.set()))
    watcher.start()
    engine.gate.set()
    first.join(60), second_done.wait(60)
    assert (first.state, second.state) == ("done", "done")
    assert all(run.sweep.state() == "done" and len(run.sweep.outcomes()) == CELLS for run in (first, second))
    assert all(len((run.sweep.path / "outcomes.jsonl").read_bytes().splitlines()) == CELLS for run in (first, second))
    assert sorted(engine.asked)[-2:] == [CELLS, CELLS]


def test_a_sweep_ends_after_the_time_that_it_may_take(engine):
    run = SweepRun(made_up_sweep("slow", computed=0), JobQueue(1), "anna", limit_s=0.0)
    run.join(60)
    assert run.state == "done" and "longer than the 0 minutes" in run.note and len(run.sweep.outcomes()) >= 1
    assert run.sweep.state() == "stopped"


def test_one_that_waits_is_cancelled_without_having_begun(engine):
    queue = JobQueue(1)
    with queue.turn(Ticket("bert"), threading.Event()):
        run = SweepRun(made_up_sweep("waits", computed=3), queue, "anna", None)
        run.cancel()
        run.join(60)
    assert (run.state, run.sweep.state(), engine.asked) == ("done", "cancelled", [])


def follow(run, monkeypatch):
    """As its page finds it."""
    for module in (sweeps, sweep_standing):
        monkeypatch.setattr(module, "server_sweeps", lambda: {run.sweep.id: run})


def until(happened, patience_s=60.0):
    end = time.monotonic() + patience_s
    while not happened():
        assert time.monotonic() < end
        threading.Event().wait(0.01)


def test_one_that_waits_says_what_for(engine, monkeypatch):
    queue = JobQueue(1)
    with queue.turn(Ticket("bert", "a run of Video with image priors"), threading.Event()):
        run = SweepRun(made_up_sweep("waits", computed=0), queue, "anna", None)
        follow(run, monkeypatch)
        until(lambda: run.place)
        said = "next in the queue, while a run of Video with image priors is under way"
        assert standing(run.sweep).text == f"0 of {CELLS} cells, {said}"
        run.cancel()
        run.join(60)


def test_one_behind_a_long_encoding_says_why_it_is_slow(engine, monkeypatch):
    run = SweepRun(made_up_sweep("small", computed=0), JobQueue(1), "", None)
    follow(run, monkeypatch)
    until(lambda: run.sweep.outcomes())
    assert "slow" not in standing(run.sweep).text
    encoding = UnderWay(4096, time.perf_counter() + 125)
    monkeypatch.setattr(sweep_standing, "goes_first", lambda: encoding)
    said = "slow: an encoding at a side of 4096 pixels on a page goes first, about 2 min left"
    assert standing(run.sweep).told("window sizes") == f"1 of {CELLS} window sizes, {said}"
    engine.gate.set()
    run.join(60)
    assert "slow" not in standing(run.sweep).text


def test_failed_cells_are_tried_once_more_and_no_others(engine):
    sweep = made_up_sweep("failed", failed=2)
    engine.gate.set()
    run = SweepRun(sweep, JobQueue(1), "", None, failed_too=True)
    run.join(60)
    assert engine.asked == [2] and all(each.status == "done" for each in sweep.outcomes().values())


def test_a_sweep_that_another_process_runs_says_so(engine):
    sweep = made_up_sweep("theirs", computed=2)
    with sweep.running():
        run = SweepRun(sweep, JobQueue(1), "", None)
        run.join(60)
    assert run.state == "failed" and "another process" in run.error


def test_on_a_public_server_each_visitor_sees_their_own_sweeps_of_a_bounded_size(monkeypatch):
    monkeypatch.setenv("SAMKIT_PUBLIC", "1")
    monkeypatch.setenv("SAMKIT_LIMIT_SWEEP_CELLS", "3")
    who = ["anna"]
    monkeypatch.setattr(public, "browser_name", lambda: who[0])
    sweep = made_up_sweep("Anna's")
    (sweep.path / sweeps.OWNER).write_text(public.owner_name())
    assert sweeps.shown_sweeps() == [sweep.id] and sweeps.seen_sweep(sweep.id).id == sweep.id
    who[0] = "bert"
    assert sweeps.shown_sweeps() == [] and not sweeps.is_own(sweep)
    for name in (sweep.id, "latest", sweep.id[:6]):
        with pytest.raises(BadInput, match="no such sweep of yours"):
            sweeps.seen_sweep(name)
    for change in (sweeps.delete_sweep, sweeps.cancel_sweep, sweeps.resume_sweep):
        with pytest.raises(SamkitError, match="another visitor's"):
            change(sweep)
    with pytest.raises(BadInput, match="has 4 cells; on this server 3 are the most"):
        sweeps.check_allowed(sweep.spec.model_copy(update={"params": {}}), 4)
    with pytest.raises(BadInput, match="encoding side of 2048"):
        sweeps.check_allowed(sweep.spec.model_copy(update={"params": {"side": [256, 2048]}}), 2)
    assert "a sweep: 3 cells" in read_limits().sentences()
