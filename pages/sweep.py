"""A sweep: how far it is, its charts and cells."""

from samkit.ui.sweeps.pages import sweep_page

sweep_page()
