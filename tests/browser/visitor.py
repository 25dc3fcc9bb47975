"""A visitor of the app in a real Chromium: what they do to prompts with mouse and keyboard, and what they see."""

import os
import re
import signal
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import ConsoleMessage, Error, Locator, Page, WebSocket
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from samkit.prompts import Prompts

EDITS = ("undo_", "redo_", "clear_")
PAUSE_MS = 150
LIGHT = "window-size"
"""The page with the least to draw: tests of what does not depend on the page stay there."""
PATIENCE_S = 60
KEEP_MS = 180_000
"""How long the first run may take to be kept: MLflow makes its database first."""
# Streamlit draws each button with a help text twice and hides one of them.
CHIPS = """page => [...document.querySelectorAll(`[class*="st-key-chip_${page}_"] button`)].filter(b => b.offsetParent)
    .map(b => b.querySelector('p')?.innerText.trim()).filter(t => t && t !== 'JSON')"""
CANVAS_GONE = "reading 'clearRect'"
"""The canvas component builds its canvas anew for each sheet: where two come at once, the shapes of the first arrive
when its canvas is gone, and the component says so in the console. Those of the second are drawn.
"""
DRAWN = "canvas => canvas.parentElement.querySelector('canvas.lower-canvas').toDataURL()"
# A skeleton stands for a part of the page whose own script is still on its way, and a line for what it waits for.
AT_REST = """() => !['[data-testid="stStatusWidget"]', '[data-stale="true"]', '[data-testid="stSkeleton"]',
        '[class*="st-key-film_waits_"]']
        .some(each => document.querySelector(each))
    && document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState === 'notRunning'"""


@contextmanager
def standing_still(home: Path) -> Iterator[None]:
    """The app's server answers nothing until the block ends."""
    server = int((home / "app.pid").read_text())
    os.kill(server, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server, signal.SIGCONT)


class Visitor:
    """page: as in the keys of its widgets, such as "mask-stability". A second canvas is named by its own page,
    "cross-image-b".
    """

    def __init__(self, browser_page: Page, app_url: str):
        self.page, self.app_url = browser_page, app_url
        self.kept_back = self.page.locator("canvas.upper-canvas:is([data-kept], [data-sending])")
        self.unanswered, self.begun = True, False
        self.faults: list[str] = []
        self.page.on("websocket", self._listen)
        self.page.on("pageerror", self._fault)
        self.page.on("console", self._hear)

    def _listen(self, socket: WebSocket) -> None:
        if "/_stcore/" not in socket.url:
            return
        socket.on("framesent", self._sent)
        socket.on("framereceived", self._received)

    def _fault(self, fault: Error) -> None:
        if CANVAS_GONE not in fault.message:
            self.faults.append(f"{fault} {fault.stack}")

    def _hear(self, message: ConsoleMessage) -> None:
        if "Failed to process a Websocket message" in message.text:
            self.faults.append(message.text)

    def _sent(self, payload: str | bytes) -> None:
        if isinstance(payload, bytes):
            message = BackMsg.FromString(payload)
            if message.WhichOneof("type") == "rerun_script" and not message.rerun_script.is_auto_rerun:
                self.unanswered, self.begun = True, False

    def _received(self, payload: str | bytes) -> None:
        if not isinstance(payload, bytes):
            return
        message = ForwardMsg.FromString(payload)
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self.begun = True
        elif kind == "script_finished" and self.begun:
            # A run that was broken off for another one has answered nothing yet.
            self.unanswered = message.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN

    def rest(self) -> None:
        """Wait until all that was done has been sent, answered and drawn, presses that were kept back too."""
        calm = 0
        for _ in range(PATIENCE_S * 1000 // PAUSE_MS):
            # A timer of the page itself: whatever the page meant to do sooner, it has done when this one has run out.
            self.page.evaluate(f"() => new Promise(done => setTimeout(done, {PAUSE_MS}))")
            assert not self.faults, self.faults
            calm = calm + 1 if self._is_calm() else 0
            if calm == 2:
                return
        raise AssertionError(
            f"The app did not come to rest in {PATIENCE_S} s. A request without an answer: {self.unanswered}; "
            f"presses kept back: {self.kept_back.count()}; the page is as the server has it: "
            f"{self.page.evaluate(AT_REST)}."
        )

    def _is_calm(self) -> bool:
        return not self.unanswered and not self.kept_back.count() and self.page.evaluate(AT_REST)

    def open(self, page: str, query: str = "") -> None:
        """By its address: a session of its own."""
        self.follow(page, f"{self.app_url}/{page.replace('-', '_')}{query}")

    def follow(self, page: str, link: str) -> None:
        """A link to a page, from elsewhere."""
        self.unanswered = True
        self.page.goto(link)
        self.canvas(page).wait_for()
        self.rest()

    def go_to(self, title: str, page: str = "") -> None:
        """By the link at the side. page: waited for until its canvas is there, where it has one."""
        self.page.get_by_role("link", name=re.compile(title)).first.click()
        if page:
            self.page.locator(f".st-key-undo_{page}").wait_for()
            self.canvas(page).wait_for()
        self.rest()

    def canvas(self, page: str) -> Locator:
        frame = "canvas_frame_second" if page.endswith("-b") else "canvas_frame"
        return self.page.locator(f".st-key-{frame} canvas.upper-canvas")

    def press_canvas(self, page: str, x: float, y: float) -> None:
        """A click, without waiting for what comes of it. x, y: shares of the picture's width and height."""
        self.page.mouse.click(*self._place(page, x, y))

    def click(self, page: str, x: float, y: float) -> None:
        self.press_canvas(page, x, y)
        self.rest()

    def press_and_drag(self, page: str, x1: float, y1: float, x2: float, y2: float) -> None:
        """Without waiting for what comes of it."""
        self.page.mouse.move(*self._place(page, x1, y1))
        self.page.mouse.down()
        self.page.mouse.move(*self._place(page, (x1 + x2) / 2, (y1 + y2) / 2), steps=4)
        self.page.mouse.move(*self._place(page, x2, y2), steps=4)
        self.page.mouse.up()

    def drag(self, page: str, x1: float, y1: float, x2: float, y2: float) -> None:
        self.press_and_drag(page, x1, y1, x2, y2)
        self.rest()

    def press_tool(self, page: str, name: str) -> None:
        self.page.locator(f".st-key-tool_{page} button:visible", has_text=name).click()

    def pick_tool(self, page: str, name: str) -> None:
        self.press_tool(page, name)
        self.rest()

    def press(self, key: str) -> None:
        """A button, without waiting for what comes of it."""
        # Also one that looks as if it had nothing to do.
        self.page.locator(f".st-key-{key} button:visible").first.click(force=key.startswith(EDITS))

    def undo(self, page: str) -> None:
        self.press(f"undo_{page}")
        self.rest()

    def undo_by_key(self) -> None:
        self.page.keyboard.press("Control+z")
        self.rest()

    def clear(self, page: str) -> None:
        self.press(f"clear_{page}")
        self.rest()

    def chip(self, page: str, text: str) -> Locator:
        return self.page.locator(f'[class*="st-key-chip_{page}_"] button:visible', has_text=text).first

    def remove(self, page: str, text: str) -> None:
        """By its chip. text: a part of what the chip says."""
        self.chip(page, text).click()
        self.rest()

    def load(self, page: str, prompts: Prompts, folder: Path) -> None:
        file = folder / "prompts.json"
        file.write_text(prompts.to_json())
        opener = self.page.locator(f".st-key-chips_{page} button:visible", has_text="JSON").first
        opener.click()
        self.page.locator(f'[class*="st-key-load_{page}"] input[type=file]').set_input_files(file)
        self.rest()
        opener.click()
        self.rest()

    def try_it(self, page: str) -> None:
        """The first try that the page's About text offers."""
        opener = self.page.get_by_role("button", name="About")
        opener.click()
        self.press(f"try_{page}")
        self.rest()
        if self.page.locator(f".st-key-try_{page} button:visible").count():
            opener.click()
        self.canvas(page).wait_for()
        self.rest()

    def keep(self, page: str, name: str = "") -> str:
        """Keep the run, under a name of one's own if one is given; returns its id, as in the link that the page then
        shows.
        """
        if name:
            opener = self.page.locator(f".st-key-keep_words_{page} button").first
            opener.click()
            self.page.get_by_label("Name", exact=True).fill(name)
            self.page.keyboard.press("Tab")
            self.rest()
            opener.click()
        self.press(f"keep_{page}")
        self.page.locator("p", has_text=re.compile(rf"Last kept: {name}")).wait_for(timeout=KEEP_MS)
        self.rest()
        link = self.page.locator('p:has-text("Last kept:") a[href*="run="]').first.get_attribute("href")
        assert link is not None
        return link.rpartition("run=")[2]

    def chips(self, page: str) -> list[str]:
        return self.page.evaluate(CHIPS, page)

    def listed(self, page: str) -> Prompts:
        """The prompts that the chips name, rounded to hundredths."""
        points, boxes = [], []
        for text in self.chips(page):
            numbers = [float(number) for number in re.findall(r"\d\.\d\d", text)]
            if text[0] == "□":
                boxes.append(tuple(numbers))
            else:
                points.append((*numbers, 1 if text[0] == "+" else 0))
        return Prompts(points, boxes)

    def masks(self) -> tuple[str | None, ...]:
        """As the server drew them."""
        return tuple(image.get_attribute("src") for image in self.page.locator("img[data-mask]").all())

    def drawn(self, page: str) -> np.ndarray:
        """uint8 [h, w, 4], BGRA: the shapes on the canvas, without the picture behind them."""
        png = b64decode(self.canvas(page).evaluate(DRAWN).partition(",")[2])
        return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)

    def _place(self, page: str, x: float, y: float) -> tuple[float, float]:
        box = self.canvas(page).bounding_box()
        assert box is not None
        return box["x"] + x * box["width"], box["y"] + y * box["height"]
