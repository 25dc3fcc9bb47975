"""The sweeps that this server runs in the background, for all visitors, and whose each one on the disk is.

A sweep outlives the page that started it, and the visit. Its cells are computed in processes of their own; a thread
here waits for its turn and writes down what they give. Where others wait, it hands its turn on after a while.
"""

import hmac
import logging
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import streamlit as st

from samkit.errors import BadInput, SamkitError
from samkit.experiments.registry import find_entry
from samkit.limits import check, is_public
from samkit.machine import refused_by_machine
from samkit.ui.state.jobs import enter_queue, in_queue, job_queue
from samkit.ui.state.public import check_side, own_runs_only, owner_name, present_limits
from samkit.work.queue import NICE, JobQueue, State, Ticket
from samkit.work.sweep.cells import Cell
from samkit.work.sweep.grid import values_of
from samkit.work.sweep.keeping import is_wanted, keep_sweep
from samkit.work.sweep.live_table import LiveTable, opened_sweep, tally
from samkit.work.sweep.local import Engine, LocalEngine, cores
from samkit.work.sweep.results import Outcome, SweepFolder, find_sweep, new_sweep, sweep_names, sweeps_folder
from samkit.work.sweep.run import run_sweep
from samkit.work.sweep.spec import SweepSpec

_log = logging.getLogger(__name__)
TURN_S = 60.0
"""After so long a sweep lets others have a turn, where somebody waits."""
REMEMBERED = 20
"""Runs that have ended, for what they said."""
OWNER, INPUTS = "owner", "inputs-"
"""A file in a sweep's folder; the beginning of the names of folders with pictures that visitors gave."""
WAITING: State = "waiting"
RUNNING: State = "running"
DONE: State = "done"
FAILED: State = "failed"


def app_workers() -> tuple[int, int]:
    """(processes, threads of each) with which the app computes a sweep: a core is left to whoever clicks."""
    workers = max(1, cores() // 4)
    return workers, max(1, (cores() - 1) // workers)


class SweepRun:
    """A sweep that this server waits to run, runs, or has run.

    state: waiting, running, done (at its end, or where it was cancelled), failed; error, note: a sentence
    """

    def __init__(self, sweep: SweepFolder, queue: JobQueue, who: str, limit_s: float | None, failed_too: bool = False):
        self.sweep, self.state, self.error, self.note = sweep, WAITING, "", ""
        ticket = Ticket(who, f"a sweep of {find_entry(sweep.spec.experiment).title}")
        self._queue, self._ticket, self._limit_s = queue, ticket, limit_s
        self._failed_too, self._seen, self._worked_s = failed_too, set[str](), 0.0
        self._since, self._cancelled = 0.0, False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sweep", daemon=True)
        self._thread.start()

    @property
    def active(self) -> bool:
        return self.state in (WAITING, RUNNING)

    @property
    def place(self) -> int | None:
        """In the queue, 1 for the next one; None where it doesn't wait."""
        return self._queue.place(self._ticket)

    @property
    def goes_before(self) -> list[str]:
        """What is under way in the queue."""
        return self._queue.at_work

    def cancel(self) -> None:
        """Stop within seconds; what was computed is kept."""
        self._cancelled = True
        self._stop.set()
        with suppress(OSError):
            self.sweep.cancel()

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has come to rest."""
        self._thread.join(timeout)

    def _work(self) -> None:
        end = FAILED
        try:
            while self._goes_on():
                with self._queue.turn(self._ticket, self._stop) as mine:
                    if mine:
                        self._take_turn()
                self.state = WAITING
            end = DONE
            if is_wanted(self.sweep):
                # It was kept before, and there is more of it to keep.
                keep_sweep(self.sweep)
        except SamkitError as error:
            self.error = str(error)
        except Exception as error:
            refused = refused_by_machine(error)
            if refused is None:
                _log.exception("unexpected error in a sweep")
            self.error = str(refused or f"Something went wrong inside the app ({type(error).__name__}).")
        finally:
            if self._cancelled:
                # Where it had just begun, it took the sign away.
                with suppress(OSError):
                    self.sweep.cancel()
            self.state = end

    def _goes_on(self) -> bool:
        return not self._stop.is_set() and not self.note and (not self._seen or bool(self._wanted()))

    def _wanted(self) -> list[Cell]:
        return [cell for cell in self.sweep.missing(self._failed_too) if cell.id not in self._seen]

    def _take_turn(self) -> None:
        self.state, self._since = RUNNING, time.monotonic()
        spec = self.sweep.spec
        workers, threads = app_workers()
        engine = LocalEngine(self.sweep.path, spec.keep, workers, spec.threads or threads, NICE)
        try:
            wanted = self._wanted()
            if wanted:
                run_sweep(self.sweep, _Turn(engine, self), wanted)
        finally:
            self._worked_s += time.monotonic() - self._since
        if self.sweep.is_cancelled or not wanted:
            self._stop.set()

    def is_over(self) -> bool:
        """Whether the present turn ends here; asked after each cell, and twice a second."""
        now = time.monotonic() - self._since
        if self._limit_s is not None and self._worked_s + now > self._limit_s:
            self.note = (
                f"This sweep took longer than the {self._limit_s / 60:g} minutes that a run may take on this server. "
                "What was computed is kept."
            )
        return self._stop.is_set() or bool(self.note) or (now > TURN_S and self._queue.is_wanted)

    def saw(self, outcome: Outcome) -> None:
        """Written down, and not computed again in this run."""
        self._seen.add(outcome.cell)


class _Turn:
    """An engine that ends with its turn."""

    def __init__(self, engine: Engine, run: SweepRun):
        self._engine, self._run = engine, run

    def run(self, cells: Iterable[Cell]) -> Iterator[Outcome | None]:
        with closing(self._engine.run(cells)) as outcomes:  # type: ignore[type-var]  # engines give generators
            for outcome in outcomes:
                if outcome is not None:
                    self._run.saw(outcome)
                yield outcome
                if self._run.is_over():
                    return


class Sweeps:
    """Those of this server, by their ids. One for all visitors."""

    def __init__(self) -> None:
        self._runs: dict[str, SweepRun] = {}
        self._lock = threading.Lock()

    def get(self, sweep_id: str) -> SweepRun | None:
        """The run of that sweep that this server began last."""
        return self._runs.get(sweep_id)

    def start(self, sweep: SweepFolder, failed_too: bool = False) -> SweepRun:
        """Put it into the queue. Raises BadInput where this visitor, or all together, have too many there."""
        with self._lock:
            present = self._runs.get(sweep.id)
            if present is not None and present.active:
                raise BadInput(f"The sweep {sweep.id} is under way already.")
            who, limit_s = enter_queue()
            run = SweepRun(sweep, job_queue(), who, limit_s, failed_too)
            in_queue(who, run)
            self._runs[sweep.id] = run
            for old in [name for name, each in self._runs.items() if not each.active][:-REMEMBERED]:
                del self._runs[old]
            return run

    def forget(self, sweep_id: str) -> None:
        """A sweep that is deleted."""
        with self._lock:
            self._runs.pop(sweep_id, None)


@st.cache_resource(show_spinner=False)
def server_sweeps() -> Sweeps:
    return Sweeps()


@st.cache_resource(show_spinner=False, max_entries=6)
def live_table(path: str) -> LiveTable:
    """The table of a sweep, read once for all visitors; `refresh` it before use."""
    return LiveTable(opened_sweep(Path(path)))


def start_sweep(spec: SweepSpec, cases: list, cells: int) -> SweepFolder:
    """A new sweep of this visitor's, in the queue. cells: how many it has. Raises BadInput where it is more than a
    visitor may have.
    """
    check_allowed(spec, cells)
    limits = present_limits()
    if limits.sweeps_visitor is not None and len(own := shown_sweeps()) >= limits.sweeps_visitor:
        raise BadInput(
            f"You have {len(own)} sweeps; on this server {limits.sweeps_visitor} are the most. Delete some under "
            "Sweeps."
        )
    sweep = new_sweep(spec, cases)
    try:
        if is_public():
            (sweep.path / OWNER).write_text(owner_name(), encoding="utf-8")
        server_sweeps().start(sweep)
    except BaseException:
        shutil.rmtree(sweep.path, ignore_errors=True)
        raise
    return sweep


def check_allowed(spec: SweepSpec, cells: int) -> None:
    """Raises BadInput for a sweep that is more than a visitor may have computed."""
    check("This sweep", cells, present_limits().sweep_cells, "cells", "Take fewer values, pictures or models.")
    sides = [value for part in (spec.params, *spec.zip) if "side" in part for value in values_of(part["side"])]
    for side in sides:
        check_side(side)


def resume_sweep(sweep: SweepFolder, failed_too: bool = False) -> None:
    """Compute what is missing. Raises BadInput as `Sweeps.start` does."""
    check_own(sweep)
    server_sweeps().start(sweep, failed_too)


def cancel_sweep(sweep: SweepFolder) -> None:
    """Stop it, whoever runs it."""
    check_own(sweep)
    run = server_sweeps().get(sweep.id)
    if run is not None and run.active:
        run.cancel()
    else:
        sweep.cancel()


def delete_sweep(sweep: SweepFolder) -> None:
    """Its folder, and the pictures and films that a visitor gave for it. Raises BadInput while it runs."""
    check_own(sweep)
    if sweep_state(sweep) in (WAITING, RUNNING):
        raise BadInput("This sweep is under way: cancel it first.")
    server_sweeps().forget(sweep.id)
    for folder in (sweep.path, *_given(sweep.spec)):
        shutil.rmtree(folder, ignore_errors=True)


def _given(spec: SweepSpec) -> set[Path]:
    """The folders with what a visitor gave for it."""
    texts = [text for source in spec.pictures for text in source.files]
    texts += [text for source in spec.films for text in source.files]
    texts += [text for source in spec.pairs for row in source.rows for text in (row.first, row.second)]
    inside = [Path(text).relative_to(sweeps_folder()) for text in texts if Path(text).is_relative_to(sweeps_folder())]
    return {sweeps_folder() / path.parts[0] for path in inside if path.parts and path.parts[0].startswith(INPUTS)}


def sweep_state(sweep: SweepFolder, cells: int | None = None) -> str:
    """waiting, running, done, cancelled or stopped. cells: how many it has, where that is known."""
    run = server_sweeps().get(sweep.id)
    if run is not None and run.active:
        return run.state
    if sweep.is_running:
        return RUNNING
    if tally(sweep.path).computed >= (len(sweep.cells) if cells is None else cells):
        return DONE
    return "cancelled" if sweep.is_cancelled else "stopped"


def shown_sweeps() -> list[str]:
    """Ids of the sweeps that this visitor's list shows, the latest first."""
    owner = own_runs_only()
    names = sweep_names()
    return names if owner is None else [name for name in names if _is_owner(sweeps_folder() / name, owner)]


def seen_sweep(name: str) -> SweepFolder:
    """The sweep of that id, for this visitor to look at: an id is easily guessed, so others' are not shown. Raises
    BadInput.
    """
    owner = own_runs_only()
    if owner is not None and name not in shown_sweeps():
        raise BadInput("There is no such sweep of yours: on a public server each visitor sees their own.")
    return opened_sweep(find_sweep(name).path)


def is_own(sweep: SweepFolder) -> bool:
    """Whether this visitor may go on with it, cancel and delete it."""
    owner = own_runs_only()
    return owner is None or _is_owner(sweep.path, owner)


def check_own(sweep: SweepFolder) -> None:
    if not is_own(sweep):
        raise SamkitError("This sweep is another visitor's.")


def _is_owner(folder: Path, owner: str) -> bool:
    try:
        return hmac.compare_digest((folder / OWNER).read_bytes(), owner.encode())
    except OSError:
        return False


class Pace:
    """How fast sweeps go, whoever computes them, as their pages have seen it."""

    KEPT_S = 30.0

    def __init__(self) -> None:
        self._seen: dict[str, list[tuple[float, int]]] = {}

    def rate(self, sweep_id: str, computed: int) -> float | None:
        """Cells a second over the last while; None as long as that is not known."""
        now = time.monotonic()
        seen = [each for each in self._seen.get(sweep_id, []) if now - each[0] < self.KEPT_S]
        self._seen[sweep_id] = [*seen, (now, computed)]
        if len(self._seen) > 200:
            del self._seen[next(iter(self._seen))]
        if not seen or now - seen[0][0] < 1 or computed <= seen[0][1]:
            return None
        return (computed - seen[0][1]) / (now - seen[0][0])


@st.cache_resource(show_spinner=False)
def pace() -> Pace:
    return Pace()
