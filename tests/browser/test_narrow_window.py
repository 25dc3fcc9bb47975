"""A window with little room, such as a large one at 150 %: nothing stands in the way of what one looks at."""

import re
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

PAGE = "mask-stability"


def test_the_sidebar_is_folded_until_it_is_asked_for(visitor):
    page = visitor.page
    sidebar = page.get_by_test_id("stSidebar")
    page.set_viewport_size({"width": 800, "height": 900})
    visitor.open(PAGE)
    expect(sidebar).to_have_attribute("data-collapsed", "true")
    page.set_viewport_size({"width": 1440, "height": 900})
    expect(sidebar).to_have_attribute("data-collapsed", "false")
    page.set_viewport_size({"width": 800, "height": 900})
    expect(sidebar).to_have_attribute("data-collapsed", "true")
    page.get_by_test_id("stExpandSidebarButton").click()
    visitor.rest()
    expect(sidebar).to_have_attribute("data-collapsed", "false")
    page.get_by_role("link", name=re.compile("Block norms")).first.click()
    expect(page.get_by_role("heading", name="Block norms")).to_be_visible()
    visitor.rest()
    expect(sidebar).to_have_attribute("data-collapsed", "true")


def test_the_sheet_of_keys_has_room_or_is_scrolled(visitor):
    page = visitor.page
    page.set_viewport_size({"width": 960, "height": 600})
    visitor.open(PAGE)
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keys")
    last = sheet.get_by_text("This sheet", exact=True)
    expect(last).to_be_in_viewport(ratio=1)
    expect(sheet.get_by_role("heading", name="Keys")).to_be_in_viewport(ratio=1)
    page.set_viewport_size({"width": 640, "height": 400})
    expect(last).not_to_be_in_viewport()
    page.keyboard.press("End")
    expect(last).to_be_in_viewport(ratio=1)


def test_no_control_below_the_picture_stands_in_a_line_alone(visitor, tmp_path):
    file = tmp_path / "portrait.png"
    Image.fromarray(np.full((600, 250, 3), 90, np.uint8)).save(file)
    page = visitor.page
    controls = page.get_by_role("toolbar", name="Zoom and mask").locator("button:visible, input:visible")
    page.set_viewport_size({"width": 1440, "height": 900})
    visitor.open(PAGE)
    page.locator(".st-key-change_picture button:visible").click()
    page.locator('[class*="st-key-picture_upload"] input[type=file]').set_input_files(file)
    page.locator(".st-key-portrait_pictures").wait_for()
    visitor.rest()
    for width, height in ((1440, 900), (1040, 700), (960, 600), (800, 900)):
        page.set_viewport_size({"width": width, "height": height})
        visitor.rest()
        boxes = [each.bounding_box() for each in controls.all()]
        lines = Counter(round((box["y"] + box["height"] / 2) / 10) for box in boxes)
        assert min(lines.values()) > 2 and len(lines) < 3, (width, lines)


def test_an_upload_box_says_in_full_what_it_takes(visitor):
    page = visitor.page
    visitor.open(PAGE)
    for width, height in ((1440, 900), (960, 600), (800, 900)):
        page.set_viewport_size({"width": width, "height": height})
        page.locator(".st-key-open_sweep button:visible").first.click()
        visitor.rest()
        page.get_by_role("dialog").get_by_text("Pictures of your own", exact=True).click()
        told = page.get_by_role("dialog").get_by_test_id("stFileUploaderDropzoneInstructions").locator("span")
        expect(told).to_have_count(2)
        for each in told.all():
            each.scroll_into_view_if_needed()
            assert each.evaluate("text => text.scrollWidth <= text.clientWidth"), each.inner_text()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        visitor.rest()
