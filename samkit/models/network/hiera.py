"""Hiera, the image encoder trunk of SAM v2: four stages of window attention over maps that halve from stage to stage.

Follows sam2/modeling/backbones/hieradet.py (https://arxiv.org/abs/2306.00989). Tokens stay channels last throughout.
Each block runs in strips of whole rows of windows, so that its intermediates stay in the processor's cache and the peak
memory stays small; a strip changes no number.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samkit.models.network.blocks_done import block_done
from samkit.models.network.layers import FeedForward, ModuleList
from samkit.models.network.linear import Linear
from samkit.models.network.table_cache import TableCache
from samkit.models.network.windows import ceil_to, join_strips, join_windows, partition_windows

STRIP_TOKENS = 4096
"""About how many tokens go through a block at a time."""


@dataclass(frozen=True)
class HieraConfig:
    """Widths and heads double from stage to stage; the first block of a stage halves the map and still uses the window
    of the stage before.
    """

    channels: int
    num_heads: int
    blocks_per_stage: tuple[int, ...]
    window_sizes: tuple[int, ...]
    global_blocks: tuple[int, ...]
    background_size: tuple[int, int] = (7, 7)
    tile_size: int = 8
    mlp_ratio: float = 4.0

    patch_size: ClassVar[int] = 4
    """Pixels of the input that one token of the first block covers, along a side."""
    feature_stride: ClassVar[int] = 16
    """Pixels that one feature of the decoder's lowest level covers, along a side."""
    side_step: ClassVar[int] = 32
    """Sides that can be run are multiples of this: one token of the coarsest map."""
    convolution_blocks: ClassVar[tuple[int, ...]] = ()
    """Indices of the blocks without attention."""

    @property
    def stage_starts(self) -> tuple[int, ...]:
        """Index of each stage's first block."""
        return tuple(sum(self.blocks_per_stage[:stage]) for stage in range(len(self.blocks_per_stage)))

    @property
    def depth(self) -> int:
        return sum(self.blocks_per_stage)

    @property
    def channels_per_stage(self) -> tuple[int, ...]:
        return tuple(self.channels * 2**stage for stage in range(len(self.blocks_per_stage)))

    def block_windows(self, window_sizes: tuple[int, ...]) -> tuple[int, ...]:
        """The window of each block, 0 for global attention."""
        windows, starts = [], self.stage_starts
        for block in range(self.depth):
            stage = sum(block > start for start in starts[1:])
            windows.append(0 if block in self.global_blocks else window_sizes[stage])
        return tuple(windows)


def pool_2x2(map_bhwc: Tensor) -> Tensor:
    """Maximum over 2x2 cells; an odd last row or column is left out, as by `nn.MaxPool2d(2, 2)`."""
    h, w = map_bhwc.shape[1] // 2 * 2, map_bhwc.shape[2] // 2 * 2
    rows = torch.maximum(map_bhwc[:, 0:h:2, :w], map_bhwc[:, 1:h:2, :w])
    return torch.maximum(rows[:, :, 0::2], rows[:, :, 1::2])


class WindowAttention(nn.Module):
    """Attention inside windows, with the queries pooled where a stage begins."""

    def __init__(self, channels: int, channels_out: int, num_heads: int, pools: bool):
        super().__init__()
        self.num_heads = num_heads
        self.pools = pools
        self.qkv = Linear(channels, 3 * channels_out)
        self.proj = Linear(channels_out, channels_out)

    def forward(self, windows: Tensor) -> Tensor:
        """[B, h, w, C] -> [B, h, w, C'] or, pooled, [B, h/2, w/2, C'], before the output projection."""
        b, h, w, _ = windows.shape
        q, k, v = self.qkv(windows).unflatten(-1, (3, -1)).unbind(3)
        if self.pools:
            q = pool_2x2(q)
        h, w = q.shape[1:3]
        q, k, v = (x.flatten(1, 2).unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, h, w, -1)


class HieraBlock(nn.Module):
    """x + attention(norm1(x)), and then x + mlp(norm2(x)), for a strip of rows at a time. Where a stage begins,
    norm1(x), projected to twice the width and pooled, stands in for the first x.
    """

    def __init__(self, channels: int, channels_out: int, num_heads: int, hidden: int, pools: bool):
        super().__init__()
        self.pools = pools
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.attn = WindowAttention(channels, channels_out, num_heads, pools)
        self.norm2 = nn.LayerNorm(channels_out, eps=1e-6)
        self.mlp = FeedForward((channels_out, hidden, channels_out), activation="gelu")
        if channels != channels_out:
            self.proj = Linear(channels, channels_out)

    def forward(self, map_bhwc: Tensor, window: int, overwrite: bool = False) -> Tensor:
        """[B, H, W, C] -> [B, H, W, C] or, in a stage's first block, [B, H/2, W/2, C'].

        window: 0 for global attention; overwrite: the input may be used up (it then holds the output, where the shapes
                agree and gradients are off).
        """
        b, h, w, _ = map_bhwc.shape
        step = 2 if self.pools else 1
        shape = (b, h // step, w // step, self.attn.proj.out_features)
        strips = self._global(map_bhwc) if window == 0 else self._windowed(map_bhwc, window)
        return join_strips(strips, shape, into=map_bhwc if overwrite and not self.pools else None)

    def _windowed(self, map_bhwc: Tensor, window: int) -> Iterator[Tensor]:
        """The block's output, strips of whole rows of windows."""
        h, w = map_bhwc.shape[1:3]
        rows = max(1, STRIP_TOKENS // (window * ceil_to(w, window))) * window
        if self.pools and window % 2:
            # Pooling an odd window drops its last row, so strips would not line up with the pooled map.
            rows = h
        for top in range(0, h, rows):
            strip = map_bhwc[:, top : top + rows]
            normed = self.norm1(strip)
            shortcut = pool_2x2(self.proj(normed)) if self.pools else strip
            attended = join_windows(self.attn(partition_windows(normed, window, window)), *shortcut.shape[1:3])
            yield self._feed_forward(self.attn.proj.plus(attended.contiguous(), shortcut))

    def _global(self, map_bhwc: Tensor) -> Iterator[Tensor]:
        """The block's output in strips; all tokens look at all, so attention comes first."""
        normed = self.norm1(map_bhwc)
        shortcut = pool_2x2(self.proj(normed)) if self.pools else map_bhwc
        attended = self.attn(normed)
        rows = max(1, STRIP_TOKENS // attended.shape[2])
        for top in range(0, attended.shape[1], rows):
            strip = slice(top, top + rows)
            yield self._feed_forward(self.attn.proj.plus(attended[:, strip], shortcut[:, strip]))

    def _feed_forward(self, strip: Tensor) -> Tensor:
        return self.mlp.plus(self.norm2(strip), strip)


class PatchEmbedding(nn.Module):
    """7x7 convolution of stride 4: pixels to tokens."""

    def __init__(self, channels: int):
        super().__init__()
        self.proj = nn.Conv2d(3, channels, kernel_size=7, stride=4, padding=3)

    def forward(self, pixels_bchw: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, H/4, W/4, C], whose memory lies in that order too.

        The view gives a batch of one the batch stride of a map. With any other stride (`permute(...)[None]` makes one)
        oneDNN answers channels first, and all that follows copies.
        """
        pixels_bhwc = pixels_bchw.permute(0, 2, 3, 1).contiguous()
        return self.proj(pixels_bhwc.view(pixels_bhwc.shape).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Hiera(nn.Module):
    """Parameters are named as in the official package."""

    def __init__(self, config: HieraConfig):
        super().__init__()
        self.config = config
        self.patch_embed = PatchEmbedding(config.channels)
        self.pos_embed = nn.Parameter(torch.zeros(1, config.channels, *config.background_size))
        self.pos_embed_window = nn.Parameter(torch.zeros(1, config.channels, config.tile_size, config.tile_size))
        self.blocks: ModuleList[HieraBlock] = ModuleList()
        channels, num_heads = config.channels, config.num_heads
        for block in range(config.depth):
            pools = block in config.stage_starts[1:]
            channels_out = channels * 2 if pools else channels
            num_heads = num_heads * 2 if pools else num_heads
            self.blocks.append(
                HieraBlock(channels, channels_out, num_heads, int(channels_out * config.mlp_ratio), pools)
            )
            channels = channels_out
        self._tables = TableCache()

    def position_encoding(
        self, height: int, width: int, window_tiling: bool = True, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """[C, height, width]: the background table stretched (bicubic) plus, if asked for, the window table repeated.
        In memory the channels of a place lie beside each other, as those of tokens do.

        A grid the window table does not divide gets it repeated and cut, which the official code cannot run.
        """

        def make() -> Tensor:
            encoding = F.interpolate(self.pos_embed.to(dtype), size=(height, width), mode="bicubic")[0]
            if window_tiling:
                tile = self.pos_embed_window[0].to(dtype)
                tiled = tile.repeat(1, -(-height // tile.shape[1]), -(-width // tile.shape[2]))
                encoding = encoding + tiled[:, :height, :width]
            return encoding.permute(1, 2, 0).contiguous().permute(2, 0, 1)

        return self._tables.get((height, width, window_tiling, dtype), make)

    def forward(
        self, pixels_bchw: Tensor, window_sizes: tuple[int, ...] | None = None, blocks: list[Tensor] | None = None
    ) -> list[Tensor]:
        """
        pixels_bchw:  [B, 3, H, W], normalised, H and W multiples of 32
        window_sizes: one per stage; None for the model's own
        blocks:       a list to which every block's output [B, h, w, C] is appended

        Returns the four stages' outputs [B, h, w, C], highest resolution first.
        """
        tokens = self.patch_embed(pixels_bchw)
        positions = self.position_encoding(*tokens.shape[1:3]).permute(1, 2, 0).to(tokens.dtype)
        tokens = tokens + positions if torch.is_grad_enabled() else tokens.add_(positions)
        stage_ends = {start - 1 for start in (*self.config.stage_starts[1:], self.config.depth)}
        windows = self.config.block_windows(window_sizes or self.config.window_sizes)
        outputs = []
        for index, (block, window) in enumerate(zip(self.blocks, windows, strict=True)):
            tokens = block(tokens, window, overwrite=blocks is None)
            if blocks is not None:
                blocks.append(tokens)
            block_done()
            if index in stage_ends:
                outputs.append(tokens)
        return outputs
