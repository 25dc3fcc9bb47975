"""What one visitor with a film costs the server, and what comes back when they have left.

    python -m benchmarks.memory --film FILM

A real app in a process of its own and a real Chromium. Idle is when a first visitor has come to Mask stability (the
model is loaded) and has left; then a second one brings a film to Video with image priors, lets all of it be segmented,
and leaves. What is said is what the server's process holds: resident (RSS), its fair share of what it shares with
others (PSS), and the most that was resident while the film was there. Needs Debian's chromium.
"""

import argparse
import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Error

from tools.running_app import chromium, running_app

PATIENCE_MS = 300_000
FILM_MS = 900_000
QUIET = """() => !document.querySelector('[data-testid="stStatusWidget"], [data-stale="true"]')"""
SEGMENTED = "Masks of a frame"
"""A tab that is there once a film's run has ended."""
WATCH_S = 0.1
CALM_SHARE, CALM_S = 0.25, 8.0
"""A server that takes less than this share of a core, so many seconds long, has done what it was asked."""
FLAGS = r"\b(avx\w*|amx\w*|f16c|fma)\b"


@dataclass(frozen=True)
class Held:
    """Of the server's process, in MB."""

    resident: float
    share: float


class Server:
    """The app's process, looked at from outside."""

    def __init__(self, url: str):
        port = url.rpartition(":")[2]
        listed = subprocess.run(["pgrep", "-f", f"streamlit run.*{port}"], capture_output=True, text=True, check=True)
        self.pid = max(map(int, listed.stdout.split()), key=lambda pid: self._rolled_up(pid)["Rss"])

    @staticmethod
    def _rolled_up(pid: int) -> dict[str, float]:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return {name: int(size) / 1024 for name, size in re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)}

    def held(self) -> Held:
        sizes = self._rolled_up(self.pid)
        return Held(sizes["Rss"], sizes["Pss"])

    def processor_s(self) -> float:
        """Seconds of processor time taken so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def calm(self, patience_s: float = 600) -> None:
        """Wait until it does next to nothing any more."""
        give_up = time.monotonic() + patience_s
        while time.monotonic() < give_up:
            before = self.processor_s()
            time.sleep(CALM_S)
            if self.processor_s() - before < CALM_SHARE * CALM_S:
                return
        raise AssertionError(f"The server was still at work after {patience_s:.0f} s.")

    @contextmanager
    def watched(self) -> Iterator[list[float]]:
        """MB resident, every `WATCH_S` seconds while the block lasts."""
        seen, done = [self.held().resident], threading.Event()

        def watch() -> None:
            while not done.wait(WATCH_S):
                seen.append(self.held().resident)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield seen
        finally:
            done.set()
            thread.join()


def first_visit(url: str, server: Server) -> None:
    """Somebody sees the masks of a sample picture and leaves."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{url}/mask_stability")
        page.locator("canvas.upper-canvas").first.wait_for(timeout=PATIENCE_MS)
        page.wait_for_function(QUIET, timeout=PATIENCE_MS)
        server.calm()


def film_visit(url: str, film: Path, server: Server, frames: int) -> str:
    """Somebody brings a film, lets all of it be segmented, looks at it and leaves; what the page then said."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{url}/video_priors")
        page.locator(".st-key-change_film button:visible").first.wait_for()
        server.calm()
        page.locator(".st-key-change_film button:visible").first.click()
        page.locator('[data-testid="stFileUploaderDropzoneInput"]').first.set_input_files(film)
        page.get_by_text(re.compile(rf"\b{frames} frames")).first.wait_for()
        page.wait_for_function(QUIET)
        # Something has to be marked before it can be followed.
        box = page.locator("canvas.upper-canvas").first.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.locator(".st-key-run_film button:enabled:visible").first.click()
        with suppress(Error):
            page.get_by_role("tab", name=SEGMENTED).wait_for(state="attached", timeout=FILM_MS)
        server.calm()
        return "segmented" if page.get_by_role("tab", name=SEGMENTED).count() else "NO SEGMENTED FILM was seen"


def report(film: Path, wait_s: float) -> tuple[float, float]:
    """Print everything; (peak above idle, left above idle), in MB."""
    from samkit.media.video import open_video

    with open_video(film) as opened:
        frames = opened.length
        print(f"{film.name}: {opened.size[1]} x {opened.size[0]} px, {frames} frames", flush=True)
    flags = sorted(set(re.findall(FLAGS, Path("/proc/cpuinfo").read_text())))
    print(f"{os.cpu_count()} cores, {' '.join(flags)}", flush=True)
    with tempfile.TemporaryDirectory() as home, running_app(Path(home)) as url:
        server = Server(url)
        say("server started", server.held())
        first_visit(url, server)
        time.sleep(wait_s)
        idle = server.held()
        say("idle, a visitor has left", idle)
        with server.watched() as seen:
            outcome = film_visit(url, film, server, frames)
            say(f"with the film ({outcome})", server.held(), idle)
            peak = max(seen) - idle.resident
            print(f"  at most {max(seen):,.0f} MB, {peak:+,.0f} MB", flush=True)
        time.sleep(wait_s)
        after = server.held()
        say(f"{wait_s:.0f} s after the visitor left", after, idle)
    return peak, after.resident - idle.resident


def say(what: str, held: Held, idle: Held | None = None) -> None:
    more = f" ({held.resident - idle.resident:+,.0f} MB)" if idle is not None else ""
    print(f"{what}: RSS {held.resident:,.0f} MB{more}, PSS {held.share:,.0f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--film", type=Path, required=True, help="an MP4 file or another film")
    parser.add_argument("--wait", type=float, default=60.0, help="seconds from a visitor's end to looking (60)")
    arguments = parser.parse_args()
    peak, left = report(arguments.film, arguments.wait)
    print(f"a visitor with this film: {peak:+,.0f} MB at most, {left:+,.0f} MB stay")


if __name__ == "__main__":
    main()
