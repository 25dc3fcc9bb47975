"""Brush strokes become a mask of the picture, whatever its size; what is no stroke is passed over."""

import numpy as np
import pytest

from samkit.ui.controls.brush_strokes import ERASE, PAINT, paint_strokes

EMPTY = np.zeros((200, 400), bool)
CANVAS = (100, 200)


def stroke(*path, color=PAINT, width=10):
    return {"type": "Path", "stroke": color, "strokeWidth": width, "path": [list(step) for step in path]}


def test_a_stroke_covers_its_width_in_the_pictures_own_pixels():
    drawing = {"objects": [stroke(("M", 50, 50), ("Q", 75, 50, 100, 50), ("L", 150, 50))]}
    mask, count = paint_strokes(drawing, CANVAS, EMPTY)
    assert count == 1
    column = np.flatnonzero(mask[:, 200])
    assert 18 <= len(column) <= 22 and abs(column.mean() - 99.5) <= 1
    row = np.flatnonzero(mask[100])
    assert abs(row[0] - 90) <= 3 and abs(row[-1] - 310) <= 3
    assert not EMPTY.any()


def test_erasing_takes_away_from_what_was_there_and_later_strokes_win():
    line = ("M", 20, 50), ("L", 180, 50)
    full = np.ones((200, 400), bool)
    erased, _ = paint_strokes({"objects": [stroke(*line, color=ERASE)]}, CANVAS, full)
    assert not erased[100, 200] and erased[20, 200]
    again, count = paint_strokes({"objects": [stroke(*line, color=ERASE), stroke(*line)]}, CANVAS, full)
    assert again.all() and count == 2


@pytest.mark.parametrize(
    "drawing",
    [
        None,
        {},
        {"objects": [{}]},
        {"objects": [stroke(("M", "a", 2))]},
        {"objects": [stroke(("Q", 1, 2, 3, 4))]},
        {"objects": [stroke(("M", float("nan"), 2))]},
        {"objects": [stroke(("M", 1, 2), width=1e9)]},
        {"objects": [stroke(("M", 1, 2), width="wide")]},
        {"objects": [{"path": 3, "stroke": PAINT, "strokeWidth": 3}]},
    ],
)
def test_what_is_no_stroke_changes_nothing(drawing):
    mask, count = paint_strokes(drawing, CANVAS, EMPTY)
    assert count == 0 and not mask.any()
