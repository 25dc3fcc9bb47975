"""A real app in a process of its own and a real Chromium to visit it: for browser tests, benchmarks and screenshots."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
)
NO_CHROMIUM = (
    "This needs Chromium. On Debian and Ubuntu: `apt-get install chromium`; elsewhere put a `chromium` or "
    "`google-chrome` on the PATH."
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(
    command: list[str], url: str, environment: dict[str, str], log: Path, patience_s: float = 90
) -> Iterator[subprocess.Popen]:
    """A server started by `command` in a session of its own, from when `url` answers until the block ends; then it and
    its children are ended.
    """
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=os.environ | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for(url, process, log, patience_s)
        yield process
    finally:
        stop(process)


def _wait_for(url: str, process: subprocess.Popen, log: Path, patience_s: float) -> None:
    give_up = time.monotonic() + patience_s
    while time.monotonic() < give_up and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=1)
            return
        except OSError:
            time.sleep(0.25)
    raise AssertionError(f"{process.args[2:4]} did not start:\n{log.read_text()[-2000:]}")


def stop(process: subprocess.Popen) -> None:
    """End a server started by `running` and its children."""
    for signal in (15, 9):
        try:
            os.killpg(process.pid, signal)
        except ProcessLookupError:
            pass
        try:
            process.wait(10)
            return
        except subprocess.TimeoutExpired:
            continue


def running_app(home: Path, **environment: str) -> AbstractContextManager[str]:
    """The app with `home` as its SAMKIT_HOME; gives its URL. The server's process id is in `home`/app.pid."""
    return running_script(REPOSITORY / "Home.py", home, **environment)


@contextmanager
def running_script(script: Path, home: Path, **environment: str) -> Iterator[str]:
    """As `running_app`, of any script for Streamlit."""
    port = free_port()
    options = [
        "--server.port",
        str(port),
        "--server.headless",
        "true",
        "--server.fileWatcherType",
        "none",
        "--server.address",
        "127.0.0.1",
    ]
    command = [sys.executable, "-m", "streamlit", "run", str(script), *options]
    health = f"http://127.0.0.1:{port}/_stcore/health"
    with running(command, health, {"SAMKIT_HOME": str(home), **environment}, home / "app.log") as process:
        (home / "app.pid").write_text(str(process.pid))
        yield f"http://127.0.0.1:{port}"


@contextmanager
def running_mlflow(command: str, arguments: list[str], folder: Path, port: int | None = None) -> Iterator[str]:
    """`mlflow server` or `mlflow ui` with one worker; gives its URL."""
    port = port or free_port()
    words = [sys.executable, "-m", "mlflow", command, "--workers", "1", "--port", str(port), *arguments]
    with running(
        words,
        f"http://127.0.0.1:{port}/health",
        {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        folder / f"mlflow-{port}.log",
    ):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def chromium() -> Iterator:
    """Playwright's handle on a headless Chromium."""
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, NO_CHROMIUM
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield browser
        browser.close()
