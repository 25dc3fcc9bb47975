"""The image encoder of SAM v1: a plain ViT with window attention, a few global blocks and decomposed relative
positions.

Follows segment_anything/modeling/image_encoder.py (ViTDet, https://arxiv.org/abs/2203.16527). Blocks run in strips of
whole rows, so that their intermediates stay in the processor's cache and the peak memory stays small. How attention is
computed depends on where it runs: see relative_attention.py.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samkit.models.network.blocks_done import block_done
from samkit.models.network.layers import FeedForward, ModuleList, feature_neck
from samkit.models.network.linear import Linear
from samkit.models.network.relative_attention import attend
from samkit.models.network.table_cache import TableCache
from samkit.models.network.windows import ceil_to, join_strips, join_windows, partition_windows

STRIP_TOKENS = 2048
"""About how many tokens go through a window block or a feed forward layer at a time."""
Attend = Callable[[Tensor], Tensor]


class FourGroups:
    """What a plain ViT says in place of stages, by its patches, widths and depth."""

    patch_size: int
    channels: int
    depth: int
    global_blocks: tuple[int, ...]

    convolution_blocks: ClassVar[tuple[int, ...]] = ()
    """Indices of the blocks without attention."""

    @property
    def side_step(self) -> int:
        """Sides that can be run are multiples of this: one token."""
        return self.patch_size

    @property
    def feature_stride(self) -> int:
        """Pixels of the input that one feature of the decoder's lowest level covers, along a side."""
        return self.patch_size

    @property
    def channels_per_stage(self) -> tuple[int, ...]:
        return (self.channels,) * 4

    @property
    def blocks_per_stage(self) -> tuple[int, ...]:
        """There are no stages; four groups as equal as the depth allows stand in for them."""
        edges = [round(self.depth * group / 4) for group in range(5)]
        return tuple(end - start for start, end in zip(edges, edges[1:], strict=False))

    def block_windows(self, window_sizes: tuple[int, ...]) -> tuple[int, ...]:
        """The window of each block, 0 for global attention."""
        windows = [
            window for window, count in zip(window_sizes, self.blocks_per_stage, strict=True) for _ in range(count)
        ]
        return tuple(0 if block in self.global_blocks else window for block, window in enumerate(windows))


@dataclass(frozen=True)
class VitConfig(FourGroups):
    """
    patch_size:    pixels of the input that a token covers, along a side
    native_grid:   tokens along a side of the learned position table
    window_sizes:  one for each of four equal groups of blocks (the official models have 14 everywhere)
    global_blocks: indices of the blocks without windows
    hidden:        width inside the feed forward layers
    table_rows:    of each block's relative positions, twice its window (or grid) less one
    """

    channels: int
    depth: int
    num_heads: int
    patch_size: int
    native_grid: int
    window_sizes: tuple[int, ...]
    global_blocks: tuple[int, ...]
    neck_channels: int = 256
    hidden: int = 3072
    table_rows: tuple[int, ...] = ()


def relative_table(rel_pos: Tensor, size: int) -> Tensor:
    """[2n - 1, d] learned offsets -> [size, size, d]: the vector of each (query, key) distance, stretched linearly
    where the sizes differ.
    """
    if rel_pos.shape[0] != 2 * size - 1:
        rel_pos = F.interpolate(rel_pos.float().T[None], size=2 * size - 1, mode="linear")[0].T.to(rel_pos.dtype)
    steps = torch.arange(size, device=rel_pos.device)
    return rel_pos[steps[:, None] - steps[None, :] + size - 1]


class PlainAttention(nn.Module):
    """The layers of multi-head attention; what it computes is its subclass's."""

    def __init__(self, channels: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = Linear(channels, 3 * channels)
        self.proj = Linear(channels, channels)


class PlainBlock(nn.Module):
    """x + attention(norm1(x)), and then x + mlp(norm2(x)), for a strip of rows at a time."""

    def __init__(self, channels: int, hidden: int, attention: PlainAttention, norm_eps: float):
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=norm_eps)
        self.attn = attention
        self.norm2 = nn.LayerNorm(channels, eps=norm_eps)
        self.mlp = FeedForward((channels, hidden, channels), activation="gelu")

    def in_strips(self, map_bhwc: Tensor, window: int, attend: Attend, overwrite: bool) -> Tensor:
        """[B, H, W, C] -> [B, H, W, C]. window: 0 for global attention; attend: attention before the output projection,
        [B, h, w, C] -> [B, h, w, C]; overwrite: the input may be used up (it then holds the output, without gradients).
        """
        strips = self._global(map_bhwc, attend) if window == 0 else self._windowed(map_bhwc, window, attend)
        return join_strips(strips, map_bhwc.shape, into=map_bhwc if overwrite else None)

    def _windowed(self, map_bhwc: Tensor, window: int, attend: Attend) -> Iterator[Tensor]:
        """The block's output, strips of whole rows of windows."""
        h, w = map_bhwc.shape[1:3]
        rows = max(1, STRIP_TOKENS // (window * ceil_to(w, window))) * window
        for top in range(0, h, rows):
            strip = map_bhwc[:, top : top + rows]
            attended = attend(partition_windows(self.norm1(strip), window, window))
            yield self._after_attention(join_windows(attended, *strip.shape[1:3]).contiguous(), strip)

    def _global(self, map_bhwc: Tensor, attend: Attend) -> Iterator[Tensor]:
        """The block's output in strips; all tokens look at all, so attention comes first."""
        attended = attend(self.norm1(map_bhwc))
        rows = max(1, STRIP_TOKENS // map_bhwc.shape[2])
        for top in range(0, map_bhwc.shape[1], rows):
            yield self._after_attention(attended[:, top : top + rows], map_bhwc[:, top : top + rows])

    def _after_attention(self, attended: Tensor, shortcut: Tensor) -> Tensor:
        strip = self.attn.proj.plus(attended, shortcut)
        return self.mlp.plus(self.norm2(strip), strip)


class RelativeAttention(PlainAttention):
    """Multi-head attention with relative positions along rows and columns."""

    def __init__(self, channels: int, num_heads: int, table_rows: int):
        super().__init__(channels, num_heads)
        self.rel_pos_h = nn.Parameter(torch.zeros(table_rows, channels // num_heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(table_rows, channels // num_heads))
        self._tables = TableCache()

    def _relative_tables(self, h: int, w: int) -> tuple[Tensor, Tensor]:
        return self._tables.get((h, w), lambda: (relative_table(self.rel_pos_h, h), relative_table(self.rel_pos_w, w)))

    def forward(self, windows: Tensor) -> Tensor:
        """[B, h, w, C] -> [B, h, w, C], before the output projection."""
        b, h, w, c = windows.shape
        qkv = self.qkv(windows).view(b, h * w, 3, self.num_heads, -1)
        q, k, v = (x.transpose(1, 2) for x in qkv.unbind(2))
        table_h, table_w = self._relative_tables(h, w)
        q_grid = q.unflatten(2, (h, w))
        rel_h = torch.einsum("bnhwd,hkd->bnhwk", q_grid, table_h).flatten(2, 3)
        rel_w = torch.einsum("bnhwd,wkd->bnhwk", q_grid, table_w).flatten(2, 3)
        return attend(q, k, v, rel_h, rel_w).transpose(1, 2).reshape(b, h, w, c)


class VitBlock(PlainBlock):
    """A block of SAM v1."""

    attn: RelativeAttention

    def __init__(self, channels: int, num_heads: int, hidden: int, table_rows: int):
        super().__init__(channels, hidden, RelativeAttention(channels, num_heads, table_rows), norm_eps=1e-6)

    def forward(self, map_bhwc: Tensor, window: int, overwrite: bool = False) -> Tensor:
        """[B, H, W, C] -> [B, H, W, C], with `window` and `overwrite` of `in_strips`."""
        return self.in_strips(map_bhwc, window, self.attn, overwrite)


class PatchEmbedding(nn.Module):
    """A convolution whose stride is its size, run as one matrix product."""

    def __init__(self, patch_size: int, channels: int):
        super().__init__()
        self.proj = nn.Conv2d(3, channels, kernel_size=patch_size, stride=patch_size)

    def forward(self, pixels_bchw: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, H/patch, W/patch, C]."""
        b, _, h, w = pixels_bchw.shape
        size = self.proj.kernel_size[0]
        tiles = pixels_bchw.view(b, 3, h // size, size, w // size, size)
        patches = tiles.permute(0, 2, 4, 1, 3, 5).reshape(b, h // size, w // size, -1)
        return F.linear(patches, self.proj.weight.flatten(1), self.proj.bias)


class Vit(nn.Module):
    """Parameters are named as in the official package, but for `mlp.lin1` and `mlp.lin2`, which are `mlp.layers.0` and
    `mlp.layers.1` here.
    """

    def __init__(self, config: VitConfig):
        super().__init__()
        self.config = config
        self.patch_embed = PatchEmbedding(config.patch_size, config.channels)
        self.pos_embed = nn.Parameter(torch.zeros(1, config.native_grid, config.native_grid, config.channels))
        self.blocks: ModuleList[VitBlock] = ModuleList(
            VitBlock(config.channels, config.num_heads, config.hidden, rows) for rows in config.table_rows
        )
        self.neck = feature_neck(config.channels, config.neck_channels)
        self._tables = TableCache()

    def position_encoding(self, height: int, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """[C, height, width]: the learned table, stretched (bicubic, as Hiera stretches its own) to any other grid."""
        table = self.pos_embed.permute(0, 3, 1, 2).to(dtype)
        if table.shape[-2:] == (height, width):
            return table[0]
        return self._tables.get(
            (height, width, dtype), lambda: F.interpolate(table, size=(height, width), mode="bicubic")[0]
        )

    def forward(
        self, pixels_bchw: Tensor, window_sizes: tuple[int, ...] | None = None, blocks: list[Tensor] | None = None
    ) -> Tensor:
        """
        pixels_bchw:  [B, 3, H, W], normalised, H and W multiples of the patch size
        window_sizes: one for each group of blocks; None for the model's own
        blocks:       a list to which every block's output [B, h, w, C] is appended

        Returns the last block's output [B, h, w, C]; `neck` makes the features of it.
        """
        tokens = self.patch_embed(pixels_bchw)
        tokens = tokens + self.position_encoding(*tokens.shape[1:3]).permute(1, 2, 0).to(tokens.dtype)
        windows = self.config.block_windows(window_sizes or self.config.window_sizes)
        for block, window in zip(self.blocks, windows, strict=True):
            tokens = block(tokens, window, overwrite=blocks is None)
            if blocks is not None:
                blocks.append(tokens)
            block_done()
        return tokens
