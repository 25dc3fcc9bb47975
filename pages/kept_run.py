"""A kept run: everything that was kept, and what can be done with it."""

from samkit.ui.router import ensure_routed
from samkit.ui.runs.pages import kept_run_page

ensure_routed()
kept_run_page()
