"""Running a sweep: cells go to an engine, and what comes back is written down at once."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from samkit.work.sweep.cells import Cell
from samkit.work.sweep.local import Engine
from samkit.work.sweep.results import SweepFolder

TELL_S = 1.0
"""Between two looks at how far it is."""


@dataclass(frozen=True)
class Progress:
    """How far it is. done, failed: of the `total` cells of this run; seconds: since its start; first_s: when the first
    cell was done, 0 before that: until then workers start and load the model
    """

    done: int
    failed: int
    total: int
    seconds: float
    encoded: int
    first_s: float = 0.0

    @property
    def rate(self) -> float:
        """Cells a second, from the first one on; of the whole run where there is no more than that."""
        if self.done > 1 and self.seconds > self.first_s:
            return (self.done - 1) / (self.seconds - self.first_s)
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """At the rate so far; None before there is one."""
        return (self.total - self.done) / self.rate if self.done else None


def run_sweep(
    sweep: SweepFolder,
    engine: Engine,
    cells: Sequence[Cell] | None = None,
    tell: Callable[[Progress], None] | None = None,
) -> Progress:
    """Compute the cells, by default those that are missing, and append each outcome as it comes. Ends early where
    somebody cancels the sweep, and with KeyboardInterrupt: what was computed is kept.

    tell: is told how far it is, about once a second and at the end
    """
    start = told = time.monotonic()
    done = failed = encoded = 0
    first = 0.0
    with sweep.running() as file:
        # What another process did until now is known only here, where nobody else writes.
        wanted = sweep.missing() if cells is None else cells
        with closing(engine.run(wanted)) as outcomes:  # type: ignore[type-var]  # engines give generators
            for outcome in outcomes:
                if outcome is not None:
                    file.add(outcome)
                    first = first or time.monotonic() - start
                    done, failed = done + 1, failed + (outcome.status == "failed")
                    encoded += len(outcome.encoded)
                now = time.monotonic()
                if now - told >= TELL_S:
                    told = now
                    if tell is not None:
                        tell(Progress(done, failed, len(wanted), now - start, encoded, first))
                    if sweep.is_cancelled:
                        break
    progress = Progress(done, failed, len(wanted), time.monotonic() - start, encoded, first)
    if tell is not None:
        tell(progress)
    return progress
