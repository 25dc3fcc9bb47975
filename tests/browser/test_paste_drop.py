"""Pictures, prompts and films that are pasted or dropped anywhere on the page, in a real browser."""

import base64
import json
import re

import pytest

from samkit.media.pictures import picture_to_png
from samkit.media.samples import load_sample
from samkit.prompts import Prompts
from tests.browser.visitor import Visitor, standing_still

pytestmark = pytest.mark.browser

PAGE = "mask-stability"
GIVE = """([kind, text, files, selector]) => {
    const parcel = new DataTransfer();
    if (text) parcel.setData("text/plain", text);
    for (const [name, type, content] of files) {
        const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
        parcel.items.add(new File([bytes], name, { type }));
    }
    const options = { bubbles: true, cancelable: true, composed: true };
    const event = kind === "paste"
        ? new ClipboardEvent("paste", { ...options, clipboardData: parcel })
        : new DragEvent(kind, { ...options, dataTransfer: parcel });
    document.querySelector(selector).dispatchEvent(event);
}"""
File = tuple[str, str, bytes]


def give(visitor: Visitor, kind: str, text: str = "", *files: File, on: str = "body") -> None:
    packed = [[name, mime, base64.b64encode(content).decode()] for name, mime, content in files]
    visitor.page.evaluate(GIVE, [kind, text, packed, on])


def told(visitor: Visitor, words: str) -> None:
    visitor.page.locator('[data-testid="stToast"]', has_text=re.compile(words)).first.wait_for()
    visitor.rest()


@pytest.fixture(autouse=True)
def patient(page):
    page.set_default_timeout(120_000)


def test_prompts_and_pictures_are_pasted_and_dropped(visitor, home):
    visitor.open(PAGE)
    visitor.clear(PAGE)
    coffee, chelsea = load_sample("coffee"), load_sample("chelsea")
    caption = visitor.page.locator(f".st-key-chips_{PAGE}")

    give(visitor, "paste", f"{coffee.width / 2}, {coffee.height / 4}")
    told(visitor, "Pasted 1 point, in pixels")
    assert visitor.listed(PAGE) == Prompts([(0.5, 0.25, 1)])
    give(visitor, "paste", "0.2, 0.2, 0.4, 0.6")
    told(visitor, "Pasted 1 box, in shares of the picture")
    both = Prompts([(0.5, 0.25, 1)], [(0.2, 0.2, 0.4, 0.6)])
    assert visitor.listed(PAGE) == both
    visitor.undo(PAGE)
    assert visitor.listed(PAGE) == Prompts([(0.5, 0.25, 1)])

    give(visitor, "paste", "meet me at 10")
    told(visitor, "holds no prompts")
    give(visitor, "drop", "", ("mine.json", "application/json", json.dumps(both.to_muggled_dict()).encode()))
    told(visitor, "Took 1 point and 1 box from mine.json")
    assert visitor.listed(PAGE) == both

    give(visitor, "dragover", "", ("cat.png", "image/png", b"x"))
    visitor.page.get_by_text("Drop a picture or prompts").wait_for()
    # The browser asks where to send the file, and has the page run for the second one's sake, at the same time.
    with standing_still(home):
        give(visitor, "drop", "", ("cat.png", "image/png", picture_to_png(chelsea)), ("two.png", "image/png", b"x"))
        visitor.page.wait_for_timeout(500)
    told(visitor, "Took the picture cat.png")
    assert not visitor.page.get_by_text("Drop a picture or prompts").count()
    assert "cat.png" in caption.inner_text() and not visitor.chips(PAGE)

    give(visitor, "paste", "", ("image.png", "image/png", picture_to_png(coffee)))
    told(visitor, "Took the picture pasted.png")
    assert "pasted.png" in caption.inner_text()
    give(visitor, "drop", "", ("broken.png", "image/png", picture_to_png(coffee)[:5000]))
    told(visitor, "broken.png is cut short")
    give(visitor, "drop", "", ("notes.docx", "application/msword", b"PK"))
    told(visitor, "notes.docx can't be used here")
    give(visitor, "drop", "", ("film.mp4", "video/mp4", b"x"))
    told(visitor, "Video with image priors")
    assert "pasted.png" in caption.inner_text() and not visitor.faults


def test_what_is_typed_is_left_alone_and_the_second_picture_has_its_own(visitor):
    visitor.open("cross-image")
    before = visitor.listed("cross-image")
    chelsea = picture_to_png(load_sample("chelsea"))
    give(visitor, "drop", "", ("b.png", "image/png", chelsea), on=".st-key-canvas_frame_second")
    told(visitor, "Took the picture b.png")
    assert "b.png" in visitor.page.locator(".st-key-chips_cross-image-b").inner_text()
    assert visitor.listed("cross-image") == before
    visitor.page.locator(".st-key-keep_words_cross-image button:visible").first.click()
    visitor.page.locator(".st-key-keep_name_cross-image input").focus()
    give(visitor, "paste", "10, 20", on=".st-key-keep_name_cross-image input")
    visitor.rest()
    assert visitor.listed("cross-image") == before
