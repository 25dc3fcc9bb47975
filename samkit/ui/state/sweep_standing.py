"""How far a sweep is, in words: for the list, for its own page, and for the page that started it."""

from dataclasses import dataclass

from samkit.ui.state.sweeps import RUNNING, WAITING, pace, server_sweeps, sweep_state
from samkit.words import listed, time_text
from samkit.work.long_encoding import goes_first
from samkit.work.sweep.live_table import cell_count, tally
from samkit.work.sweep.results import SweepFolder

ICONS = {
    "waiting": ":material/hourglass_top:",
    "running": ":material/play_circle:",
    "done": ":material/check_circle:",
    "cancelled": ":material/cancel:",
    "stopped": ":material/pause_circle:",
}


@dataclass(frozen=True)
class Standing:
    """Where a sweep stands. rate: cells a second, None as long as nobody knows; place: in the queue, 1 for the next;
    waits_for: what keeps it from going on, or from going on fast, in words
    """

    state: str
    cells: int
    computed: int
    failed: int
    rate: float | None = None
    place: int | None = None
    error: str = ""
    waits_for: str = ""

    @property
    def active(self) -> bool:
        return self.state in (WAITING, RUNNING)

    @property
    def share(self) -> float:
        return min(1.0, self.computed / max(1, self.cells))

    @property
    def text(self) -> str:
        """Such as "12 of 40 cells, 1 failed, 2.1 a second, 14 s left"."""
        return self.told("cells")

    def told(self, unit: str) -> str:
        """The same, where the cells are called something else."""
        parts = [f"{self.computed:,} of {self.cells:,} {unit}" if self.state != "done" else f"{self.cells:,} {unit}"]
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        if self.state == WAITING and self.place is not None:
            parts.append("next in the queue" if self.place == 1 else f"number {self.place} in the queue")
        if self.waits_for:
            parts.append(self.waits_for)
        elif self.state == RUNNING and self.rate:
            parts += [f"{self.rate:.2g} a second", f"{time_text((self.cells - self.computed) / self.rate)} left"]
        return ", ".join(parts)


def standing(sweep: SweepFolder) -> Standing:
    """As it is at this moment."""
    cells, counted, run = cell_count(sweep), tally(sweep.path), server_sweeps().get(sweep.id)
    state = sweep_state(sweep, cells)
    rate = pace().rate(sweep.id, counted.computed) if state == RUNNING else None
    place = run.place if run is not None and state == WAITING else None
    error = (run.error or run.note) if run is not None and not run.active else ""
    waits_for = ""
    if state == RUNNING:
        waits_for = _encoding_before_it()
    elif place is not None and run is not None and (before := run.goes_before):
        waits_for = f"while {listed(before)} {'is' if len(before) == 1 else 'are'} under way"
    return Standing(state, cells, counted.computed, counted.failed, rate, place, error, waits_for)


def _encoding_before_it() -> str:
    """What a page waits for has all cores first, and leaves little to background work."""
    encoding = goes_first()
    if encoding is None:
        return ""
    left = time_text(encoding.left_s)
    return f"slow: an encoding at a side of {encoding.side} pixels on a page goes first, about {left} left"
