"""Prompts: points and boxes on a picture, as a value that checks itself, with JSON in and out."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from samkit.errors import PromptError

BACKGROUND, FOREGROUND = 0, 1
MAX_PROMPTS = 256
"""Points and boxes together. Each is one or two tokens of the mask decoder; a longer list is a mistake, and would cost
every visitor memory.
"""

Point = tuple[float, float, int]
Box = tuple[float, float, float, float]

_OWN_KEYS = {"points", "boxes"}
_DESKTOP_KEYS = {"boxes", "fg_points", "bg_points"}


@dataclass(frozen=True, init=False)
class Prompts:
    """Points `(x, y, label)` and boxes `(x1, y1, x2, y2)`, as shares (0..1) of the ORIGINAL picture's width and height,
    origin at its top left.

    A label is 1 (foreground) or 0 (background). Any sequences of numbers are taken and stored as tuples of Python
    floats and ints; a box's corners are put in order, so that x1 < x2 and y1 < y2. Empty prompts are a value too: a
    model has an answer to no prompt.

    Raises PromptError for a coordinate outside 0..1 or not finite, another label, a box without area, a row of the
    wrong length, more than `MAX_PROMPTS` rows.
    """

    points: tuple[Point, ...] = ()
    boxes: tuple[Box, ...] = ()

    def __init__(self, points: Sequence[Sequence[float]] = (), boxes: Sequence[Sequence[float]] = ()) -> None:
        point_rows, box_rows = _rows(points, "points"), _rows(boxes, "boxes")
        count = len(point_rows) + len(box_rows)
        if count > MAX_PROMPTS:
            raise PromptError(f"{count} points and boxes are too many: at most {MAX_PROMPTS} can be used at once.")
        checked_points = tuple(_checked_point(row, f"Point {i}") for i, row in enumerate(point_rows, start=1))
        checked_boxes = tuple(_checked_box(row, f"Box {i}") for i, row in enumerate(box_rows, start=1))
        object.__setattr__(self, "points", checked_points)
        object.__setattr__(self, "boxes", checked_boxes)

    @property
    def count(self) -> int:
        """Number of points and boxes."""
        return len(self.points) + len(self.boxes)

    @property
    def is_empty(self) -> bool:
        return self.count == 0

    def with_point(self, x: float, y: float, label: int = FOREGROUND) -> "Prompts":
        return Prompts((*self.points, (x, y, label)), self.boxes)

    def with_box(self, x1: float, y1: float, x2: float, y2: float) -> "Prompts":
        return Prompts(self.points, (*self.boxes, (x1, y1, x2, y2)))

    def without_point(self, index: int) -> "Prompts":
        """All but the point at `index`, counted from 0."""
        return Prompts(_without(self.points, index, "point"), self.boxes)

    def without_box(self, index: int) -> "Prompts":
        """All but the box at `index`, counted from 0."""
        return Prompts(self.points, _without(self.boxes, index, "box"))

    def shifted(self, dx: float, dy: float) -> "Prompts":
        """All moved by shares of the picture's width and height. At the picture's edge a point stops, and a box stops
        whole, so that it keeps its size.
        """
        if not (math.isfinite(dx) and math.isfinite(dy)):
            raise PromptError(f"Prompts can be moved by finite distances only, not by {dx}, {dy}.")
        points = tuple((_clipped(x + dx), _clipped(y + dy), label) for x, y, label in self.points)
        boxes = []
        for x1, y1, x2, y2 in self.boxes:
            (x1, x2), (y1, y2) = _moved_span(x1, x2, dx), _moved_span(y1, y2, dy)
            boxes.append((x1, y1, x2, y2))
        return Prompts(points, tuple(boxes))

    def to_dict(self) -> dict[str, list]:
        """`{"points": [[x, y, label], ...], "boxes": [[x1, y1, x2, y2], ...]}`: plain lists and numbers."""
        return {"points": [list(point) for point in self.points], "boxes": [list(box) for box in self.boxes]}

    def to_json(self) -> str:
        return json.dumps(self.to_dict())

    def to_muggled_dict(self) -> dict[str, list]:
        """The layout of MuggledSAM's `*_prompts.json`: boxes as two corners, the two kinds of points apart (their order
        among each other is lost).
        """
        return {
            "boxes": [[[x1, y1], [x2, y2]] for x1, y1, x2, y2 in self.boxes],
            "fg_points": [[x, y] for x, y, label in self.points if label == FOREGROUND],
            "bg_points": [[x, y] for x, y, label in self.points if label == BACKGROUND],
        }

    @classmethod
    def from_dict(cls, obj: Any) -> "Prompts":
        """Reads what `to_dict` or `to_muggled_dict` wrote. A list that is left out is empty; other keys are refused, so
        that nothing is dropped in silence.
        """
        if not isinstance(obj, dict):
            raise PromptError(f"Prompts must be a JSON object with the lists 'points' and 'boxes', not {_kind(obj)}.")
        if not obj.keys() & (_OWN_KEYS | _DESKTOP_KEYS):
            raise PromptError(
                "This JSON object holds no prompts: it has none of the lists 'points', 'boxes', 'fg_points' and "
                "'bg_points'."
            )
        known = _DESKTOP_KEYS if obj.keys() & {"fg_points", "bg_points"} else _OWN_KEYS
        if unknown := sorted(str(key) for key in obj.keys() - known):
            raise PromptError(
                f"These prompts can't be read: {_listed(unknown)} can't be used beside "
                f"{_listed(sorted(known & obj.keys()))}."
            )

        boxes = tuple(_flat_box(row) for row in _rows(obj.get("boxes", ()), "boxes"))
        if known is _OWN_KEYS:
            return cls(_rows(obj.get("points", ()), "points"), boxes)
        points = []
        for key, label in (("fg_points", FOREGROUND), ("bg_points", BACKGROUND)):
            for i, row in enumerate(_rows(obj.get(key, ()), key), start=1):
                x, y = _numbers(row, 2, f"Point {i} of '{key}'", "x, y")
                points.append((x, y, label))
        return cls(tuple(points), boxes)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Prompts":
        """`from_dict` of a JSON text, or of the bytes of a UTF-8 file."""
        try:
            obj = json.loads(text.decode("utf-8-sig") if isinstance(text, bytes) else text, object_pairs_hook=_once)
        except json.JSONDecodeError as error:
            raise PromptError(f"This is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from error
        except UnicodeDecodeError as error:
            raise PromptError("This is not a JSON file: it isn't text in UTF-8.") from error
        except (ValueError, RecursionError) as error:
            raise PromptError(
                "This JSON can't hold prompts: it has a number too long or lists too deep to be read."
            ) from error
        return cls.from_dict(obj)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Of a key that is there twice, one value would be dropped in silence."""
    obj: dict[str, Any] = {}
    for key, value in pairs:
        if key in obj:
            raise PromptError(f"This JSON has {key!r:.40} twice in one object: leave one of them.")
        obj[key] = value
    return obj


def _checked_point(row: Any, name: str) -> Point:
    x, y, label = _numbers(row, 3, name, "x, y, label")
    _check_inside((x, y), name)
    if label not in (BACKGROUND, FOREGROUND):
        raise PromptError(f"{name} has the label {label:g}; a label is 1 for foreground or 0 for background.")
    return x, y, int(label)


def _checked_box(row: Any, name: str) -> Box:
    xa, ya, xb, yb = _numbers(row, 4, name, "x1, y1, x2, y2")
    _check_inside((xa, ya, xb, yb), name)
    if xa == xb or ya == yb:
        raise PromptError(
            f"{name} has no area: its corners are {xa:g}, {ya:g} and {xb:g}, {yb:g}. Draw it from one corner to "
            "the opposite one."
        )
    return min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb)


def _check_inside(values: Iterable[float], name: str) -> None:
    for value in values:
        if not math.isfinite(value):
            raise PromptError(f"{name} has the coordinate {value}; coordinates are finite numbers from 0 to 1.")
        if not 0 <= value <= 1:
            raise PromptError(
                f"{name} lies outside the picture: {value:g} is not between 0 and 1 (shares of the picture's width "
                "and height, not pixels)."
            )


def _numbers(row: Any, length: int, name: str, layout: str) -> tuple[float, ...]:
    """The row as floats. True and False count as 1 and 0, for a label may come as either."""
    values = tuple(row) if _is_list(row) else ()
    if len(values) != length:
        got = f"{len(values)} values" if _is_list(row) else _kind(row)
        raise PromptError(f"{name} must be {length} numbers ({layout}), not {got}.")
    for value in values:
        if not isinstance(value, Real):
            raise PromptError(f"{name} must be {length} numbers ({layout}); {value!r:.40} is not a number.")
    try:
        # Adding 0.0 turns -0.0 into 0.0, so that equal prompts are written alike.
        return tuple(float(value) + 0.0 for value in values)
    except OverflowError as error:
        raise PromptError(f"{name} lies outside the picture: it has a number far greater than 1.") from error


def _flat_box(row: Any) -> Any:
    """Two corners `[[x1, y1], [x2, y2]]` as `[x1, y1, x2, y2]`; anything else as it is, for `_checked_box` to judge."""
    if _is_list(row) and len(row) == 2 and all(_is_list(corner) and len(corner) == 2 for corner in row):
        return (*row[0], *row[1])
    return row


def _rows(value: Any, name: str) -> tuple:
    if not _is_list(value):
        raise PromptError(f"'{name}' must be a list, not {_kind(value)}.")
    return tuple(value)


def _is_list(value: Any) -> bool:
    """Lists, tuples and arrays with at least one axis, but not texts and mappings."""
    return isinstance(value, list | tuple) or getattr(value, "ndim", 0) >= 1


def _kind(value: Any) -> str:
    kinds = {
        str: "a text",
        bytes: "a text",
        dict: "an object",
        list: "a list",
        tuple: "a list",
        int: "a number",
        float: "a number",
        bool: "true or false",
        type(None): "null",
    }
    return kinds.get(type(value), f"a {type(value).__name__}")


def _listed(keys: list[str]) -> str:
    return " and ".join(f"'{key[:40]}'" for key in keys[:3]) + (" and more" if len(keys) > 3 else "")


def _without(rows: tuple, index: int, name: str) -> tuple:
    if not 0 <= index < len(rows):
        raise PromptError(f"There is no {name} {index + 1} to remove: the list holds {len(rows)}.")
    return rows[:index] + rows[index + 1 :]


def _clipped(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _moved_span(low: float, high: float, distance: float) -> tuple[float, float]:
    """The span moved and stopped at 0 and 1. A span so narrow (1e-17, say) that it would be a single point at its new
    place stays where it is.
    """
    distance = min(max(distance, -low), 1.0 - high)
    moved = _clipped(low + distance), _clipped(high + distance)
    return moved if moved[0] < moved[1] else (low, high)
