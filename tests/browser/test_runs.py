"""The way of a run in a real browser: kept twice with different thresholds, found, compared, taken home as a report,
opened again, and replayed.
"""

import re
from pathlib import Path

import pytest

from samkit.tracking.store.store import RunStore
from tests.browser.visitor import KEEP_MS
from tests.large_runs import PROMPTS, SIDE, keep_large_run
from tests.tracking.test_film_runs import run_of_two_objects

pytestmark = pytest.mark.browser

PAGE = "mask-stability"
BOTH = "one of two"
"""What is in the names of both runs, and of no other."""
OFFLINE = "() => [...document.images].every(image => image.complete && image.naturalWidth > 0)"
IS_WHOLE = """name => [name, ...name.querySelectorAll('*')].every(each =>
    getComputedStyle(each).overflow === 'visible'
    || each.scrollHeight <= each.clientHeight + 1 && each.scrollWidth <= each.clientWidth + 1)"""
SWIPED = "swipe => getComputedStyle(swipe).getPropertyValue('--at')"


def search(visitor, text: str) -> None:
    visitor.page.get_by_role("textbox", name="Search").fill(text)
    visitor.page.keyboard.press("Enter")
    visitor.rest()


def upper_threshold_down(visitor, steps: int) -> None:
    visitor.page.locator(f".st-key-knob_{PAGE}_thresholds input[type=range]").nth(1).focus()
    for _ in range(steps):
        visitor.page.keyboard.press("ArrowLeft")
    visitor.rest()


def test_two_runs_are_kept_compared_opened_again_and_replayed(page, browser, visitor, tmp_path):
    visitor.open(PAGE)
    visitor.keep(PAGE, f"as it comes, {BOTH}")
    upper_threshold_down(visitor, 2)
    page.get_by_text("1.00").first.wait_for()
    visitor.keep(PAGE, f"a lower cut, {BOTH}")
    drawn = visitor.chips(PAGE)

    page.get_by_role("link", name=re.compile("Runs")).first.click()
    rows = page.locator('[class*="st-key-run_row_"]')
    rows.nth(1).wait_for()
    search(visitor, f'"{BOTH}"')
    assert rows.count() == 2 and "a lower cut" in rows.nth(0).inner_text(), "newest first"
    search(visitor, f"\"{BOTH}\" params.upper_threshold = '1.0'")
    assert rows.count() == 1 and "a lower cut" in rows.nth(0).inner_text()
    search(visitor, f'"{BOTH}"')
    assert rows.count() == 2
    for index in range(2):
        rows.nth(index).locator('[data-testid="stCheckbox"] label').click()
        page.get_by_text(f"{index + 1} chosen").wait_for()
        visitor.rest()
    page.get_by_role("button", name="Compare", exact=False).locator("visible=true").first.click()

    page.get_by_role("heading", name="Compare 2 runs").wait_for()
    page.locator(".js-plotly-plot").first.wait_for()
    visitor.rest()
    swipe_by_mouse_and_keys(page)
    table = page.locator(".samkit-table", has_text="upper threshold").inner_text()
    assert re.search(r"upper threshold\s+1\s+2", table), table
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

    page.get_by_role("link", name=f"as it comes, {BOTH}").first.click()
    page.get_by_role("heading", name=f"as it comes, {BOTH}").wait_for()
    visitor.rest()
    page.get_by_role("button", name="Replay").locator("visible=true").first.click()
    page.get_by_text("masks and all metrics are identical").wait_for(timeout=KEEP_MS)
    page.keyboard.press("ArrowLeft")
    page.get_by_role("heading", name=f"a lower cut, {BOTH}").wait_for()
    visitor.rest()
    page.keyboard.press("ArrowRight")
    page.get_by_role("heading", name=f"as it comes, {BOTH}").wait_for()
    visitor.rest()
    page.keyboard.press("ArrowLeft")
    page.get_by_role("heading", name=f"a lower cut, {BOTH}").wait_for()
    visitor.rest()

    page.get_by_role("link", name=re.compile("Open in Mask stability")).click()
    visitor.canvas(PAGE).wait_for()
    visitor.rest()
    page.get_by_text("1.00").first.wait_for()
    assert visitor.chips(PAGE) == drawn


def test_of_runs_that_are_much_alike_the_list_shows_what_tells_them_apart(page, visitor):
    page.set_viewport_size({"width": 1440, "height": 900})
    visitor.open(PAGE)
    alike = (
        "Mask stability, a market hall in the morning, sam2.1_hiera_base_plus, 3 points and 1 box, lower threshold -4"
    )
    alike += ", upper threshold 4, input scale 0.5, largest delta 6, the"
    for end in ("first", "second"):
        visitor.keep(PAGE, f"{alike} {end}")
    page.get_by_role("link", name=re.compile("Runs")).first.click()
    names = page.locator('[class*="st-key-run_row_"] [data-testid="stPageLink"] a')
    names.nth(1).wait_for()
    search(visitor, '"a market hall"')
    assert [name.split()[-1] for name in names.all_inner_texts()] == ["second", "first"]
    assert all(name.evaluate(IS_WHOLE) for name in names.all())


def test_two_objects_of_one_film_are_told_apart(page, visitor, home, tmp_path, monkeypatch):
    monkeypatch.setenv("SAMKIT_HOME", str(home))
    ids = [RunStore().keep(run_of_two_objects(tmp_path / name)).run_id for name in ("first", "second")]
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{visitor.app_url}/compare?runs={','.join(ids)}")
    captions = page.locator(".samkit-swipe span")
    captions.first.wait_for()
    visitor.rest()
    assert [text.split(" · ")[0] for text in captions.all_inner_texts()] == ["run 1, object 1", "run 2, object 1"]
    chosen = page.locator(".st-key-compare_two [role=combobox]")
    assert all(each.evaluate(IS_WHOLE) for each in (*captions.all(), *chosen.all()))


def test_what_is_swiped_is_of_the_frame_that_is_chosen(page, visitor, home, tmp_path, monkeypatch):
    monkeypatch.setenv("SAMKIT_HOME", str(home))
    ids = [RunStore().keep(run_of_two_objects(tmp_path / name, frames=3)).run_id for name in ("first", "second")]
    page.goto(f"{visitor.app_url}/compare?runs={','.join(ids)}")
    left = page.locator(".samkit-swipe img.left")
    left.wait_for()
    visitor.rest()
    page.get_by_role("combobox", name="Second").click()
    page.get_by_role("option", name="run 2, object 2", exact=True).click()
    visitor.rest()
    drawn = [left.get_attribute("src")]
    for _ in range(2):
        page.locator(".st-key-compare_frame input[type=range]").press("ArrowRight")
        visitor.rest()
        drawn.append(left.get_attribute("src"))
    assert len(set(drawn)) == 3
    second = page.locator(".samkit-swipe span").nth(1).inner_text()
    assert second.startswith("run 2, object 2"), "what was picked stays"


def swipe_by_mouse_and_keys(page) -> None:
    """The line between the two pictures follows the mouse and the arrow keys."""
    place = page.locator(".samkit-swipe")
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + 0.5 * box["height"])
    assert float(place.evaluate(SWIPED).strip("%")) == pytest.approx(25, abs=1)
    place.locator("input").press("ArrowRight")
    assert float(place.evaluate(SWIPED).strip("%")) == pytest.approx(25.5, abs=1)
    place.locator("input").press("End")
    assert place.evaluate(SWIPED) == "100%"


def read_offline(browser, report: Path) -> None:
    """The report without server or network has its pictures, tables and lines."""
    context = browser.new_context(offline=True)
    alone = context.new_page()
    asked = []
    alone.on("request", lambda request: asked.append(request.url))
    alone.goto(report.as_uri())
    alone.locator(".js-plotly-plot .scatterlayer").first.wait_for(state="attached")
    assert alone.evaluate(OFFLINE) and alone.locator("img").count() == 6, "two masks, outlines, swipe, difference"
    rows = alone.locator(".samkit-sortable tbody tr")
    assert "as it comes" in rows.nth(1).inner_text()
    alone.locator(".samkit-sortable th button", has_text="upper threshold").click()
    first = rows.nth(0).inner_text()
    alone.locator(".samkit-sortable th button", has_text="upper threshold").click()
    assert "a lower cut" in first and "as it comes" in rows.nth(0).inner_text(), "1, then 2"
    alone.locator(".samkit-swipe input").press("Home")
    assert alone.locator(".samkit-swipe").evaluate(SWIPED) == "0%"
    text = alone.locator("body").inner_text()
    assert "2 runs compared" in text and "a lower cut" in text and "as it comes" in text and "upper threshold" in text
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    context.close()


def test_a_kept_run_that_takes_minutes_asks_before_it_is_made_again(visitor, home, tmp_path, monkeypatch):
    monkeypatch.setenv("SAMKIT_HOME", str(home))
    run_id = keep_large_run(tmp_path)
    visitor.open("mask-stability", f"?run={run_id}")
    page = visitor.page
    page.get_by_text(f"at a side of {SIDE} pixels takes about").wait_for()
    assert visitor.listed("mask-stability") == PROMPTS
    shown = page.locator('img[alt="What the run a large side was kept with"]')
    assert shown.evaluate("image => image.naturalWidth") > 100
    place = page.locator(".st-key-canvas_frame").bounding_box()
    page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    visitor.rest()
    button = page.get_by_role("button", name="Encode, about")
    assert button.is_visible(), "nor does the pointer have it made"
    # By hand at another side there is nothing to ask.
    page.locator('[class*="st-key-knob_mask-stability_side"] input[type=range]').focus()
    page.keyboard.press("Home")
    visitor.rest()
    assert not button.is_visible() and page.locator(".samkit-mask").count() == 4
