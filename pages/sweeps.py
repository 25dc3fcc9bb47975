"""Sweeps: one experiment over many pictures, models and values."""

from samkit.ui.sweeps.pages import sweeps_page

sweeps_page()
