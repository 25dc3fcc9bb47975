"""How long a first visitor waits, how much memory the app takes, and how long a run by the command line takes: a fresh
server and a fresh browser each round.

    python -m benchmarks.start --rounds 5

Times are from opening the address: until Home has its cards, on the fresh server and once more afterwards, and until
Mask stability has its four masks; beside them what the least app takes that Streamlit can serve, a page with one word.
Memory is what the server's process holds (resident) when the page is quiet. A run is a whole process that segments a
sample with the embedded model. A first round is not counted: after it Python's compiled files are there, as on every
machine from the second start on. Needs Debian's chromium; the machine should be idle.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools.running_app import REPOSITORY, chromium, running_app, running_script

QUIET = """() => !document.querySelector('[data-testid="stStatusWidget"], [data-stale="true"]')"""
LEAST = "import streamlit as st\n\nst.title('Here')\n"
PAGES = {
    "least": ("/", "h1"),
    "home": ("/", "[data-testid=stImage] img >> nth=6"),
    "mask_stability": ("/mask_stability", ".samkit-mask >> nth=3"),
    "home_again": ("/", "[data-testid=stImage] img >> nth=6"),
}
RUN = "run mask-stability --model nano-sam2 --image sample:coffee --point 0.46,0.3"


def resident_mb(port: str) -> float:
    """Of the server that listens on that port, in MB."""
    listed = subprocess.run(["pgrep", "-f", f"streamlit run.*{port}"], capture_output=True, text=True, check=True)
    sizes = []
    for process in listed.stdout.split():
        status = Path(f"/proc/{process}/status").read_text()
        size = re.search(r"VmRSS:\s+(\d+) kB", status)
        sizes.append(int(size[1]) / 1024 if size else 0.0)
    return max(sizes)


def visit(url: str, name: str) -> tuple[float, float]:
    """(milliseconds until the page is there, MB of the server when it is quiet)."""
    path, ready = PAGES[name]
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        start = time.perf_counter()
        page.goto(url + path)
        page.locator(ready).wait_for(timeout=120_000)
        waited = 1000 * (time.perf_counter() - start)
        page.wait_for_function(QUIET, timeout=60_000)
        page.wait_for_timeout(2000)
        return waited, resident_mb(url.rpartition(":")[2])


def run_once(home: Path) -> float:
    """Milliseconds of a whole `python -m samkit run`."""
    command = [sys.executable, "-m", "samkit", *RUN.split(), "--out", str(home / "run")]
    start = time.perf_counter()
    subprocess.run(
        command, cwd=REPOSITORY, env=os.environ | {"SAMKIT_HOME": str(home)}, capture_output=True, check=True
    )
    return 1000 * (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description="Start time and memory of the app, time of a run.")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in PAGES}
    runs = []
    for _ in range(rounds + 1):
        with tempfile.TemporaryDirectory() as home:
            runs.append(run_once(Path(home)))
            least = Path(home) / "least.py"
            least.write_text(LEAST)
            with running_script(least, Path(home)) as url:
                measured["least"].append(visit(url, "least"))
            with running_app(Path(home)) as url:
                for name in ("home", "mask_stability", "home_again"):
                    measured[name].append(visit(url, name))
    print(f"run: {statistics.median(runs[1:]):.0f} ms ({min(runs[1:]):.0f} to {max(runs[1:]):.0f})", flush=True)
    for name, pairs in measured.items():
        times, sizes = zip(*pairs[1:], strict=True)
        spread = f"{min(times):.0f} to {max(times):.0f}"
        print(f"{name}: {statistics.median(times):.0f} ms ({spread}), {statistics.median(sizes):.0f} MB", flush=True)


if __name__ == "__main__":
    main()
