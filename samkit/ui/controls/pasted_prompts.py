"""Prompts from the clipboard: JSON, or coordinates as people write them down. Pure text in, values out."""

import json
import re
from dataclasses import dataclass
from typing import Any

from samkit.errors import PromptError
from samkit.prompts import FOREGROUND, Prompts

MAX_CHARACTERS = 100_000
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
BETWEEN = re.compile(r"[\s,;:()\[\]{}|]*")
"""What may stand between the numbers of a row."""
NO_PROMPTS = (
    "The clipboard holds no prompts: copy prompts as JSON, or coordinates in pixels, one prompt a line: x, y for a "
    "point, x1, y1, x2, y2 for a box."
)


@dataclass(frozen=True)
class Pasted:
    """Prompts as shares of the picture. replaces: whether they are a whole list, and not some more; sentence: what was
    taken, for a person.
    """

    prompts: Prompts
    replaces: bool
    sentence: str


def read_pasted(text: str, size: tuple[int, int]) -> Pasted:
    """Prompts on a picture of `size` (height, width) in pixels. JSON as `Prompts.from_json` reads it is a whole list; a
    row of two numbers is a foreground point, of three a point with its label, of four a box.

    Rows are in pixels, origin at the picture's top left; where all lie between 0 and 1 and one has a point in it they
    are shares. Raises PromptError with what to do.
    """
    text = text.strip()
    if len(text) > MAX_CHARACTERS:
        raise PromptError(f"The clipboard holds more than {MAX_CHARACTERS} characters: copy the prompts alone.")
    if text.startswith("{"):
        prompts = Prompts.from_json(text)
        return Pasted(prompts, True, f"Pasted {counted(prompts)} in place of those that were there.")
    rows = _rows(text)
    coordinates = [value for row in rows for value in (row[:2] if len(row) == 3 else row)]
    shares = "." in text and all(0 <= value <= 1 for value in coordinates)
    height, width = (1, 1) if shares else size
    points, boxes = [], []
    for row in rows:
        _check_inside(row, height, width)
        x, y = row[0] / width, row[1] / height
        if len(row) == 4:
            boxes.append((x, y, row[2] / width, row[3] / height))
        else:
            points.append((x, y, row[2] if len(row) == 3 else FOREGROUND))
    prompts = Prompts(points, boxes)
    unit = "shares of the picture" if shares else "pixels"
    return Pasted(prompts, False, f"Pasted {counted(prompts)}, in {unit}.")


def counted(prompts: Prompts) -> str:
    """How many points and boxes, in words."""
    kinds = ((len(prompts.points), "point", "points"), (len(prompts.boxes), "box", "boxes"))
    parts = [f"{count} {one if count == 1 else several}" for count, one, several in kinds if count]
    return " and ".join(parts) or "an empty list"


def _rows(text: str) -> list[list[float]]:
    if text.startswith("["):
        try:
            return _json_rows(json.loads(text))
        except (ValueError, RecursionError):
            pass  # rows may be written in brackets one by one
    rows = []
    for line in re.split(r"[\n\r;]+", text):
        if not BETWEEN.fullmatch(line):
            rows.append(_row(line))
    if not rows:
        raise PromptError(NO_PROMPTS)
    return rows


def _row(line: str) -> list[float]:
    rest = NUMBER.sub("", line)
    if not BETWEEN.fullmatch(rest):
        raise PromptError(NO_PROMPTS)
    return _checked([float(number) for number in NUMBER.findall(line)])


def _json_rows(value: Any) -> list[list[float]]:
    if value and all(isinstance(each, int | float) and not isinstance(each, bool) for each in value):
        value = [value]
    rows = []
    for row in value:
        numbers = isinstance(row, list) and all(isinstance(e, int | float) and not isinstance(e, bool) for e in row)
        if not numbers:
            raise PromptError(NO_PROMPTS)
        rows.append(_checked([float(each) for each in row]))
    if not rows:
        raise PromptError(NO_PROMPTS)
    return rows


def _checked(row: list[float]) -> list[float]:
    if not 2 <= len(row) <= 4:
        raise PromptError(
            f"A pasted line has {len(row)} number{'s' if len(row) != 1 else ''}; a point has 2 (x, y) or 3 with its "
            "label, a box 4 (x1, y1, x2, y2)."
        )
    return row


def _check_inside(row: list[float], height: int, width: int) -> None:
    xs, ys = (row[0], row[2]) if len(row) == 4 else (row[0],), (row[1], row[3]) if len(row) == 4 else (row[1],)
    if all(0 <= x <= width for x in xs) and all(0 <= y <= height for y in ys):
        return
    place = ", ".join(f"{value:g}" for value in row)
    raise PromptError(
        f"{place} lies outside the picture, which is {width} × {height} pixels: copy coordinates of this picture."
    )
