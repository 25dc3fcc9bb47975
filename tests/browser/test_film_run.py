"""A film's run while it goes on: its page answers at once, and nothing that it has found is lost."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser

PAGE = "video-priors"
STALE = '[data-stale="true"]'
WAITS = ".st-key-film_waits_masks_of_marks"


@pytest.fixture
def film(visitor: Visitor, page: Page) -> Page:
    """The film's page, where a frame takes long enough to be met under way."""
    visitor.open(PAGE)
    page.locator(".player output").wait_for()
    for _ in range(6):
        page.get_by_role("slider", name="Encoding side").press("ArrowRight")
    visitor.rest()
    return page


def segment(page: Page, until: str) -> None:
    """Begin the run, and watch it until a frame whose number is one of those."""
    page.get_by_role("button", name="Segment", exact=True).click()
    expect(page.locator(".player")).to_have_attribute("data-frame", re.compile(f"^({until})$"), timeout=60_000)


def button(page: Page, name: str):
    return page.locator(".st-key-film_buttons").get_by_role("button", name=name, exact=True)


def test_the_page_answers_while_the_masks_of_a_mark_are_found_behind_the_run(film, visitor):
    segment(film, r"[7-9]|\d\d")
    visitor.canvas(PAGE).click(button="right", position={"x": 40, "y": 40})
    # The mark is there, its masks are not: the run's way to this frame is gone again for them.
    film.locator(WAITS, has_text="Finding the masks of what you have marked").wait_for()
    expect(film.locator('[class*="st-key-chip_video-priors_point"] button:visible')).to_have_count(1)
    button(film, "Cancel").click()
    film.get_by_text(re.compile(r"Cancelled after \d+ of 36 frames\.")).wait_for()
    expect(film.locator(STALE)).to_have_count(0)


def test_what_is_cancelled_or_discarded_comes_back(film, visitor, home):
    segment(film, r"[2-9]|\d\d")
    button(film, "Cancel").click()
    film.get_by_text(re.compile(r"Cancelled after \d+ of 36 frames\.")).wait_for()
    expect(button(film, "Segment")).to_be_enabled()
    film.get_by_role("button", name="Bring it back").click()
    film.get_by_text(re.compile(r"Paused after \d+ of 36")).wait_for()
    button(film, "Finish here").click()
    film.get_by_role("tab", name="Masks of a frame").wait_for(timeout=60_000)
    button(film, "Discard").click()
    film.get_by_text(re.compile(r"Discarded: the run of \d+ frames\.")).wait_for()
    expect(film.get_by_role("tab", name="Masks of a frame")).to_have_count(0)
    # Beside the page the player asks what is on a frame, of a thread that has no session.
    with film.expect_response(re.compile(r"/live/film/.*/30\?look=1")):
        slider = film.get_by_role("slider", name="Frame of the film")
        slider.fill("30")
    visitor.rest()
    assert "missing ScriptRunContext" not in (home / "app.log").read_text()
    film.get_by_role("button", name="Bring it back").click()
    film.get_by_role("tab", name="Masks of a frame").wait_for()
    expect(button(film, "Discard")).to_be_enabled()


def test_nothing_of_another_frame_stands_beside_the_one_that_the_run_has_come_to(film, visitor):
    visitor.click(PAGE, 0.3, 0.5)
    chip, record = film.locator('[class*="st-key-chip_video-priors_point"]'), film.locator(".st-key-record")
    expect(chip).to_be_visible()
    segment(film, r"[2-9]|\d\d")
    expect(chip).to_be_hidden()
    expect(record).to_be_hidden()
    button(film, "Cancel").click()


def test_whoever_has_left_the_runs_newest_frame_is_not_taken_back_to_it(film, visitor):
    segment(film, r"[4-9]|\d\d")
    film.get_by_role("slider", name="Frame of the film").fill("2")
    film.get_by_text("coin, frame 2 ·").wait_for()
    visitor.go_to("Runs")
    visitor.go_to("Video with image priors", PAGE)
    follow = film.locator(".player").get_by_role("button", name="Follow")
    expect(follow).to_have_attribute("aria-pressed", "false")
    expect(film.locator(".player")).to_have_attribute("data-frame", "2")
    button(film, "Cancel").click()
