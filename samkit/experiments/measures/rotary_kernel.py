"""How rotary positions make attention fall with distance.

Rotary positions turn each pair of channels of a query and a key by an angle that grows with their place, so their
product depends on how far they lie apart. If query and key were the same before they were turned, with as much in each
pair of channels, the product at an offset would be the mean cosine of all pairs' angles there: the expected kernel. A
block's own queries and keys prefer some pairs of channels, and differ with what is seen; the measured kernel is their
mean cosine over all pairs of tokens at an offset.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

CHANNELS_AT_ONCE = 64
"""So many channels are transformed at a time, which keeps memory small."""


@dataclass(frozen=True)
class Kernel:
    """What is found at each offset from a query to a key.

    values: float32 [2 rows - 1, 2 columns - 1], the offset (0, 0) in the middle, downwards and to the right positive;
            NaN where no two tokens lie so
    pairs:  int64 of the same shape, how many pairs of tokens lie so
    """

    values: np.ndarray
    pairs: np.ndarray

    @property
    def reach(self) -> tuple[int, int]:
        """The farthest offsets (rows, columns)."""
        rows, columns = self.values.shape
        return rows // 2, columns // 2


@dataclass(frozen=True)
class RotaryPart:
    """A part of a model whose attention has rotary positions.

    channels: of a head; size: (rows, columns) of the map, or of a window, at the model's native side; step: what one
    row and one column count for
    """

    name: str
    channels: int
    theta: float
    size: tuple[int, int]
    step: tuple[float, float] = (1.0, 1.0)

    def expected(self) -> Kernel:
        """float32 [2 rows - 1, 2 columns - 1]."""
        return expected_kernel(rotary_frequencies(self.channels, self.theta), self.size, self.step)


def rotary_frequencies(channels: int, theta: float) -> np.ndarray:
    """float64 [channels / 4]: radians that one step turns each pair of channels by, of the pairs that know the column;
    those of the row are the same. channels: of a head.
    """
    return theta ** (-np.arange(0, channels - channels % 4, 4) / channels)


def expected_kernel(
    frequencies: np.ndarray, size: tuple[int, int], step_yx: tuple[float, float] = (1.0, 1.0)
) -> Kernel:
    """Of a map or window of `size` (rows, columns) tokens; step_yx: what one row and one column count for."""
    rows, columns = size
    down, across = np.arange(1 - rows, rows), np.arange(1 - columns, columns)
    by_row = np.cos(np.outer(step_yx[0] * down, frequencies)).mean(axis=1)
    by_column = np.cos(np.outer(step_yx[1] * across, frequencies)).mean(axis=1)
    pairs = np.outer(rows - np.abs(down), columns - np.abs(across))
    return Kernel(((by_row[:, None] + by_column[None]) / 2).astype(np.float32), pairs)


def measured_kernel(queries: Tensor, keys: Tensor, valid: Tensor | None = None) -> Kernel:
    """Mean cosine of a query and a key over all pairs of tokens at an offset, all windows and all heads.

    queries, keys: [windows, heads, rows, columns, channels], turned by their places; a map without windows is one
    valid:         bool [windows, rows, columns], which tokens are no padding; None for all

    Exact: a sum over all pairs at an offset is a correlation, which the Fourier transform makes a product.
    """
    windows, heads, rows, columns, channels = queries.shape
    if valid is None:
        valid = torch.ones(windows, rows, columns, dtype=torch.bool)
    valid = valid.to(queries.device)
    total = torch.zeros(2 * rows, 2 * columns, dtype=torch.float64)
    for window in range(windows):
        for head in range(heads):
            query, key = (_directions(each[window, head], valid[window]) for each in (queries, keys))
            for first in range(0, channels, CHANNELS_AT_ONCE):
                part = slice(first, first + CHANNELS_AT_ONCE)
                total += _correlation(query[..., part], key[..., part])
    pairs = sum(
        (_correlation(place[..., None], place[..., None]) for place in valid.double()), torch.zeros_like(total)
    ).round()
    values = torch.where(pairs > 0, total / (heads * pairs.clamp(min=1)), torch.nan)
    return Kernel(_centred(values).astype(np.float32), _centred(pairs).astype(np.int64))


def kernel_curve(kernel: Kernel, column: str = "similarity") -> list[dict[str, Any]]:
    """One row a distance in whole tokens, from 0: the mean over all pairs of tokens about so far apart, in any
    direction; `column` has it.
    """
    rows, columns = kernel.reach
    down, across = np.arange(-rows, rows + 1)[:, None], np.arange(-columns, columns + 1)[None]
    distances = np.rint(np.hypot(down, across)).astype(int)
    known = kernel.pairs > 0
    weights = np.bincount(distances[known], kernel.pairs[known])
    sums = np.bincount(distances[known], kernel.pairs[known] * kernel.values[known].astype(float))
    return [
        {"distance": distance, column: float(total / weight), "pairs": int(weight)}
        for distance, (total, weight) in enumerate(zip(sums, weights, strict=True))
        if weight
    ]


def joined_curves(curves: Sequence[tuple[str, list[dict[str, Any]]]]) -> list[dict[str, Any]]:
    """Curves as one table over the distance; None where one ends before another. curves: (column, rows of
    `kernel_curve` with that column).
    """
    by_distance = [(column, {row["distance"]: row[column] for row in rows}) for column, rows in curves]
    distances = sorted({distance for _, values in by_distance for distance in values})
    return [{"distance": each} | {name: values.get(each) for name, values in by_distance} for each in distances]


def _directions(vectors: Tensor, valid: Tensor) -> Tensor:
    """float64 [rows, columns, channels] of length 1; of padding 0."""
    vectors = vectors.double()
    lengths = vectors.norm(dim=-1, keepdim=True).clamp(min=1e-30)
    return torch.where(valid[..., None], vectors / lengths, 0.0).cpu()


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    """float64 [2 rows, 2 columns]: sum over places p and channels of first[p] second[p + offset], negative offsets at
    the end.
    """
    rows, columns = first.shape[:2]
    size = 2 * rows, 2 * columns
    turned, other = (torch.fft.rfft2(each, s=size, dim=(0, 1)) for each in (first, second))
    return torch.fft.irfft2((turned.conj() * other).sum(dim=-1), s=size)


def _centred(values: Tensor) -> np.ndarray:
    """[2 rows, 2 columns] from the offset (0, 0) on -> [2 rows - 1, 2 columns - 1] with it in the middle."""
    return torch.fft.fftshift(values)[1:, 1:].numpy()
