"""Rotary positions on a grid: each pair of channels is turned by an angle that grows with the column (first half of the
pairs) or the row (second half).

Follows `compute_axial_cis` and `apply_rotary_enc` in sam2/modeling/position_encoding.py, with real numbers instead of
complex ones.
"""

import torch
from torch import Tensor


def rotary_table(
    height: int,
    width: int,
    channels: int,
    theta: float,
    step_yx: tuple[float, float] = (1.0, 1.0),
    device: torch.device | None = None,
) -> Tensor:
    """[2, height * width, channels / 2] float32: cosines and sines of the angles, row by row.

    step_yx: what one row and one column count for; other than 1 where the map of another resolution is looked at.
    """
    frequencies = theta ** (
        -torch.arange(0, channels, 4, dtype=torch.float32, device=device)[: channels // 4] / channels
    )
    rows = torch.arange(height, dtype=torch.float32, device=device) * step_yx[0]
    columns = torch.arange(width, dtype=torch.float32, device=device) * step_yx[1]
    by_column = torch.outer(columns, frequencies)[None].expand(height, -1, -1)
    by_row = torch.outer(rows, frequencies)[:, None].expand(-1, width, -1)
    angles = torch.cat([by_column, by_row], dim=-1).flatten(0, 1)
    return torch.stack([angles.cos(), angles.sin()])


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """x: [..., N, channels], neighbours making a pair; table: [2, N, channels / 2]. Returns x's shape and dtype."""
    cosines, sines = table
    real, imaginary = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack([real * cosines - imaginary * sines, real * sines + imaginary * cosines], dim=-1)
    return turned.flatten(-2).to(x.dtype)
