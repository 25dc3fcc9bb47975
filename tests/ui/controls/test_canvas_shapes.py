"""Prompts to canvas shapes and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samkit.media.pictures import Picture
from samkit.prompts import Prompts
from samkit.ui.controls.canvas_shapes import canvas_size, read_report, read_shape, to_drawing
from samkit.ui.state.sheets import Sheet

SIZE = (620, 413)
share = st.floats(0, 1)
points = st.lists(st.tuples(share, share, st.sampled_from([0, 1])), max_size=8)
corner = st.floats(0, 0.45)
length = st.floats(0.05, 0.5)
boxes = st.lists(st.builds(lambda x, y, w, h: (x, y, x + w, y + h), corner, corner, length, length), max_size=4)


def drawn_by_hand(shape: dict) -> dict:
    return {"type": "Circle", "radius": 6, "strokeWidth": 3, "originX": "left", "originY": "center"} | shape


@given(points, boxes)
def test_a_drawing_of_prompts_reads_as_the_same_prompts(points, boxes):
    drawing = to_drawing(Sheet(1, Prompts(points=points, boxes=boxes)), *SIZE)
    *shapes, _ = (read_shape(shape, *SIZE) for shape in drawing["objects"])
    read_points = [shape for shape in shapes if len(shape) == 3]
    assert [point[2] for point in read_points] == [point[2] for point in points]
    np.testing.assert_allclose(
        np.array([point[:2] for point in read_points]).reshape(-1, 2),
        np.array([point[:2] for point in points]).reshape(-1, 2),
        atol=1 / max(SIZE),
    )
    np.testing.assert_allclose(
        np.array([shape for shape in shapes if len(shape) == 4]).reshape(-1, 4),
        np.array(boxes).reshape(-1, 4),
        atol=1 / max(SIZE),
    )


@given(st.integers(0, 2**45), points, boxes)
def test_a_drawing_names_its_sheet_and_what_comes_after_it_was_drawn(number, points, boxes):
    drawing = to_drawing(Sheet(number, Prompts(points=points, boxes=boxes)), *SIZE)
    report = read_report(drawing, *SIZE)
    assert report.sheet == number and report.drawn == ()
    drawing["objects"].append(drawn_by_hand({"left": 302.5, "top": 206.5, "stroke": "#1aa260"}))
    drawing["objects"].append({"type": "Rect", "left": 5, "top": 5, "width": 3, "height": 3})
    assert read_report(drawing, *SIZE).drawn == ((0.5, 0.5, 1), None)


def test_a_drawing_that_names_no_sheet_is_no_report():
    assert read_report(None, *SIZE) is None and read_report({"objects": []}, *SIZE) is None
    circle = drawn_by_hand({"left": 302.5, "top": 206.5, "stroke": "#1aa260", "visible": True})
    assert read_report({"objects": [circle]}, *SIZE) is None


def test_a_point_drawn_by_a_person_has_its_origin_at_its_left_edge():
    circle = drawn_by_hand({"left": 302.5, "top": 206.5, "stroke": "#d9372c"})
    assert read_shape(circle, *SIZE) == (0.5, 0.5, 0)


def test_a_box_drawn_backwards_and_over_the_edge_is_put_right_and_cut():
    box = {"type": "Rect", "left": 300, "top": 200, "width": -150, "height": 400, "scaleX": 2, "scaleY": 1}
    assert read_shape(box, *SIZE) == pytest.approx((0, 200 / 413, 300 / 620, 1), abs=1e-4)


@pytest.mark.parametrize(("width", "height"), [(2, 50), (3, 3), (6, 6), (7, 7)])
def test_a_box_too_small_to_mean_anything_is_no_prompt(width, height):
    assert read_shape({"type": "Rect", "left": 10, "top": 10, "width": width, "height": height}, *SIZE) is None


@pytest.mark.parametrize(("width", "height"), [(9, 6), (6, 9), (200, 6)])
def test_a_narrow_box_is_a_prompt(width, height):
    box = read_shape({"type": "Rect", "left": 10, "top": 10, "width": width, "height": height}, *SIZE)
    x1, y1, x2, y2 = box
    assert ((x2 - x1) * SIZE[0], (y2 - y1) * SIZE[1]) == pytest.approx((width, height), abs=0.01)


def test_another_kind_of_shape_is_no_prompt():
    assert read_shape({"type": "Path", "left": 10, "top": 10, "width": 50, "height": 50}, *SIZE) is None


@pytest.mark.parametrize(("shape", "size"), [((400, 600), (620, 413)), ((1000, 100), (46, 460)), ((1, 3000), (620, 1))])
def test_the_canvas_keeps_the_pictures_proportions(shape, size):
    picture = Picture(np.zeros((*shape, 3), np.uint8), "made up")
    assert canvas_size(picture, 620, 460) == size
