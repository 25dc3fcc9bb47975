"""What MLflow's pages show as a run's description: the note that a person wrote, and below it what samkit says of the
run. The app shows and changes the note alone.

MLflow's pages take a description for Markdown. A run may be a stranger's, so pictures and HTML in a note are kept from
being any: a browser would fetch them from wherever the note says.
"""

import re

MARK = "#### From samkit"
"""The line that parts them. A run that was kept without it has a note alone."""
MAX_DESCRIPTION = 7_500
"""Characters; MLflow takes 8,000."""
_WORD_JOINER = "\u2060"
"""Takes no room, and parts what is a picture or a tag only where it stands together."""
_ACTIVE = re.compile(rf"!(?=\[)|<(?=[A-Za-z/!?])|^#(?={MARK[1:]}$)", re.MULTILINE)
"""Also the line that would part the note itself."""
_JOINED = re.compile(f"(?<=[!<#]){_WORD_JOINER}")


def note_of(description: str) -> str:
    """The note in a description."""
    return parted(description)[0]


def parted(description: str) -> tuple[str, str]:
    """(the note, what samkit says)."""
    lines = description.split("\n")
    if MARK not in lines:
        return _JOINED.sub("", description), ""
    at = lines.index(MARK)
    return _JOINED.sub("", "\n".join(lines[:at]).rstrip("\n")), "\n".join(lines[at + 1 :]).strip("\n")


def inert(note: str) -> str:
    """The note as MLflow gets it."""
    return _ACTIVE.sub(rf"\g<0>{_WORD_JOINER}", note)


def described(note: str, about: str, room: int) -> str:
    """Both as one description of at most `room` characters; without `about`, and else without its end, where the note
    leaves too little room for it.
    """
    note = inert(note)[:room]
    if not about:
        return note
    head = f"{note}\n\n{MARK}\n\n" if note else f"{MARK}\n\n"
    if len(head) + len(about) > room:
        lines = about[: max(0, room - len(head))].split("\n")[:-1]
        about = "\n".join(lines)
    return head + about if about else note
