"""One-letter keys on an experiment's page, as a hand on the keyboard presses them."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from samkit.ui.controls.keys import SHORTCUTS
from tests.browser.visitor import LIGHT, Visitor

pytestmark = pytest.mark.browser
PAGE = "mask-stability"
Hand = Callable[[Visitor], object]
ELSEWHERE = {"paste": "test_paste_drop", "pick": "test_looking_inside", "chart": "test_video_priors"}
"""Rows of the sheet -> the tests that do what they say."""
ZOOM = "() => [...samkitViews.states.values()][0]"


@pytest.fixture
def at_work(visitor):
    visitor.open(PAGE)
    box = visitor.canvas(PAGE).bounding_box()
    visitor.page.mouse.move(box["x"] + 5, box["y"] + 5)
    return visitor


def _radio(visitor, key: str, number: int):
    return visitor.page.locator(f'.st-key-{key} [role="radio"]').nth(number)


def test_tools_prompts_and_masks(at_work):
    page, keyboard = at_work.page, at_work.page.keyboard
    for key, number in (("x", 2), ("b", 1), ("f", 0)):
        keyboard.press(key)
        expect(_radio(at_work, f"tool_{PAGE}", number)).to_have_attribute("aria-checked", "true")
    at_work.rest()
    before = at_work.chips(PAGE)
    keyboard.press("c")
    at_work.rest()
    assert at_work.chips(PAGE) == []
    for key, chips in (("Control+z", before), ("Control+Shift+Z", []), ("Control+z", before), ("Control+y", [])):
        keyboard.press(key)
        at_work.rest()
        assert at_work.chips(PAGE) == chips
    keyboard.press("2")
    at_work.rest()
    expect(page.locator(".samkit-mask").nth(1)).to_have_class(re.compile("chosen"))
    keyboard.press("4")
    at_work.rest()
    expect(page.locator(".samkit-mask").nth(3)).to_have_class(re.compile("chosen"))


def test_views_sliders_and_the_encoding_side(at_work):
    page, keyboard = at_work.page, at_work.page.keyboard
    view = f"knob_{PAGE}_view"
    keyboard.press("Tab")
    expect(_radio(at_work, view, 1)).to_have_attribute("aria-checked", "true")
    at_work.rest()
    upper = page.locator(f".st-key-knob_{PAGE}_thresholds input").nth(1)
    keyboard.press("ArrowLeft")
    expect(upper).to_have_value("1.5")
    keyboard.press("ArrowRight")
    expect(upper).to_have_value("2")
    at_work.rest()
    keyboard.press("s")
    side = page.locator(f".st-key-knob_{PAGE}_side input")
    expect(side).to_be_focused()
    before = int(side.input_value())
    keyboard.press("ArrowLeft")
    expect(side).to_have_value(str(before - 1))
    expect(upper).to_have_value("2")
    at_work.rest()
    keyboard.press("Tab")
    expect(side).not_to_be_focused()
    expect(_radio(at_work, view, 1)).to_have_attribute("aria-checked", "true")


def test_hovering_and_keeping(at_work):
    live = at_work.page.locator(".st-key-stage_bar_canvas_frame button[name=live]")
    expect(live).to_be_enabled()
    before = live.get_attribute("aria-pressed")
    at_work.page.keyboard.press("h")
    expect(live).not_to_have_attribute("aria-pressed", before)
    at_work.page.keyboard.press("h")
    expect(live).to_have_attribute("aria-pressed", before)
    at_work.page.keyboard.press("k")
    expect(at_work.page.get_by_text("Last kept:").first).to_be_visible(timeout=180_000)


def test_the_sheet_and_what_keys_leave_alone(at_work):
    page, keyboard = at_work.page, at_work.page.keyboard
    keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys")
    expect(sheet).to_be_visible()
    for text in ("Background point", "Keep this run", "Ctrl+Y or Ctrl+Shift+Z"):
        expect(sheet.get_by_text(text, exact=True)).to_be_visible()
    keyboard.press("x")
    keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    keyboard.press("Control+b")
    keyboard.press("Alt+x")
    page.get_by_role("button", name="Name, note").click()
    page.get_by_label("Name", exact=True).press_sequentially("bxc2?")
    expect(page.get_by_label("Name", exact=True)).to_have_value("bxc2?")
    expect(_radio(at_work, f"tool_{PAGE}", 0)).to_have_attribute("aria-checked", "true")
    expect(sheet).to_be_hidden()
    assert at_work.chips(PAGE)


def _counts(visitor: Visitor) -> tuple[int, int, int]:
    """Foreground points, background points, boxes."""
    visitor.rest()
    signs = [chip[0] for chip in visitor.chips(LIGHT)]
    return signs.count("+"), signs.count("−"), signs.count("□")


def _draws_a_box(visitor: Visitor) -> None:
    visitor.pick_tool(LIGHT, "Box")
    visitor.drag(LIGHT, 0.2, 0.2, 0.6, 0.6)
    assert _counts(visitor) == (0, 0, 1)


def _places_background(visitor: Visitor) -> None:
    visitor.page.keyboard.down("Shift")
    visitor.click(LIGHT, 0.3, 0.3)
    visitor.page.keyboard.up("Shift")
    visitor.page.mouse.click(*visitor._place(LIGHT, 0.7, 0.7), button="right")
    assert _counts(visitor) == (0, 2, 0)


def _moves(visitor: Visitor) -> None:
    visitor.click(LIGHT, 0.3, 0.3)
    visitor.drag(LIGHT, 0.3, 0.3, 0.6, 0.6)
    ((x, y, _),) = visitor.listed(LIGHT).points
    assert (x, y) == pytest.approx((0.6, 0.6), abs=0.02)


def _selects(visitor: Visitor) -> None:
    for _ in range(2):
        visitor.click(LIGHT, 0.3, 0.3)
    assert visitor.page.evaluate("samkitStages.get('canvas_frame').selected?.length") == 3


def _removes_selected(visitor: Visitor) -> None:
    _selects(visitor)
    visitor.page.keyboard.press("Delete")
    assert _counts(visitor) == (0, 0, 0)


def _removes_by_right_button(visitor: Visitor) -> None:
    visitor.click(LIGHT, 0.3, 0.3)
    visitor.page.mouse.click(*visitor._place(LIGHT, 0.3, 0.3), button="right")
    assert _counts(visitor) == (0, 0, 0)


def _zooms(visitor: Visitor) -> None:
    visitor.page.mouse.move(*visitor._place(LIGHT, 0.5, 0.5))
    visitor.page.mouse.wheel(0, -400)
    visitor.page.wait_for_function(f"({ZOOM})().z > 1")


def _pans(visitor: Visitor) -> None:
    _zooms(visitor)
    before = visitor.page.evaluate(ZOOM)
    visitor.page.keyboard.down(" ")
    visitor.page.mouse.down()
    visitor.page.mouse.move(*visitor._place(LIGHT, 0.55, 0.5), steps=3)
    visitor.page.mouse.up()
    visitor.page.keyboard.up(" ")
    assert visitor.page.evaluate(ZOOM)["x"] < before["x"]
    assert _counts(visitor) == (0, 0, 0)


def _fits(visitor: Visitor) -> None:
    bar = visitor.page.get_by_role("toolbar", name="Zoom and mask")
    width = visitor.page.locator(".st-key-canvas_frame").bounding_box()["width"]
    bar.get_by_role("button", name="1:1").click()
    pixels = visitor.page.evaluate("samkitStages.get('canvas_frame').data.size[0]")
    assert visitor.page.evaluate(ZOOM)["z"] == pytest.approx(max(1, pixels / width), rel=0.01)
    bar.get_by_role("button", name="Fit", exact=True).click()
    assert visitor.page.evaluate(ZOOM) == {"z": 1, "x": 0, "y": 0}


def _by_keyboard(*keys: str, counts: tuple[int, int, int]) -> Hand:
    def does(visitor: Visitor) -> None:
        for key in keys:
            visitor.page.keyboard.press(key)
        assert _counts(visitor) == counts

    return does


HANDS: dict[str, Hand] = {
    "click": lambda visitor: (visitor.click(LIGHT, 0.3, 0.3), _counts(visitor).index(1)),
    "draw": _draws_a_box,
    "background_click": _places_background,
    "drag": _moves,
    "select": _selects,
    "remove": _removes_selected,
    "right_click": _removes_by_right_button,
    "zoom": _zooms,
    "pan": _pans,
    "fit": _fits,
    "crosshair": _by_keyboard("p", "Enter", counts=(1, 0, 0)),
    "move": _by_keyboard("p", "Enter", "Shift+ArrowLeft", "Enter", counts=(2, 0, 0)),
    "place": _by_keyboard("p", " ", "Shift+ArrowLeft", "Shift+Enter", counts=(1, 1, 0)),
    "leave": _by_keyboard("p", "Escape", "Enter", counts=(0, 0, 0)),
}
"""Rows of the sheet that no control stands for -> does what the row says, on a picture without prompts."""


def test_what_the_sheet_says_of_hands_is_so(visitor):
    visitor.open(LIGHT)
    rows = {each.name: each for each in SHORTCUTS if each.does in ("hand", "canvas", "crosshair")}
    assert set(rows) == {*HANDS, *ELSEWHERE}
    keyboard = visitor.page.keyboard
    keyboard.press("?")
    sheet = visitor.page.get_by_role("dialog", name="Keys")
    for name, row in rows.items():
        expect(sheet.get_by_text(row.text, exact=True)).to_have_count(1 if name not in ("pick", "chart") else 0)
    keyboard.press("Escape")
    for does in HANDS.values():
        visitor.pick_tool(LIGHT, "Foreground")
        visitor.clear(LIGHT)
        visitor.page.get_by_role("button", name="Fit", exact=True).first.click()
        does(visitor)
