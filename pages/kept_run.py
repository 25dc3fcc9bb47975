"""A kept run: everything that was kept, and what can be done with it."""

from samkit.ui.runs.pages import kept_run_page

kept_run_page()
