"""A sweep's table while it grows: what was read once is not read again."""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path

from samkit.work.sweep.cells import Cell, cell_row
from samkit.work.sweep.grid import values_of
from samkit.work.sweep.results import OUTCOMES, SWEEP, Outcome, SweepFolder, read_outcome
from samkit.work.sweep.table import Row, with_outcome

_HEAD = re.compile(rb'^\{"cell":"([0-9a-f]+)","status":"(done|failed)"', re.MULTILINE)


@dataclass(frozen=True)
class Tally:
    """Cells that were computed, and those of them that failed."""

    computed: int
    failed: int


def tally(folder: Path) -> Tally:
    """Counted from the beginnings of the lines alone, for a list of many sweeps."""
    file = folder / OUTCOMES
    try:
        state = file.stat()
    except OSError:
        return Tally(0, 0)
    return _tally(file, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=512)
def _tally(file: Path, size: int, changed: int) -> Tally:
    data = file.read_bytes()
    # A line without an end is still being written.
    last = dict(_HEAD.findall(data[: data.rfind(b"\n") + 1]))
    return Tally(len(last), sum(status == b"failed" for status in last.values()))


def cell_count(sweep: SweepFolder) -> int:
    """How many cells the spec asks for, without making them."""
    spec = sweep.spec
    params = prod(len(values_of(written)) for written in spec.params.values())
    groups = prod(len(values_of(next(iter(group.values())))) for group in spec.zip if group)
    repeats = sum(spec.repeats if rule.is_random else 1 for rule in spec.prompts)
    return params * groups * repeats * len(spec.models) * sweep.case_count


def opened_sweep(path: Path) -> SweepFolder:
    """The sweep in that folder; what it says of itself never changes, and is read once. Raises BadInput."""
    try:
        changed = (path / SWEEP).stat().st_mtime_ns
    except OSError:
        changed = 0
    return _opened(path, changed)


@lru_cache(maxsize=256)
def _opened(path: Path, changed: int) -> SweepFolder:
    return SweepFolder(path)


class LiveTable:
    """The rows of a sweep, as `samkit.work.sweep.table.rows` gives them."""

    def __init__(self, sweep: SweepFolder):
        self.sweep = sweep
        self._place = {cell.id: index for index, cell in enumerate(sweep.cells)}
        self._cell_rows = [cell_row(cell) for cell in sweep.cells]
        self._rows = [with_outcome(row, None) for row in self._cell_rows]
        self._lines = [b""] * len(sweep.cells)
        self._read = 0
        self._lock = threading.Lock()

    @property
    def rows(self) -> Sequence[Row]:
        """In the spec's order."""
        return self._rows

    @property
    def cells(self) -> Sequence[Cell]:
        return self.sweep.cells

    def outcome(self, index: int) -> Outcome | None:
        """Of the cell in that row; None where it was not computed yet."""
        # Of thousands one is asked for: all of them as objects would be slow to make, and to look through for garbage.
        return read_outcome(self._lines[index]) if self._lines[index] else None

    def index(self, cell: str) -> int | None:
        """The row of the cell with that id."""
        return self._place.get(cell)

    def refresh(self) -> int:
        """Read what came since; how many outcomes that are."""
        with self._lock:
            return self._refresh()

    def _refresh(self) -> int:
        try:
            with (self.sweep.path / OUTCOMES).open("rb") as file:
                # Half a line at the end is taken back by whoever goes on with the sweep, and never a whole one.
                file.seek(self._read)
                data = file.read()
        except FileNotFoundError:
            return 0
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        count = 0
        for line in whole.splitlines():
            outcome = read_outcome(line)
            index = self._place.get(outcome.cell) if outcome is not None else None
            if index is not None:
                self._lines[index] = line
                self._rows[index] = with_outcome(self._cell_rows[index], outcome)
                count += 1
        return count
