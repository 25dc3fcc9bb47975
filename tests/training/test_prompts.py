"""Prompts must mean the object they were drawn for."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.prompts import add_corrections, correction_click, first_prompt, innermost_pixel

SIDE = 32


def rectangle(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[top : top + height, left : left + width] = 1
    return mask


rectangles = st.builds(rectangle, st.integers(0, 20), st.integers(0, 20), st.integers(1, 12), st.integers(1, 12))


@given(mask=rectangles, seed=st.integers(0, 10**6))
def test_first_prompts_lie_in_the_object_or_around_it(mask, seed):
    positions, labels = first_prompt(mask, np.random.default_rng(seed))
    assert positions.min() >= 0 and positions.max() <= 1
    if labels[0] == 1:
        column, row = (positions[0] * SIDE).astype(int)
        assert mask[row, column] == 1 and labels[1] == -1
    else:
        (x1, y1), (x2, y2) = positions
        assert labels.tolist() == [2, 3] and x1 < x2 and y1 < y2


def test_half_the_boxes_are_tight():
    rng, mask = np.random.default_rng(0), rectangle(4, 8, 10, 16)
    boxes = [positions for positions, labels in (first_prompt(mask, rng) for _ in range(400)) if labels[0] == 2]
    tight = [box for box in boxes if np.allclose(box * SIDE, [[8, 4], [24, 14]])]
    assert 0.4 < len(boxes) / 400 < 0.6 and 0.4 < len(tight) / len(boxes) < 0.6


def test_the_innermost_pixel_keeps_clear_of_edges_and_border():
    assert innermost_pixel(rectangle(0, 0, 9, 9)) == (4, 4)
    assert innermost_pixel(rectangle(10, 3, 5, 5)) == (12, 5)


@pytest.mark.parametrize("rng", [None, np.random.default_rng(0)], ids=["middle", "anywhere"])
def test_corrections_go_to_the_larger_error(rng):
    target = rectangle(8, 8, 16, 16) > 0
    row, column, label = correction_click(rectangle(8, 8, 16, 4) > 0, target, rng)
    assert label == 1 and target[row, column] and column >= 12
    row, column, label = correction_click(rectangle(0, 0, 32, 32) > 0, target, rng)
    assert label == 0 and not target[row, column]
    row, column, label = correction_click(target, target, rng)
    assert label == 1 and target[row, column]
    assert correction_click(np.zeros_like(target), np.zeros_like(target), rng) is None


def test_each_prompt_gets_a_click_and_its_own_logits_back():
    targets = torch.from_numpy(np.stack([rectangle(8, 8, 16, 16), np.zeros((SIDE, SIDE), np.float32)]))
    logits = torch.full((2, 4, SIDE, SIDE), -50.0)
    positions, labels, hint = add_corrections(torch.rand(2, 2, 2), torch.tensor([[2, 3], [1, -1]]), logits, torch.rand(2, 4), targets, np.random.default_rng(0))
    column, row = (positions[0, 2] * SIDE).int().tolist()
    assert labels.tolist() == [[2, 3, 1], [1, -1, -1]] and targets[0, row, column] == 1
    assert positions.shape == (2, 3, 2) and hint.shape == (2, 1, SIDE, SIDE) and hint.min() == -32
