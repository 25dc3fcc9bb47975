"""Prompts must mean the object they were drawn for."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import samkit
from samkit.models.files.catalogue import catalogue
from samkit.models.prompt_tensors import prompt_tensors
from training.prompts import (
    add_corrections,
    anywhere,
    correction_click,
    count_clicks,
    first_prompt,
    innermost_pixel,
    laid_out,
    middles,
    wide_box,
)

SIDE = 32


def rectangle(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[top : top + height, left : left + width] = 1
    return mask


rectangles = st.builds(rectangle, st.integers(0, 20), st.integers(0, 20), st.integers(1, 12), st.integers(1, 12))


@given(mask=rectangles, seed=st.integers(0, 10**6), click=st.booleans())
def test_first_prompts_lie_in_the_object_or_around_it(mask, seed, click):
    positions, labels = first_prompt(mask, np.random.default_rng(seed), click)
    assert positions.min() >= 0 and positions.max() <= 1
    if click:
        ((column, row),) = (positions * SIDE).astype(int)
        assert mask[row, column] == 1 and labels.tolist() == [1]
    else:
        (x1, y1), (x2, y2) = positions
        assert labels.tolist() == [2, 3] and x1 < x2 and y1 < y2


def test_half_the_boxes_are_tight():
    rng, mask = np.random.default_rng(0), rectangle(4, 8, 10, 16)
    boxes = [first_prompt(mask, rng, click=False)[0] for _ in range(400)]
    tight = [box for box in boxes if np.allclose(box * SIDE, [[8, 4], [24, 14]])]
    assert 0.4 < len(tight) / len(boxes) < 0.6


def test_a_wide_box_holds_the_nearest_neighbour_and_says_that_it_is_not_meant():
    target, near, far = rectangle(4, 4, 6, 6), rectangle(4, 12, 6, 6), rectangle(20, 20, 8, 8)
    positions, labels = wide_box(target, [far, near], np.random.default_rng(0))
    assert labels.tolist() == [2, 3, 0] and (positions[:2] * SIDE).tolist() == [[4, 4], [18, 10]]
    column, row = (positions[2] * SIDE).astype(int)
    assert near[row, column] == 1


@pytest.mark.parametrize("seed", range(5))
def test_a_wide_box_takes_in_some_ground_where_there_is_no_neighbour(seed):
    target = rectangle(10, 10, 8, 8)
    positions, labels = wide_box(target, [target], np.random.default_rng(seed))
    column, row = (positions[2] * SIDE).astype(int)
    assert labels.tolist() == [2, 3, 0] and target[row, column] == 0
    (x1, y1), (x2, y2) = positions[:2] * SIDE
    assert x1 <= min(10, column) and y1 <= min(10, row) and x2 >= max(18, column + 1) and y2 >= max(18, row + 1)


def test_nothing_is_beside_an_object_that_fills_the_picture():
    positions, labels = wide_box(np.ones((SIDE, SIDE), np.float32), [], np.random.default_rng(0))
    assert labels.tolist() == [2, 3, -1] and positions[:2].tolist() == [[0, 0], [1, 1]]


def test_a_little_more_clicks_than_boxes():
    rng = np.random.default_rng(0)
    counts = [count_clicks(6, rng) for _ in range(400)]
    assert set(counts) == {3, 4} and 0.55 < np.mean(counts) / 6 < 0.61


@pytest.mark.parametrize("name", [entry.name for entry in catalogue() if entry.embedded])
@pytest.mark.parametrize("corrections", [0, 2])
@pytest.mark.parametrize("click", [True, False], ids=["click", "box"])
def test_prompts_are_laid_out_as_the_model_will_see_them(name, corrections, click):
    model = samkit.load_model(name, device="cpu")
    side = model.info.native_side
    more = [(0.25, 0.5, 0), (0.75, 0.125, 1)][:corrections]
    points = ([(0.5, 0.5, 1)] if click else []) + more
    prompts = samkit.Prompts(points=points, boxes=[] if click else [(0.125, 0.25, 0.5, 0.75)])
    geometry = model.encode_image(np.zeros((side, side, 3), np.uint8)).geometry
    expected = prompt_tensors(prompts, geometry, model.info.family, model.device)
    first = [(0.5, 0.5, 1)] if click else [(0.125, 0.25, 2), (0.5, 0.75, 3)]
    rows = torch.tensor(first + more)[None]
    positions, labels = laid_out(rows[..., :2], rows[..., 2].long(), model.info.family)
    real = labels[0] != -1
    assert torch.equal(labels, expected[1]) and torch.allclose(
        positions[0, real], expected[0][0, real], atol=0.5 / side
    )


def test_the_innermost_pixel_keeps_clear_of_edges_and_border():
    assert innermost_pixel(rectangle(0, 0, 9, 9)) == (4, 4)
    assert innermost_pixel(rectangle(10, 3, 5, 5)) == (12, 5)


def test_corrections_go_to_the_middle_of_the_larger_error():
    target = rectangle(8, 8, 16, 16) > 0
    assert correction_click(rectangle(8, 8, 16, 4) > 0, target) == (*innermost_pixel(rectangle(8, 12, 16, 12)), 1)
    row, column, label = correction_click(rectangle(0, 0, 32, 32) > 0, target)
    assert label == 0 and not target[row, column]
    row, column, label = correction_click(target, target)
    assert label == 1 and target[row, column]
    assert correction_click(np.zeros_like(target), np.zeros_like(target)) is None


def ask_again(predicted: list[np.ndarray], wanted: list[np.ndarray], middle_share: float):
    """`add_corrections` to prompts whose four masks are all the same."""
    logits = torch.from_numpy(np.stack(predicted))[:, None].expand(-1, 4, -1, -1) * 100 - 50
    count = len(predicted)
    positions, labels, targets = (
        torch.rand(count, 2, 2),
        torch.tensor([[2, 3]] * count),
        torch.from_numpy(np.stack(wanted)),
    )
    return add_corrections(positions, labels, logits, torch.rand(count, 4), targets, middle_share=middle_share)


@pytest.mark.parametrize("middle_share", [0.0, 1.0], ids=["anywhere", "middle"])
def test_each_prompt_gets_a_click_in_its_larger_error_and_its_own_logits_back(middle_share):
    target, nothing = rectangle(8, 8, 16, 16), np.zeros((SIDE, SIDE), np.float32)
    predicted = [rectangle(8, 8, 16, 4), rectangle(0, 0, 32, 32), target, nothing]
    positions, labels, hint = ask_again(predicted, [target, target, target, nothing], middle_share)
    assert (
        labels[:, :2].tolist() == [[2, 3]] * 4
        and labels[:, 2].tolist() == [1, 0, 1, -1]
        and positions.shape == (4, 3, 2)
    )
    columns, rows = (positions[:, 2] * SIDE).int().T.tolist()
    assert target[rows[0], columns[0]] and columns[0] >= 12
    assert not target[rows[1], columns[1]] and target[rows[2], columns[2]]
    assert hint.shape == (4, 1, SIDE, SIDE) and hint.min() == -32 and hint.max() == 32


def test_clicks_in_the_middle_keep_clear_of_the_edge():
    region = torch.from_numpy(np.stack([rectangle(4, 6, 13, 13), rectangle(0, 0, 7, 20)]))
    rows, columns = middles(region) // SIDE, middles(region) % SIDE
    assert rows.tolist()[0] == 10 and columns.tolist()[0] == 12 and rows.tolist()[1] in (2, 3, 4)


def test_clicks_anywhere_reach_the_whole_region():
    region = torch.from_numpy(rectangle(10, 10, 3, 3))[None].expand(500, -1, -1)
    assert set(anywhere(region).tolist()) == {SIDE * row + column for row in (10, 11, 12) for column in (10, 11, 12)}
