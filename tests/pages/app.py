"""The app without a browser, and the runs that its pages show."""

from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from samkit.ui.state.labs import encoding_memory, part_memory
from samkit.ui.state.page_links import PAGES

MAIN = str(Path(__file__).parents[2] / "samkit" / "ui" / "script" / "main.py")
"""The script that Home.py names."""
TIMEOUT = 60
SHOWN: list[Any] = []
"""The runs that pages have shown in this test, oldest first; see conftest.py."""


def new_app(timeout: float = TIMEOUT) -> AppTest:
    """A visitor who has not come yet."""
    return AppTest.from_file(MAIN, default_timeout=timeout)


def page_path(name: str) -> str:
    """A page's file, as `AppTest.switch_page` takes it. name: of an experiment, or of another file in pages/."""
    return str(PAGES / f"{name.replace('-', '_')}.py")


def last_result() -> Any:
    """What the page shows."""
    return SHOWN[-1].result


def encodings() -> int:
    """How many pictures were encoded since the memories were cleared, sweeps left out."""
    return encoding_memory().state().misses


def clear_memories() -> None:
    """Forget what other tests have encoded and computed."""
    encoding_memory().clear()
    part_memory().clear()
