"""A replay in the background ends when it is cancelled, and when nobody holds it any more."""

import gc
import threading
import time
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from samkit.ui.runs import replay_job
from samkit.ui.runs.replay_job import ReplayJob
from samkit.ui.state.jobs import job_queue
from samkit.work.queue import Ticket


def until(condition) -> None:
    while not condition():
        time.sleep(0.01)


def bundle(video=None):
    return SimpleNamespace(record=SimpleNamespace(video=video), inputs=lambda: None, params={})


@pytest.fixture(autouse=True)
def no_spec(monkeypatch):
    """These bundles are of no run."""
    monkeypatch.setattr(replay_job, "spec_of_bundle", lambda run, inputs: None)


@pytest.fixture
def long(monkeypatch):
    """(lets a replay report once more, the reports that it made)."""
    turn, reports = threading.Semaphore(0), []

    def replayed(run, *, model, progress):
        while turn.acquire(timeout=60):
            progress(0.25, "Frame 3 of 12")
            reports.append(run)
        raise AssertionError("nobody cancelled it")

    monkeypatch.setattr(replay_job, "replay", replayed)
    return turn, reports


def cancelled(job: ReplayJob) -> ReplayJob:
    job.cancel()
    return job


def forgotten(job: ReplayJob) -> None:
    return None


@pytest.mark.parametrize("end", [cancelled, forgotten])
def test_it_ends_at_its_next_report(long, end):
    turn, reports = long
    job = ReplayJob(bundle(), None)
    inner = job._job._inner
    turn.release()
    until(lambda: reports)
    assert job.active and job.share == 0.25 and job.line == "Frame 3 of 12"
    job = end(job)
    gc.collect()
    turn.release()
    until(lambda: not inner.busy)
    assert len(reports) == 1 and inner.result is None


def test_a_film_waits_for_its_turn_and_a_picture_does_not(monkeypatch):
    monkeypatch.setattr(replay_job, "replay", lambda run, **how: "an outcome")
    queue = job_queue()
    with ExitStack() as held:
        for _ in range(queue._free):
            assert held.enter_context(queue.turn(Ticket("others"), threading.Event()))
        film, picture = ReplayJob(bundle("a film"), None), ReplayJob(bundle(), None)
        picture.wait(60)
        assert picture.outcome == "an outcome"
        assert film.active and film.line == "Waiting for another run to end"
        film.cancel()
        film.wait(60)
        assert not film.active and film.outcome is None
