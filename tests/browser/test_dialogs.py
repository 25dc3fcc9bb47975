"""What opens closes again, and opens again: the picture dialog after an upload, About after a first try, toasts."""

import re

import cv2
import pytest
from playwright.sync_api import expect

from samkit.media.samples import load_sample

pytestmark = pytest.mark.browser

PAGE = "mask-stability"
PRESSES = 3
PATIENCE_MS = 60_000


@pytest.fixture(autouse=True)
def patient():
    """A slow machine answers late."""
    expect.set_options(timeout=PATIENCE_MS)
    yield
    expect.set_options(timeout=5_000)


def test_the_picture_button_opens_the_dialog_after_an_upload_every_time(visitor, tmp_path):
    file, page = tmp_path / "own.png", visitor.page
    cv2.imwrite(str(file), load_sample("chelsea").rgb[:200, :300, ::-1])
    dialog = page.get_by_role("dialog")
    visitor.open(PAGE)
    visitor.press("change_picture")
    dialog.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_text("own.png · 300 × 200 px")).to_be_visible()
    expect(dialog).to_have_count(0)
    visitor.rest()
    for _ in range(PRESSES):
        visitor.press("change_picture")
        visitor.rest()
        expect(dialog.get_by_text("Used before")).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        visitor.rest()


def test_a_film_that_was_refused_is_not_refused_again_when_the_dialog_is_opened_anew(visitor, tmp_path):
    file, page = tmp_path / "no film.mp4", visitor.page
    file.write_bytes(b"text")
    dialog = page.get_by_role("dialog")
    visitor.open("video-priors")
    visitor.press("change_film")
    dialog.locator("input[type=file]").set_input_files(file)
    complaint = dialog.get_by_test_id("stAlert")
    expect(complaint).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    visitor.rest()
    visitor.press("change_film")
    expect(dialog.locator("input[type=file]")).to_have_count(1)
    visitor.rest()
    expect(complaint).to_have_count(0)


def test_about_closes_when_its_first_try_is_taken(visitor):
    visitor.open(PAGE)
    visitor.page.get_by_role("button", name="About").click()
    first_try = visitor.page.locator(f".st-key-try_{PAGE} button:visible")
    first_try.click()
    expect(visitor.page.get_by_text(re.compile("chelsea · "))).to_be_visible()
    expect(first_try).to_have_count(0)


def test_a_toast_ends_with_its_page(visitor):
    visitor.open(PAGE)
    visitor.press(f"keep_{PAGE}")
    toast = visitor.page.get_by_test_id("stToast")
    expect(toast.first).to_be_visible()
    visitor.page.get_by_role("link", name=re.compile("Block norms")).first.click()
    expect(visitor.page.get_by_role("heading", name="Block norms")).to_be_visible()
    expect(toast).to_have_count(0, timeout=3_000)
