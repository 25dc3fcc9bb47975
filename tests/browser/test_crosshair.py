"""The keyboard's hand on the picture: a crosshair that places prompts, on every page with a canvas."""

import cv2
import numpy as np
import pytest
from playwright.sync_api import Locator, expect

from samkit.prompts import Prompts
from tests.browser.test_instrument import LISTEN, LIVE, frame_of
from tests.browser.visitor import LIGHT, Visitor

pytestmark = pytest.mark.browser

PAGE = LIGHT
MORE = [pytest.param(each, marks=pytest.mark.slow) for each in ("mask-stability", "semantic-similarity", "cross-image")]
PAGES = [PAGE, "cross-image-b", "video-priors", *MORE]
FOCUSED = """frame => document.querySelector(`.st-key-${frame}`).contains(document.activeElement)
    && document.activeElement.shadowRoot?.activeElement?.getAttribute('role') === 'application'"""
AT = "frame => samkitStages.get(frame).cross"
KNOBS = "mask-stability"
"""A page on which arrow keys move a knob."""
STEP_PX, BIG_STEP_PX = 4, 40
AROUND = ("ArrowLeft", "ArrowUp", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowDown", "ArrowLeft", "ArrowLeft")
"""From the middle to the left edge and on around the picture, half of its width or height each: by turns to a corner
and to another edge.
"""
REACH_PX = 24
"""Of what is drawn of a crosshair, from its place."""
HIDE = """frame => {
    const stage = samkitStages.get(frame);
    stage.cross = null;
    stage.drawPrompts();
}"""


def come(visitor: Visitor, where: str) -> None:
    """To the picture, by the key that comes after the last tool."""
    visitor.page.locator(f".st-key-clear_{where} button:visible").first.focus()
    visitor.page.keyboard.press("Tab")
    assert visitor.page.evaluate(FOCUSED, frame_of(where))


def crossed(visitor: Visitor, where: str = PAGE) -> list[float]:
    """Where the crosshair is, in shares of the picture."""
    return visitor.page.evaluate(AT, frame_of(where))


def check(visitor: Visitor, where: str, points: list, boxes: list = ()) -> None:
    listed, wanted = visitor.listed(where), Prompts(points, boxes)
    assert (len(listed.points), len(listed.boxes)) == (len(wanted.points), len(wanted.boxes)), listed
    np.testing.assert_allclose(listed.points, wanted.points, atol=0.01)
    np.testing.assert_allclose(listed.boxes, wanted.boxes, atol=0.01)


@pytest.mark.parametrize("where", PAGES)
def test_points_are_placed_without_a_mouse(visitor, where):
    visitor.open(where.removesuffix("-b"))
    visitor.clear(where)
    come(visitor, where)
    keys, box = visitor.page.keyboard, visitor.canvas(where).bounding_box()
    np.testing.assert_allclose(crossed(visitor, where), (0.5, 0.5), atol=0.01)
    for _ in range(3):
        keys.press("ArrowRight")
    keys.press("Shift+ArrowUp")
    x, y = 0.5 + 3 * STEP_PX / box["width"], 0.5 - BIG_STEP_PX / box["height"]
    np.testing.assert_allclose(crossed(visitor, where), (x, y), atol=0.01)
    keys.press("Enter")
    visitor.rest()
    check(visitor, where, [(x, y, 1)])
    keys.press("Shift+ArrowLeft")
    keys.press("Shift+Enter")
    visitor.rest()
    keys.press("Shift+ArrowLeft")
    keys.press("b")
    keys.press(" ")
    visitor.rest()
    left = BIG_STEP_PX / box["width"]
    check(visitor, where, [(x, y, 1), (x - left, y, 0), (x - 2 * left, y, 0)])
    keys.press("Delete")
    visitor.rest()
    check(visitor, where, [(x, y, 1), (x - left, y, 0)])
    keys.press("Escape")
    assert not visitor.page.evaluate(FOCUSED, frame_of(where)) and crossed(visitor, where) is None


def test_keys_while_the_canvas_has_no_size_lose_nothing(visitor):
    visitor.open(PAGE)
    visitor.clear(PAGE)
    come(visitor, PAGE)
    keys, canvas = visitor.page.keyboard, visitor.canvas(PAGE)
    canvas.evaluate("canvas => canvas.style.setProperty('display', 'none', 'important')")
    for key in ("Shift+ArrowLeft", "Enter"):
        keys.press(key)
    canvas.evaluate("canvas => canvas.style.removeProperty('display')")
    keys.press("ArrowRight")
    keys.press("Enter")
    visitor.rest()
    check(visitor, PAGE, [(0.5 + STEP_PX / canvas.bounding_box()["width"], 0.5, 1)])


def brightness(visitor: Visitor) -> np.ndarray:
    """float [h, w]: of the picture as it is seen, 0 black to 1 white."""
    png = visitor.page.screenshot(clip=visitor.canvas(PAGE).bounding_box())
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE) / 255


def test_the_crosshair_is_seen_wherever_it_stands(visitor):
    visitor.open(PAGE)
    visitor.clear(PAGE)
    visitor.pick_tool(PAGE, "Box")
    come(visitor, PAGE)
    box = visitor.canvas(PAGE).bounding_box()
    for arrow in AROUND:
        length = box["width" if arrow in ("ArrowLeft", "ArrowRight") else "height"]
        for _ in range(int(length / 2 / BIG_STEP_PX) + 1):
            visitor.page.keyboard.press(f"Shift+{arrow}")
        x, y = crossed(visitor)
        drawn = brightness(visitor)
        visitor.page.evaluate(HIDE, "canvas_frame")
        changed = np.abs(drawn - brightness(visitor)) > 0.2
        rows, columns = np.mgrid[: drawn.shape[0], : drawn.shape[1]]
        near = np.hypot(columns - x * box["width"], rows - y * box["height"]) < REACH_PX
        assert np.count_nonzero(changed & near) > 60, (x, y)
        # On a dark picture as on a light one.
        assert drawn[near].min() < 0.2 and drawn[near].max() > 0.8, (x, y)


def hint_of(visitor: Visitor) -> Locator:
    """The line that says what the keys do where the crosshair is."""
    return visitor.page.locator(".st-key-canvas_frame").get_by_role("status")


def test_the_line_says_what_the_present_tool_does(visitor):
    visitor.open(PAGE)
    visitor.clear(PAGE)
    hint, keys = hint_of(visitor), visitor.page.keyboard
    come(visitor, PAGE)
    expect(hint).to_contain_text("Enter: point (Shift: background)")
    keys.press("b")
    expect(hint).to_contain_text("Enter: background point")
    keys.press("x")
    expect(hint).to_contain_text("Enter: a corner of a box")
    expect(hint).not_to_contain_text("point")
    keys.press("Enter")
    expect(hint).to_contain_text("Enter: the other corner")
    keys.press("f")
    keys.press("Enter")
    expect(hint).to_contain_text("Enter selects · Delete removes")


def test_a_box_that_is_not_made_says_why(visitor):
    visitor.open(PAGE)
    visitor.clear(PAGE)
    visitor.pick_tool(PAGE, "Box")
    come(visitor, PAGE)
    hint, keys = hint_of(visitor), visitor.page.keyboard
    keys.press("Enter")
    keys.press("Enter")
    expect(hint).to_contain_text("No box: this is where its first corner is")
    keys.press("ArrowRight")
    expect(hint).to_contain_text("Enter: the other corner")
    keys.press("Enter")
    expect(hint).to_contain_text("No box: the corners are too close")
    for key in ("Shift+ArrowRight", "Shift+ArrowDown", "Enter"):
        keys.press(key)
    visitor.rest()
    assert len(visitor.listed(PAGE).boxes) == 1
    expect(hint).not_to_contain_text("No box")


def test_a_mask_follows_the_crosshair_and_a_line_says_how(visitor):
    visitor.page.add_init_script(LISTEN)
    visitor.open(PAGE)
    visitor.page.wait_for_function(LIVE, arg="canvas_frame")
    hint = hint_of(visitor)
    expect(hint).to_be_hidden()
    come(visitor, PAGE)
    expect(hint).to_be_visible()
    picture = visitor.page.get_by_role("application")
    assert "Arrow keys" in picture.get_attribute("aria-label")
    ring = picture.evaluate("picture => getComputedStyle(picture, '::after').boxShadow")
    assert "inset" in ring, "whoever came here sees where they are"
    visitor.page.keyboard.press("Shift+ArrowDown")
    visitor.page.wait_for_function("painted.some(({ kind, at }) => kind === 'hover' && at.length === 3)")
    (at,) = visitor.page.evaluate("painted.slice(-1).map(({ at }) => at)")
    np.testing.assert_allclose(at[:2], crossed(visitor), atol=0.001)


def test_a_box_has_two_corners_and_escape_drops_the_first(visitor):
    visitor.open(PAGE)
    visitor.clear(PAGE)
    visitor.pick_tool(PAGE, "Box")
    come(visitor, PAGE)
    keys = visitor.page.keyboard
    for key in ("Enter", "Shift+ArrowRight", "Escape"):
        keys.press(key)
    assert visitor.page.evaluate("samkitStages.get('canvas_frame').band") is None
    from_x, from_y = crossed(visitor)
    for key in ("Enter", "Shift+ArrowLeft", "Shift+ArrowLeft", "Shift+ArrowDown", "Enter"):
        keys.press(key)
    visitor.rest()
    to_x, to_y = crossed(visitor)
    assert to_x < from_x and to_y > from_y
    check(visitor, PAGE, [], [(to_x, from_y, from_x, to_y)])


def test_an_enlarged_picture_follows_the_crosshair_by_finer_steps(visitor):
    visitor.open(PAGE)
    visitor.clear(PAGE)
    bar = visitor.page.get_by_role("toolbar", name="Zoom and mask")
    for _ in range(4):
        bar.get_by_role("button", name="Zoom in").click()
    come(visitor, PAGE)
    width = visitor.page.locator(".st-key-canvas_frame").bounding_box()["width"]
    for _ in range(4):
        visitor.page.keyboard.press("Shift+ArrowRight")
    x, _ = crossed(visitor)
    assert x == pytest.approx(0.5 + 4 * BIG_STEP_PX / width / 1.5**4, abs=0.01)
    for _ in range(8):
        visitor.page.keyboard.press("Shift+ArrowRight")
    z, left = visitor.page.evaluate("() => [...samkitViews.states.values()].map(({ z, x }) => [z, x])")[0]
    x, y = crossed(visitor)
    assert 0 < x * z - left < 1, "it stays in sight"
    visitor.page.keyboard.press("Enter")
    visitor.rest()
    check(visitor, PAGE, [(x, y, 1)])


def test_the_key_leads_to_what_one_looks_at(visitor):
    """Also where the crosshair was left elsewhere, before or after the picture was enlarged."""
    visitor.open(PAGE)
    for leaves in (True, False):
        visitor.page.get_by_role("button", name="Fit", exact=True).first.click()
        visitor.page.keyboard.press("p")
        for _ in range(20):
            visitor.page.keyboard.press("Shift+ArrowRight")
        if leaves:
            visitor.page.keyboard.press("Escape")
        visitor.page.mouse.move(*visitor._place(PAGE, 0.05, 0.5))
        visitor.page.mouse.wheel(0, -600)
        visitor.page.wait_for_function("() => [...samkitViews.states.values()][0].z > 2")
        visitor.page.keyboard.press("p")
        z, left, top = visitor.page.evaluate("() => [...samkitViews.states.values()].map(({ z, x, y }) => [z, x, y])")[
            0
        ]
        np.testing.assert_allclose(crossed(visitor), ((left + 0.5) / z, (top + 0.5) / z), atol=0.01)
    visitor.rest()


def test_arrows_and_tab_are_the_pages_own_elsewhere(visitor):
    visitor.open(KNOBS)
    upper = visitor.page.locator(f".st-key-knob_{KNOBS}_thresholds input").nth(1)
    visitor.page.keyboard.press("p")
    assert visitor.page.evaluate(FOCUSED, "canvas_frame")
    before = upper.input_value()
    visitor.page.keyboard.press("ArrowRight")
    expect(upper).to_have_value(before)
    visitor.page.keyboard.press("Escape")
    visitor.page.keyboard.press("ArrowLeft")
    expect(upper).not_to_have_value(before)
    visitor.rest()
    view = visitor.page.locator(f'.st-key-knob_{KNOBS}_view [role="radio"]').first
    visitor.page.keyboard.press("p")
    visitor.page.keyboard.press("Tab")
    assert not visitor.page.evaluate(FOCUSED, "canvas_frame"), "it holds nobody"
    expect(view).to_have_attribute("aria-checked", "true")
