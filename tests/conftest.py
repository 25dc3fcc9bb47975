"""For all tests: nothing is read from or written to the folders and the store of the person who runs them."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tools.running_app import chromium

# Before torch loads: its threads sleep while they wait for each other. By default they spin, which beside other work
# makes the smallest step ten times as slow.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# The examples of a test share one slow machine with whatever else runs on it, so the time that drawing or testing one
# takes says nothing about samkit.
settings.register_profile("samkit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("samkit")


def pytest_configure(config):
    home = Path(tempfile.mkdtemp(prefix="samkit-tests-"))
    config.samkit_test_home = home
    os.environ["SAMKIT_HOME"] = str(home)
    os.environ["SAMKIT_FILMS"] = str(Path(__file__).parent / "data" / "schema_1")
    os.environ["SAMKIT_MODELS_DIR"] = str(home / "models")
    for name in ("SAMKIT_EXTRA_MODELS", "MLFLOW_TRACKING_URI"):
        os.environ.pop(name, None)


def pytest_unconfigure(config):
    shutil.rmtree(config.samkit_test_home, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of several processes one drives the browser: two would wait for each other. A file's tests share their parts."""
    for item in items:
        group = "browser" if item.get_closest_marker("browser") else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def browser():
    """The one Chromium of all tests: Playwright allows one at a time in a process."""
    with chromium() as opened:
        yield opened
