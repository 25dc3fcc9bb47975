"""The one place where text that is not ours is made plain: names of runs, pictures and films, and sentences that hold
such. Streamlit reads Markdown in labels, captions, help, toasts and messages: without this a name could show a picture
of another server or a link under other words.

Where text goes into HTML, `html.escape` does the same; JSON, code and tables show text as it is.
"""

import re

_MARKS = re.compile(
    r"[\\`*\[\]<~$]|(?<=\])\("  # wherever they stand
    r"|(?<![^\W_])_|_(?![^\W_])"  # at a word's edge
    r"|:(?=[A-Za-z_])|&(?=[#A-Za-z])"  # icons and colours; entities
    r"|^[#>+\-=|]"
)
_LIST = re.compile(r"^([0-9]{1,9})([.)])")
_LINK = re.compile(r"https?:(?=//)|www(?=\.)|(?<=\S)@(?=\w)", re.IGNORECASE)
"""What the start of an address is known by, which becomes a link without any mark."""
_WORD_JOINER = "\u2060"
"""Takes no room, and parts an address from what makes it one."""


def plain_text(text: str) -> str:
    """The text as it is, on one line, whatever Streamlit's Markdown would make of it: no address in it is a link."""
    parted = _LINK.sub(rf"\g<0>{_WORD_JOINER}", " ".join(text.split()))
    return _LIST.sub(r"\1\\\2", _MARKS.sub(r"\\\g<0>", parted))


def plain_lines(text: str) -> str:
    """The same for text of several paragraphs, which stay apart."""
    return "\n\n".join(plain_text(part) for part in text.split("\n\n"))
