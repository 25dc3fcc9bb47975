"""The keys are said once: each is free, and names a control."""

from collections import Counter

import pytest

from samkit.ui.controls.keys import SHORTCUTS, _row, with_key


def test_no_key_means_two_things():
    keys = Counter(key for shortcut in SHORTCUTS for key in shortcut.keys)
    assert max(keys.values()) == 1
    assert len({shortcut.name for shortcut in SHORTCUTS}) == len(SHORTCUTS)


def test_each_says_where_its_control_is():
    for shortcut in SHORTCUTS:
        own = shortcut.does in ("hover", "sheet")
        assert [bool(shortcut.where), bool(shortcut.knob)].count(True) == (0 if own else 1), shortcut
        assert shortcut.text and shortcut.shown and shortcut.group


def test_a_tooltip_names_its_key():
    assert with_key("Remove all prompts and the hint", "clear") == "Remove all prompts and the hint (C)"
    with pytest.raises(KeyError):
        with_key("Nothing", "nothing")


def test_arrows_move_the_page_s_own_sliders():
    rows = [_row(each, {"1": "block"}) for each in SHORTCUTS if each.does in ("lower", "higher")]
    assert [row and row["knob"] for row in rows] == ["block", "block", None, None]
