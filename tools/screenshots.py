"""Makes the README's pictures of the running app: `python -m tools.screenshots`. Needs Debian's chromium."""

import io
import tempfile
from pathlib import Path

from PIL import Image

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
)
"""(page, colour scheme, width in pixels, what is there when the page has drawn itself), each without scrolling."""
AT_REST = "() => document.querySelector('[data-testid=\"stApp\"]')?.dataset.testScriptState === 'notRunning'"


def take(url: str) -> None:
    """One picture for each row of SHOTS."""
    with chromium() as browser:
        for name, scheme, width, ready in SHOTS:
            context = browser.new_context(viewport=SCREEN, color_scheme=scheme)
            page = context.new_page()
            page.goto(f"{url}/{name}")
            page.locator(ready).wait_for(timeout=120_000)
            page.wait_for_function(AT_REST)
            page.wait_for_timeout(3000)
            screen = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            context.close()
            screen.thumbnail((width, width))
            screen.save(FOLDER / f"{name.replace('_', '-')}-{scheme}.webp", quality=82, method=6)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, running_app(Path(home)) as app:
        take(app)
