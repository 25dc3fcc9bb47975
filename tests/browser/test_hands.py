"""Hands on the picture: prompts are moved, resized and removed by mouse, finger and key, at any zoom."""

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import expect

from samkit.prompts import Prompts
from tests.browser.visitor import LIGHT, Visitor, standing_still

pytestmark = pytest.mark.browser

PAGE = LIGHT
BOX = (0.2, 0.1, 0.7, 0.6)
VIEWS = "() => [...samkitViews.states.values()].map(({ z, x, y }) => [z, x, y])"


def check(visitor: Visitor, points: list, boxes: list = ()) -> None:
    listed = visitor.listed(PAGE)
    wanted = Prompts(points, boxes)
    assert (len(listed.points), len(listed.boxes)) == (len(wanted.points), len(wanted.boxes)), listed
    np.testing.assert_allclose(listed.points, wanted.points, atol=0.015)
    np.testing.assert_allclose(listed.boxes, wanted.boxes, atol=0.015)


@pytest.fixture
def empty(visitor) -> Visitor:
    visitor.page.set_viewport_size({"width": 1440, "height": 900})
    visitor.open(PAGE)
    visitor.clear(PAGE)
    return visitor


def test_a_point_is_moved_selected_and_deleted(empty):
    empty.click(PAGE, 0.3, 0.6)
    empty.click(PAGE, 0.5, 0.4)
    empty.drag(PAGE, 0.3, 0.6, 0.35, 0.7)
    check(empty, [(0.35, 0.7, 1), (0.5, 0.4, 1)])
    empty.page.keyboard.press("Escape")
    empty.page.keyboard.press("Delete")
    empty.rest()
    check(empty, [(0.35, 0.7, 1), (0.5, 0.4, 1)])
    empty.click(PAGE, 0.5, 0.4)
    empty.page.keyboard.press("Delete")
    empty.rest()
    check(empty, [(0.35, 0.7, 1)])
    empty.undo(PAGE)
    empty.undo(PAGE)
    check(empty, [(0.3, 0.6, 1), (0.5, 0.4, 1)])


def test_buttons_with_nothing_to_do_are_gray_before_the_server_knows(empty, home):
    def idle() -> list[bool]:
        buttons = (
            empty.page.locator(f".st-key-{name}_{PAGE} button:visible").first for name in ("undo", "redo", "clear")
        )
        return [button.get_attribute("aria-disabled") == "true" for button in buttons]

    assert idle() == [False, True, True], "the first prompts were cleared, and can come back"
    with standing_still(home):
        empty.press_canvas(PAGE, 0.3, 0.6)
        assert idle() == [False, True, False]
    empty.rest()
    for _ in range(3):
        empty.page.keyboard.press("Control+z")
    empty.rest()
    assert idle() == [True, False, False]


def test_a_box_is_resized_by_its_corner_and_moved_by_its_edge(empty):
    empty.pick_tool(PAGE, "Box")
    empty.drag(PAGE, *BOX)
    empty.drag(PAGE, 0.7, 0.6, 0.8, 0.65)
    check(empty, [], [(0.2, 0.1, 0.8, 0.65)])
    empty.page.keyboard.press("Escape")
    empty.drag(PAGE, 0.5, 0.1, 0.55, 0.2)
    check(empty, [], [(0.25, 0.2, 0.85, 0.75)])
    # A selected box is pulled by its edge.
    empty.drag(PAGE, 0.5, 0.2, 0.5, 0.3)
    check(empty, [], [(0.25, 0.3, 0.85, 0.75)])


def test_the_right_button_and_shift_are_for_background(empty):
    empty.page.mouse.click(*empty._place(PAGE, 0.8, 0.2), button="right")
    empty.rest()
    check(empty, [(0.8, 0.2, 0)])
    empty.page.keyboard.down("Shift")
    empty.click(PAGE, 0.2, 0.8)
    empty.page.keyboard.up("Shift")
    check(empty, [(0.8, 0.2, 0), (0.2, 0.8, 0)])
    empty.page.mouse.click(*empty._place(PAGE, 0.8, 0.2), button="right")
    empty.rest()
    check(empty, [(0.2, 0.8, 0)])


def test_what_is_enlarged_is_prompted_where_it_is_seen(empty):
    frame = empty.page.locator(".st-key-canvas_frame").bounding_box()
    at = lambda u, v: (frame["x"] + u * frame["width"], frame["y"] + v * frame["height"])  # noqa: E731
    empty.page.mouse.move(*at(0.5, 0.5))
    for _ in range(4):
        empty.page.mouse.wheel(0, -200)
    (z, x, y), *_ = empty.page.evaluate(VIEWS)
    assert z > 3
    empty.page.mouse.click(*at(0.9, 0.2))
    empty.rest()
    check(empty, [((0.9 + x) / z, (0.2 + y) / z, 1)])
    empty.pick_tool(PAGE, "Box")
    empty.page.mouse.move(*at(0.1, 0.6))
    empty.page.mouse.down()
    empty.page.mouse.move(*at(0.4, 0.9), steps=4)
    empty.page.mouse.up()
    empty.rest()
    box = ((0.1 + x) / z, (0.6 + y) / z, (0.4 + x) / z, (0.9 + y) / z)
    check(empty, [((0.9 + x) / z, (0.2 + y) / z, 1)], [box])
    assert empty.page.evaluate(VIEWS)[0] == [z, x, y], "a run of the page leaves the zoom as it is"

    empty.page.mouse.move(*at(0.5, 0.5))
    empty.page.mouse.down(button="middle")
    empty.page.mouse.move(*at(0.6, 0.5), steps=3)
    empty.page.mouse.up(button="middle")
    empty.page.keyboard.down(" ")
    empty.page.mouse.down()
    empty.page.mouse.move(*at(0.6, 0.6), steps=3)
    empty.page.mouse.up()
    empty.page.keyboard.up(" ")
    empty.rest()
    np.testing.assert_allclose(empty.page.evaluate(VIEWS)[0], [z, x - 0.1, y - 0.1], atol=0.02)
    check(empty, [((0.9 + x) / z, (0.2 + y) / z, 1)], [box])
    empty.page.get_by_role("button", name="Fit", exact=True).first.click()
    assert empty.page.evaluate(VIEWS)[0] == [1, 0, 0]


@pytest.fixture
def phone(browser, app_url) -> Iterator[Visitor]:
    """A visitor without a mouse, whose canvas is in view and has no prompts."""
    context = browser.new_context(viewport={"width": 420, "height": 900}, has_touch=True, is_mobile=True)
    visitor = Visitor(context.new_page(), app_url)
    visitor.open(PAGE)
    visitor.clear(PAGE)
    visitor.page.locator(".st-key-canvas_frame").scroll_into_view_if_needed()
    yield visitor
    context.close()


def test_a_finger_places_prompts(phone):
    phone.page.touchscreen.tap(*phone._place(PAGE, 0.4, 0.4))
    phone.rest()
    check(phone, [(0.4, 0.4, 1)])
    phone.pick_tool(PAGE, "Background")
    phone.page.touchscreen.tap(*phone._place(PAGE, 0.7, 0.7))
    phone.rest()
    check(phone, [(0.4, 0.4, 1), (0.7, 0.7, 0)])


def test_two_fingers_zoom_and_place_nothing(phone):
    hands, box = phone.page.context.new_cdp_session(phone.page), phone.canvas(PAGE).bounding_box()

    def fingers(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]} for x, y in places]
        hands.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", (0.4, 0.4))
    fingers("touchStart", (0.4, 0.4), (0.6, 0.6))
    for spread in (0.15, 0.2, 0.25, 0.3):
        fingers("touchMove", (0.5 - spread, 0.5 - spread), (0.5 + spread, 0.5 + spread))
    fingers("touchEnd", (0.2, 0.2))
    fingers("touchEnd")
    phone.rest()
    z, x, y = phone.page.evaluate(VIEWS)[0]
    np.testing.assert_allclose([z, (0.5 + x) / z, (0.5 + y) / z], [3, 0.5, 0.5], atol=0.1)
    assert phone.page.evaluate("visualViewport.scale") == 1, "the picture is zoomed, not the page"
    check(phone, [])


def test_a_button_that_is_built_anew_looks_like_the_one_before(visitor):
    visitor.open(PAGE)
    redo = visitor.page.locator(f".st-key-redo_{PAGE} button").first
    expect(redo).to_have_attribute("aria-disabled", "true")
    redo.evaluate(
        """button => {
            const anew = button.cloneNode(true);
            anew.removeAttribute("aria-disabled");
            button.replaceWith(anew);
        }"""
    )
    expect(redo).to_have_attribute("aria-disabled", "true")
