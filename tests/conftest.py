"""For all tests: nothing is read from or written to the folders and the store of the person who runs them."""

import os
import shutil
import sys
import tempfile
from functools import cache
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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A file's tests stay together, as they share what was made for the first of them."""
    from xdist.scheduler import LoadFileScheduling

    return LoadFileScheduling(config, log)


@pytest.fixture(autouse=True)
def usual_threads():
    """Torch's number of threads goes over from any thread to those that begin later, and with it a result's last
    digits: a test starts with the usual one, whatever another one left.
    """
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(_usual_threads(torch))


@cache
def _usual_threads(torch) -> int:
    return torch.get_num_threads()


@pytest.fixture(scope="session")
def browser():
    """The one Chromium of this process: Playwright allows one at a time."""
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory) -> Path:
    """A store's SQLite file without runs, to be copied: making one takes MLflow longer than most tests take."""
    from samkit.tracking.store.store import RunStore

    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    RunStore(f"sqlite:///{file}").runs()
    return file


@pytest.fixture
def home_with_store(tmp_path, monkeypatch, empty_store) -> Path:
    """The test's own SAMKIT_HOME, with a store without runs."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(empty_store, home / "mlflow.db")
    monkeypatch.setenv("SAMKIT_HOME", str(home))
    return home
