"""Makes the README's pictures of the running app: `python -m tools.screenshots`. Needs Debian's chromium."""

import io
import os
import tempfile
from pathlib import Path

from PIL import Image

from samkit.work.sweep.cases import all_cases
from samkit.work.sweep.local import LocalEngine
from samkit.work.sweep.results import new_sweep
from samkit.work.sweep.run import run_sweep
from samkit.work.sweep.spec import spec_from_text
from tools.running_app import chromium, running_app

FOLDER = Path(__file__).parent.parent / "docs" / "images"
SCREEN = {"width": 1440, "height": 900}
FULL_PX, SMALL_PX = 1440, 720
"""Widths of the pictures in the README."""
SHOTS = (
    ("mask_stability", "light", FULL_PX, ".samkit-mask >> nth=3"),
    ("mask_stability", "dark", FULL_PX, ".samkit-mask >> nth=3"),
    ("cross_image", "light", SMALL_PX, ".samkit-mask >> nth=7"),
    ("block_norms", "light", SMALL_PX, ".st-key-tiles_blocks_a .frame >> nth=9"),
    ("window_size", "light", SMALL_PX, ".st-key-map_logits canvas >> nth=0"),
    ("semantic_similarity", "light", SMALL_PX, ".st-key-map_similarity canvas >> nth=0"),
    ("position_encoding", "light", SMALL_PX, ".st-key-map_channel_a canvas >> nth=0"),
    ("video_priors", "light", SMALL_PX, ".player output"),
    ("sweep", "light", SMALL_PX, ".js-plotly-plot >> nth=1"),
)
"""(page, colour scheme, width in pixels, what is there when the page has drawn itself), each without scrolling."""
AT_REST = "() => document.querySelector('[data-testid=\"stApp\"]')?.dataset.testScriptState === 'notRunning'"


SWEEP = """
name: Which side is enough
experiment: mask-stability
models: [nano-sam1, nano-sam2]
pictures: [coins, "coin#4", "cup#4", "cat#4"]
prompts: {truth: box}
params: {side: {from: 128, to: 512, step: 128}}
keep: masks
threads: 1
"""


def make_sweep() -> None:
    """A sweep to be shown, in SAMKIT_HOME."""
    spec = spec_from_text(SWEEP)
    sweep = new_sweep(spec, all_cases(spec))
    run_sweep(sweep, LocalEngine(sweep.path, spec.keep, workers=2, threads=1))


def take(url: str) -> None:
    """One picture for each row of SHOTS."""
    with chromium() as browser:
        for name, scheme, width, ready in SHOTS:
            context = browser.new_context(viewport=SCREEN, color_scheme=scheme)
            page = context.new_page()
            page.goto(f"{url}/{name}{'?id=latest' if name == 'sweep' else ''}")
            page.locator(ready).wait_for(timeout=120_000)
            if name == "sweep":
                page.locator(".js-plotly-plot").nth(1).locator(".points path").nth(3).click(force=True)
                page.locator(".samkit-cell").wait_for()
            page.wait_for_function(AT_REST)
            page.wait_for_timeout(3000)
            screen = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            context.close()
            screen.thumbnail((width, width))
            screen.save(FOLDER / f"{name.replace('_', '-')}-{scheme}.webp", quality=82, method=6)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, running_app(Path(home)) as app:
        os.environ["SAMKIT_HOME"] = home
        make_sweep()
        take(app)
