"""The sweep of window sizes that a visitor has under way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from samkit.experiments.window_size import WindowSweep
from samkit.ui.state.jobs import JobHolder

_KEY = "samkit.sweep_table"


@dataclass
class SweepTable(JobHolder[WindowSweep]):
    """scene: what the sweep depends on, as the page that started it had it"""

    scene: Mapping[str, Any] = field(default_factory=dict)


def sweep_table() -> SweepTable:
    """This visitor's sweep."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = SweepTable()
    return st.session_state[_KEY]
