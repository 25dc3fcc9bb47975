"""A real app in a process of its own, and a real Chromium that visits it."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_server(command: list[str], url: str, environment: dict[str, str], log: Path) -> subprocess.Popen:
    """Start a server and wait until `url` answers."""
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=REPOSITORY, env=os.environ | environment, stdout=output, stderr=subprocess.STDOUT)
    for _ in range(240):
        try:
            urllib.request.urlopen(url, timeout=1)
            return process
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.25)
    process.kill()
    raise AssertionError(f"{command[2:4]} did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def browser():
    assert CHROMIUM, (
        "The browser tests need Chromium. On Debian and Ubuntu: `apt-get install chromium`; elsewhere put a `chromium` or `google-chrome` on the PATH."
    )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """The app's SAMKIT_HOME: its store and spool."""
    return tmp_path_factory.mktemp("app")


@pytest.fixture(scope="module")
def app_url(home):
    port = free_port()
    options = ["--server.port", str(port), "--server.headless", "true", "--server.fileWatcherType", "none", "--server.address", "127.0.0.1"]
    command = [sys.executable, "-m", "streamlit", "run", "Home.py", *options]
    process = start_server(command, f"http://127.0.0.1:{port}/_stcore/health", {"SAMKIT_HOME": str(home)}, home / "app.log")
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1440, "height": 1400})
    opened = context.new_page()
    opened.set_default_timeout(30_000)
    yield opened
    context.close()
