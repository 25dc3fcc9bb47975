"""Prompts to canvas shapes and back."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samkit.media.pictures import Picture
from samkit.prompts import Prompts
from samkit.ui.controls.canvas_shapes import background_jpeg, canvas_size, read_report, read_shape, to_drawing
from samkit.ui.state.sheets import Report, Sheet

SIZE = (620, 413)
SHEET = 1_234_567_890_123
share = st.floats(0, 1)
points = st.lists(st.tuples(share, share, st.sampled_from([0, 1])), max_size=8)
corner = st.floats(0, 0.45)
length = st.floats(0.05, 0.5)
boxes = st.lists(st.builds(lambda x, y, w, h: (x, y, x + w, y + h), corner, corner, length, length), max_size=4)


@given(points, boxes)
def test_a_drawing_of_prompts_reads_as_the_same_prompts(points, boxes):
    drawing = to_drawing(Sheet(SHEET, Prompts(points=points, boxes=boxes)), *SIZE)
    shapes = [read_shape(shape, *SIZE) for shape in drawing["objects"][:-1]]
    assert len(shapes) == len(boxes) + len(points)
    for shape, prompt in zip(shapes, [*boxes, *points], strict=True):
        np.testing.assert_allclose(shape, prompt, atol=1e-4)


@given(points, boxes)
def test_a_drawing_names_its_sheet_and_what_was_drawn_on_it(points, boxes):
    drawing = to_drawing(Sheet(SHEET, Prompts(points=points, boxes=boxes)), *SIZE)
    assert read_report(drawing, *SIZE) == Report(SHEET, ())
    by_hand = to_drawing(Sheet(1, Prompts(points=[(0.5, 0.25, 1)], boxes=[(0.1, 0.1, 0.5, 0.5)])), *SIZE)["objects"]
    report = read_report({"objects": [*drawing["objects"], *by_hand[:-1]]}, *SIZE)
    assert report.sheet == SHEET
    np.testing.assert_allclose(report.drawn[0], (0.1, 0.1, 0.5, 0.5), atol=1e-5)
    np.testing.assert_allclose(report.drawn[1], (0.5, 0.25, 1), atol=1e-5)


def test_a_drawing_that_names_no_sheet_is_no_report():
    assert read_report(None, *SIZE) is None and read_report({"objects": []}, *SIZE) is None
    assert read_report({"objects": [{"type": "Rect", "left": 10, "top": 10}]}, *SIZE) is None


def test_a_point_drawn_by_a_person_has_its_origin_at_its_left_edge():
    circle = {
        "type": "Circle",
        "left": 302.5,
        "top": 206.5,
        "originX": "left",
        "originY": "center",
        "radius": 6,
        "strokeWidth": 3,
        "stroke": "#d9372c",
    }
    assert read_shape(circle, *SIZE) == (0.5, 0.5, 0)


def test_a_box_drawn_backwards_and_over_the_edge_is_put_right_and_cut():
    box = {"type": "Rect", "left": 300, "top": 200, "width": -150, "height": 400, "scaleX": 2, "scaleY": 1}
    assert read_shape(box, *SIZE) == pytest.approx((0, 200 / 413, 300 / 620, 1), abs=1e-4)


@pytest.mark.parametrize(("width", "height"), [(2, 50), (3, 3), (6, 6)])
def test_the_box_of_a_click_is_no_prompt(width, height):
    assert read_shape({"type": "Rect", "left": 10, "top": 10, "width": width, "height": height}, *SIZE) is None


def test_a_shape_of_another_kind_is_no_prompt():
    assert read_shape({"type": "Path", "left": 10, "top": 10}, *SIZE) is None


@pytest.mark.parametrize(("shape", "size"), [((400, 600), (620, 413)), ((1000, 100), (46, 460)), ((1, 3000), (620, 1))])
def test_the_canvas_keeps_the_pictures_proportions(shape, size):
    picture = Picture(np.zeros((*shape, 3), np.uint8), "made up")
    assert canvas_size(picture, 620, 460) == size
    assert (
        cv2.imdecode(np.frombuffer(background_jpeg(picture, *size), np.uint8), cv2.IMREAD_COLOR).shape[:2] == size[::-1]
    )
