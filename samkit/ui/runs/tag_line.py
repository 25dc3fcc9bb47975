"""A run's tags on one line, to be read and changed by a person: `key=value, another`, with quotes around what could be
taken for something else.
"""

import json
import re
from collections.abc import Mapping

from samkit.errors import BadInput
from samkit.tracking.store.tags import user_tags

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_TAG = re.compile(rf'\s*(?P<key>{_QUOTED}|[^",=][^,=]*)(?:=\s*(?P<value>{_QUOTED}|(?:[^",][^,]*)?))?\s*(?:,|$)')
_EMPTY = re.compile(r"[\s,]*")


def tag_line(tags: Mapping[str, str]) -> str:
    """The tags that a person wrote, as `read_tag_line` reads them."""
    return ", ".join(
        f"{_written(key, ',=')}={_written(value, ',')}" if value else _written(key, ",=")
        for key, value in sorted(user_tags(tags).items())
    )


def read_tag_line(text: str) -> dict[str, str]:
    """Tags of a line; a key alone has no value. BadInput for a line that can't be read."""
    tags, place = {}, _behind_empty(text, 0)
    while place < len(text):
        tag = _TAG.match(text, place)
        if tag is None:
            raise BadInput(
                f"The tags can't be read from {text[place : place + 40]!r} on: write key=value, another, with quotes "
                'around what holds a comma or a quote, such as figure="3, left".'
            )
        tags[_read(tag["key"])] = _read(tag["value"] or "")
        place = _behind_empty(text, tag.end())
    return tags


def _behind_empty(text: str, place: int) -> int:
    """The first place from there on that is neither blank nor comma."""
    empty = _EMPTY.match(text, place)
    return empty.end() if empty else place


def _written(part: str, special: str) -> str:
    plain = (
        part == part.strip()
        and part.isprintable()
        and '"' not in part
        and not any(letter in part for letter in special)
    )
    return part if plain else json.dumps(part, ensure_ascii=False)


def _read(part: str) -> str:
    part = part.strip()
    if not part.startswith('"'):
        return part
    try:
        return json.loads(part)
    except ValueError:
        raise BadInput(
            f"The tags can't be read: {part[:40]} is not a quoted text. Write \\\\ for a backslash and \\\" for "
            "a quote in it."
        ) from None
