"""The sweep that a visitor looks at, and the cell that they chose in it."""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from samkit.ui.state.sweeps import live_table
from samkit.work.sweep.live_table import LiveTable
from samkit.work.sweep.results import SweepFolder
from samkit.work.sweep.table import Row

SAMPLE = 200
"""Rows that stand for all where only names are asked for."""


@dataclass(frozen=True)
class LookedAt:
    """rows: all of them, as they were when the page was drawn"""

    sweep: SweepFolder
    table: LiveTable
    rows: Sequence[Row]

    @property
    def computed(self) -> int:
        return sum(row["status"] != "missing" for row in self.rows)

    def sample(self) -> list[Row]:
        """Some rows of cells that were computed, from everywhere in the table."""
        done = [row for row in self.rows if row["status"] == "done"]
        return done[:: max(1, len(done) // SAMPLE)]

    @property
    def chosen(self) -> int | None:
        """The row of the chosen cell; None where there is none."""
        cell = st.session_state.get(self._key)
        return self.table.index(cell) if cell else None

    def choose(self, index: int) -> None:
        """The cell in that row is looked at."""
        st.session_state[self._key] = self.table.cells[index].id

    @property
    def _key(self) -> str:
        return f"samkit.sweep_cell.{self.sweep.id}"


def look_at(sweep: SweepFolder) -> LookedAt:
    """With what came since somebody looked last."""
    table = live_table(str(sweep.path))
    table.refresh()
    return LookedAt(table.sweep, table, tuple(table.rows))
