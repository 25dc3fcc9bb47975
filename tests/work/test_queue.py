"""Long work in the background: whole runs, pausing and going on, taking turns, failures, and sessions that end."""

import gc
import threading
import time
from contextlib import contextmanager

from samkit.errors import PictureError
from samkit.work.lab import Lab
from samkit.work.queue import DONE, PAUSED, RUNNING, BackgroundJob, JobQueue, Ticket, _step_back, stop_all
from samkit.work.spec import Ref, RunSpec


class Run:
    """What a job needs of a run: steps that wait to be let through."""

    def __init__(self, frames: int = 3, broken_at: int | None = None):
        self.order, self.rows, self.gate, self.broken_at = range(frames), [], threading.Event(), broken_at

    @property
    def done(self):
        return len(self.rows)

    @property
    def finished(self):
        return self.done == len(self.order)

    line = "One after the other"

    def steps(self):
        for index in self.order[self.done :]:
            self.gate.wait(60)
            if index == self.broken_at:
                raise PictureError("Frame 1 can't be decoded.")
            self.rows.append(index)
            yield index

    def result(self, progress=None):
        return list(self.rows)


def background_job(make, queue=None):
    return BackgroundJob(
        RunSpec("video-priors", Ref("nano-sam2")),
        make,
        queue or JobQueue(1),
        "Preparing",
        lambda progress: Lab(progress=progress),
    )


def is_free(queue):
    """Whether a job could begin at once."""
    stop = threading.Event()
    stop.set()
    with queue.turn(Ticket("anybody"), stop) as mine:
        return mine


def wait_for(job, *states, patience: float = 60.0):
    end = time.monotonic() + patience
    while job.state not in states and time.monotonic() < end:
        time.sleep(0.01)
    # The thread sets the state a moment before it ends.
    while job._inner.busy and not job.active and time.monotonic() < end:
        time.sleep(0.01)
    assert job.state in states, (job.state, job.error)


def test_a_job_runs_to_its_result():
    run = Run()
    run.gate.set()
    job = background_job(lambda: run)
    wait_for(job, "done")
    assert job.result == [0, 1, 2] and not job.active


def test_a_job_pauses_goes_on_and_finishes_early():
    run = Run(frames=1000)
    job = background_job(lambda: run)
    wait_for(job, "running")
    assert not job.stopping
    job.pause()
    assert job.stopping, "its present step is not done"
    run.gate.set()
    wait_for(job, "paused")
    assert not job.stopping
    done = run.done
    assert 0 < done < 1000 and job.result is None
    run.gate.clear()
    job.resume()
    wait_for(job, "running")
    job.pause()
    run.gate.set()
    wait_for(job, "paused")
    assert run.done > done
    job.finish_here()
    wait_for(job, "done")
    assert job.result == list(range(run.done))


class Telling(JobQueue):
    """Tells that a job's turn is over before the job knows that it is."""

    def __init__(self):
        super().__init__(1)
        self.over, self.go_on = threading.Event(), threading.Event()

    @contextmanager
    def turn(self, ticket, stop):
        with super().turn(ticket, stop) as mine:
            yield mine
        self.over.set()
        self.go_on.wait(60)


def test_a_job_that_is_seen_to_be_paused_can_be_gone_on_with():
    """However late its thread ends."""
    run, queue = Run(), Telling()
    job = background_job(lambda: run, queue)
    wait_for(job, "running")
    job.pause()
    run.gate.set()
    assert queue.over.wait(60)
    if job.state == "paused":
        job.resume()
        assert job.active
    queue.go_on.set()
    wait_for(job, "paused", "done")
    job.resume()
    wait_for(job, "done")


def test_jobs_take_turns_and_one_that_waits_can_be_stopped():
    queue, first, second = JobQueue(1), Run(), Run()
    a = background_job(lambda: first, queue)
    wait_for(a, "running")
    b = background_job(lambda: second, queue)
    time.sleep(0.3)
    assert b.state == "waiting" and "Waiting" in b.line and not is_free(queue)
    b.pause()
    wait_for(b, "paused")
    b.resume()
    second.gate.set()
    first.gate.set()
    wait_for(a, "done")
    wait_for(b, "done")
    assert is_free(queue)


def test_a_job_whose_holder_is_away_makes_room_for_one_that_waits():
    queue, first, second = JobQueue(1), Run(frames=4), Run()
    job = background_job(lambda: first, queue)
    wait_for(job, RUNNING)
    job.away = True
    waiting = background_job(lambda: second, queue)
    while not queue.is_wanted:
        time.sleep(0.01)
    first.gate.set()
    wait_for(job, PAUSED)
    assert first.rows == [0]
    second.gate.set()
    wait_for(waiting, DONE)
    # Alone, it goes on to its end.
    job.resume()
    wait_for(job, DONE)
    assert job.result == [0, 1, 2, 3]


def test_a_failure_is_a_sentence_and_frees_the_turn():
    queue, run = JobQueue(1), Run(broken_at=1)
    run.gate.set()
    job = background_job(lambda: run, queue)
    wait_for(job, "failed")
    assert job.error == "Frame 1 can't be decoded." and run.rows == [0] and is_free(queue)


def test_an_unexpected_failure_is_a_sentence_too():
    job = background_job(lambda: 1 / 0)
    wait_for(job, "failed")
    assert "ZeroDivisionError" in job.error


def test_a_job_whose_session_is_gone_stops():
    run = Run(frames=10**6)
    job = background_job(lambda: run)
    wait_for(job, "running")
    inner = job._inner
    del job
    gc.collect()
    run.gate.set()
    end = time.monotonic() + 60
    while inner.busy and time.monotonic() < end:
        time.sleep(0.01)
    assert not inner.busy and run.done < 10**6


def test_all_films_stop_when_the_server_ends():
    runs = [Run(frames=10**6) for _ in range(2)]
    jobs = [background_job(lambda run=run: run) for run in runs]
    for job, run in zip(jobs, runs, strict=True):
        wait_for(job, "running")
        run.gate.set()
    stop_all()
    assert not any(job._inner.busy for job in jobs) and all(job.state == "paused" for job in jobs)


def test_a_film_leaves_a_core_to_others_and_their_number_of_threads_alone():
    import torch

    before, counts = torch.get_num_threads(), {}
    torch.set_num_threads(3)
    try:
        film = threading.Thread(target=lambda: (_step_back(), counts.update(film=torch.get_num_threads())))
        film.start()
        film.join()
        later = threading.Thread(target=lambda: counts.update(later=torch.get_num_threads()))
        later.start()
        later.join()
        assert counts == {"film": 2, "later": 3} and torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_turns_go_round_among_those_who_wait():
    """Whoever put in many waits longer for the next one than somebody who put in one."""
    queue, served, nobody = JobQueue(1), [], threading.Event()
    begin = queue.turn(Ticket("busy"), nobody)
    begin.__enter__()

    def work(who):
        with queue.turn(Ticket(who), nobody):
            served.append(who)

    threads = []
    for who in ("a", "a", "a", "b", "a", "c"):
        threads.append(threading.Thread(target=work, args=(who,)))
        threads[-1].start()
        while len(queue._waiting) < len(threads):
            time.sleep(0.001)
    begin.__exit__(None, None, None)
    for thread in threads:
        thread.join(60)
    assert served == ["a", "b", "c", "a", "a", "a"] and queue._free == 1 and not queue._served


def test_a_run_over_its_time_ends_with_what_was_done():
    run = Run()
    run.gate.set()
    job = BackgroundJob(
        RunSpec("video-priors", Ref("nano-sam2")),
        lambda: run,
        JobQueue(1),
        "Preparing",
        lambda progress: Lab(progress=progress),
        limit_s=0.0,
    )
    wait_for(job, "done")
    assert job.result == run.rows == [0]
    assert job.note.startswith("This took longer than the 0 minutes that a run may take on this server.")


def test_whoever_waits_knows_how_many_turns_it_is_until_theirs():
    queue, stop, tickets = JobQueue(1), threading.Event(), [Ticket(who) for who in ("anna", "anna", "bert")]

    def wait(ticket):
        with queue.turn(ticket, stop):
            pass

    with queue.turn(Ticket("anna"), threading.Event()) as mine:
        assert mine and not queue.is_wanted
        threads = [threading.Thread(target=wait, args=(ticket,)) for ticket in tickets]
        for number, thread in enumerate(threads, start=1):
            thread.start()
            end = time.monotonic() + 60
            while len(queue._waiting) < number and time.monotonic() < end:
                time.sleep(0.005)
        assert [queue.place(ticket) for ticket in tickets] == [2, 3, 1] and queue.is_wanted
        assert queue.place(Ticket("anna")) is None, "one that does not wait"
        assert [queue.place(ticket) for ticket in tickets] == [2, 3, 1], "asking changes nothing"
        stop.set()
        for thread in threads:
            thread.join(60)
