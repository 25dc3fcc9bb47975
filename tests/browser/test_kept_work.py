"""A reload and a shared link in a real browser: what was done is back, and two visitors don't disturb
each other.
"""

import re

import pytest

from samkit.prompts import Prompts
from tests.browser.visitor import CHIPS, LIGHT, Visitor

pytestmark = pytest.mark.browser

PAGE = LIGHT
SLIDER = f".st-key-knob_{PAGE}_window_3 input[type=range]"
ID = re.compile(r"[?&]work=([0-9a-f]{32})\b")


def work_id(visitor: Visitor) -> str:
    visitor.page.wait_for_function("() => new URL(location.href).searchParams.has('work')")
    found = ID.search(visitor.page.url)
    assert found is not None
    return found[1]


def window(visitor: Visitor) -> str | None:
    return visitor.page.locator(SLIDER).get_attribute("value")


def turn_window_down(visitor: Visitor, steps: int) -> None:
    visitor.page.locator(SLIDER).focus()
    for _ in range(steps):
        visitor.page.keyboard.press("ArrowLeft")
    visitor.rest()


def reload(visitor: Visitor) -> None:
    visitor.unanswered = True
    visitor.page.reload()
    visitor.canvas(PAGE).wait_for()
    visitor.rest()


def test_a_reload_brings_the_work_back_and_a_shared_link_gives_a_copy(visitor, browser, app_url):
    visitor.page.set_default_timeout(120_000)
    visitor.open(PAGE)
    own = work_id(visitor)
    before = window(visitor)
    visitor.clear(PAGE)
    visitor.click(PAGE, 0.3, 0.4)
    visitor.click(PAGE, 0.6, 0.5)
    turn_window_down(visitor, 6)
    drawn, turned, masks = visitor.listed(PAGE), window(visitor), visitor.masks()
    assert drawn == Prompts([(0.3, 0.4, 1), (0.6, 0.5, 1)]) and turned != before

    reload(visitor)
    visitor.undo(PAGE)
    assert visitor.listed(PAGE) == Prompts([(0.3, 0.4, 1)]), "undo goes on from before the reload"
    reload(visitor)
    visitor.press(f"redo_{PAGE}")
    visitor.rest()
    assert visitor.listed(PAGE) == drawn and window(visitor) == turned and visitor.masks() == masks
    assert work_id(visitor) == own, "a reload goes on with the same work"

    visitor.go_to("Mask stability", "mask-stability")
    assert work_id(visitor) == own, "the address of each page names it"
    visitor.page.go_back()
    visitor.rest()
    assert "window_size" in visitor.page.url, "one press of Back leads to the page before"
    visitor.canvas(PAGE).wait_for()

    visitor.page.locator(".st-key-share button:visible").click()
    visitor.page.get_by_text("Whoever has the link sees").wait_for()
    visitor.press("make_link")
    visitor.rest()
    link = visitor.page.get_by_text(re.compile(r"shared=[0-9a-f]{32}")).first.inner_text()

    context = browser.new_context(viewport={"width": 1440, "height": 1400})
    other = Visitor(context.new_page(), app_url)
    other.page.set_default_timeout(120_000)
    other.follow(PAGE, link)
    assert other.listed(PAGE) == drawn and window(other) == turned
    assert work_id(other) != own and "shared=" not in other.page.url
    other.undo(PAGE)
    assert other.listed(PAGE) == drawn, "a link shows what it says, and nothing of how it came about"
    other.clear(PAGE)
    turn_window_down(other, 3)
    reload(other)
    assert not other.chips(PAGE) and window(other) != turned
    reload(visitor)
    assert visitor.listed(PAGE) == drawn and window(visitor) == turned, "nobody wrote over it"
    # Two tabs of one browser.
    tab = Visitor(visitor.page.context.new_page(), app_url)
    tab.page.set_default_timeout(120_000)
    tab.follow(PAGE, visitor.page.url)
    tab.page.wait_for_function(f"page => ({CHIPS})(page).length === 2", arg=PAGE)
    assert tab.listed(PAGE) == drawn and work_id(tab) != work_id(visitor)
    context.close()
