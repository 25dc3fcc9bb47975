"""Home in a browser: light or dark is chosen there, at once, for all pages and for the next visit. And what lies at the
top of every page.
"""

import re

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

pytestmark = pytest.mark.browser

LIGHT, DARK = "rgb(252, 252, 251)", "rgb(20, 24, 26)"

TAKES_THE_PRESS = """button => {
    const { x, y, width, height } = button.getBoundingClientRect();
    return document.elementFromPoint(x + width / 2, y + height / 2).closest('[data-testid="stStatusWidget"]') !== null;
}"""


def never_ends(route: WebSocketRoute) -> None:
    """The page isn't told that its script has ended."""

    def is_an_end(content: str | bytes) -> bool:
        message = ForwardMsg.FromString(content) if isinstance(content, bytes) else ForwardMsg()
        changed = message.WhichOneof("type") == "session_status_changed"
        return message.WhichOneof("type") == "script_finished" or (
            changed and not message.session_status_changed.script_is_running
        )

    server = route.connect_to_server()
    server.on_message(lambda content: None if is_an_end(content) else route.send(content))


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


@pytest.mark.parametrize("name", ["", "mask_stability", "runs"])
def test_streamlits_own_stop_can_be_pressed(page, app_url, name):
    page.route_web_socket(re.compile("/_stcore/stream"), never_ends)
    page.goto(f"{app_url}/{name}")
    stop = page.locator('[data-testid="stStatusWidget"] button')
    stop.wait_for()
    assert stop.evaluate(TAKES_THE_PRESS)
