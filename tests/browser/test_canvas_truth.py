"""The list of prompts is the truth: on every page with a canvas, whatever a visitor does in whatever order, the chips,
the shapes on the canvas and the kept run's prompts are the same ones, and what was removed stays away.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from samkit.prompts import MAX_PROMPTS, Prompts
from tests.browser.canvas_pixels import what_differs
from tests.browser.visitor import LIGHT, Visitor, standing_still

pytestmark = pytest.mark.browser

TITLES = {
    "mask-stability": "Mask stability",
    "window-size": "Window size",
    "semantic-similarity": "Semantic similarity",
    "cross-image": "Cross-image segmentation",
    "video-priors": "Video with image priors",
}
PAGES = [*TITLES, "cross-image-b"]
"""A second canvas on a page counts as a page."""

AT_LEAST = {LIGHT, "cross-image-b"}
SOME_PAGES = [page if page in AT_LEAST else pytest.param(page, marks=pytest.mark.slow) for page in PAGES]
"""All pages, of which two are never left out."""
ONE_PICTURE = [page if page == LIGHT else pytest.param(page, marks=pytest.mark.slow) for page in PAGES]
"""Of what does not depend on which canvas of a page it is."""
SLOW_FILM = ONE_PICTURE[PAGES.index("video-priors")]

A, B, C, D, E, F = (0.12, 0.2), (0.3, 0.82), (0.86, 0.3), (0.62, 0.74), (0.1, 0.55), (0.9, 0.9)
"""Places that lie apart from each other and from the prompts that a picture comes with."""
A_BOX = (0.2, 0.2, 0.6, 0.7)


def foreground(*places: tuple[float, float]) -> Prompts:
    return Prompts(points=[(*place, 1) for place in places])


def check(visitor: Visitor, where: str, prompts: Prompts) -> None:
    """The chips name these prompts in this order, and the canvas shows them and nothing else."""
    listed = visitor.listed(where)
    assert (len(listed.points), len(listed.boxes)) == (len(prompts.points), len(prompts.boxes)), (listed, prompts)
    np.testing.assert_allclose(listed.points, prompts.points, atol=0.015)
    np.testing.assert_allclose(listed.boxes, prompts.boxes, atol=0.015)
    check_canvas(visitor, where)


def check_canvas(visitor: Visitor, where: str) -> None:
    """The canvas shows what the chips name."""
    assert not (complaints := what_differs(visitor.drawn(where), visitor.listed(where))), complaints


def kept_prompts(home: Path, run_id: str, folder: Path) -> Prompts:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    path = Path(client.download_artifacts(run_id, "inputs/prompts.json", str(folder)))
    return Prompts.from_dict(json.loads(path.read_text()))


def open_empty(visitor: Visitor, where: str) -> None:
    """A fresh session on a where, with no prompts."""
    visitor.open(where.removesuffix("-b"))
    visitor.clear(where.removesuffix("-b"))
    check(visitor, where, Prompts())


@pytest.mark.parametrize("where", SOME_PAGES)
def test_what_was_undone_or_removed_stays_away(visitor, where):
    open_empty(visitor, where)
    visitor.click(where, *A)
    visitor.click(where, *B)
    check(visitor, where, foreground(A, B))
    visitor.undo(where)
    check(visitor, where, foreground(A))
    visitor.click(where, *C)
    check(visitor, where, foreground(A, C))
    if not where.endswith("-b"):
        visitor.undo_by_key()
        check(visitor, where, foreground(A))
        visitor.click(where, *C)
    visitor.remove(where, "0.12, 0.20")
    check(visitor, where, foreground(C))
    visitor.click(where, *D)
    check(visitor, where, foreground(C, D))
    visitor.clear(where)
    check(visitor, where, Prompts())
    visitor.click(where, *E)
    check(visitor, where, foreground(E))
    visitor.clear(where)
    visitor.click(where, *F)
    check(visitor, where, foreground(F))
    visitor.undo(where)
    visitor.undo(where)
    check(visitor, where, foreground(E))
    visitor.click(where, *A)
    check(visitor, where, foreground(E, A))


@pytest.mark.parametrize("where", ONE_PICTURE)
def test_prompts_from_a_file_and_from_the_first_try_replace_what_was_drawn(visitor, where, tmp_path):
    open_empty(visitor, where)
    of_file = Prompts(points=[(0.5, 0.4, 1), (0.8, 0.6, 0)], boxes=[A_BOX])
    visitor.click(where, *A)
    visitor.load(where, of_file, tmp_path)
    check(visitor, where, of_file)
    visitor.click(where, *B)
    check(visitor, where, Prompts(points=[*of_file.points, (*B, 1)], boxes=[A_BOX]))
    visitor.load(where, of_file, tmp_path)
    check(visitor, where, of_file)
    visitor.click(where, *C)
    check(visitor, where, Prompts(points=[*of_file.points, (*C, 1)], boxes=[A_BOX]))

    shown = where.removesuffix("-b")
    visitor.try_it(shown)
    first = visitor.listed(shown)
    assert not first.is_empty
    check(visitor, shown, first)
    for place in (D, E):
        visitor.click(shown, *place)
        check(visitor, shown, Prompts([*first.points, (*place, 1)], first.boxes))
        visitor.try_it(shown)
        check(visitor, shown, first)


def test_pages_agree_when_a_visitor_goes_from_one_to_another(visitor):
    """All pages share the list. On each visit something is drawn or removed; no page may remember another list."""
    open_empty(visitor, "mask-stability")
    seen = {}
    visitor.click("mask-stability", *A)
    visitor.click("mask-stability", *B)
    masks = visitor.masks()
    visitor.go_to(TITLES["window-size"], "window-size")
    check(visitor, "window-size", foreground(A, B))
    visitor.click("window-size", *C)
    check(visitor, "window-size", foreground(A, B, C))
    visitor.go_to(TITLES["semantic-similarity"], "semantic-similarity")
    visitor.remove("semantic-similarity", "0.30, 0.82")
    check(visitor, "semantic-similarity", foreground(A, C))
    visitor.go_to(TITLES["mask-stability"], "mask-stability")
    check(visitor, "mask-stability", foreground(A, C))
    seen["A, C"] = visitor.masks()
    assert seen["A, C"] != masks
    visitor.click("mask-stability", *D)
    check(visitor, "mask-stability", foreground(A, C, D))
    visitor.go_to(TITLES["cross-image"], "cross-image")
    check(visitor, "cross-image", foreground(A, C, D))
    visitor.undo("cross-image")
    check(visitor, "cross-image", foreground(A, C))
    visitor.go_to("Home")
    visitor.go_to(TITLES["mask-stability"], "mask-stability")
    check(visitor, "mask-stability", foreground(A, C))
    assert visitor.masks() == seen["A, C"], "the same list gives the same masks"
    visitor.click("mask-stability", *E)
    check(visitor, "mask-stability", foreground(A, C, E))
    visitor.go_to(TITLES["video-priors"], "video-priors")
    # A first visit to this page leaves the visitor's picture with its prompts where it is, beside the film.
    visitor.page.locator(".st-key-film_on_canvas button", has_text="Picture").click()
    visitor.rest()
    check(visitor, "video-priors", foreground(A, C, E))
    visitor.click("video-priors", *F)
    visitor.go_to(TITLES["window-size"], "window-size")
    check(visitor, "window-size", foreground(A, C, E, F))
    visitor.clear("window-size")
    visitor.click("window-size", *B)
    visitor.go_to(TITLES["mask-stability"], "mask-stability")
    check(visitor, "mask-stability", foreground(B))


def test_a_prompt_on_one_of_two_pictures_clears_the_other(visitor):
    open_empty(visitor, "cross-image")
    visitor.click("cross-image", *A)
    visitor.click("cross-image", *B)
    visitor.click("cross-image-b", *C)
    check(visitor, "cross-image", Prompts())
    check(visitor, "cross-image-b", foreground(C))
    visitor.click("cross-image-b", *D)
    check(visitor, "cross-image-b", foreground(C, D))
    visitor.click("cross-image", *E)
    check(visitor, "cross-image", foreground(E))
    check(visitor, "cross-image-b", Prompts())
    visitor.click("cross-image-b", *F)
    check(visitor, "cross-image", Prompts())
    check(visitor, "cross-image-b", foreground(F))
    visitor.go_to(TITLES["mask-stability"], "mask-stability")
    check(visitor, "mask-stability", Prompts())
    visitor.click("mask-stability", *B)
    visitor.go_to(TITLES["cross-image"], "cross-image")
    check(visitor, "cross-image", foreground(B))
    check(visitor, "cross-image-b", Prompts())


@pytest.mark.parametrize("where", ONE_PICTURE)
def test_a_shape_that_is_no_prompt_vanishes(visitor, where):
    open_empty(visitor, where)
    visitor.pick_tool(where, "Box")
    visitor.click(where, *A)
    check(visitor, where, Prompts())
    visitor.drag(where, 0.5, 0.5, 0.503, 0.503)
    check(visitor, where, Prompts())
    visitor.drag(where, *A_BOX)
    check(visitor, where, Prompts(boxes=[A_BOX]))
    visitor.pick_tool(where, "Background")
    visitor.drag(where, *C, *D)
    check(visitor, where, Prompts(points=[(*C, 0)], boxes=[A_BOX]))
    visitor.pick_tool(where, "Foreground")
    visitor.click(where, *B)
    visitor.click(where, *B)
    check(visitor, where, Prompts(points=[(*C, 0), (*B, 1)], boxes=[A_BOX]))
    visitor.page.mouse.dblclick(*visitor._place(where, *E))
    visitor.rest()
    check(visitor, where, Prompts(points=[(*C, 0), (*B, 1), (*E, 1)], boxes=[A_BOX]))
    visitor.page.keyboard.press("Escape")
    check(visitor, where, Prompts(points=[(*C, 0), (*B, 1), (*E, 1)], boxes=[A_BOX]))


@pytest.mark.parametrize("where", [LIGHT, pytest.param("cross-image-b", marks=pytest.mark.slow)])
def test_each_of_many_prompts_can_be_removed(visitor, where, tmp_path):
    open_empty(visitor, where)
    points = [
        (round(0.05 + 0.06 * i, 2), round(0.15 + 0.2 * row, 2), (i + row) % 2) for row in range(4) for i in range(8)
    ]
    prompts = Prompts(points=points, boxes=[A_BOX])
    visitor.load(where, prompts, tmp_path)
    check(visitor, where, prompts)
    for index in (32, 31, 20, 12, 5, 0):
        if index == 32:
            prompts = prompts.without_box(0)
            visitor.remove(where, "□")
        else:
            x, y, _ = prompts.points[index]
            prompts = prompts.without_point(index)
            visitor.remove(where, f"{x:.2f}, {y:.2f}")
        check(visitor, where, prompts)
    assert prompts.count == 27


def test_no_more_is_drawn_than_can_be_used(visitor, tmp_path):
    open_empty(visitor, LIGHT)
    full = Prompts(points=[(0.03 + 0.015 * (i % 16), 0.03 + 0.03 * (i // 16), 1) for i in range(MAX_PROMPTS)])
    visitor.load(LIGHT, full, tmp_path)
    assert len(visitor.chips(LIGHT)) == MAX_PROMPTS
    visitor.click(LIGHT, 0.8, 0.8)
    assert len(visitor.chips(LIGHT)) == MAX_PROMPTS
    check_canvas(visitor, LIGHT)


@pytest.mark.parametrize("where", [page for page in ONE_PICTURE if page is not SLOW_FILM])
def test_the_kept_list_is_the_one_on_the_screen_and_comes_back_with_the_run(visitor, where, home, tmp_path):
    open_empty(visitor, where)
    shown = where.removesuffix("-b")
    visitor.click(where, *A)
    visitor.click(where, *B)
    visitor.undo(where)
    visitor.click(where, *C)
    visitor.pick_tool(where, "Box")
    visitor.drag(where, *A_BOX)
    visitor.pick_tool(where, "Background")
    visitor.click(where, *D)
    visitor.remove(where, "0.12, 0.20")
    prompts = Prompts(points=[(*C, 1), (*D, 0)], boxes=[A_BOX])
    check(visitor, where, prompts)
    masks = visitor.masks()
    run_id = visitor.keep(shown, f"kept on {where}")
    kept = kept_prompts(home, run_id, tmp_path)
    assert len(kept.points) == 2 and len(kept.boxes) == 1
    np.testing.assert_allclose(kept.points, prompts.points, atol=0.01)
    np.testing.assert_allclose(kept.boxes, prompts.boxes, atol=0.01)

    visitor.click(where, *E)
    visitor.open(shown, f"?run={run_id}")
    check(visitor, where, prompts)
    assert visitor.masks() == masks
    visitor.pick_tool(where, "Foreground")
    visitor.click(where, *F)
    check(visitor, where, Prompts(points=[*prompts.points, (*F, 1)], boxes=[A_BOX]))
    visitor.undo(where)
    check(visitor, where, prompts)
    visitor.click(where, *B)
    check(visitor, where, Prompts(points=[*prompts.points, (*B, 1)], boxes=[A_BOX]))


@pytest.mark.parametrize("where", ONE_PICTURE)
def test_a_press_is_of_the_tool_that_was_chosen_when_it_was_made(visitor, where, home):
    """However long the server takes to hear of a tool: it stands still while others are chosen and used."""
    open_empty(visitor, where)
    with standing_still(home):
        visitor.press_tool(where, "Background")
        visitor.press_canvas(where, *A)
        visitor.press_tool(where, "Box")
        visitor.press_and_drag(where, *A_BOX)
        visitor.press_tool(where, "Foreground")
        visitor.press_canvas(where, *C)
        visitor.press_canvas(where, *D)
    visitor.rest()
    check(visitor, where, Prompts(points=[(*A, 0), (*C, 1), (*D, 1)], boxes=[A_BOX]))


def test_places_are_right_where_the_window_makes_the_canvas_smaller(visitor):
    visitor.page.set_viewport_size({"width": 1000, "height": 1400})
    open_empty(visitor, LIGHT)
    box = visitor.canvas(LIGHT).bounding_box()
    assert box["width"] < 600
    visitor.click(LIGHT, *A)
    visitor.press_tool(LIGHT, "Box")
    visitor.press_and_drag(LIGHT, *A_BOX)
    visitor.press_tool(LIGHT, "Background")
    visitor.press_canvas(LIGHT, *D)
    visitor.rest()
    check(visitor, LIGHT, Prompts(points=[(*A, 1), (*D, 0)], boxes=[A_BOX]))


def test_the_canvas_has_no_tools_of_its_own_that_a_key_reaches(visitor):
    """They would change the drawing without the list."""
    open_empty(visitor, LIGHT)
    visitor.click(LIGHT, *A)
    visitor.page.locator(f".st-key-clear_{LIGHT} button:visible").focus()
    for _ in range(12):
        visitor.page.keyboard.press("Tab")
        focused = visitor.page.evaluate(
            "() => { let at = document.activeElement; while (at.shadowRoot?.activeElement) "
            "at = at.shadowRoot.activeElement; return at.className; }"
        )
        assert "dc-icon-button" not in focused


@pytest.mark.parametrize("where", SOME_PAGES)
def test_what_is_done_in_a_hurry_counts_in_the_order_it_was_done(visitor, where, home):
    open_empty(visitor, where)
    visitor.click(where, *A)
    visitor.press_canvas(where, *B)
    visitor.press(f"undo_{where}")
    visitor.press_canvas(where, *C)
    visitor.rest()
    check(visitor, where, foreground(A, C))
    visitor.press_canvas(where, *D)
    visitor.press(f"clear_{where}")
    visitor.press_canvas(where, *E)
    visitor.press_canvas(where, *F)
    visitor.rest()
    check(visitor, where, foreground(E, F))
    visitor.press_canvas(where, *B)
    visitor.chip(where, "0.10, 0.55").click()
    visitor.press_canvas(where, *A)
    visitor.rest()
    check(visitor, where, foreground(F, B, A))
    with standing_still(home):
        for _ in range(3):
            visitor.press(f"undo_{where}")
        visitor.press(f"redo_{where}")
    visitor.rest()
    check(visitor, where, foreground(E, F, B))


def test_a_visitor_in_a_hurry_goes_from_page_to_page(visitor, home):
    open_empty(visitor, "mask-stability")
    visitor.press_canvas("mask-stability", *A)
    visitor.go_to(TITLES["window-size"], "window-size")
    check(visitor, "window-size", foreground(A))
    visitor.press_canvas("window-size", *B)
    visitor.page.get_by_role("link", name="Block norms").first.click()
    visitor.page.wait_for_timeout(150)
    visitor.go_to(TITLES["window-size"], "window-size")
    check(visitor, "window-size", foreground(A, B))
    visitor.press_canvas("window-size", *C)
    visitor.go_to("Home")
    visitor.go_to(TITLES["mask-stability"], "mask-stability")
    check(visitor, "mask-stability", foreground(A, B, C))
    # Both are on their way at the same time.
    with standing_still(home):
        visitor.press("undo_mask-stability")
        visitor.page.get_by_role("link", name=TITLES["cross-image"]).first.click()
        visitor.page.wait_for_timeout(300)
    visitor.canvas("cross-image-b").wait_for()
    visitor.rest()
    check(visitor, "cross-image", foreground(A, B))
