"""Home in a browser: light or dark is chosen there, at once, for all pages and for the next visit."""

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

LIGHT, DARK = "rgb(252, 252, 251)", "rgb(20, 24, 26)"


def choose(page: Page, name: str, background: str) -> None:
    page.locator(f'.st-key-theme_switch [data-theme="{name}"]').click()
    expect(page.locator(".stApp")).to_have_css("background-color", background)
    expect(page.locator(f'.st-key-theme_switch [data-theme="{name}"]')).to_have_attribute("aria-checked", "true")


def test_light_or_dark_is_chosen_for_all_pages_and_the_next_visit(page, app_url):
    page.emulate_media(color_scheme="light")
    page.goto(app_url)
    expect(page.locator(".stApp")).to_have_css("background-color", LIGHT)
    choose(page, "Dark", DARK)
    page.goto(f"{app_url}/runs")
    expect(page.locator(".stApp")).to_have_css("background-color", DARK)
    choose(page, "Light", LIGHT)
    page.emulate_media(color_scheme="dark")
    page.goto(app_url)
    expect(page.locator(".stApp")).to_have_css("background-color", LIGHT)
    choose(page, "System", DARK)
