"""How long a first visitor waits, and how much memory the app takes: a fresh server and a fresh browser each round.

    python -m benchmarks.start --rounds 5

Times are from opening the address: until Home has its cards, and until Mask stability has its four masks. Memory is
what the server's process holds (resident) when the page is quiet. Needs Debian's chromium; the machine should be idle.
"""

import argparse
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from tools.running_app import chromium, running_app

QUIET = """() => !document.querySelector('[data-testid="stStatusWidget"], [data-stale="true"]')"""
PAGES = {
    "home": ("/", "[data-testid=stImage] img >> nth=6"),
    "mask_stability": ("/mask_stability", ".samkit-mask >> nth=3"),
}


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


def main() -> None:
    parser = argparse.ArgumentParser(description="Start time and memory of the app.")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in PAGES}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as home, running_app(Path(home)) as url:
            for name in PAGES:
                measured[name].append(visit(url, name))
    for name, pairs in measured.items():
        times, sizes = zip(*pairs, strict=True)
        spread = f"{min(times):.0f} to {max(times):.0f}"
        print(f"{name}: {statistics.median(times):.0f} ms ({spread}), {statistics.median(sizes):.0f} MB", flush=True)


if __name__ == "__main__":
    main()
