"""How alike the tokens of two blocks of one encoding are."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

LARGEST_GRID = 16
"""All blocks with all others are compared on at most so many tokens a side: grids differ from stage to stage, and large
models have many blocks.
"""


def successive_similarity(blocks: Sequence[Tensor]) -> list[float | None]:
    """Mean cosine similarity of each token before and after a block; None for the first block and where a stage changes
    the grid or the width.
    """
    similarities: list[float | None] = [None]
    lengths = [tokens.float().norm(dim=-1).clamp(min=1e-8) for tokens in blocks]
    for index in range(1, len(blocks)):
        before, after = blocks[index - 1], blocks[index]
        if before.shape == after.shape:
            cosines = torch.linalg.vecdot(before.float(), after.float()) / (lengths[index - 1] * lengths[index])
            similarities.append(float(cosines.mean()))
        else:
            similarities.append(None)
    return similarities


def common_grid(blocks: Sequence[Tensor]) -> tuple[int, int]:
    """The largest grid (rows, columns) that no block's own and not `LARGEST_GRID` is smaller than."""
    rows, columns = (min([LARGEST_GRID, *(tokens.shape[axis] for tokens in blocks)]) for axis in (0, 1))
    return rows, columns


def cka_matrix(blocks: Sequence[Tensor], grid: tuple[int, int]) -> np.ndarray:
    """float32 [N, N]: linear CKA of each two blocks (Kornblith et al. 2019), on their tokens averaged to that grid.

    CKA compares what tells tokens apart, so blocks of different widths can be compared; 1 for the same up to rotation
    and scale.
    """
    grams = []
    for tokens in blocks:
        pooled = pooled_tokens(tokens, grid)
        centred = pooled - pooled.mean(dim=0)
        gram = (centred @ centred.T).flatten()
        grams.append(gram / gram.norm().clamp(min=1e-12))
    stacked = torch.stack(grams)
    return (stacked @ stacked.T).cpu().numpy()


def cosine_matrix(blocks: Sequence[Tensor], grid: tuple[int, int]) -> np.ndarray:
    """float32 [N, N]: mean cosine similarity of a token in one block and the same token in another, over as many tokens
    as `grid` has places; NaN where two blocks differ in grid or width, since then a token has no counterpart.
    """
    matrix = np.full((len(blocks), len(blocks)), np.nan, np.float32)
    for shape in {tokens.shape for tokens in blocks}:
        alike = [index for index, tokens in enumerate(blocks) if tokens.shape == shape]
        sampled = torch.stack([F.normalize(sampled_tokens(blocks[index], grid), dim=-1).flatten() for index in alike])
        matrix[np.ix_(alike, alike)] = (sampled @ sampled.T / (grid[0] * grid[1])).cpu().numpy()
    return matrix


def pooled_tokens(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Tokens averaged to a grid: [h, w, C] -> float32 [rows * columns, C]."""
    (height, width, _), (rows, columns) = tokens.shape, grid
    if height % rows == 0 and width % columns == 0:
        cells = tokens.unflatten(0, (rows, height // rows)).unflatten(2, (columns, width // columns))
        return cells.float().mean(dim=(1, 3)).flatten(0, 1)
    return F.adaptive_avg_pool2d(tokens.float().permute(2, 0, 1)[None], grid)[0].flatten(1).T


def sampled_tokens(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """The token in the middle of each of the grid's cells: [h, w, C] -> float32 [rows * columns, C]."""
    rows, columns = (
        ((torch.arange(count) + 0.5) * length / count).long()
        for count, length in zip(grid, tokens.shape[:2], strict=True)
    )
    return tokens[rows[:, None], columns].float().flatten(0, 1)
