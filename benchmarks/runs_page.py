"""Times the Runs page in a real browser on a store of many: `python -m benchmarks.runs_page [--runs 10000]`.

What counts is from the key or the press to the last row of the new page being drawn with its thumbnail.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.runs import fill
from samkit.tracking.store.store import RunStore
from tools.running_app import chromium, running_app

ROUNDS = 8
ROW = "[class*=st-key-run_row_]"
NAMES = """row => [...document.querySelectorAll(row)].map(one => one.innerText.split("\\n")[0]).join()"""
DRAWN = f"""([row, before]) => {{
    const rows = [...document.querySelectorAll(row)], pictures = rows.flatMap(one => [...one.querySelectorAll("img")]);
    const drawn = picture => picture.complete && picture.naturalWidth;
    return rows.length && ({NAMES})(row) !== before && pictures.every(drawn)
        && document.querySelector('[data-test-script-state="notRunning"]') ? performance.now() : false;
}}"""


def took_ms(page, act: Callable[[], None]) -> float:
    before, start = page.evaluate(NAMES, ROW), page.evaluate("performance.now()")
    act()
    return page.wait_for_function(DRAWN, arg=[ROW, before], polling="raf").json_value() - start


def search(page, text: str) -> None:
    box = page.get_by_label("Search", exact=True)
    box.fill(text)
    box.press("Enter")


def measure(page, url: str, count: int) -> None:
    start = time.perf_counter()
    page.goto(f"{url}/runs")
    page.wait_for_function(DRAWN, arg=[ROW, ""])
    print(
        f"a visitor's first page of {count} runs, with the app itself: {1000 * (time.perf_counter() - start):.0f} ms",
        flush=True,
    )
    steps = {
        "Older": lambda: page.keyboard.press("ArrowRight"),
        "Newer": lambda: page.keyboard.press("ArrowLeft"),
    }
    for what, act in steps.items():
        times = [took_ms(page, act) for _ in range(ROUNDS)]
        print(f"{what}: median {statistics.median(times):.0f} ms, slowest {max(times):.0f} ms of {ROUNDS}", flush=True)
    words = ["chelsea", "coins"] * (ROUNDS // 2)
    times = [
        took_ms(page, lambda word=word: search(page, f"{word} metrics.predicted_iou > 0.5 and params.fit = 'native'"))
        for word in words
    ]
    print(f"a search: median {statistics.median(times):.0f} ms, slowest {max(times):.0f} ms of {ROUNDS}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="samkit-runs-") as folder, tempfile.TemporaryDirectory() as templates:
        os.environ["SAMKIT_HOME"] = folder
        fill(RunStore(f"sqlite:///{folder}/mlflow.db"), Path(templates), arguments.runs)
        with running_app(Path(folder)) as url, chromium() as browser:
            page = browser.new_context(viewport={"width": 1440, "height": 1400}).new_page()
            page.set_default_timeout(60_000)
            measure(page, url, arguments.runs)


if __name__ == "__main__":
    main()
