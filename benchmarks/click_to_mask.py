"""How long a person waits: mouse-up on the canvas to new masks on the screen, in a real Chromium on a real app.

    python -m benchmarks.click_to_mask --clicks 10

The clock runs inside the page: from the mouse-up event until the first mask picture has changed and the browser has painted. Needs Debian's chromium.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

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


def measure(url: str, clicks: int) -> tuple[float, list[float]]:
    """(milliseconds from opening Home to its title, milliseconds of each click)."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
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
            page.mouse.click(box["x"] + box["width"] * (0.15 + 0.06 * click), box["y"] + box["height"] * (0.3 + 0.04 * click))
            times.append(page.evaluate("() => window.waited"))
            page.wait_for_timeout(1500)
    return first_paint, times[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clicks", type=int, default=10)
    clicks = parser.parse_args().clicks
    with tempfile.TemporaryDirectory() as home, running_app(Path(home)) as url:
        first_paint, times = measure(url, clicks)
    print(f"Home, first contentful paint: {first_paint:.0f} ms")
    print(f"mouse-up to new masks, {clicks} clicks: median {statistics.median(times):.0f} ms, from {min(times):.0f} to {max(times):.0f} ms")


if __name__ == "__main__":
    main()
