"""What is done to prompts by hand beside drawing: moved, removed, placed."""

import pytest

from samkit.prompts import MAX_PROMPTS, Prompts
from samkit.ui.state.gestures import Gesture, read_gestures
from samkit.ui.state.workspace import Workspace

TWO = Prompts(points=[(0.2, 0.3, 1), (0.6, 0.7, 0)], boxes=[(0.1, 0.1, 0.5, 0.5)])


def test_a_moved_prompt_keeps_its_place_in_the_list():
    moved = Gesture(1, before=(0.2, 0.3, 1), after=(0.25, 0.35, 1)).applied(TWO)
    assert moved.points == ((0.25, 0.35, 1), (0.6, 0.7, 0)) and moved.boxes == TWO.boxes
    resized = Gesture(2, before=(0.1, 0.1, 0.5, 0.5), after=(0.1, 0.1, 0.7, 0.6)).applied(TWO)
    assert resized.boxes == ((0.1, 0.1, 0.7, 0.6),) and resized.points == TWO.points


def test_a_prompt_is_found_however_the_browser_rounds_it():
    assert Gesture(1, before=(0.20008, 0.29993, 1)).applied(TWO).points == ((0.6, 0.7, 0),)
    assert Gesture(1, before=(0.2008, 0.3, 1)).applied(TWO) == TWO
    assert Gesture(1, before=(0.2, 0.3, 0)).applied(TWO) == TWO, "another label is another prompt"


def test_a_full_list_takes_no_more():
    full = Prompts(points=[(i / 1000, 0.5, 1) for i in range(MAX_PROMPTS)])
    assert Gesture(1, after=(0.9, 0.9, 1)).applied(full) == full


def test_gestures_are_taken_once_and_in_order_however_often_they_are_sent():
    work = Workspace(prompts=Prompts())
    first, second = Gesture(5, after=(0.2, 0.2, 1)), Gesture(6, before=(0.2, 0.2, 1), after=(0.3, 0.3, 1))
    work.take_gestures([first])
    work.take_gestures([first, second])
    work.take_gestures([second])
    assert work.prompts.points == ((0.3, 0.3, 1),)
    work.undo()
    assert work.prompts.points == ((0.2, 0.2, 1),)
    work.undo()
    assert work.prompts.is_empty


def test_each_press_of_undo_counts_however_many_come_at_once():
    work = Workspace(prompts=Prompts())
    for x in (0.2, 0.3, 0.4):
        work.edit(work.prompts.with_point(x, 0.5, 1))
    rows = [{"id": number, "op": op} for number, op in enumerate(("undo", "undo", "undo", "redo", "redo"), start=1)]
    work.take_gestures(read_gestures({"ops": rows}))
    assert work.prompts.points == ((0.2, 0.5, 1), (0.3, 0.5, 1)) and work.edits == 5
    work.take_gestures(read_gestures({"ops": [{"id": 6, "op": "clear"}]}))
    assert work.prompts.is_empty
    work.undo()
    assert len(work.prompts.points) == 2


@pytest.mark.parametrize(
    "sent",
    [
        None,
        [],
        {"ops": [None, 3, {}, {"id": "x"}, {"id": 1, "to": [0.5]}, {"id": 2, "to": [0.5, 0.5, 7]}]},
        {"ops": [{"id": 3, "to": [2, 0.5, 1]}, {"id": 4, "to": [0.1, 0.1, 0.1, 0.1]}, {"id": 5, "to": ["a", 1, 1]}]},
    ],
)
def test_what_is_no_gesture_is_left_out(sent):
    assert read_gestures(sent) == []


def test_gestures_come_in_the_order_of_their_numbers():
    rows = [{"id": 9, "from": [0.1, 0.2, 1], "to": None}, {"id": 8, "from": None, "to": [0.123456, 0.2, 1]}]
    assert read_gestures({"ops": rows}) == [Gesture(8, after=(0.12346, 0.2, 1)), Gesture(9, before=(0.1, 0.2, 1))]
