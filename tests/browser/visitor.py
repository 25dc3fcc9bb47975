"""A visitor of the app in a real Chromium: what they do to prompts with mouse and keyboard, and what they see."""

import re
from base64 import b64decode
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Locator, Page, WebSocket
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from samkit.prompts import Prompts
from samkit.ui.parts import style

DEBOUNCE_MS = 250
"""A little more than the canvas's own script waits before it reports a drawing."""
PATIENCE_S = 60
REACH_PX = 13
"""Of a point's centre as read from its chip, which is rounded: no pixel of the point lies further away."""

# Streamlit draws each button with a help text twice and hides one of them.
CHIPS = """page => [...document.querySelectorAll(`[class*="st-key-chip_${page}_"] button`)].filter(b => b.offsetParent)
    .map(b => b.querySelector('p')?.innerText.trim()).filter(t => t && t !== 'JSON')"""
DRAWN = "canvas => canvas.parentElement.querySelector('canvas.lower-canvas').toDataURL()"
AT_REST = """() => !document.querySelector('[data-testid="stStatusWidget"], [data-stale="true"]')
    && document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState === 'notRunning'"""


class Visitor:
    """page: as in the keys of its widgets, such as "mask-stability". A second canvas is named by its own page,
    "cross-image-b".
    """

    def __init__(self, browser_page: Page, app_url: str):
        self.page, self.app_url = browser_page, app_url
        self.unanswered = True
        self.page.on("websocket", self._listen)
        self.faults: list[str] = []
        self.page.on("pageerror", lambda fault: self.faults.append(str(fault)))

    # What the app is doing

    def _listen(self, socket: WebSocket) -> None:
        self.begun = False
        socket.on("framesent", self._sent)
        socket.on("framereceived", self._received)

    def _sent(self, payload: str | bytes) -> None:
        if isinstance(payload, bytes):
            message = BackMsg.FromString(payload)
            if message.WhichOneof("type") == "rerun_script" and not message.rerun_script.is_auto_rerun:
                self.unanswered, self.begun = True, False

    def _received(self, payload: str | bytes) -> None:
        kind = ForwardMsg.FromString(payload).WhichOneof("type") if isinstance(payload, bytes) else None
        if kind == "new_session":
            self.begun = True
        elif kind == "script_finished" and self.begun:
            self.unanswered = False

    def rest(self) -> None:
        """Wait until all that was done has been sent, answered and drawn, presses that were kept back too."""
        kept = self.page.locator("canvas.upper-canvas[data-kept]")
        for _ in range(PATIENCE_S * 1000 // DEBOUNCE_MS):
            kept_back = kept.count()
            # A timer of the page itself: those that were set before, as by a busy canvas, have run out when it has.
            self.page.evaluate(f"() => new Promise(done => setTimeout(done, {DEBOUNCE_MS}))")
            assert not self.faults, self.faults
            if not (kept_back or kept.count() or self.unanswered) and self.page.evaluate(AT_REST):
                return
        raise AssertionError(f"The app did not come to rest; a request is {'un' * self.unanswered}answered.")

    # What the visitor does

    def open(self, page: str, query: str = "") -> None:
        """By its address: a session of its own."""
        self.unanswered = True
        self.page.goto(f"{self.app_url}/{page.replace('-', '_')}{query}")
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
        self.page.locator(f".st-key-{key} button:visible").first.click()

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

    def keep(self, page: str, name: str) -> str:
        """Keep the run; returns its id, as in the link that the page then shows."""
        self.page.get_by_label("Name").fill(name)
        self.page.keyboard.press("Tab")
        self.rest()
        self.page.get_by_role("button", name=re.compile("Keep this run")).click()
        self.page.locator("p", has_text=re.compile(rf"Last kept: {name}")).wait_for(timeout=60_000)
        self.rest()
        link = self.page.locator('p:has-text("Last kept:") a[href*="run="]').first.get_attribute("href")
        assert link is not None
        return link.rpartition("run=")[2]

    # What the visitor sees

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
        return tuple(image.get_attribute("src") for image in self.page.locator(".samkit-mask").all())

    def drawn(self, page: str) -> np.ndarray:
        """uint8 [h, w, 4], BGRA: the shapes on the canvas, without the picture behind them."""
        png = b64decode(self.canvas(page).evaluate(DRAWN).partition(",")[2])
        return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)

    def _place(self, page: str, x: float, y: float) -> tuple[float, float]:
        box = self.canvas(page).bounding_box()
        assert box is not None
        return box["x"] + x * box["width"], box["y"] + y * box["height"]


def what_differs(drawn: np.ndarray, prompts: Prompts) -> list[str]:
    """In words, what of the prompts is not among the shapes on a canvas, and what is there that is no prompt; none
    where the canvas shows exactly the prompts.

    drawn:   uint8 [h, w, 4], BGRA
    prompts: as their chips name them, rounded to hundredths
    """
    height, width = drawn.shape[:2]
    left_over = drawn[..., 3] > 60
    rows, columns = np.mgrid[:height, :width]
    complaints = []
    for x, y, label in prompts.points:
        near = np.hypot(columns - x * width, rows - y * height) <= REACH_PX
        color = style.FOREGROUND if label else style.BACKGROUND
        if np.count_nonzero(near & _colored(drawn, color)) < 40:
            complaints.append(f"point {x}, {y}, {label} is not drawn")
        left_over &= ~near
    for x1, y1, x2, y2 in prompts.boxes:
        x, y = (columns - x1 * width, columns - x2 * width), (rows - y1 * height, rows - y2 * height)
        inside = (x[0] > -8) & (x[1] < 8) & (y[0] > -8) & (y[1] < 8)
        sides = [inside & (np.abs(distance) < 8) for distance in (*x, *y)]
        blue = _colored(drawn, style.BOX)
        for side, name in zip(sides, ("left", "right", "top", "bottom"), strict=True):
            along = (side & blue).any(axis=1 if name in ("left", "right") else 0)
            length = (y2 - y1) * height if name in ("left", "right") else (x2 - x1) * width
            if np.count_nonzero(along) < 0.7 * length:
                complaints.append(f"the {name} side of box {x1}, {y1}, {x2}, {y2} is not drawn")
            left_over &= ~side
    _, _, boxes, centres = cv2.connectedComponentsWithStats(left_over.astype(np.uint8))
    complaints += [
        f"something that is no prompt is drawn at {x / width:.2f}, {y / height:.2f}, {box[4]} pixels"
        for box, (x, y) in zip(boxes[1:], centres[1:], strict=True)
    ]
    return complaints


def _colored(drawn: np.ndarray, color: str) -> np.ndarray:
    """bool [h, w]: opaque pixels of that colour, `#rrggbb`."""
    wanted = np.array([int(color[i : i + 2], 16) for i in (5, 3, 1)])
    return (np.abs(drawn[..., :3].astype(int) - wanted).max(axis=2) < 40) & (drawn[..., 3] > 200)
