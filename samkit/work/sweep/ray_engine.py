"""The engine that computes a sweep's cells on a Ray cluster, in actors on all of its machines."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from samkit.errors import BadInput
from samkit.settings import note_film
from samkit.work.sweep.cells import Cell, in_groups
from samkit.work.sweep.compute import WorkerSettings, reason_of
from samkit.work.sweep.local import TICK_S, TRIES
from samkit.work.sweep.ray_cluster import Room, connected, room
from samkit.work.sweep.ray_worker import RayWorker, Reply, versions
from samkit.work.sweep.results import Outcome
from samkit.work.sweep.spec import Keep
from samkit.work.sweep.travel import packed, paths_of, put_back

AHEAD = 2
"""Cells that a worker holds: one that it computes, and the next one, so that it does not wait for it."""
FAILED_STARTS = 3
"""Workers in a row that may not come up."""
SILENCE_S, SILENCE_AGAIN_S = 60.0, 300.0
"""Without a worker, until a person is told."""
CLOSING_S = 2.0
MODELS = 2
"""That stay in the object store at the same time."""


@dataclass
class _Task:
    """Cells of one group that wait. careful: a worker died on them, so that they are handed out one by one, which shows
    on which of them the next one dies
    """

    cells: deque[Cell]
    careful: bool = False


@dataclass(eq=False)
class _Hand:
    """A worker. hello: its first answer, until that came; calls: what it is asked, in order"""

    actor: Any
    hello: Any
    task: _Task | None = None
    calls: deque[tuple[Any, Cell]] = field(default_factory=deque)
    inputs: dict[str, Any] = field(default_factory=dict)

    @property
    def waits_for(self) -> Any:
        return self.hello if self.hello is not None else self.calls[0][0] if self.calls else None


class RayEngine:
    """Actors on a Ray cluster. One that is lost, alone or with its node, costs the cell that it was computing one
    retry; then the cell has failed, and the others go on.

    address: as for `connected`; workers, threads: None: as many as there is room for, see `room`
    say:     is told in a sentence what a person should know
    """

    def __init__(
        self,
        folder: Path,
        keep: Keep,
        address: str | None = None,
        workers: int | None = None,
        threads: int | None = None,
        device: str = "auto",
        say: Callable[[str], None] = lambda sentence: None,
    ):
        self._folder, self._keep, self._say = folder, keep, say
        self._address, self._asked = address, (workers, threads, device)

    def run(self, cells: Iterable[Cell]) -> Iterator[Outcome | None]:
        """See `Engine.run`. Raises BadInput where the cluster can't be joined, or no worker comes up on it."""
        cells = list(cells)
        if self._keep == "all":
            # As a worker on this machine does where it keeps a run.
            for film in {cell.case.film.ref for cell in cells if cell.case.film is not None}:
                if Path(film).is_absolute():
                    note_film(film)
        with connected(self._address):
            given = room(*self._asked)
            settings = WorkerSettings("", self._keep, given.threads)
            hands = _Hands(cells, settings, given, self._say)
            try:
                for reply in hands.replies():
                    yield self._written(reply) if reply is not None else None
            finally:
                hands.end()

    def _written(self, reply: Reply) -> Outcome:
        if not reply.files:
            return reply.outcome
        try:
            put_back(self._folder, reply.files)
        except OSError as error:
            reason = f"What is kept of a cell can't be written ({error.strerror or error})"
            return replace(reply.outcome, status="failed", reason=reason, kept=False)
        return reply.outcome


class _Hands:
    """The workers and what waits for them."""

    def __init__(self, cells: Iterable[Cell], settings: WorkerSettings, given: Room, say: Callable[[str], None]):
        self._waiting = deque(_Task(deque(group.cells)) for group in in_groups(cells))
        self._settings, self._room, self._say = settings, given, say
        self._hands: list[_Hand] = []
        self._tries: dict[str, int] = {}
        self._models: dict[str, Any] = {}
        self._failed_starts = 0
        self._last_trouble = ""
        self._no_answer_since = time.monotonic()
        self._tell_after = SILENCE_S
        self._versions = versions()

    def replies(self) -> Iterator[Reply | None]:
        """One for each cell; None now and then."""
        import ray

        while self._waiting or any(hand.calls for hand in self._hands):
            self._fill()
            asked = {hand.waits_for: hand for hand in self._hands if hand.waits_for is not None}
            ready, _ = ray.wait(list(asked), num_returns=1, timeout=TICK_S)
            if not ready:
                self._tell_of_silence()
                yield None
            for ref in ready:
                yield from self._answered(asked[ref], ref)

    def end(self) -> None:
        """All workers, whatever they do."""
        import ray

        idle = [hand for hand in self._hands if hand.hello is None and not hand.calls]
        ray.wait([hand.actor.close.remote() for hand in idle], num_returns=len(idle), timeout=CLOSING_S) if idle else 0
        for hand in self._hands:
            ray.kill(hand.actor)
        self._hands.clear()

    def _fill(self) -> None:
        """As many workers as have something to do, and something to do for each of them."""
        busy = sum(hand.task is not None for hand in self._hands)
        for _ in range(min(self._room.workers, busy + len(self._waiting)) - len(self._hands)):
            self._hands.append(self._started())
        for hand in self._hands:
            if hand.hello is None and hand.task is None and self._waiting:
                hand.task = self._waiting.popleft()
                hand.inputs = self._sent(hand.task)
            self._ask(hand)

    def _started(self) -> _Hand:
        import ray

        kind: Any = ray.remote(RayWorker).options(
            num_cpus=self._room.cpus, num_gpus=self._room.gpus, max_restarts=0, max_task_retries=0
        )
        actor = kind.remote(self._settings)
        return _Hand(actor, actor.hello.remote())

    def _ask(self, hand: _Hand) -> None:
        task = hand.task
        while task is not None and task.cells and len(hand.calls) < (1 if task.careful else AHEAD):
            cell = task.cells.popleft()
            hand.calls.append((hand.actor.outcome.remote(cell, hand.inputs), cell))

    def _sent(self, task: _Task) -> dict[str, Any]:
        """The files that the cells name, in the object store: each once for all that need it at the same time."""
        import ray

        known = {text: sent for hand in self._hands for text, sent in hand.inputs.items()} | self._models
        inputs: dict[str, Any] = {}
        for cell in {(id(cell.case), cell.model): cell for cell in task.cells}.values():
            for text, path in paths_of(cell).items():
                if text not in inputs:
                    try:
                        inputs[text] = known[text] if text in known else ray.put(packed(path))
                    except (BadInput, ray.exceptions.RayError) as error:
                        inputs[text] = reason_of(error)
                if text == cell.model:
                    self._models[text] = inputs[text]
        while len(self._models) > MODELS:
            del self._models[next(iter(self._models))]
        return inputs

    def _answered(self, hand: _Hand, ref: Any) -> Iterator[Reply]:
        import ray

        try:
            value = ray.get(ref)
        except ray.exceptions.RayTaskError as error:
            # Ours does not raise, so that the worker is as good as dead.
            yield from self._lost(hand, _last_line(error))
            return
        except (ray.exceptions.RayError, SystemError) as error:
            yield from self._lost(hand, _why(error))
            return
        self._no_answer_since, self._tell_after = time.monotonic(), SILENCE_S
        if hand.hello is not None:
            hand.hello = None
            self._greeted(hand, value)
            return
        _, cell = hand.calls.popleft()
        self._ask(hand)
        if not hand.calls:
            hand.task, hand.inputs = None, {}
        yield replace(value, outcome=replace(value.outcome, tries=self._tries.get(cell.id, 0) + 1))

    def _greeted(self, hand: _Hand, found: dict[str, str]) -> None:
        others = [f"{name} {value} instead of {self._versions[name]}" for name, value in found.items()
                  if value != self._versions[name]]  # fmt: skip
        if others:
            self._did_not_start(hand, f"a machine of the cluster has {', '.join(others)}")
        else:
            self._failed_starts = 0

    def _lost(self, hand: _Hand, why: str) -> Iterator[Reply]:
        import ray

        if hand.hello is not None:
            self._did_not_start(hand, why)
            return
        self._hands.remove(hand)
        # One that can't be reached may still be at work.
        ray.kill(hand.actor)
        assert hand.task is not None
        left = deque([cell for _, cell in hand.calls] + list(hand.task.cells))
        tries = self._tries[left[0].id] = self._tries.get(left[0].id, 0) + 1
        if tries >= TRIES:
            cell = left.popleft()
            yield Reply(Outcome(cell.id, "failed", f"{tries} workers were lost on this cell ({why}).", tries=tries), {})
        else:
            self._say(f"A worker was lost ({why}). Its cell is tried once more.")
        if left:
            self._waiting.appendleft(_Task(left, careful=True))

    def _did_not_start(self, hand: _Hand, why: str) -> None:
        """Raises BadInput where several did not, one after the other, and none is left."""
        import ray

        self._hands.remove(hand)
        ray.kill(hand.actor)
        self._failed_starts += 1
        if why != self._last_trouble:
            self._say(f"A worker could not be started: {why}.")
        self._last_trouble = why
        if self._failed_starts >= FAILED_STARTS:
            # The others do its work.
            self._room = replace(self._room, workers=len(self._hands))
            if not self._hands:
                raise BadInput(
                    f"No worker can be started on the cluster ({why}). What was computed is kept: mend it, and resume."
                )

    def _tell_of_silence(self) -> None:
        silent = time.monotonic() - self._no_answer_since
        if all(hand.hello is not None for hand in self._hands) and silent > self._tell_after:
            self._tell_after += SILENCE_AGAIN_S
            wanted = f"CPU: {self._room.cpus:g}" + (f", GPU: {self._room.gpus:g}" if self._room.gpus else "")
            self._say(
                f"No worker has come up on the cluster for {silent:.0f} s. Each needs room of its own ({wanted}). "
                "The sweep waits; Ctrl-C ends it, and `sweep resume` goes on later."
            )


def _why(error: Exception) -> str:
    text = str(error)
    if "memory" in text and ("OOM" in text or "memory monitor" in text or "running low" in text):
        return "Ray ended it, for the memory of its node ran out"
    if "node" in text and ("died" in text or "dead" in text) and "node_ip" not in text:
        return "its node is gone"
    return "its process ended; a system does that too where memory runs out"


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
