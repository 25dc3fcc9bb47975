"""How long a person waits for a knob: from the key or the mouse to the last change on the page, in a real Chromium on a
real app.

    python -m benchmarks.knobs                              # nano-sam2, nano-sam1, and ViT-B and Hiera large with
    random weights: about 15 minutes python -m benchmarks.knobs --models nano-sam2 --pages block_norms window_size

The clock runs inside the page and stops with the last change of its main part, before half a second in which nothing
changes and nothing runs. A new encoding is timed once, and so is going back to the one before. Needs Debian's chromium;
the machine should be idle.
"""

import argparse
import os
import re
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from samkit.media.colormaps import COLORMAPS
from tools.running_app import chromium, running_app

RANDOM_MODELS = {"vit_b": "ViT-B", "large": "Hiera large"}
WATCH = """() => new Promise(done => {
    const busy = '[data-testid="stStatusWidget"], [data-stale="true"]';
    let started = null, last = null;
    const start = () => { started ??= performance.now(); };
    for (const kind of ['keydown', 'pointerdown']) document.addEventListener(kind, start, {capture: true, once: true});
    const observer = new MutationObserver(() => { if (started !== null) last = performance.now(); });
    const main = document.querySelector('[data-testid="stMain"]');
    const roots = [main, ...[...main.querySelectorAll('*')].map(each => each.shadowRoot).filter(Boolean)];
    const everything = {subtree: true, childList: true, attributes: true, characterData: true};
    for (const root of roots) observer.observe(root, everything);
    const look = () => {
        const quiet = started !== null && performance.now() - Math.max(started, last ?? 0) > 500;
        if (quiet && !document.querySelector(busy)) { observer.disconnect(); done((last ?? started) - started); }
        else setTimeout(look, 20);
    };
    look();
})"""
SETTLED = """() => !document.querySelector('[data-testid="stStatusWidget"], [data-stale="true"]')"""


class Visit:
    """An experiment's page in a browser, and how its knobs are turned."""

    def __init__(self, page, name: str):
        self.page, self.name = page, name.replace("_", "-")

    def knob(self, which: str):
        """The visible widget of that name."""
        return self.page.locator(f'[class*="st-key-knob_{self.name}_{which}"]').first

    def focus(self, which: str) -> None:
        self.knob(which).locator("input[type=range]").first.focus()

    def press(self, key: str) -> Callable[[], None]:
        return lambda: self.page.keyboard.press(key)

    def option(self, which: str, label: str) -> Callable[[], None]:
        """One of a few, side by side."""
        return lambda: self.knob(which).get_by_role("radio", name=label, exact=True).click()

    def listed(self, which: str, label: str) -> Callable[[], None]:
        """One of a list, which is opened first; a page that draws itself at that moment closes it again."""
        option = self.page.get_by_role("option", name=label, exact=True)
        while not option.count():
            self.settle()
            self.knob(which).get_by_role("combobox").click()
            self.page.wait_for_timeout(300)
        return option.click

    def toggle(self, which: str) -> Callable[[], None]:
        return lambda: self.knob(which).locator("label").first.click()

    def settle(self) -> None:
        self.page.wait_for_timeout(400)
        self.page.wait_for_function(SETTLED, timeout=300_000)
        self.page.wait_for_timeout(400)

    def time(self, turn: Callable[[], None]) -> float:
        """Milliseconds from the turn to the last change on the page."""
        self.page.evaluate_handle(f"() => {{ window.waited = ({WATCH})(); return true; }}").dispose()
        turn()
        return self.page.evaluate("() => window.waited")


@dataclass(frozen=True)
class Knob:
    """
    which:    the widget's name; steps: how it is turned, one after the other: a key of a slider, a label of a choice,
              or "" for a toggle
    first:    turns that are not timed, as (widget's name, label or "")
    encodes:  a new encoding, and back
    families: of the models that have it
    """

    title: str
    which: str
    steps: Sequence[str]
    first: Sequence[tuple[str, str]] = ()
    encodes: bool = False
    families: Sequence[str] = ("sam1", "sam2")


def keys(key: str, times: int = 5) -> tuple[str, ...]:
    return (f"Arrow{key}",) * times


THERE_AND_BACK = ("ArrowRight", "ArrowLeft")
COLOURS = Knob("colour scale", "colormap", COLORMAPS[1:])
PAGES = {
    "block_norms": (
        Knob("block", "block", keys("Left")),
        Knob("outliers above", "outlier_factor", (*keys("Left"), "Home", "End")),
        Knob("channel", "channel", keys("Right"), first=(("one_channel", ""), ("view", "One block"))),
        Knob("view", "view", ("Outliers", "All blocks", "One block")),
        COLOURS,
        Knob("encoding side", "side", ("ArrowLeft", "ArrowRight"), encodes=True),
    ),
    "position_encoding": (
        Knob("channel", "channel", keys("Right")),
        Knob("height of the grid", "height", keys("Left"), first=(("stretch_grid", ""),)),
        Knob("repeated window table", "window_tiling", ("", ""), families=("sam2",)),
        Knob("view", "view", ("Directions", "Similarity", "Norm and channel")),
        Knob("second model", "beside", ("Two models", "One")),
        COLOURS,
    ),
    "window_size": (
        Knob("view", "view", ("Original", "Binary", "Drift", "Logits")),
        COLOURS,
        Knob("window of stage 4", "window_4", THERE_AND_BACK, encodes=True),
    ),
    "semantic_similarity": (
        Knob("threshold", "threshold", keys("Right")),
        Knob("smallest region", "min_area", keys("Right")),
        Knob("prototypes (k)", "prototypes", keys("Right")),
        Knob("colours over the whole range", "own_range", ("",)),
        Knob("colours from, to", "range", keys("Right")),
        Knob("features", "features", ("raw", "projected")),
        Knob("level", "level", keys("Right", 2), families=("sam2",)),
        Knob("prototypes (k), finest level", "prototypes", keys("Left"), families=("sam2",)),
        Knob("view", "view", ("On the picture", "Regions", "Similarity")),
        COLOURS,
        Knob("mirrored copy too", "mirrored", ("", ""), encodes=True),
        Knob("zoom in", "zoom", ("", ""), encodes=True),
        Knob("a mask for each region", "find_objects", ("",)),
        Knob("threshold, with masks", "threshold", keys("Left", 3)),
    ),
}


def measure(visit: Visit, knob: Knob) -> list[float]:
    """Milliseconds of each of the knob's steps."""
    for which, label in knob.first:
        (visit.option(which, label) if label else visit.toggle(which))()
        visit.settle()
    times = []
    for step in knob.steps:
        if step.startswith(("Arrow", "Home", "End")):
            visit.focus(knob.which)
            turn = visit.press(step)
        elif knob is COLOURS:
            turn = visit.listed(knob.which, step)
        else:
            turn = visit.option(knob.which, step) if step else visit.toggle(knob.which)
        times.append(visit.time(turn))
    return times


def use_model(visit: Visit, title: str) -> None:
    """Choose the model in the dialog, and wait until the page has drawn itself with it."""
    page = visit.page
    if page.get_by_test_id("stSidebar").get_by_text(title, exact=True).count():
        return
    page.locator(".st-key-change_model button").click()
    row = (
        page.get_by_role("dialog")
        .get_by_role("tabpanel")
        .first.locator('[data-testid="stHorizontalBlock"]')
        .filter(has_text=title)
    )
    row.get_by_role("button", name="Use", exact=True).click()
    page.get_by_role("dialog").wait_for(state="hidden")
    visit.settle()


def save_random_models(folder: Path, names: Sequence[str]) -> None:
    import torch

    from benchmarks.contestants import official_model

    for name in names:
        torch.save(official_model(name).state_dict(), folder / f"{name}.pt")


def times_text(times: list[float], encodes: bool) -> str:
    """How a knob's times stand in the table: median (slowest), or the new encoding's and the way back's."""
    if encodes:
        return f"{times[0]:,.0f}, back {times[1]:,.0f}"
    return f"{statistics.median(times):,.0f} ({max(times):,.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(description="How long a person waits for each knob, in milliseconds.")
    parser.add_argument(
        "--models",
        nargs="+",
        default=["nano-sam2", "nano-sam1", *RANDOM_MODELS],
        choices=["nano-sam2", "nano-sam1", *RANDOM_MODELS],
    )
    parser.add_argument("--pages", nargs="+", default=list(PAGES), choices=PAGES)
    arguments = parser.parse_args()
    titles = {"nano-sam2": "Nano SAM 2.1", "nano-sam1": "Nano SAM 1"}
    table: dict[tuple[str, str], dict[str, str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        home, models = Path(folder) / "home", Path(folder) / "models"
        home.mkdir()
        models.mkdir()
        save_random_models(models, [name for name in arguments.models if name in RANDOM_MODELS])
        os.environ["SAMKIT_EXTRA_MODELS"] = str(models)
        with running_app(home) as url, chromium() as browser:
            for model in arguments.models:
                family = "sam1" if model in ("nano-sam1", "vit_b") else "sam2"
                for name in arguments.pages:
                    with browser.new_context(viewport={"width": 1440, "height": 1000}) as context:
                        visit = Visit(context.new_page(), name)
                        visit.page.goto(f"{url}/{name}")
                        visit.page.locator(f".st-key-keep_{visit.name} button:visible").wait_for(timeout=120_000)
                        visit.settle()
                        use_model(visit, titles.get(model, f"{model}.pt"))
                        for knob in PAGES[name]:
                            if family in knob.families:
                                times = measure(visit, knob)
                                table.setdefault((name, knob.title), {})[model] = times_text(times, knob.encodes)
                                print(
                                    f"{model} {name} {knob.title}: {' '.join(f'{each:.0f}' for each in times)}",
                                    flush=True,
                                )
    print("\n| page | knob | " + " | ".join(RANDOM_MODELS.get(model, model) for model in arguments.models) + " |")
    print("|---|---|" + "---|" * len(arguments.models))
    for (name, title), cells in table.items():
        print(
            f"| {re.sub('_', ' ', name)} | {title} | "
            + " | ".join(cells.get(model, "") for model in arguments.models)
            + " |"
        )


if __name__ == "__main__":
    main()
