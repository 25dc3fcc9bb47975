"""Whatever can be pressed or filled in has a name for those who can't see it; an icon that is seen alone has a tooltip
too, for those who can.
"""

import re
from typing import Any

import pytest
from playwright.sync_api import Page

from samkit.experiments.registry import ENTRIES
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.browser

FIRST = "mask-stability"
FULLEST = ("mask_stability", "video_priors")
ROLES = {
    *("button", "link", "textbox", "searchbox", "combobox", "listbox", "option", "menuitem", "tab", "switch"),
    *("checkbox", "radio", "radiogroup", "slider", "spinbutton", "application", "dialog"),
}
SYMBOL = re.compile(r"\w+ icon")
"""What Streamlit calls a button that has no label: "delete_sweep icon" says what is seen, not what it does."""
KNOWN = "^(Open|Close|Clear all|Remove .*|Dismiss|(Collapse|Expand) sidebar|Choose date|.* color picker)$"
"""Parts of Streamlit's own fields: an arrow, a cross, a calendar, a patch of colour."""
ICONS_ALONE = """known => {
    const found = [], seen = element => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    const shown = node => {
        const parent = node.parentElement;
        if (!node.data.trim() || parent.closest('[data-testid="stIconMaterial"], style, script')) return false;
        const box = parent.closest('[data-testid="stMarkdownContainer"]') ?? parent;
        return seen(parent) && box.getBoundingClientRect().width > 2;
    };
    const speaks = element => {
        const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) if (shown(walker.currentNode)) return true;
        return false;
    };
    const look = root => {
        for (const element of root.querySelectorAll('*')) {
            if (element.shadowRoot) look(element.shadowRoot);
            if (!element.matches('button, a[href], [role=button], [role=radio]') || !seen(element)) continue;
            if (element.getBoundingClientRect().width <= 2) continue;
            if (element.querySelector('img, canvas') || speaks(element)) continue;
            // Where a script gives a tooltip, it does so when the pointer comes.
            element.dispatchEvent(new PointerEvent('pointerover', { bubbles: true, composed: true }));
            const tip = element.closest('[title], [data-testid="stTooltipHoverTarget"]');
            if (!tip && !element.ariaLabel?.match(known)) found.push(element.outerHTML.slice(0, 240));
        }
    };
    look(document);
    return found;
}"""


def nameless(page: Page) -> set[str]:
    """What the browser tells a screen reader of without a name, and icons without a tooltip."""
    tree = page.context.new_cdp_session(page)
    found = {f"no tooltip: {each}" for each in page.evaluate(ICONS_ALONE, KNOWN)}
    for node in tree.send("Accessibility.getFullAXTree")["nodes"]:
        role, name = node.get("role", {}).get("value"), node.get("name", {}).get("value", "")
        if node.get("ignored") or role not in ROLES or (name.strip() and not SYMBOL.fullmatch(name.strip())):
            continue
        html = tree.send("DOM.getOuterHTML", {"backendNodeId": node["backendDOMNodeId"]})["outerHTML"]
        found.add(f"no name: {role}, {html[:240]}")
    tree.detach()
    return found


def visit(visitor: Visitor, address: str) -> set[str]:
    """What is nameless on a page, behind its popovers one by one, and on its tabs."""
    visitor.unanswered = True
    visitor.page.goto(f"{visitor.app_url}/{address}")
    visitor.rest()
    found = nameless(visitor.page)
    for tab in visitor.page.get_by_role("tab").all():
        tab.click()
        found |= nameless(visitor.page)
    for opener in visitor.page.locator('[data-testid="stPopoverButton"]:visible').all():
        opener.click()
        visitor.rest()
        found |= nameless(visitor.page)
        opener.click()
        visitor.rest()
    return found


def pages() -> list[Any]:
    """The two that have most of what the others have; those others in the slow tier."""
    addresses = ["", *(entry.module_name for entry in ENTRIES), "runs", "sweeps"]
    return [each if each in FULLEST else pytest.param(each, marks=pytest.mark.slow) for each in addresses]


@pytest.mark.parametrize("address", pages())
def test_on_every_page(visitor, address):
    assert sorted(visit(visitor, address)) == []


def test_in_the_dialogs(visitor):
    visitor.open(FIRST)
    for opener in (".st-key-change_picture", ".st-key-open_sweep", ".st-key-change_model"):
        visitor.page.locator(f"{opener} button:visible").first.click()
        visitor.page.get_by_role("dialog").wait_for()
        visitor.rest()
        assert sorted(nameless(visitor.page)) == [], opener
        visitor.page.keyboard.press("Escape")
        visitor.rest()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_on_the_pages_of_what_is_kept(visitor):
    visitor.open(FIRST)
    runs = [visitor.keep(FIRST)]
    visitor.click(FIRST, 0.2, 0.8)
    runs.append(visitor.keep(FIRST))
    visitor.press("open_sweep")
    dialog = visitor.page.get_by_role("dialog")
    dialog.locator(f".st-key-sweep_knobs_{FIRST} input").fill("Mask")
    visitor.page.get_by_role("option", name="Mask", exact=True).click()
    values = dialog.locator(f".st-key-sweep_values_{FIRST}_mask_index input")
    values.fill("0 to 1")
    values.press("Enter")
    dialog.get_by_text("2 cells", exact=True).wait_for()
    dialog.locator(".st-key-start_sweep button").click()
    visitor.page.wait_for_url(re.compile(r"/sweep\?"))
    visitor.page.get_by_text("Done: 2 cells").wait_for(timeout=90_000)
    visitor.rest()
    sweep = visitor.page.url.rpartition("/")[2]
    addresses = ["runs", f"kept_run?id={runs[0]}", f"compare?runs={','.join(runs)}", "sweeps", sweep]
    found = {address: sorted(visit(visitor, address)) for address in addresses}
    assert not any(found.values()), found
