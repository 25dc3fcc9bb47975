"""What a page showed before is gone as soon as something else stands in its place, however long the page still runs."""

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.browser

WATCH = """selector => {
    window.samkitMost = 0;
    const look = () => { samkitMost = Math.max(samkitMost, document.querySelectorAll(selector).length); };
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
}"""
"""The most elements of that kind that are there at once from now on."""


def test_masks_do_not_stand_below_and_beside_a_portrait(visitor, page, tmp_path):
    visitor.open("mask-stability")
    file = tmp_path / "portrait.png"
    Image.fromarray(np.full((300, 150, 3), 90, np.uint8)).save(file)
    page.evaluate(WATCH, "body:has(.st-key-portrait_pictures):has(.st-key-below_pictures)")
    page.locator(".st-key-change_picture button:visible").click()
    page.locator('[class*="st-key-picture_upload"] input[type=file]').set_input_files(file)
    page.locator(".st-key-portrait_pictures").wait_for()
    visitor.rest()
    visitor.click("mask-stability", 0.5, 0.5)
    assert page.locator(".st-key-portrait_pictures .samkit-mask").count() == 4
    assert page.evaluate("samkitMost") == 0
    page.locator(".st-key-change_picture button:visible").click()
    page.get_by_role("dialog").get_by_role("button", name="Coffee").first.click()
    page.locator(".st-key-row_pictures").wait_for()
    visitor.rest()
    assert page.evaluate("samkitMost") == 0
