"""Cutting a token map into square windows or into strips, and putting it together again.

Windows that don't divide the map pad it at the bottom and right with zeros, AFTER the norm in front of attention, so
padded tokens take part with the bias of the q, k and v layers alone. This is what the official packages do, and the
numbers depend on it.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor


def ceil_to(size: int, window: int) -> int:
    """The smallest multiple of `window` that is at least `size`."""
    return -(-size // window) * window


def partition_windows(map_bhwc: Tensor, window_h: int, window_w: int) -> Tensor:
    """[B, H, W, C] -> [B * windows, window_h, window_w, C], row by row of windows."""
    b, h, w, c = map_bhwc.shape
    padded_h, padded_w = ceil_to(h, window_h), ceil_to(w, window_w)
    if (padded_h, padded_w) != (h, w):
        map_bhwc = F.pad(map_bhwc, (0, 0, 0, padded_w - w, 0, padded_h - h))
    tiles = map_bhwc.view(b, padded_h // window_h, window_h, padded_w // window_w, window_w, c)
    return tiles.transpose(2, 3).reshape(-1, window_h, window_w, c)


def join_windows(windows: Tensor, h: int, w: int) -> Tensor:
    """[B * windows, window_h, window_w, C] -> [B, H, W, C] with the padding cut off: the inverse of
    `partition_windows`.
    """
    _, window_h, window_w, c = windows.shape
    padded_h, padded_w = ceil_to(h, window_h), ceil_to(w, window_w)
    tiles = windows.view(-1, padded_h // window_h, padded_w // window_w, window_h, window_w, c)
    joined = tiles.transpose(2, 3).reshape(-1, padded_h, padded_w, c)
    return joined[:, :h, :w]


def join_strips(strips: Iterable[Tensor], shape: tuple[int, ...], into: Tensor | None = None) -> Tensor:
    """[B, rows, W, C] strips from top to bottom -> the map [B, H, W, C] of that shape.

    Without gradients each strip is written as it comes, so that only one is held at a time. `into` may be the map the
    strips are computed from, because a strip depends on its own rows alone.
    """
    if torch.is_grad_enabled():
        return torch.cat(list(strips), dim=1)
    top = 0
    for strip in strips:
        if into is None:
            if strip.shape == shape:
                return strip
            into = strip.new_empty(shape)
        into[:, top : top + strip.shape[1]] = strip
        top += strip.shape[1]
    if into is None:
        raise ValueError("a map has at least one strip")
    return into
