"""What MLflow's pages show as a run's description: the note that a person wrote, and below it what samkit says of the
run. The app shows and changes the note alone.
"""

MARK = "#### From samkit"
"""The line that parts them. A run that was kept without it has a note alone."""


def note_of(description: str) -> str:
    """The note in a description."""
    return parted(description)[0]


def parted(description: str) -> tuple[str, str]:
    """(the note, what samkit says)."""
    lines = description.split("\n")
    if MARK not in lines:
        return description, ""
    at = lines.index(MARK)
    return "\n".join(lines[:at]).rstrip("\n"), "\n".join(lines[at + 1 :]).strip("\n")


def described(note: str, about: str, room: int) -> str:
    """Both as one description of at most `room` characters; without `about`, and else without its end, where the note
    leaves too little room for it. note: at most `room` characters
    """
    if not about:
        return note
    head = f"{note}\n\n{MARK}\n\n" if note else f"{MARK}\n\n"
    if len(head) + len(about) > room:
        lines = about[: max(0, room - len(head))].split("\n")[:-1]
        about = "\n".join(lines)
    return head + about if about else note
