"""Runs: everything that was kept, to search, open again, compare, replay and hand on."""

from samkit.ui.runs.pages import runs_page

runs_page()
