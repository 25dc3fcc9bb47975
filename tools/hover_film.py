"""Makes README's film of masks that follow the pointer: `python -m tools.hover_film`. Needs Debian's chromium.

The pointer goes over a sample picture in the running app; each picture of the film is what the page then shows.
"""

import io
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tools.running_app import chromium, running_app

FILE = Path(__file__).parent.parent / "docs" / "images" / "hovering.webp"
PLACES = ((0.45, 0.2), (0.55, 0.45), (0.47, 0.62), (0.35, 0.72), (0.2, 0.62), (0.62, 0.72), (0.73, 0.66), (0.75, 0.3))
"""Where the pointer goes, as shares of the picture's width and height: cup, saucer, spoon, table."""
STEPS = 4
"""Pictures from one place to the next."""
LINGER = 3
"""How many times as long the film stays at a place."""
FRAME_MS, WIDTH_PX, QUALITY = 130, 560, 62
MAX_BYTES = 400_000
POINTER = ((0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12))
"""The outline of a mouse pointer, in pixels from its tip: a browser without a screen draws none."""
LISTEN = "() => { window.painted = new Promise(done => addEventListener('samkit:painted', done, {once: true})); }"
PAINTED = "() => Promise.race([window.painted, new Promise(done => setTimeout(done, 3000))]).then(() => null)"


def path() -> list[tuple[float, float, bool]]:
    """(x, y, whether it is one of `PLACES`) of each picture, there and back to the first."""
    steps = []
    for start, end in zip(PLACES, PLACES[1:] + PLACES[:1], strict=True):
        for share in np.linspace(0, 1, STEPS, endpoint=False):
            x, y = (float(a + (b - a) * share) for a, b in zip(start, end, strict=True))
            steps.append((x, y, share == 0))
    return steps


def with_pointer(png: bytes, x: float, y: float) -> Image.Image:
    """The screenshot with a pointer at these shares of its size."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    height = round(image.height * WIDTH_PX / image.width)
    image = image.resize((WIDTH_PX, height), Image.Resampling.LANCZOS)
    tip = x * WIDTH_PX, y * height
    outline = [(tip[0] + dx, tip[1] + dy) for dx, dy in POINTER]
    ImageDraw.Draw(image).polygon(outline, fill="white", outline="black")
    return image


def record(url: str) -> tuple[list[Image.Image], list[int]]:
    """The pictures, and how long each stays in ms."""
    pictures, durations = [], []
    with chromium() as browser:
        page = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light").new_page()
        # On a slow machine masks follow the pointer only where the visitor says so.
        page.add_init_script("localStorage.setItem('samkit.live', 'true')")
        page.set_default_timeout(120_000)
        page.goto(f"{url}/mask_stability")
        page.locator(".samkit-mask").nth(3).wait_for()
        page.locator(".st-key-clear_mask-stability button:visible").first.click()
        page.wait_for_timeout(4000)
        canvas = page.locator(".st-key-canvas_frame canvas.upper-canvas")
        box = canvas.bounding_box()
        assert box is not None
        for x, y, lingers in path():
            page.evaluate(LISTEN)
            page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
            page.evaluate(PAINTED)
            pictures.append(with_pointer(page.screenshot(clip=box), x, y))
            durations.append(FRAME_MS * (LINGER if lingers else 1))
    return pictures, durations


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home, running_app(Path(home)) as app:
        frames, times = record(app)
    frames[0].save(FILE, save_all=True, append_images=frames[1:], duration=times, loop=0, quality=QUALITY, method=6)
    size = FILE.stat().st_size
    assert size < MAX_BYTES, f"{FILE.name} has {size} bytes, more than {MAX_BYTES}: make it smaller"
    print(f"{FILE}: {len(frames)} pictures, {size} bytes")
