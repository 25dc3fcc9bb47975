"""What a server gets ready while its first visitor's browser still fetches Streamlit's own files: the modules that the
pages import, of which torch alone takes over a second.
"""

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Thread

import streamlit as st

from samkit.experiments.registry import ENTRIES
from samkit.ui.parts.turns import keep_turns_short

FIRST = ("samkit.ui.router", "samkit.ui.home")
"""What every page needs."""
THEN = ("torch", "samkit.models.sam", "plotly.graph_objects")
"""What an experiment's page needs, with the experiments themselves. Not their pages: the canvas has to be imported
where Streamlit runs a script.
"""


@asynccontextmanager
async def ready_soon(app: st.App) -> AsyncIterator[None]:
    """For a server's lifespan: importing goes on beside it, and keeps nobody from being served."""
    Thread(target=_import, name="ready soon", daemon=True).start()
    yield


def _import() -> None:
    keep_turns_short()
    for name in (*FIRST, *THEN):
        importlib.import_module(name)
    for entry in ENTRIES:
        _ = entry.experiment
