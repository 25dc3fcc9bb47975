"""The instrument: everything on one screen, masks under the pointer, the chosen mask on the canvas."""

import pytest
from PIL import Image

from samkit.media.samples import load_sample
from tests.browser.visitor import Visitor, standing_still

pytestmark = pytest.mark.browser

PAGES = ["mask-stability", "window-size", "semantic-similarity", "cross-image", "cross-image-b", "video-priors"]
AT_LEAST = {"mask-stability", "cross-image-b", "video-priors"}
SOME_PAGES = [page if page in AT_LEAST else pytest.param(page, marks=pytest.mark.slow) for page in PAGES]
"""All pages, of which a canvas of each kind is never left out: a picture, a second one, a film's frame."""
LISTEN = """window.painted = [];
window.addEventListener('samkit:painted', event => painted.push(event.detail));
localStorage.setItem('samkit.live', 'true');"""
"""Masks follow the pointer on a busy machine too, where they are off by default."""
LIVE = "frame => samkitStages.get(frame)?.liveState === 'on'"
IN_SIGHT = """selector => [...document.querySelectorAll(selector)].filter(each => each.offsetParent).map(each => {
    const box = each.getBoundingClientRect();
    const inside = box.top >= 0 && box.left >= 0 && box.bottom <= innerHeight && box.right <= innerWidth;
    return [inside, box.width, box.height];
})"""
MAP = """() => {
    const hosts = [...document.querySelectorAll('.st-key-main_view [data-testid="stBidiComponentIsolated"]')];
    return hosts.map(each => each.shadowRoot?.querySelector('.whole canvas')).find(Boolean)?.toDataURL();
}"""
MASK = """frame => {
    const stage = samkitStages.get(frame), { mask } = stage;
    const { data } = mask.getContext('2d').getImageData(0, 0, mask.width, mask.height);
    let covered = 0;
    for (let at = 3; at < data.length; at += 4) covered += data[at] > 0;
    return covered / (mask.width * mask.height);
}"""


def frame_of(where: str) -> str:
    return "canvas_frame_second" if where.endswith("-b") else "canvas_frame"


def mask_share(visitor: Visitor, where: str) -> float:
    """Of the picture, how much the mask on the canvas covers."""
    return visitor.page.evaluate(MASK, frame_of(where))


@pytest.mark.parametrize("where", ["mask-stability", "window-size", "semantic-similarity", "cross-image"])
def test_all_that_matters_is_on_one_screen(visitor, where):
    visitor.page.set_viewport_size({"width": 1440, "height": 900})
    visitor.open(where)
    masks = ".samkit-mask"
    for selector in (
        ".st-key-canvas_frame",
        masks,
        f".st-key-keep_{where} button",
        '[class*="st-key-tool_"] [role=radio]',
    ):
        seen = visitor.page.evaluate(IN_SIGHT, selector)
        assert seen and all(inside for inside, *_ in seen), (selector, seen)
    assert len(visitor.page.evaluate(IN_SIGHT, masks)) == (8 if where == "cross-image" else 4)
    if where != "cross-image":
        both = ".st-key-canvas_frame", ".st-key-main_view [data-testid='stBidiComponentIsolated']"
        canvas, main = (visitor.page.evaluate(IN_SIGHT, selector)[0] for selector in both)
        assert main[0] and main[1] == pytest.approx(canvas[1], abs=2), "the main picture has the canvas's scale"
        tops = [visitor.page.locator(selector).first.bounding_box()["y"] for selector in both]
        assert tops[0] == pytest.approx(tops[1], abs=1), "and their upper edges are level"
    assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("where", ["mask-stability", "cross-image", "semantic-similarity"])
def test_at_150_percent_the_title_and_what_can_be_done_are_one_line(visitor, where):
    visitor.page.set_viewport_size({"width": 960, "height": 600})
    visitor.open(where)
    title = visitor.page.locator(".st-key-title_row h1")
    assert title.evaluate("title => title.scrollWidth <= title.clientWidth"), "the whole title"
    line = title.bounding_box()
    middle, end = line["y"] + line["height"] / 2, line["x"] + line["width"]
    buttons = visitor.page.locator(":is(.st-key-title_row, .st-key-actions) button:visible")
    boxes = [button.bounding_box() for button in buttons.all()]
    assert len(boxes) >= 7
    for box in sorted(boxes, key=lambda each: each["x"]):
        assert box["y"] <= middle <= box["y"] + box["height"] and end <= box["x"] + 1, boxes
        end = box["x"] + box["width"]
    assert end <= 960
    assert visitor.page.locator(".st-key-canvas_frame").bounding_box()["y"] < 165


@pytest.mark.parametrize("size", [(1000, 800), (800, 900), (420, 900)])
def test_nothing_is_cut_off_in_a_narrow_window(visitor, size):
    visitor.page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
    visitor.open("mask-stability")
    for selector in (
        ".st-key-canvas_frame",
        ".samkit-mask",
        ".st-key-actions button",
        '[class*="st-key-tools_"] button',
    ):
        boxes = visitor.page.evaluate(
            "selector => [...document.querySelectorAll(selector)].filter(each => each.offsetParent)"
            ".map(each => each.getBoundingClientRect()).map(({ left, right, width }) => [left, right, width])",
            selector,
        )
        assert boxes and all(left >= 0 and right <= size[0] + 1 and width > 10 for left, right, width in boxes), (
            selector,
            boxes,
        )


@pytest.mark.parametrize("where", SOME_PAGES)
def test_a_mask_follows_the_pointer_and_nothing_changes_until_the_click(visitor, where):
    visitor.page.add_init_script(LISTEN)
    visitor.open(where.removesuffix("-b"))
    chips = visitor.chips(where)
    before = mask_share(visitor, where)
    visitor.page.wait_for_function(LIVE, arg=frame_of(where))
    visitor.page.mouse.move(*visitor._place(where, 0.1, 0.9))
    visitor.page.wait_for_function(
        "frame => painted.some(each => each.kind === 'hover' && each.frame === frame)", arg=frame_of(where)
    )
    assert visitor.chips(where) == chips
    visitor.page.mouse.move(5, 5)
    visitor.rest()
    assert mask_share(visitor, where) == pytest.approx(before, abs=0.002), "the page's own mask is seen again"

    visitor.click(where, 0.1, 0.9)
    painted = visitor.page.evaluate("painted.filter(each => each.kind === 'click').map(each => each.frame)")
    assert painted == [frame_of(where)]
    assert len(visitor.chips(where)) == (1 if where == "cross-image-b" else len(chips) + 1)


def test_a_click_paints_what_the_pointer_showed_and_a_map_follows_its_slider_without_the_server(visitor, home):
    visitor.page.add_init_script(LISTEN)
    visitor.open("mask-stability")
    visitor.page.wait_for_function(LIVE, arg="canvas_frame")
    # The first answer says how large the grid is; then the pointer is sent all masks.
    for place in ((0.1, 0.8), (0.1, 0.9)):
        visitor.page.evaluate("painted.length = 0")
        visitor.page.mouse.move(*visitor._place("mask-stability", *place))
        visitor.page.wait_for_function("painted.some(each => each.kind === 'hover')")
    shown = mask_share(visitor, "mask-stability")
    thresholds = visitor.page.locator(".st-key-knob_mask-stability_thresholds input").nth(1)
    thresholds.scroll_into_view_if_needed()
    with standing_still(home):
        visitor.press_canvas("mask-stability", 0.1, 0.9)
        visitor.page.wait_for_function("painted.some(each => each.kind === 'click')")
        assert mask_share(visitor, "mask-stability") == pytest.approx(shown, abs=0.02)
        map_before = visitor.page.evaluate(MAP)
        thresholds.press("ArrowRight")
        visitor.page.wait_for_function(f"before => ({MAP})() !== before", arg=map_before)
    visitor.rest()


def test_the_first_pointer_has_the_picture_encoded(visitor):
    """On a page without prompts nothing else needs an encoding, and one that was made may have made room."""
    visitor.page.add_init_script(LISTEN)
    visitor.open("semantic-similarity")
    visitor.clear("semantic-similarity")
    visitor.page.locator(".st-key-clear_cache button").click()
    visitor.rest()
    visitor.page.wait_for_function(LIVE, arg="canvas_frame")
    visitor.page.mouse.move(*visitor._place("semantic-similarity", 0.3, 0.4))
    visitor.page.wait_for_function("painted.some(each => each.kind === 'hover')")
    visitor.rest()
    assert visitor.chips("semantic-similarity") == []


def test_a_box_shows_its_mask_while_it_is_dragged(visitor):
    visitor.page.add_init_script(LISTEN)
    visitor.open("mask-stability")
    visitor.clear("mask-stability")
    visitor.pick_tool("mask-stability", "Box")
    visitor.page.wait_for_function(LIVE, arg="canvas_frame")
    visitor.page.mouse.move(*visitor._place("mask-stability", 0.25, 0.05))
    visitor.page.mouse.down()
    visitor.page.mouse.move(*visitor._place("mask-stability", 0.7, 0.6), steps=6)
    visitor.page.wait_for_function("painted.some(each => each.kind === 'hover' && each.at.length === 4)")
    assert visitor.chips("mask-stability") == []
    visitor.page.mouse.up()
    visitor.rest()
    assert len(visitor.listed("mask-stability").boxes) == 1


def test_a_mask_is_chosen_by_its_picture_and_drawn_as_one_likes(visitor):
    where = "mask-stability"
    visitor.open(where)
    shares = []
    for index in (0, 2):
        visitor.page.locator(f'.samkit-mask[data-mask-button="{where}_{index}"]').click()
        visitor.rest()
        assert visitor.page.locator(".samkit-mask.chosen").get_attribute("data-mask-button") == f"{where}_{index}"
        shares.append(mask_share(visitor, where))
    assert shares[0] != shares[1] and min(shares) > 0
    bar = visitor.page.get_by_role("toolbar", name="Zoom and mask")
    bar.get_by_role("button", name="Outline").click()
    assert 0 < mask_share(visitor, where) < shares[1] / 2
    bar.get_by_role("button", name="Off", exact=True).click()
    assert mask_share(visitor, where) == 0
    bar.get_by_role("button", name="Fill").click()
    assert mask_share(visitor, where) == pytest.approx(shares[1], abs=0.001)


def test_without_the_channel_all_works_and_a_line_says_so(visitor):
    visitor.page.route_web_socket("**/live/masks", lambda socket: socket.close(code=4400))
    visitor.open("mask-stability")
    visitor.page.get_by_text("live masks are off").wait_for()
    chips = visitor.chips("mask-stability")
    visitor.click("mask-stability", 0.1, 0.9)
    assert len(visitor.chips("mask-stability")) == len(chips) + 1
    assert mask_share(visitor, "mask-stability") > 0


def test_why_no_mask_follows_the_pointer_on_a_slow_machine_is_said(visitor):
    def ready(socket) -> None:
        socket.on_message(lambda _: socket.send('{"ready": true, "decode_ms": 183.4}'))

    visitor.page.route_web_socket("**/live/masks", ready)
    visitor.open("mask-stability")
    bar = visitor.page.get_by_role("toolbar", name="Zoom and mask")
    line, live = bar.get_by_text("slow: 183 ms"), bar.get_by_role("button", name="Live")
    line.wait_for()
    for place in (line, live):
        title = place.get_attribute("title")
        assert "183 ms with this model on this machine" in title and "press Live" in title and "smaller model" in title
    live.click()
    line.wait_for(state="detached")
    assert live.get_attribute("title") == "Masks follow the pointer (H)"


def test_a_picture_of_another_shape_moves_the_canvas_with_all_that_belongs_to_it(visitor, tmp_path):
    """A portrait's canvas stands in other columns: the one before is still there when it comes, and may leave last."""
    visitor.page.set_viewport_size({"width": 1440, "height": 900})
    visitor.open("mask-stability")
    portrait = tmp_path / "portrait.png"
    Image.fromarray(load_sample("chelsea").rgb[:, 120:240]).save(portrait)
    visitor.page.locator(".st-key-change_picture button").first.click()
    visitor.page.locator('[data-testid="stFileUploaderDropzoneInput"]').first.set_input_files(portrait)
    visitor.page.wait_for_function("samkitStages.get('canvas_frame')?.data?.size[0] === 120")
    visitor.page.wait_for_function(LIVE, arg="canvas_frame")
    visitor.rest()
    visitor.page.wait_for_function(f"({MASK})('canvas_frame') > 0")
    [(inside, width, height)] = visitor.page.evaluate(IN_SIGHT, ".st-key-canvas_frame")
    assert inside and width / height == pytest.approx(120 / 300, rel=0.02)
    labels = visitor.page.evaluate(IN_SIGHT, '[class*="st-key-mask_button_"] button')
    assert len(labels) == 4 and all(inside for inside, *_ in labels)
