"""The app without a browser, and what its pages show."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from samkit.ui.state.page_links import PAGES

MAIN = str(Path(__file__).parents[2] / "samkit" / "ui" / "script" / "main.py")
"""The script that Home.py names."""
TIMEOUT = 60


def new_app() -> AppTest:
    """A visitor who has not come yet."""
    return AppTest.from_file(MAIN, default_timeout=TIMEOUT)


def page_path(name: str) -> str:
    """A page's file, as `AppTest.switch_page` takes it. name: of an experiment, or of another file in pages/."""
    return str(PAGES / f"{name.replace('-', '_')}.py")


class Shown:
    """The runs that pages have shown, the last one last."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        from samkit.ui.bench.tables import table

        self.computed: list = []
        compute = table.shown_result

        def record(*arguments):
            self.computed.append(compute(*arguments))
            return self.computed[-1]

        monkeypatch.setattr(table, "shown_result", record)

    @property
    def result(self):
        return self.computed[-1].result
