"""The engine that computes a sweep's cells on this machine, in processes of their own."""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Protocol, cast

import samkit
from samkit.work.sweep.cells import Cell, Group, in_groups
from samkit.work.sweep.compute import WorkerSettings
from samkit.work.sweep.messages import receive, send
from samkit.work.sweep.results import Outcome
from samkit.work.sweep.spec import Keep

PROGRAM = "samkit.work.sweep.worker"
TRIES = 2
"""Workers that a cell may cost."""
DYING_S = 2.0
"""How long a process may take to end after it closed its pipe."""
TICK_S = 0.5
"""How often whoever waits for outcomes is asked whether to go on."""


class Engine(Protocol):
    """Computes cells, wherever that may be."""

    def run(self, cells: Iterable[Cell]) -> Iterator[Outcome | None]:
        """An outcome for each cell, in the order in which they are ready; None now and then, so that the caller can
        look around. Closing the iterator ends all work at once.
        """
        ...


def share_threads(workers: int) -> int:
    """Threads for each worker, so that every core is used once."""
    return max(1, cores() // workers)


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class LocalEngine:
    """Worker processes on this machine. A worker that dies costs the cell that it was computing one retry; then the
    cell has failed, and the others go on.

    threads: that torch computes with in each; None: the cores are divided among the workers
    nice:    how far below everything else the workers stand in line for the processor
    """

    def __init__(self, folder: Path, keep: Keep, workers: int, threads: int | None = None, nice: int = 0):
        self._workers, self._nice = workers, nice
        self._settings = WorkerSettings(str(folder), keep, threads or share_threads(workers))

    def run(self, cells: Iterable[Cell]) -> Iterator[Outcome | None]:
        """See `Engine.run`."""
        line = _Line(in_groups(cells))
        outcomes: queue.SimpleQueue[Outcome | BaseException | None] = queue.SimpleQueue()
        workers = [_Worker(self._settings, line, outcomes, self._nice) for _ in range(min(self._workers, len(line)))]
        at_work = len(workers)
        try:
            while at_work:
                try:
                    outcome = outcomes.get(timeout=TICK_S)
                except queue.Empty:
                    yield None
                    continue
                if isinstance(outcome, BaseException):
                    raise outcome
                if outcome is None:
                    at_work -= 1
                else:
                    yield outcome
        finally:
            line.close()
            for worker in workers:
                worker.kill()
            for worker in workers:
                worker.join()


class _Line:
    """The groups that wait, for all workers."""

    def __init__(self, groups: Iterable[Group]):
        self._groups = deque(groups)
        self._lock = threading.Lock()
        self.tries: dict[str, int] = {}
        """Workers that a cell has cost so far."""

    def __len__(self) -> int:
        return len(self._groups)

    def next(self) -> Group | None:
        with self._lock:
            return self._groups.popleft() if self._groups else None

    def close(self) -> None:
        with self._lock:
            self._groups.clear()


class _Worker:
    """A process, and the thread that hands it groups. The process is started anew where it died."""

    def __init__(self, settings: WorkerSettings, line: _Line, outcomes: "queue.SimpleQueue[Any]", nice: int):
        self._settings, self._line, self._outcomes, self._nice = settings, line, outcomes, nice
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, name="sweep-worker", daemon=True)
        self._thread.start()

    def kill(self) -> None:
        with self._lock:
            self._ended = True
            if self._process is not None:
                self._process.kill()

    def join(self) -> None:
        self._thread.join()

    def _serve(self) -> None:
        try:
            while (group := self._line.next()) is not None and not self._ended:
                cells = list(group.cells)
                while cells and not self._ended:
                    cells = self._computed(cells)
            self._outcomes.put(None)
        except BaseException as error:
            self._outcomes.put(error)
        finally:
            self._end()

    def _computed(self, cells: list[Cell]) -> list[Cell]:
        """Hand out the cells' outcomes; the cells that are left where the process died."""
        left = deque(cells)
        try:
            process = self._started()
            send(cast("IO[bytes]", process.stdin), cells)
            while (outcome := receive(cast("IO[bytes]", process.stdout))) is not None:
                cell = left.popleft()
                self._outcomes.put(replace(outcome, tries=self._line.tries.get(cell.id, 0) + 1))
            return []
        except (EOFError, OSError):
            code = self._end()
        if self._ended or not left:
            return list(left)
        tries = self._line.tries[left[0].id] = self._line.tries.get(left[0].id, 0) + 1
        if tries >= TRIES:
            cell = left.popleft()
            self._outcomes.put(Outcome(cell.id, "failed", _why(code, tries), tries=tries))
        return list(left)

    def _started(self) -> "subprocess.Popen[bytes]":
        with self._lock:
            if self._process is None:
                if self._ended:
                    raise EOFError
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", PROGRAM],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=_environment(),
                )
                if self._nice:
                    # Before it has threads, which take after the one that starts them.
                    with suppress(AttributeError, OSError):
                        os.setpriority(os.PRIO_PROCESS, self._process.pid, self._nice)
                send(cast("IO[bytes]", self._process.stdin), self._settings)
            return self._process

    def _end(self) -> int | None:
        """The exit code of the process, which is gone afterwards."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return None
        try:
            # One that died says why only where nobody kills it once more.
            code = process.wait(0.0 if self._ended else DYING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    pass
        return code


def _environment() -> dict[str, str]:
    """samkit is found wherever it was found here."""
    place = str(Path(samkit.__file__).parent.parent)
    known = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return os.environ | {"PYTHONPATH": os.pathsep.join([place, *known])}


def _why(code: int | None, tries: int) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in {each.value for each in signal.Signals} else str(-code)
        killed = "; the system ends processes so where memory runs out" if name == "SIGKILL" else ""
        return f"{tries} workers died on this cell (by {name}{killed})."
    return f"{tries} workers died on this cell (exit code {code})."
