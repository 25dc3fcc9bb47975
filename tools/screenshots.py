"""Makes the README's pictures of the running app: `python -m tools.screenshots`. Needs Debian's chromium."""

import tempfile
from pathlib import Path

from tools.running_app import chromium, running_app

FOLDER = Path(__file__).parent.parent / "docs" / "images"
READY = {
    "/": "h1",
    "/mask_stability": ".js-plotly-plot >> nth=2",
    "/cross_image": ".samkit-mask >> nth=7",
    "/video_priors": ".player output",
    "/block_norms": ".st-key-tiles_blocks_a .frame >> nth=9",
    "/position_encoding": ".st-key-map_channel_a canvas >> nth=0",
    "/window_size": ".st-key-map_logits canvas >> nth=0",
    "/semantic_similarity": ".st-key-map_similarity canvas >> nth=0",
}
"""What is there when a page has drawn itself."""
SHOTS = {
    "home-light": ("/", 1440, 1000, "light"),
    "home-dark": ("/", 1440, 1000, "dark"),
    "home-800": ("/", 800, 1700, "light"),
    "mask-stability-light": ("/mask_stability", 1440, 1580, "light"),
    "mask-stability-dark": ("/mask_stability", 1440, 1580, "dark"),
    "mask-stability-800": ("/mask_stability", 800, 2300, "light"),
    "cross-image-light": ("/cross_image", 1440, 2000, "light"),
    "video-priors-light": ("/video_priors", 1440, 2350, "light"),
    "block-norms-light": ("/block_norms", 1440, 1350, "light"),
    "position-encoding-dark": ("/position_encoding", 1440, 1350, "dark"),
    "window-size-light": ("/window_size", 1440, 1550, "light"),
    "semantic-similarity-dark": ("/semantic_similarity", 1440, 1950, "dark"),
}


def take(url: str) -> None:
    """One picture for each row of SHOTS."""
    with chromium() as browser:
        for name, (path, width, height, scheme) in SHOTS.items():
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
            page = context.new_page()
            page.goto(url + path)
            page.locator(READY[path]).wait_for(timeout=120_000)
            page.wait_for_timeout(3000)
            page.screenshot(path=FOLDER / f"{name}.png")
            context.close()


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, running_app(Path(home)) as app:
        take(app)
