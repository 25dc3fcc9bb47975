"""A real app in a process of its own, and pages of the Chromium that visits it."""

from pathlib import Path

import pytest

from tests.browser.visitor import Visitor
from tools.running_app import running_app


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Path:
    """The app's SAMKIT_HOME: its store and spool, with what other tests have kept."""
    return tmp_path_factory.mktemp("app")


@pytest.fixture(scope="session")
def own_models(home) -> Path:
    """The folder of the app's own checkpoints (`SAMKIT_EXTRA_MODELS`): empty, but while a test has something there."""
    folder = home / "own"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def app_url(browser, home, own_models):
    """One app for all tests, as for all visitors. It has been visited before: a server's very first run of a page drops
    what is done meanwhile.
    """
    with running_app(home, SAMKIT_EXTRA_MODELS=str(own_models)) as url:
        context = browser.new_context()
        context.new_page().goto(url)
        context.pages[0].get_by_role("heading", name="SAM workbench").wait_for()
        context.close()
        yield url


@pytest.fixture
def page(browser):
    """Nothing moves by itself: without a graphics card Chromium takes as much of the processor to draw a placeholder's
    shimmer as to load the page, and the more the longer the app takes.
    """
    context = browser.new_context(viewport={"width": 1440, "height": 1400}, reduced_motion="reduce")
    opened = context.new_page()
    opened.set_default_timeout(30_000)
    yield opened
    context.close()


@pytest.fixture
def visitor(page, app_url) -> Visitor:
    """Whoever looks at `page`."""
    return Visitor(page, app_url)
