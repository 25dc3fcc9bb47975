"""A real app in a process of its own, and pages of the Chromium that visits it."""

from pathlib import Path

import pytest

from tools.running_app import running_app

KEEP_MS = 180_000
"""How long the first run may take to be kept: MLflow makes its database first."""


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """The app's SAMKIT_HOME: its store and spool."""
    return tmp_path_factory.mktemp("app")


@pytest.fixture(scope="module")
def app_url(home):
    with running_app(home) as url:
        yield url


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1440, "height": 1400})
    opened = context.new_page()
    opened.set_default_timeout(30_000)
    yield opened
    context.close()
