"""A truth is loaded from a file, and a hint painted with the brush, by a visitor in a real browser."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.browser


def truth_file() -> dict:
    """Of the first sample: a rectangle about the cup."""
    mask = np.zeros((400, 600), np.uint8)
    mask[20:200, 180:420] = 255
    file = BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    return {"name": "cup.png", "mimeType": "image/png", "buffer": file.getvalue()}


def test_a_truth_shows_true_iou_and_a_painted_hint_changes_the_masks(visitor, page):
    page.set_default_timeout(90_000)
    visitor.open("mask-stability")
    first = page.locator('[class*="st-key-mask_button_mask-stability_1"] button:visible')
    before = first.inner_text()
    assert "true IoU" not in before

    page.locator('[class*="st-key-chip_truth_mask-stability"] button:visible').click()
    page.locator('[data-testid="stPopoverBody"] input[type=file]').set_input_files(truth_file())
    page.locator('[class*="st-key-chip_truth_on_"] button:visible', has_text="cup.png").wait_for()
    page.locator('[class*="st-key-mask_button_mask-stability_1"] button:visible', has_text="true IoU 0.").wait_for()
    page.keyboard.press("Escape")
    with_truth = first.inner_text()

    page.locator('[class*="st-key-chip_hint_mask-stability"] button:visible').click()
    page.get_by_role("button", name="Paint").locator("visible=true").click()
    page.get_by_text("0 strokes").wait_for()
    visitor.rest()
    canvas = page.get_by_role("dialog").locator("canvas.upper-canvas")
    canvas.wait_for()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 300)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 320, steps=10)
    page.mouse.up()
    page.get_by_text("1 stroke").wait_for()
    page.get_by_role("button", name="Use as hint").click()
    page.locator('[class*="st-key-chip_hint_on_"] button:visible', has_text="brush").wait_for()
    page.wait_for_function(
        """([key, text]) => [...document.querySelectorAll(`[class*="${key}"] button`)]
            .some(button => button.offsetParent && button.innerText !== text)""",
        arg=["st-key-mask_button_mask-stability_1", with_truth],
    )
    assert not visitor.faults
