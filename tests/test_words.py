"""Small words for people."""

import pytest

from samkit.words import format_bytes, listed, nearest, share_text, time_text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (9949, "9.9 kB"), (375042383, "375 MB"), (10**13, "10 TB")],
)
def test_sizes(count, text):
    assert format_bytes(count) == text


@pytest.mark.parametrize(("words", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), ("abc", "a, b and c")])
def test_lists(words, text):
    assert listed(words) == text


def test_near_names_or_all_of_them():
    known = ("coffee", "chelsea", "coins", "coin")
    assert nearest("chelsee", known) == "did you mean chelsea?"
    assert nearest("coin", known[:3]) == "did you mean coins?"
    assert nearest("cions", known) == "did you mean coins or coin?"
    assert nearest("zzz", known) == "there are coffee, chelsea, coins, coin."


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (89, "89 s"), (91, "2 min"), (1223, "20 min"), (3599, "1 h 0 min"), (7500, "2 h 5 min")],
)
def test_a_while_is_said_as_exactly_as_one_needs_it(seconds, text):
    assert time_text(seconds) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (0.051, "5.1 %"),
        (1.0, "100.0 %"),
        (0.0024, "0.24 %"),
        (0.000153, "0.015 %"),
        (1e-7, "under 0.001 %"),
    ],
)
def test_a_small_share_can_be_told_from_none(share, text):
    assert share_text(share) == text
