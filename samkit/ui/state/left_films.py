"""Films that are being segmented, by the work they belong to. Whoever comes back to a work finds the run of its film:
after a reload, and after the session was ended, as long as the work itself is kept.
"""

import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from samkit.ui.state.recorded import FilmTable

MOST = 8
"""Runs that are held for visitors who have left, of all visitors together."""
DAY_S = 24 * 3600.0


class LeftFilms:
    """is_here: whether a session goes on with a work; days: how long a run waits for its visitor"""

    def __init__(
        self, is_here: Callable[[str], bool], days: Callable[[], float], now: Callable[[], float] = time.monotonic
    ):
        self._is_here, self._days, self._now = is_here, days, now
        self._tables: weakref.WeakValueDictionary[str, FilmTable] = weakref.WeakValueDictionary()
        # Work -> (its film, whose it is, when it was seen last), the one seen last at the end.
        self._held: dict[str, tuple[FilmTable, str, float]] = {}
        self._lock = threading.Lock()

    def put(self, work_id: str, table: "FilmTable", visitor: str) -> None:
        """A visitor's work has that film. It is held for as long as there is a run of it, what a kept one found, or
        what was put aside."""
        with self._lock:
            self._tables[work_id] = table
            self._held.pop(work_id, None)
            if table.job is not None or table.kept is not None or table.discarded or table.aside:
                self._held[work_id] = table, visitor, self._now()
            self._let_go()

    def find(self, work_id: str) -> "FilmTable | None":
        """The film that the work's last visitor has left, with its run, which is not away any more."""
        table = self._tables.get(work_id)
        if table is not None and table.job is not None:
            table.job.away = False
        return table

    def leave(self, visitor: str) -> None:
        """Nobody watches this visitor's runs: they go on, but behind all others."""
        with self._lock:
            for work_id, (table, owner, _) in list(self._held.items()):
                if owner == visitor and table.job is not None:
                    table.job.away = True
                    self._held.pop(work_id)
                    self._held[work_id] = table, visitor, self._now()
            self._let_go()

    def _let_go(self) -> None:
        oldest = self._now() - self._days() * DAY_S
        away = [work_id for work_id in self._held if not self._is_here(work_id)]
        for number, work_id in enumerate(reversed(away)):
            if number >= MOST or self._held[work_id][2] < oldest:
                del self._held[work_id]
