"""One-letter keys on an experiment's page, as a hand on the keyboard presses them."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
PAGE = "mask-stability"


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
        expect(sheet.get_by_text(text)).to_be_visible()
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
