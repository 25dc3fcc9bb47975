"""The way of a run in a real browser: kept twice with different thresholds, found, compared, taken home as a report,
opened again, and replayed.
"""

import re
from pathlib import Path

import pytest

from tests.browser.test_mask_stability import chips, open_page, settled
from tests.browser.visitor import KEEP_MS

pytestmark = pytest.mark.browser

OFFLINE = "() => [...document.images].every(image => image.complete && image.naturalWidth > 0)"


def still(page) -> None:
    """Wait until nothing runs any more."""
    page.wait_for_timeout(300)
    page.wait_for_function('() => !document.querySelector(\'[data-testid="stStatusWidget"], [data-stale="true"]\')')
    page.wait_for_timeout(300)


def keep(page, name: str) -> None:
    page.get_by_label("Name").fill(name)
    page.keyboard.press("Tab")
    page.get_by_role("button", name=re.compile("Keep this run")).click()
    page.get_by_text(re.compile(f"Last kept: .*{name}")).wait_for(timeout=KEEP_MS)
    settled(page)


def upper_threshold_down(page, steps: int) -> None:
    page.locator(".st-key-knob_mask-stability_thresholds input[type=range]").nth(1).focus()
    for _ in range(steps):
        page.keyboard.press("ArrowLeft")
    settled(page)


def test_two_runs_are_kept_compared_opened_again_and_replayed(page, browser, app_url, home, tmp_path):
    open_page(page, app_url)
    keep(page, "as it comes")
    upper_threshold_down(page, 2)
    page.get_by_text("1.00").first.wait_for()
    keep(page, "a lower cut")
    drawn = chips(page)

    page.get_by_role("link", name=re.compile("Runs")).first.click()
    rows = page.locator('[class*="st-key-run_row_"]')
    rows.nth(1).wait_for()
    still(page)
    assert rows.count() == 2 and "a lower cut" in rows.nth(0).inner_text(), "newest first"
    page.get_by_role("textbox", name="Search").fill("params.upper_threshold = '1.0'")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelectorAll('[class*=\"st-key-run_row_\"]').length === 1")
    page.get_by_role("textbox", name="Search").fill("")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelectorAll('[class*=\"st-key-run_row_\"]').length === 2")
    still(page)
    for index in range(2):
        rows.nth(index).locator('[data-testid="stCheckbox"] label').click()
        page.get_by_text(f"{index + 1} chosen").wait_for()
        still(page)
    page.get_by_role("button", name="Compare", exact=False).locator("visible=true").first.click()

    page.get_by_role("heading", name="Compare 2 runs").wait_for()
    page.locator(".js-plotly-plot").first.wait_for()
    still(page)
    table = page.locator(".samkit-table", has_text="upper threshold").inner_text()
    assert re.search(r"upper threshold\s+4\s+8", table), table
    assert "lower threshold" not in table, "only what differs is shown"
    matrix = page.locator(".samkit-matrix td").all_inner_texts()
    assert [cell for cell in matrix if "." in cell] == ["1.000"] * 4, (
        "the thresholds colour the logits; the masks are cut at 0 in both"
    )

    with page.expect_download() as download:
        page.get_by_role("button", name="Report").locator("visible=true").first.click()
    report = tmp_path / "report.html"
    download.value.save_as(report)
    read_offline(browser, report)

    page.get_by_role("link", name="as it comes").first.click()
    page.get_by_role("heading", name="as it comes").wait_for()
    still(page)
    page.get_by_role("button", name="Replay").locator("visible=true").first.click()
    page.get_by_text("masks and all metrics are identical").wait_for(timeout=KEEP_MS)
    page.keyboard.press("ArrowLeft")
    page.get_by_role("heading", name="a lower cut").wait_for()
    still(page)
    page.keyboard.press("ArrowRight")
    page.get_by_role("heading", name="as it comes").wait_for()
    still(page)
    page.keyboard.press("ArrowLeft")
    page.get_by_role("heading", name="a lower cut").wait_for()
    still(page)

    page.get_by_role("link", name=re.compile("Open in Mask stability")).click()
    settled(page)
    page.get_by_text("4.00").first.wait_for()
    assert chips(page) == drawn


def read_offline(browser, report: Path) -> None:
    """The report without server or network has its pictures, tables and lines."""
    context = browser.new_context(offline=True)
    alone = context.new_page()
    asked = []
    alone.on("request", lambda request: asked.append(request.url))
    alone.goto(report.as_uri())
    alone.locator(".js-plotly-plot .parcoords").first.wait_for(state="attached")
    assert alone.evaluate(OFFLINE) and alone.locator("img").count() == 4
    text = alone.locator("body").inner_text()
    assert "2 runs compared" in text and "a lower cut" in text and "as it comes" in text and "upper threshold" in text
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    context.close()
