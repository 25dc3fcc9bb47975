"""Every test of a page sees which runs the page has shown."""

import pytest

from tests.pages.app import SHOWN


@pytest.fixture(autouse=True)
def shown(monkeypatch):
    """Record what pages show in `SHOWN`."""
    from samkit.ui.bench.tables import table

    SHOWN.clear()
    compute = table.shown_result

    def record(*arguments):
        SHOWN.append(compute(*arguments))
        return SHOWN[-1]

    monkeypatch.setattr(table, "shown_result", record)
