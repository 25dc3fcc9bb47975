"""For every test of a page: the runs that it shows are recorded, and a slow machine has time to keep or replay one."""

import pytest

from samkit.work.sweep.compute import CellComputer, WorkerSettings
from tests.pages.app import SHOWN


@pytest.fixture(autouse=True)
def shown(monkeypatch):
    """Record what pages show in `SHOWN`."""
    from samkit.ui.bench.tables import table

    SHOWN.clear()
    compute = table.shown_result

    def record(*arguments):
        SHOWN.append(compute(*arguments))
        return SHOWN[-1]

    monkeypatch.setattr(table, "shown_result", record)


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A run is in the store, and its replay over, when the page has answered, and not some time later."""
    from samkit.ui.bench import keep
    from samkit.ui.runs import replay_panel

    monkeypatch.setattr(keep, "PATIENCE_S", 240)
    monkeypatch.setattr(replay_panel, "PATIENCE_S", 240)


class HereEngine:
    """Computes a sweep in this process, in place of processes of its own. until: how many cells it gives before it
    waits to be ended.
    """

    until: int | None = None

    def __init__(self, folder, keep, workers, threads=None, nice=0):
        self._computer = CellComputer(WorkerSettings(str(folder), keep, 1))

    def run(self, cells):
        for number, cell in enumerate(cells):
            while self.until is not None and number >= self.until:
                yield None
            yield self._computer.outcome(cell)


@pytest.fixture
def here(monkeypatch):
    """`HereEngine`, which the app's sweeps take."""
    from samkit.ui.state import sweeps

    monkeypatch.setattr(sweeps, "LocalEngine", HereEngine)
    return HereEngine
