"""Blocks against blocks: cosine and CKA against direct computation, other grids and widths, and how long the largest
model takes.
"""

import time

import numpy as np
import pytest
import torch

from samkit.experiments.measures.block_similarity import (
    cka_matrix,
    common_grid,
    cosine_matrix,
    sampled_tokens,
    successive_similarity,
)
from samkit.models.threads import own_threads


def test_similarity_of_successive_blocks():
    a = torch.randn(3, 4, 5)
    turned = torch.stack([a, 2 * a, -a])
    assert successive_similarity([turned[0], turned[1], turned[2]]) == [None, pytest.approx(1), pytest.approx(-1)]
    assert successive_similarity([a, torch.randn(3, 4, 6)]) == [None, None]


def test_block_similarity_is_linear_cka():
    x, y = torch.randn(8, 8, 6), torch.randn(8, 8, 10)
    rotation = torch.linalg.qr(torch.randn(6, 6)).Q
    blocks = [x, y, 3 * x @ rotation]
    grid = common_grid(blocks)
    matrix = cka_matrix(blocks, grid)

    def cka(a, b):
        a, b = (each.flatten(0, 1).double() - each.flatten(0, 1).double().mean(0) for each in (a, b))
        return float((a.T @ b).norm() ** 2 / ((a.T @ a).norm() * (b.T @ b).norm()))

    assert (
        grid == (8, 8)
        and matrix[0, 2] == pytest.approx(1, abs=1e-5)
        and matrix[0, 1] == pytest.approx(cka(x, y), abs=1e-5)
    )
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
    np.testing.assert_allclose(np.diag(matrix), 1, atol=1e-5)


def test_blocks_of_different_grids_are_compared_on_one():
    fine = torch.randn(4, 4, 7)
    coarse = fine.unflatten(0, (2, 2)).unflatten(2, (2, 2)).mean((1, 3))
    grid = common_grid([fine, coarse])
    matrix = cka_matrix([fine, coarse], grid)
    assert grid == (2, 2) and matrix[0, 1] == pytest.approx(1, abs=1e-5)


def test_cosines_of_small_blocks_are_those_of_all_their_tokens():
    a, b, other = torch.randn(3, 5, 4), torch.randn(3, 5, 4), torch.randn(3, 5, 6)
    matrix = cosine_matrix([a, other, b, -2 * a], common_grid([a, other]))
    x, y = (each.numpy().reshape(-1, 4) for each in (a, b))
    direct = np.mean((x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1))
    assert (
        matrix[0, 2] == pytest.approx(direct, abs=1e-6)
        and matrix[0, 3] == pytest.approx(-1, abs=1e-6)
        and matrix[1, 1] == pytest.approx(1, abs=1e-6)
    )
    assert np.isnan(matrix[1, [0, 2, 3]]).all() and np.isnan(matrix).sum() == 6
    assert successive_similarity([a, b])[1] == pytest.approx(direct, abs=1e-6)


def test_of_large_blocks_the_tokens_in_the_middle_of_a_grid_are_compared():
    tokens = torch.arange(32 * 48).float().reshape(32, 48, 1)
    assert sampled_tokens(tokens, (2, 3)).flatten().tolist() == [
        8 * 48 + 8,
        8 * 48 + 24,
        8 * 48 + 40,
        24 * 48 + 8,
        24 * 48 + 24,
        24 * 48 + 40,
    ]


def test_48_blocks_of_hiera_large_are_compared_quickly():
    sides, widths = (256, 128, 64, 32), (144, 288, 576, 1152)
    blocks = [
        torch.randn(side, side, width)
        for side, width, count in zip(sides, widths, (2, 6, 36, 4), strict=True)
        for _ in range(count)
    ]
    grid = common_grid(blocks)
    with own_threads(1):
        start = time.process_time()
        matrix, cosines = cka_matrix(blocks, grid), cosine_matrix(blocks, grid)
        took = time.process_time() - start
    assert took < 2 and matrix.shape == cosines.shape == (48, 48) and grid == (16, 16)
