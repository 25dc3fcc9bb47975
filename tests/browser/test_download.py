"""A visitor takes a mask away: as a file, and on the clipboard."""

import cv2
import numpy as np
import pytest
from playwright.sync_api import expect

from samkit.media.drawing import mask_from_png

pytestmark = pytest.mark.browser

CLIPBOARD = """async () => {
    const [item] = await navigator.clipboard.read();
    const blob = await item.getType('image/png');
    return [...new Uint8Array(await blob.arrayBuffer())];
}"""


def open_menu(visitor, page: str) -> None:
    visitor.open(page)
    visitor.press(f"download_{page}")
    visitor.page.locator(".st-key-download_menu").wait_for()
    visitor.rest()


def test_a_mask_is_saved_and_its_picture_is_copied(visitor, tmp_path):
    page = visitor.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_menu(visitor, "mask-stability")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Mask, PNG").click()
    assert saved.value.suggested_filename.startswith("coffee_nano-sam2_mask")
    saved.value.save_as(tmp_path / "mask.png")
    mask = mask_from_png(tmp_path / "mask.png")
    assert mask.shape == (400, 600) and mask.any()
    page.get_by_role("button", name="Copy picture").click()
    expect(page.get_by_text("Copied: paste it anywhere.")).to_be_visible()
    copied = cv2.imdecode(np.array(page.evaluate(CLIPBOARD), np.uint8), cv2.IMREAD_COLOR)
    assert copied.shape == (400, 600, 3)


def test_a_browser_that_forbids_copying_is_explained(visitor):
    open_menu(visitor, "mask-stability")
    visitor.page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    visitor.page.get_by_role("button", name="Copy picture").click()
    expect(visitor.page.get_by_text("lets this page copy no pictures")).to_be_visible()
