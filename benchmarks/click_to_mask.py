"""How long a person waits: mouse-up on the canvas to new masks on the screen, in a real Chromium on a real app.

    python -m benchmarks.click_to_mask --clicks 10
    python -m benchmarks.click_to_mask --film               # the same again while another visitor's film is being
    segmented

The clock runs inside the page: from the mouse-up event until the first mask picture has changed and the browser has
painted. Needs Debian's chromium.
"""

import argparse
import re
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from samkit.media.film import write_film
from tools.running_app import chromium, running_app

WATCH = """() => new Promise(done => {
    const source = () => document.querySelector('.samkit-mask').src;
    const before = source();
    let released = null;
    document.addEventListener('mouseup', () => { released ??= performance.now(); }, {capture: true, once: true});
    const look = () => {
        if (released !== null && source() !== before) requestAnimationFrame(() => done(performance.now() - released));
        else requestAnimationFrame(look);
    };
    look();
})"""


FILM_FRAMES = 1500
"""Enough to keep a film running all the while."""


def measure(browser, url: str, clicks: int) -> tuple[float, list[float]]:
    """(milliseconds from opening Home to its title, milliseconds of each click)."""
    with browser.new_context(viewport={"width": 1440, "height": 1000}) as context:
        page = context.new_page()
        page.goto(url)
        page.get_by_role("heading", name="SAM workbench").wait_for()
        first_paint = page.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN")
        page.goto(f"{url}/mask_stability")
        page.locator(".samkit-mask").nth(3).wait_for(timeout=60_000)
        page.locator(".js-plotly-plot").nth(2).wait_for(timeout=60_000)
        page.wait_for_timeout(2000)
        box = page.locator(".st-key-canvas_frame canvas.upper-canvas").bounding_box()
        times = []
        for click in range(clicks + 1):
            watching = page.evaluate_handle(f"() => {{ window.waited = ({WATCH})(); return true; }}")
            watching.dispose()
            page.mouse.click(
                box["x"] + box["width"] * (0.15 + 0.06 * click), box["y"] + box["height"] * (0.3 + 0.04 * click)
            )
            times.append(page.evaluate("() => window.waited"))
            page.wait_for_timeout(1500)
    return first_paint, times[1:]


@contextmanager
def film_running(browser, url: str, folder: Path) -> Iterator[None]:
    """Another visitor, whose long film is being segmented."""
    ground = np.random.default_rng(0).integers(0, 200, (45, 80, 3), dtype=np.uint8).repeat(6, 0).repeat(6, 1)
    path = write_film(folder / "long.mp4", (np.roll(ground, 3 * index, axis=1) for index in range(FILM_FRAMES)), 24)
    with browser.new_context(viewport={"width": 1440, "height": 1600}) as context:
        page = context.new_page()
        page.goto(f"{url}/video_priors")
        page.get_by_text("1 recorded").wait_for(timeout=60_000)
        page.get_by_role("button", name="Film", exact=True).click()
        page.locator('[data-testid="stFileUploaderDropzoneInput"]').set_input_files(path)
        page.get_by_text(f"{FILM_FRAMES} frames").wait_for(timeout=60_000)
        page.get_by_role("button", name="Segment", exact=True).click()
        page.get_by_text(re.compile(rf"Frame \d+ of {FILM_FRAMES}")).wait_for(timeout=60_000)
        yield
        progress = page.get_by_text(re.compile(rf"Frame \d+ of {FILM_FRAMES}")).inner_text()
        print(f"the film meanwhile: {progress}")


def report(first_paint: float, times: list[float]) -> float:
    print(f"Home, first contentful paint: {first_paint:.0f} ms")
    print(
        f"mouse-up to new masks, {len(times)} clicks: median {statistics.median(times):.0f} ms, from "
        f"{min(times):.0f} to {max(times):.0f} ms"
    )
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clicks", type=int, default=10)
    parser.add_argument("--film", action="store_true", help="also while another visitor's film runs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, running_app(Path(home)) as url, chromium() as browser:
        alone = report(*measure(browser, url, arguments.clicks))
        if arguments.film:
            with film_running(browser, url, Path(home)):
                beside = report(*measure(browser, url, arguments.clicks))
            print(f"a click beside the film takes {beside / alone:.2f} times as long")


if __name__ == "__main__":
    main()
