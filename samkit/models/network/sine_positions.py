"""Fixed positions as sines and cosines of many wavelengths: of a map's places (official `PositionEmbeddingSine`) and of
moments in time (`get_1d_sine_pe`).
"""

import math

import torch
from torch import Tensor

TEMPERATURE = 10000.0
EPSILON = 1e-6
"""The official code's, in the division by the last row and column."""


def sine_map(height: int, width: int, channels: int, device: torch.device | None = None) -> Tensor:
    """[height, width, channels] float32: the first half of the channels tells the row, the second the column; sines and
    cosines alternate.
    """
    half = channels // 2
    wavelengths = _wavelengths(half, device)

    def along(size: int) -> Tensor:
        places = torch.arange(1, size + 1, dtype=torch.float32, device=device)
        angles = (places / (places[-1] + EPSILON) * (2 * math.pi))[:, None] / wavelengths
        return torch.stack([angles[:, 0::2].sin(), angles[:, 1::2].cos()], dim=-1).flatten(1)

    rows, columns = along(height)[:, None].expand(-1, width, -1), along(width)[None].expand(height, -1, -1)
    return torch.cat([rows, columns], dim=-1)


def sine_times(times: Tensor, channels: int) -> Tensor:
    """[N] times -> [N, channels] float32: all sines, then all cosines."""
    angles = times[:, None] / _wavelengths(channels // 2, times.device)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def _wavelengths(count: int, device: torch.device | None) -> Tensor:
    steps = torch.arange(count, dtype=torch.float32, device=device)
    return TEMPERATURE ** (2 * (steps // 2) / count)
