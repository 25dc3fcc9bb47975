"""The keys are said once: each is free, and names a control."""

import re
from collections import Counter
from pathlib import Path

import pytest

from samkit.ui.controls import keys as module
from samkit.ui.controls.keys import CANVAS_KEYS, SHORTCUTS, _row, with_key

SCRIPTS = Path(module.__file__).parents[1] / "parts"
KEY_NAMES = re.compile(
    r'"(?:Enter|Escape|Delete|Backspace|Tab|Home|End|PageUp|PageDown| )"|\bArrow(?:Left|Right|Up|Down)|\bEnter(?=:)',
    re.IGNORECASE,
)
"""As a script has them, beside letters, which all come from Python."""


@pytest.mark.parametrize("on_canvas", [True, False])
def test_no_key_means_two_things(on_canvas):
    """The canvas has its keys where it is in hand, the page everywhere else."""
    keys = Counter(key for each in SHORTCUTS if (each.does == "canvas") == on_canvas for key in each.keys)
    assert max(keys.values()) == 1
    assert len({shortcut.name for shortcut in SHORTCUTS}) == len(SHORTCUTS)


def test_the_sheet_has_every_key_that_a_script_knows_by_its_name():
    said = {key for shortcut in SHORTCUTS for key in shortcut.keys}
    for script in SCRIPTS.glob("*.js"):
        known = {name.strip('"').lower() for name in KEY_NAMES.findall(script.read_text())}
        assert known <= said, (script.name, known - said)


def test_the_canvas_does_what_the_sheet_says():
    script = (SCRIPTS / "prompt_canvas.js").read_text()
    for name in set(CANVAS_KEYS.values()):
        assert f'"{name}"' in script, name


def test_each_says_where_its_control_is():
    for shortcut in SHORTCUTS:
        own = shortcut.does in ("hover", "sheet")
        assert shortcut.keys or shortcut.does == "hand"
        assert [bool(shortcut.where), bool(shortcut.knob)].count(True) == (0 if own else 1), shortcut
        assert shortcut.text and shortcut.shown and shortcut.group


def test_a_tooltip_names_its_key():
    assert with_key("Remove all prompts and the hint", "clear") == "Remove all prompts and the hint (C)"
    with pytest.raises(KeyError):
        with_key("Nothing", "nothing")


def test_arrows_move_the_page_s_own_sliders():
    rows = [_row(each, {"1": "block"}) for each in SHORTCUTS if each.does in ("lower", "higher")]
    assert [row and row["knob"] for row in rows] == ["block", "block", None, None]
