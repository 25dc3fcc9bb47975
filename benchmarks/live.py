"""How quickly the page answers the hand: pointer to mask, click to masks, click to numbers, knob to picture; in a real
Chromium on a real app.

    python -m benchmarks.live                       # nano-sam2, one visitor, then a second one who hovers all the while
    python -m benchmarks.live --model tiny          # random weights of SAM 2.1 tiny's size, at 1024 px
    python -m benchmarks.live --model FILE.pt

All clocks run inside the page. Pointer to mask: from the pointer's move until the mask is drawn on the picture and the
browser comes to its next frame, the pointer moving 60 times a second. Click to masks: from mouse-up until the masks are
drawn. Click to numbers: until the server's numbers stand at the masks. Knob to picture: an arrow key on the
upper threshold until the main picture has changed. Needs Debian's chromium; the machine should be idle.
"""

import argparse
import os
import re
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tools.running_app import chromium, running_app

DEFAULT_MODEL = "nano-sam2"
PAGE = "mask_stability"
NUMBERS = ".st-key-masks_grid button p"
MAIN = ".st-key-main_view"
FRAME = ".st-key-canvas_frame"
QUIET = """() => !document.querySelector('[data-testid="stStatusWidget"], [data-stale="true"]')
    && document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState === 'notRunning'"""
SETUP = f"""() => {{
    const deep = (root, found = []) => {{
        for (const each of root.querySelectorAll('*')) {{
            if (each.matches('img, canvas')) found.push(each);
            if (each.shadowRoot) deep(each.shadowRoot, found);
        }}
        return found;
    }};
    const bench = window.bench = {{ painted: [] }};
    window.addEventListener('samkit:painted', ({{ detail }}) => {{
        const drawn = performance.now();
        requestAnimationFrame(() => bench.painted.push({{ ...detail, ms: detail.ms + performance.now() - drawn }}));
    }});
    bench.numbers = () => [...document.querySelectorAll({NUMBERS!r})].map(each => each.innerText).join();
    bench.pictures = () => deep(document.querySelector({MAIN!r}));
    bench.look = each => each.src ?? each.toDataURL();
    // Milliseconds from the next event of that type until `look` says yes.
    bench.after = (type, look) => new Promise(done => {{
        let since = null;
        document.addEventListener(type, () => since ??= performance.now(), {{ capture: true, once: true }});
        const watch = () => {{
            if (since !== null && look()) requestAnimationFrame(() => done(performance.now() - since));
            else requestAnimationFrame(watch);
        }};
        watch();
    }});
}}"""
CLICK_WATCH = """() => {
    const { bench } = window, before = bench.numbers();
    bench.painted.length = 0;
    bench.masks = bench.after('mouseup', () => bench.painted.some(({ kind }) => kind === 'click'));
    bench.server = bench.after('mouseup', () => bench.numbers() !== before);
}"""
KNOB_WATCH = """() => {
    const { bench } = window, known = new Map(bench.pictures().map(each => [each, bench.look(each)]));
    bench.main = bench.after('keydown', () => {
        const now = bench.pictures();
        return now.length && now.some(each => !known.has(each) || known.get(each) !== bench.look(each));
    });
}"""
OTHER_VISITOR = f"""() => {{
    const frame = document.querySelector({FRAME!r});
    const find = root => [...root.querySelectorAll('*')].reduce((found, each) => found
        ?? (each.matches('canvas.upper-canvas') ? each : each.shadowRoot && find(each.shadowRoot)), null);
    const canvas = find(frame);
    let step = 0;
    setInterval(() => {{
        const box = canvas.getBoundingClientRect(), turn = step++ / 40;
        const place = {{ clientX: box.x + box.width * (0.5 + 0.3 * Math.cos(turn)),
                         clientY: box.y + box.height * (0.5 + 0.3 * Math.sin(turn)) }};
        canvas.dispatchEvent(new PointerEvent('pointermove', {{ ...place, bubbles: true, composed: true }}));
    }}, 1000 / 60);
}}"""


def open_page(browser, url: str):
    """A visitor of their own, whose page is at rest and knows its live masks."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(180_000)
    page.goto(f"{url}/{PAGE}")
    page.locator(".samkit-mask").nth(3).wait_for()
    page.wait_for_function(QUIET)
    page.wait_for_function("() => window.samkitStages?.get('canvas_frame')?.liveState === 'on'")
    page.evaluate("() => window.samkitStages.get('canvas_frame').setHovers(true)")
    page.evaluate(SETUP)
    return page


def rest(page) -> None:
    page.wait_for_function(QUIET)
    page.wait_for_timeout(700)


def places(page, count: int) -> Iterator[tuple[float, float]]:
    """On the canvas, on a path that comes to no place twice."""
    box = page.locator(f"{FRAME} canvas.upper-canvas").bounding_box()
    for step in range(count):
        x, y = 0.08 + 0.84 * ((step * 0.618034) % 1), 0.1 + 0.8 * (step + 0.5) / count
        yield box["x"] + x * box["width"], box["y"] + y * box["height"]


def hover(page, moves: int) -> list[float]:
    page.evaluate("() => { window.bench.painted.length = 0; }")
    for x, y in places(page, moves):
        page.mouse.move(x, y)
        page.wait_for_timeout(1000 / 60)
    page.wait_for_timeout(500)
    page.mouse.move(3, 3)
    return page.evaluate("() => window.bench.painted.filter(({ kind }) => kind === 'hover').map(({ ms }) => ms)")


def click(page, clicks: int) -> tuple[list[float], list[float]]:
    """(to the masks, to the numbers), each click on a picture without other prompts."""
    masks, numbers = [], []
    for x, y in places(page, clicks + 1):
        page.locator(".st-key-clear_mask-stability button").first.click()
        rest(page)
        page.evaluate(CLICK_WATCH)
        page.mouse.click(x, y)
        masks.append(page.evaluate("() => window.bench.masks"))
        numbers.append(page.evaluate("() => window.bench.server"))
        rest(page)
    return masks[1:], numbers[1:]


def knob(page, turns: int) -> list[float]:
    slider = page.locator(".st-key-knob_mask-stability_thresholds input").nth(1)
    slider.focus()
    times = []
    for turn in range(turns + 1):
        page.evaluate(KNOB_WATCH)
        page.keyboard.press("ArrowLeft" if turn % 2 else "ArrowRight")
        times.append(page.evaluate("() => window.bench.main"))
        rest(page)
    return times[1:]


def tell(what: str, times: Sequence[float]) -> None:
    ordered = sorted(times)
    if not ordered:
        print(f"  {what}: nothing came")
        return
    most = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    print(f"  {what}: median {statistics.median(ordered):.0f} ms, 95 % in {most:.0f} ms ({len(ordered)})", flush=True)


def measure(page, rounds: int) -> None:
    tell("pointer to mask", hover(page, 12 * rounds))
    masks, numbers = click(page, rounds)
    tell("click to masks", masks)
    tell("click to numbers", numbers)
    tell("knob to picture", knob(page, rounds))


def random_tiny(folder: Path) -> Path:
    """A file like sam2.1_hiera_tiny's with random weights: as large and as slow, and blind."""
    from samkit.models.config import OFFICIAL_HIERA, ModelConfig
    from samkit.models.network.hiera import HieraConfig
    from samkit.models.network.mask_decoder import MaskDecoderConfig
    from samkit.models.network.memory_side import MemoryConfig
    from tests.random_models import save_random_model

    channels, blocks = 96, (1, 2, 7, 2)
    encoder = HieraConfig(channels=channels, blocks_per_stage=blocks, **OFFICIAL_HIERA[channels, blocks])
    decoder = MaskDecoderConfig(iou_sigmoid=True, high_resolution=True, object_score_dims=(256, 256, 256, 1))
    config = ModelConfig("sam2", "2.1", 1024, encoder, decoder, MemoryConfig())
    return save_random_model(folder / "random_tiny.safetensors", config)


def use_file(browser, url: str, path: Path):
    """A visitor's page with the model of that file."""
    page = open_page(browser, url)
    page.locator(".st-key-change_model button").first.click()
    row = page.get_by_role("dialog").locator('[data-testid="stHorizontalBlock"]', has_text=path.stem).first
    row.get_by_role("button", name="Use", exact=True).click()
    page.locator('[data-testid="stSidebar"]').get_by_text(path.stem).first.wait_for()
    rest(page)
    return page


def visit(browser, url: str, model: Path | None):
    return open_page(browser, url) if model is None else use_file(browser, url, model)


def machine() -> str:
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    name = re.search(r"model name\s*: (.*)", text)
    flags = sorted(set(re.findall(r"\bavx\w*|\bamx\w*", text)))
    return f"{text.count('processor')} cores, {name[1] if name else 'unknown'}, {' '.join(flags) or 'no AVX'}"


@contextmanager
def other_visitor(browser, url: str, model: Path | None) -> Iterator[None]:
    page = visit(browser, url, model)
    page.evaluate(OTHER_VISITOR)
    yield
    page.context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="a file, or tiny: random weights of that size")
    parser.add_argument("--rounds", type=int, default=12, help="clicks and turns; moves are 12 times as many")
    arguments = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        model = None
        if arguments.model == "tiny":
            model = random_tiny(Path(folder))
        elif arguments.model != DEFAULT_MODEL:
            model = Path(arguments.model).resolve()
        if model is not None:
            os.environ["SAMKIT_EXTRA_MODELS"] = str(model.parent)
        url, browser = stack.enter_context(running_app(Path(home))), stack.enter_context(chromium())
        page = visit(browser, url, model)
        print(f"{arguments.model}, one visitor", flush=True)
        measure(page, arguments.rounds)
        with other_visitor(browser, url, model):
            print(f"{arguments.model}, while a second visitor hovers", flush=True)
            measure(page, arguments.rounds)


if __name__ == "__main__":
    main()
