"""Names stay names inside Markdown."""

from samkit.ui.parts.markdown_text import plain_text


def test_marks_are_escaped_and_lines_joined():
    assert (
        plain_text("# a [b](http://c)\n:red[d] **e** $f$ <g>")
        == r"\# a \[b\]\(http\://c\) \:red\[d\] \*\*e\*\* \$f\$ \<g\>"
    )
    assert plain_text("coffee cup 7") == "coffee cup 7"
