"""Prompts to canvas shapes and back."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samkit.media.pictures import Picture
from samkit.prompts import Prompts
from samkit.ui.controls.canvas_shapes import background_jpeg, canvas_size, from_drawing, same_on_canvas, to_drawing

SIZE = (620, 413)
share = st.floats(0, 1)
points = st.lists(st.tuples(share, share, st.sampled_from([0, 1])), max_size=8)
corner = st.floats(0, 0.45)
length = st.floats(0.05, 0.5)
boxes = st.lists(st.builds(lambda x, y, w, h: (x, y, x + w, y + h), corner, corner, length, length), max_size=4)


@given(points, boxes)
def test_a_drawing_of_prompts_reads_as_the_same_prompts(points, boxes):
    prompts = Prompts(points=points, boxes=boxes)
    assert same_on_canvas(from_drawing(to_drawing(prompts, *SIZE), *SIZE), prompts, *SIZE)


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
    assert from_drawing({"objects": [circle]}, *SIZE).points == ((0.5, 0.5, 0),)


def test_a_box_drawn_backwards_and_over_the_edge_is_put_right_and_cut():
    box = {"type": "Rect", "left": 300, "top": 200, "width": -150, "height": 400, "scaleX": 2, "scaleY": 1}
    (found,) = from_drawing({"objects": [box]}, *SIZE).boxes
    assert found == pytest.approx((0, 200 / 413, 300 / 620, 1), abs=1e-4)


def test_a_box_too_small_to_mean_anything_is_no_prompt():
    assert from_drawing(
        {"objects": [{"type": "Rect", "left": 10, "top": 10, "width": 2, "height": 50}]}, *SIZE
    ).is_empty
    assert from_drawing(None, *SIZE).is_empty


def test_prompts_differ_on_the_canvas_from_a_pixel_on():
    one, near, far = (Prompts(points=[(x, 0.5, 1)]) for x in (0.5, 0.501, 0.503))
    assert same_on_canvas(one, near, *SIZE) and not same_on_canvas(one, far, *SIZE)
    assert not same_on_canvas(one, Prompts(points=[(0.5, 0.5, 0)]), *SIZE)
    assert not same_on_canvas(one, Prompts(), *SIZE)


@pytest.mark.parametrize(("shape", "size"), [((400, 600), (620, 413)), ((1000, 100), (46, 460)), ((1, 3000), (620, 1))])
def test_the_canvas_keeps_the_pictures_proportions(shape, size):
    picture = Picture(np.zeros((*shape, 3), np.uint8), "made up")
    assert canvas_size(picture, 620, 460) == size
    assert (
        cv2.imdecode(np.frombuffer(background_jpeg(picture, *size), np.uint8), cv2.IMREAD_COLOR).shape[:2] == size[::-1]
    )
