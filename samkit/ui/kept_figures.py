"""An interactive figure that was kept with a run, on a page."""

from pathlib import Path

import streamlit as st

HEIGHT_PX = 520


def kept_figure(path: Path) -> None:
    """path: the HTML file in the run's outputs."""
    st.iframe(path, height=HEIGHT_PX)
