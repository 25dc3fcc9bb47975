"""The way of a sweep in a real browser: started from an experiment's page, watched, charted, a cell of it opened."""

import re

import pytest

from samkit.prompts import Prompts

pytestmark = pytest.mark.browser

PAGE = "mask-stability"


def test_a_sweep_is_started_watched_charted_and_a_cell_opened(page, visitor):
    visitor.open(PAGE)
    visitor.press("open_sweep")
    dialog = page.get_by_role("dialog")
    knobs = dialog.locator(f".st-key-sweep_knobs_{PAGE} input")
    knobs.fill("Mask")
    page.get_by_role("option", name="Mask", exact=True).click()
    values = dialog.locator(f".st-key-sweep_values_{PAGE}_mask_index input")
    values.fill("0 to 2")
    values.press("Enter")
    dialog.get_by_text("3 cells", exact=True).wait_for()
    dialog.locator(".st-key-start_sweep button").click()

    page.wait_for_url(re.compile(r"/sweep\?"))
    page.get_by_text("Done: 3 cells").wait_for(timeout=90_000)
    points = page.locator(".js-plotly-plot").nth(1).locator(".points path")
    points.nth(2).wait_for()
    assert points.count() == 3 and page.locator(".js-plotly-plot").nth(0).locator(".points path").count() == 3
    box = points.nth(1).bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    picture = page.locator("img.samkit-cell")
    picture.wait_for()
    assert picture.evaluate("image => image.naturalWidth") > 100

    visitor.unanswered = True
    page.get_by_role("link", name="Open in Mask stability").click()
    visitor.canvas(PAGE).wait_for()
    visitor.rest()
    assert visitor.listed(PAGE) == Prompts([(0.46, 0.3, 1)], [(0.28, 0.03, 0.72, 0.61)])
    assert not visitor.faults
