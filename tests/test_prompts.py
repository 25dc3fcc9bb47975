"""Prompts check themselves and survive every way of writing them down."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samkit.errors import BadInput, PromptError
from samkit.prompts import MAX_PROMPTS, Prompts

shares = st.floats(0, 1)
point_rows = st.tuples(shares, shares, st.sampled_from([0, 1]))
box_rows = st.tuples(shares, shares, shares, shares).filter(lambda box: box[0] != box[2] and box[1] != box[3])
some_prompts = st.builds(Prompts, st.lists(point_rows, max_size=8), st.lists(box_rows, max_size=8))


@given(some_prompts)
def test_json_round_trip(prompts):
    assert Prompts.from_json(prompts.to_json()) == prompts
    assert Prompts.from_json(prompts.to_json().encode()) == prompts
    assert Prompts.from_json(b"\xef\xbb\xbf" + prompts.to_json().encode()) == prompts, (
        "a byte order mark, as Windows editors write it"
    )


@given(some_prompts)
def test_desktop_round_trip(prompts):
    """Only the order between foreground and background points may change."""
    returned = Prompts.from_json(json.dumps(prompts.to_muggled_dict()))
    assert returned.boxes == prompts.boxes
    for label in (0, 1):
        assert [p for p in returned.points if p[2] == label] == [p for p in prompts.points if p[2] == label]
    assert returned.to_muggled_dict() == prompts.to_muggled_dict()


def test_desktop_layout():
    prompts = Prompts(points=[(0.1, 0.2, 0), (0.3, 0.4, 1)], boxes=[(0.1, 0.2, 0.5, 0.6)])
    assert prompts.to_muggled_dict() == {
        "boxes": [[[0.1, 0.2], [0.5, 0.6]]],
        "fg_points": [[0.3, 0.4]],
        "bg_points": [[0.1, 0.2]],
    }


@given(box_rows)
def test_box_corners_are_put_in_order(box):
    x1, y1, x2, y2 = Prompts(boxes=[box]).boxes[0]
    assert x1 < x2 and y1 < y2
    assert {x1, x2} == {box[0], box[2]} and {y1, y2} == {box[1], box[3]}


@given(some_prompts, st.floats(-2, 2), st.floats(-2, 2))
def test_shifted_stays_inside_and_keeps_box_sizes(prompts, dx, dy):
    moved = prompts.shifted(dx, dy)
    assert (len(moved.points), len(moved.boxes)) == (len(prompts.points), len(prompts.boxes))
    for before, after in zip(prompts.points, moved.points, strict=True):
        assert after == (min(max(before[0] + dx, 0), 1), min(max(before[1] + dy, 0), 1), before[2])
    for before, after in zip(prompts.boxes, moved.boxes, strict=True):
        assert after[2] - after[0] == pytest.approx(before[2] - before[0], abs=1e-12)
        assert after[3] - after[1] == pytest.approx(before[3] - before[1], abs=1e-12)


def test_shifted_by_nothing_is_the_same():
    prompts = Prompts(points=[(0.25, 0.5, 1)], boxes=[(0, 0, 1, 1)])
    assert prompts.shifted(0, 0) == prompts


@pytest.mark.parametrize("distance", [float("nan"), float("inf")])
def test_shift_must_be_finite(distance):
    with pytest.raises(PromptError, match="finite"):
        Prompts(points=[(0.5, 0.5, 1)]).shifted(distance, 0)


def test_stored_as_plain_tuples():
    prompts = Prompts(points=np.array([[0, 0.5, 1]], dtype=np.float32), boxes=[[0, 0, 1, np.float32(0.5)]])
    assert prompts == Prompts(points=((0.0, 0.5, 1),), boxes=((0.0, 0.0, 1.0, 0.5),))
    assert [type(v) for v in prompts.points[0]] == [float, float, int]
    assert {type(v) for v in prompts.boxes[0]} == {float}
    assert hash(prompts) == hash(Prompts(points=((0.0, 0.5, 1),), boxes=((0.0, 0.0, 1.0, 0.5),)))


def test_adding_and_removing():
    prompts = Prompts().with_point(0.1, 0.2, 1).with_point(0.3, 0.4, 0).with_box(0.9, 0.9, 0.5, 0.5)
    assert prompts == Prompts(points=((0.1, 0.2, 1), (0.3, 0.4, 0)), boxes=((0.5, 0.5, 0.9, 0.9),))
    assert prompts.count == 3 and not prompts.is_empty
    assert prompts.without_point(0).without_point(0).without_box(0) == Prompts()
    assert Prompts().is_empty


@pytest.mark.parametrize(
    "remove", [lambda p: p.without_point(1), lambda p: p.without_point(-1), lambda p: p.without_box(0)]
)
def test_removing_what_is_not_there(remove):
    with pytest.raises(PromptError, match="to remove: the list holds"):
        remove(Prompts(points=[(0.5, 0.5, 1)]))


REFUSED_ROWS = [
    ({"points": [(1.5, 0.5, 1)]}, "Point 1 lies outside the picture"),
    ({"points": [(0.5, 0.5, 1), (0.5, -0.01, 1)]}, "Point 2 lies outside the picture"),
    ({"points": [(10**400, 0.5, 1)]}, "far greater than 1"),
    ({"points": [(float("nan"), 0.5, 1)]}, "finite"),
    ({"points": [(0.5, float("inf"), 1)]}, "finite"),
    ({"points": [(0.5, 0.5, 2)]}, "label 2"),
    ({"points": [(0.5, 0.5, 0.5)]}, "label 0.5"),
    ({"points": [(0.5, 0.5, float("nan"))]}, "label nan"),
    ({"points": [(0.5, 0.5)]}, "Point 1 must be 3 numbers .* not 2 values"),
    ({"points": [0.5]}, "not a number"),
    ({"points": ["0.5"]}, "not a text"),
    ({"points": [("0.5", 0.5, 1)]}, "'0.5' is not a number"),
    ({"points": [(None, 0.5, 1)]}, "None is not a number"),
    ({"points": [(0.5 + 0j, 0.5, 1)]}, "is not a number"),
    ({"points": "0.5,0.5"}, "must be a list, not a text"),
    ({"points": None}, "must be a list, not null"),
    ({"points": {"x": 1}}, "must be a list, not an object"),
    ({"points": np.array(0.5)}, "must be a list"),
    ({"boxes": [(0.1, 0.1, 0.1, 0.5)]}, "Box 1 has no area"),
    ({"boxes": [(0.1, 0.5, 0.3, 0.5)]}, "Box 1 has no area"),
    ({"boxes": [(0.1, 0.1, 0.5)]}, "Box 1 must be 4 numbers"),
    ({"boxes": [(0.1, 0.1, 1.5, 0.5)]}, "Box 1 lies outside the picture"),
    ({"boxes": [(0.1, 0.1, float("nan"), 0.5)]}, "finite"),
    ({"points": [(0.5, 0.5, 1)] * (MAX_PROMPTS + 1)}, "too many"),
]


@pytest.mark.parametrize(("rows", "sentence"), REFUSED_ROWS)
def test_refused_rows(rows, sentence):
    with pytest.raises(PromptError, match=sentence) as caught:
        Prompts(**rows)
    assert isinstance(caught.value, BadInput)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


REFUSED_JSON = [
    ("", "not JSON"),
    ("{", "not JSON: .* line 1"),
    (b"\xff\xfe\x00", "UTF-8"),
    ("[" * 100_000, "too deep"),
    ('{"points": [[0.1, 0.1, 1]], "points": [[0.2, 0.2, 1]]}', "twice"),
    ('{"points": [[' + "1" * 5000 + ", 0, 1]]}", "too long"),
    ("[]", "not a list"),
    ("3", "not a number"),
    ('"points"', "not a text"),
    ("null", "not null"),
    ("{}", "holds no prompts"),
    ('{"name": "cat"}', "holds no prompts"),
    ('{"points": [], "masks": []}', "'masks' can't be used beside 'points'"),
    ('{"points": [], "fg_points": []}', "'points' can't be used beside 'fg_points'"),
    ('{"points": [[NaN, 0.5, 1]]}', "finite"),
    ('{"points": [[1e999, 0.5, 1]]}', "finite"),
    ('{"points": 5}', "'points' must be a list"),
    ('{"fg_points": [[0.5, 0.5, 1]]}', "'fg_points' must be 2 numbers"),
    ('{"fg_points": {"a": 1}}', "'fg_points' must be a list"),
    ('{"bg_points": [[0.5, 2]]}', "outside the picture"),
    ('{"boxes": [[[0.1, 0.2], [0.3]]]}', "Box 1 must be 4 numbers"),
    ('{"boxes": [[[0.1, 0.2], [0.1, 0.4]]]}', "no area"),
]


@pytest.mark.parametrize(("text", "sentence"), REFUSED_JSON, ids=lambda value: str(value)[:30])
def test_refused_json(text, sentence):
    with pytest.raises(PromptError, match=sentence):
        Prompts.from_json(text)


@pytest.mark.parametrize(
    "text", ['{"points": []}', '{"boxes": []}', '{"boxes": [], "fg_points": [], "bg_points": []}', '{"bg_points": []}']
)
def test_empty_lists_are_empty_prompts(text):
    assert Prompts.from_json(text) == Prompts()
