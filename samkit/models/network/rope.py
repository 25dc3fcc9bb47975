"""Rotary positions on a grid: each pair of channels is turned by an angle that grows with the column (first half of the
pairs) or the row (second half).

Follows `compute_axial_cis` and `apply_rotary_enc` in sam2/modeling/position_encoding.py. A pair is a complex number,
which one product turns in one pass over memory; real numbers take five passes and seven times as long.
"""

import torch
from torch import Tensor


def rotary_turns(
    height: int,
    width: int,
    channels: int,
    theta: float,
    step_yx: tuple[float, float] = (1.0, 1.0),
    device: torch.device | None = None,
) -> Tensor:
    """complex64 [height * width, channels / 2]: numbers of length 1 with these angles, row by row.

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
    return torch.complex(angles.cos(), angles.sin())


def turn(x: Tensor, turns: Tensor) -> Tensor:
    """x [..., N, d], with each pair of neighbouring channels turned in its first tokens, as many as `turns` [tokens,
    d / 2] has; the others stay as they are. Without gradients and in float32, x is overwritten.
    """
    placed = len(turns)
    pairs = torch.view_as_complex(x[..., :placed, :].float().unflatten(-1, (-1, 2)))
    if torch.is_grad_enabled() or x.dtype != torch.float32:
        turned = torch.view_as_real(pairs * turns).flatten(-2).to(x.dtype)
        return turned if placed == x.shape[-2] else torch.cat([turned, x[..., placed:, :]], dim=-2)
    pairs.mul_(turns)
    return x
