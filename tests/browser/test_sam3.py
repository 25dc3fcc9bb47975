"""SAM 3 on all pages that look at one model, in a real browser: a small one with random weights, chosen as a person
would.
"""

import re

import pytest

from tests.random_models import SMALL_SAM3, save_random_model

pytestmark = pytest.mark.browser

IDLE = """() => !document.querySelector('[data-testid="stStatusWidget"], [data-stale="true"]')
    && document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState === 'notRunning'"""
SHOWN = {
    "Mask stability": ".samkit-mask >> nth=3",
    "Block norms": ".st-key-tiles_blocks_a .frame >> nth=3",
    "Semantic similarity": ".st-key-map_similarity canvas >> nth=0",
    "Window size": ".st-key-map_logits canvas >> nth=0",
    "Cross-image": ".samkit-mask >> nth=7",
    "Video with image": ".player output",
}
"""What each page shows of its result, in the order in which they are opened."""
FAULT = '[data-testid="stException"], [data-testid="stAlertContentError"]'
CHANNEL = ".st-key-map_channel_a canvas >> nth=0"
"""The same of the page that encodes nothing, on which the model is chosen."""


@pytest.fixture
def random_sam3(own_models):
    """Among the files of the visitor's own."""
    path = save_random_model(own_models / "random-sam3.safetensors", SMALL_SAM3)
    yield
    path.unlink()


def rest(page) -> None:
    page.wait_for_timeout(200)
    page.wait_for_function(IDLE)


@pytest.mark.usefixtures("random_sam3")
def test_every_page_shows_its_result_with_a_sam3(page, app_url):
    page.goto(f"{app_url}/position_encoding")
    page.locator(".st-key-change_model button:visible").click()
    page.locator('[class*="st-key-own_ready_"] button:visible').click()
    page.get_by_role("dialog").wait_for(state="detached")
    page.get_by_text("random-sam3", exact=True).first.wait_for()
    page.locator(CHANNEL).wait_for()
    rest(page)
    assert page.get_by_text("Measure rotary positions on").count(), "the page knows that it has rotary positions"
    assert not page.locator(FAULT).count()
    for title, shown in SHOWN.items():
        page.get_by_role("link", name=re.compile(title)).first.click()
        page.locator(shown).wait_for()
        rest(page)
        assert not page.locator(FAULT).count(), title
    assert not page.get_by_text("v2.1 or v3 model").count(), "a SAM 3 follows objects"
    page.get_by_text("Only some frames").click()
    page.locator(".st-key-knob_video-priors_count input[type=range]").focus()
    page.keyboard.press("Home")
    rest(page)
    page.get_by_role("button", name="Segment", exact=True).click()
    page.get_by_role("tab", name="Masks of a frame").wait_for()
