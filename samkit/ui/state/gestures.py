"""What a visitor does to prompts by hand beside drawing: moving and removing them, placing them in ways that the canvas
does not know, undoing. Pure: no Streamlit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from samkit.errors import SamkitError
from samkit.prompts import MAX_PROMPTS, Box, Point, Prompts

SAME_SHARE = 2e-4
"""How far a prompt may lie from where the browser has it: shares of the picture, rounded on both sides."""

Shape = Point | Box
Edit = Literal["undo", "redo", "clear"]
"""Of the whole list."""


@dataclass(frozen=True)
class Gesture:
    """number: rising; before: the prompt that is taken away, after: the one that comes in its place: both, or one; or
    edit: what is done to the list
    """

    number: int
    before: Shape | None = None
    after: Shape | None = None
    edit: Edit | None = None

    def applied(self, prompts: Prompts) -> Prompts:
        """The list after it; the same one where the prompt to take away is not there any more, and where an edit needs
        to know what was before.
        """
        if self.edit is not None:
            return prompts
        if self.before is not None:
            found = find(prompts, self.before)
            if found is None:
                return prompts
            if self.after is None:
                return _without(prompts, found)
            return _replaced(prompts, found, self.after)
        if self.after is None or prompts.count >= MAX_PROMPTS:
            return prompts
        return prompts.with_point(*self.after) if len(self.after) == 3 else prompts.with_box(*self.after)


def read_gestures(sent: Any) -> list[Gesture]:
    """Of what the browser sent, in the order of their numbers; what is no gesture is left out."""
    rows = sent.get("ops", []) if isinstance(sent, dict) else []
    gestures = [gesture for row in rows if isinstance(row, dict) and (gesture := _read(row)) is not None]
    return sorted(gestures, key=lambda gesture: gesture.number)


def find(prompts: Prompts, shape: Shape) -> Shape | None:
    """The prompt of the list that the browser means."""
    every: list[Shape] = [*prompts.points, *prompts.boxes]
    same = (prompt for prompt in every if len(prompt) == len(shape))
    return next(
        (prompt for prompt in same if all(abs(a - b) <= SAME_SHARE for a, b in zip(prompt, shape, strict=True))), None
    )


def _read(row: dict[str, Any]) -> Gesture | None:
    try:
        edit = row.get("op")
        if edit in get_args(Edit):
            return Gesture(int(row["id"]), edit=edit)
        return Gesture(int(row["id"]), _shape(row.get("from")), _shape(row.get("to")))
    except (KeyError, TypeError, ValueError, SamkitError):
        return None


def _shape(values: Sequence[float] | None) -> Shape | None:
    if values is None:
        return None
    numbers = [float(value) for value in values]
    if len(numbers) == 3:
        return Prompts(points=[(round(numbers[0], 5), round(numbers[1], 5), int(numbers[2]))]).points[0]
    x1, y1, x2, y2 = (round(number, 5) for number in numbers)
    return Prompts(boxes=[(x1, y1, x2, y2)]).boxes[0]


def _without(prompts: Prompts, shape: Shape) -> Prompts:
    if len(shape) == 3:
        return prompts.without_point(prompts.points.index(shape))
    return prompts.without_box(prompts.boxes.index(shape))


def _replaced(prompts: Prompts, before: Shape, after: Shape) -> Prompts:
    """In the same place of the list."""
    if len(before) != len(after):
        return prompts
    points = [after if point == before else point for point in prompts.points]
    boxes = [after if box == before else box for box in prompts.boxes]
    return Prompts(points, boxes)
