"""What a sweep will take: a cell of each model is computed on the spot, with its encoding and without."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from samkit.errors import BadInput
from samkit.scratch import scratch
from samkit.work.sweep.cells import Cell, in_groups, sharing
from samkit.work.sweep.compute import CellComputer, WorkerSettings
from samkit.work.sweep.local import share_threads
from samkit.work.sweep.spec import SweepSpec


@dataclass(frozen=True)
class Estimate:
    """cells; encodings: different ones; groups: that can be computed at the same time; seconds: with so many workers;
    bytes: on disk
    """

    cells: int
    encodings: int
    groups: int
    workers: int
    threads: int
    seconds: float
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def estimate(spec: SweepSpec, cells: list[Cell], workers: int) -> Estimate:
    """Raises BadInput where the first cell of a model can't be computed: then others would not be either."""
    groups = list(in_groups(cells))
    threads = spec.threads or share_threads(workers)
    seconds = size = 0.0
    encodings = 0
    for model in spec.models:
        own = [cell for cell in cells if cell.model == model]
        tried = _tried(own[0], spec, threads)
        wanted = len({key for cell in own for key in _encodings(cell, tried.own)})
        if own[0].case.film is not None:
            # As if all films were as long as the first one, and none too long for its encodings to be kept.
            wanted *= tried.encodings
        encodings += wanted
        # A cell that makes several encodings shares the time of these among them.
        each = max(0.0, tried.with_encodings - tried.without) / max(1, tried.encodings)
        seconds += wanted * each + len(own) * tried.without
        size += len(own) * tried.bytes
    at_once = min(workers, len(groups))
    return Estimate(len(cells), encodings, len(groups), workers, threads, seconds / at_once, int(size))


@dataclass(frozen=True)
class _Tried:
    """A cell that was computed. Seconds with its encodings and where these are there; bytes that are kept; own: the
    model's native side and windows
    """

    with_encodings: float
    without: float
    encodings: int
    bytes: int
    own: tuple[int, tuple[int, ...]]


def _encodings(cell: Cell, own: tuple[int, tuple[int, ...]]) -> set[str]:
    """Those that the cell needs; window-size compares with the model's own windows, which it encodes too."""
    if cell.case.picture is None:
        return set()
    model, picture, (side, *others), windows = sharing(cell)
    keys = {None if windows is None or windows[0] == own[1] else windows}
    keys |= {None} if cell.experiment == "window-size" else set()
    pictures = (picture,) if cell.case.second is None else (picture, cell.case.second.ref)
    return {repr((model, each, side or own[0], others, key)) for key in keys for each in pictures}


def _tried(cell: Cell, spec: SweepSpec, threads: int) -> _Tried:
    with scratch("estimate") as folder:
        computer = CellComputer(WorkerSettings(str(folder), spec.keep, threads))
        first = computer.outcome(cell)
        if first.status == "failed":
            raise BadInput(f"The first cell ({cell.case.name}) can't be computed: {first.reason}")
        kept = len(first.line()) + sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        # The first one also paid for what every process pays once.
        computer.forget_all()
        again = computer.outcome(cell)
        computer.forget_parts()
        without = min(again.seconds, computer.outcome(cell).seconds)
        info = computer.computed(cell).run.model.info
    return _Tried(again.seconds, without, len(again.encoded), kept, (info.native_side, tuple(info.window_sizes)))
