"""Names stay names inside Markdown."""

import pytest

from samkit.ui.parts.markdown_text import plain_lines, plain_text


def test_marks_are_escaped_and_lines_joined():
    assert (
        plain_text("# a [b](http://c)\n:red[d] **e** $f$ <g>")
        == "\\# a \\[b\\]\\(http:\u2060//c) \\:red\\[d\\] \\*\\*e\\*\\* \\$f\\$ \\<g>"
    )
    assert plain_text("coffee cup 7") == "coffee cup 7"


@pytest.mark.parametrize(
    "sentence", ["There is no file 'a.png' (2 px). Check it!", "sam_vit_b at 12:30, 3 % + 4 = 7 - 1", ""]
)
def test_sentences_stay_as_they_are(sentence):
    assert plain_text(sentence) == sentence


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("1. one", r"1\. one"),
        ("12345) x", r"12345\) x"),
        ("- x", r"\- x"),
        ("> x", r"\> x"),
        ("== x", r"\== x"),
        ("_x_ a_b", r"\_x\_ a_b"),
        ("~x~", r"\~x\~"),
        ("&lt;b&gt;", r"\&lt;b\&gt;"),
        (":material/home:", r"\:material/home:"),
        (r"\*", r"\\\*"),
        ("HTTPS://a.b", "HTTPS:\u2060//a.b"),
        ("www.a.b", "www\u2060.a.b"),
        ("me@a.b", "me@\u2060a.b"),
    ],
)
def test_each_kind_of_mark(text, plain):
    assert plain_text(text) == plain


def test_paragraphs_stay_apart():
    assert plain_lines("a *b*\n\n- c\nd") == "a \\*b\\*\n\n\\- c d"
