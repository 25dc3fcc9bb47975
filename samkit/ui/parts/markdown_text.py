"""Names that people gave, inside Markdown."""

_MARKS = "\\`*_{}[]()#+-.!|~:$<>&="


def plain_text(text: str) -> str:
    """The text as it is, on one line, whatever Streamlit's Markdown would make of it."""
    return "".join(f"\\{letter}" if letter in _MARKS else letter for letter in " ".join(text.split()))
