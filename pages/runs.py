"""Runs: everything that was kept, to search, open again, compare, replay and hand on."""

from samkit.ui.router import ensure_routed
from samkit.ui.runs.pages import runs_page

ensure_routed()
runs_page()
