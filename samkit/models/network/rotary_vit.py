"""The image encoder of SAM 3: a plain ViT with window attention, a few global blocks and rotary positions.

Written from the architecture's description; Hugging Face transformers' `Sam3ViTModel` is what it is compared with. A
small position table is repeated over the map and never stretched, and queries and keys of every block are turned by
their place. Both follow from the grid at hand, so any side runs that is a multiple of the patch. Blocks run in strips
of whole rows, as those of SAM v1 do (vit.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samkit.models.network.blocks_done import block_done
from samkit.models.network.layers import ModuleList
from samkit.models.network.linear import fixed_product
from samkit.models.network.rope import rotary_turns, turn
from samkit.models.network.table_cache import TableCache
from samkit.models.network.vit import FourGroups, PlainAttention, PlainBlock
from samkit.models.network.windows import join_strips, partition_windows

NORM_EPS = 1e-5
STRIP_TOKENS = 512
"""About how many tokens are worked on at a time where windows don't ask for more."""
FEED_TOKENS = 256
"""About how many go through a feed forward layer at a time: it is almost five times as wide as they are."""
HEADS_AT_ONCE = 2
"""Heads of a global block whose keys and values are held together."""
QUERIES_AT_ONCE = 1024
"""At least so many of them where there are as many: torch's attention is a sixth slower with fewer than 768."""
WINDOW_READINGS = ("step", "span")
"""What a window of another size than the model's own means for positions inside it.

"step": neighbours stay as far apart as in training, so a larger window reaches to distances that no window had
"span": every window spans the distances of the trained one, so neighbours in a larger window come closer together
"""


@dataclass(frozen=True)
class RotaryVitConfig(FourGroups):
    """
    table_grid:     tokens along a side of the learned position table, which is repeated over the map
    trained_window: tokens along a side of the window that training had: global blocks span its distances at any grid
    window_sizes:   one for each of four equal groups of blocks
    global_blocks:  indices of the blocks without windows
    hidden:         width inside the feed forward layers
    """

    channels: int
    depth: int
    num_heads: int
    patch_size: int
    table_grid: int
    trained_window: int
    window_sizes: tuple[int, ...]
    global_blocks: tuple[int, ...]
    neck_channels: int = 256
    hidden: int = 4736
    rope_theta: float = 10000.0

    def rotary_step(self, window: int, grid: tuple[int, int], reading: str = "step") -> tuple[float, float]:
        """What one row and one column count for in a block. window: 0 for global attention over `grid`; reading: one of
        `WINDOW_READINGS`.
        """
        if window == 0:
            return self.trained_window / grid[0], self.trained_window / grid[1]
        step = self.trained_window / window if reading == "span" else 1.0
        return step, step


class RotaryAttention(PlainAttention):
    """Multi-head attention with rotary positions on queries and keys."""

    def __init__(self, channels: int, num_heads: int, theta: float):
        super().__init__(channels, num_heads)
        self.theta = theta

    def forward(self, windows: Tensor, turns: Tensor) -> Tensor:
        """[B, h, w, C] -> [B, h, w, C], before the output projection. turns: complex64 [h * w, C / heads / 2], one for
        each pair of channels.
        """
        b, h, w, c = windows.shape
        q, k, v = self.queries_keys_values(windows, turns)
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, h, w, c)

    def over_all(self, map_bhwc: Tensor, norm: nn.LayerNorm, rows: int, turns: Tensor) -> Tensor:
        """Attention over all of norm(map), without gradients: [B, H, W, C] -> [B, heads, H * W, d], before the output
        projection. A few heads at a time, whose vectors are made of so many rows at a time; what queries get takes
        their place.
        """
        b, h, w, c = map_bhwc.shape
        attended = map_bhwc.new_empty(b, self.num_heads, h * w, c // self.num_heads)
        for first in range(0, self.num_heads, HEADS_AT_ONCE):
            self._over_all(map_bhwc, norm, rows, turns, slice(first, first + HEADS_AT_ONCE), attended)
        return attended

    def _over_all(
        self, map_bhwc: Tensor, norm: nn.LayerNorm, rows: int, turns: Tensor, heads: slice, attended: Tensor
    ) -> None:
        """Of these heads, into their part of `attended`."""
        _, h, w, c = map_bhwc.shape
        weight = self.qkv.weight.view(3, self.num_heads, -1, c)[:, heads].flatten(0, 2)
        bias = self.qkv.bias.view(3, self.num_heads, -1)[:, heads].flatten()
        product = fixed_product(weight, h * w)
        # A head's vectors lie beside each other, for keys and values are read once for each strip of queries.
        q, k, v = attended[:, heads], torch.empty_like(attended[:, heads]), torch.empty_like(attended[:, heads])
        for top in range(0, h, rows):
            places = slice(top * w, min(top + rows, h) * w)
            products = product(norm(map_bhwc[:, top : top + rows]).flatten(1, 2)).add_(bias)
            for whole, part in zip((q, k, v), _split(products, turns[places]), strict=True):
                whole[:, :, places] = part
        for queries in q.chunk(max(1, h * w // QUERIES_AT_ONCE), dim=2):
            queries.copy_(F.scaled_dot_product_attention(queries, k, v))

    def queries_keys_values(self, windows: Tensor, turns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, heads, h * w, d] each, queries and keys turned."""
        return _split(self.qkv(windows).flatten(1, 2), turns)


def _split(products: Tensor, turns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """[B, N, 3 * heads * d] -> queries, keys and values [B, heads, N, d], the first two turned."""
    vectors = products.unflatten(-1, (3, -1, 2 * turns.shape[-1]))
    vectors = vectors.permute(2, 0, 3, 1, 4)
    q, k = turn(vectors[:2], turns)
    return q, k, vectors[2]


@dataclass(frozen=True)
class BlockVectors:
    """What a block's attention compares on one picture.

    window:        side of its windows in tokens, 0 for global attention
    queries, keys: [windows, heads, rows, columns, channels], turned by their places; one window where it is global
    valid:         bool [windows, rows, columns], which tokens are no padding
    """

    window: int
    queries: Tensor
    keys: Tensor
    valid: Tensor


class RotaryBlock(PlainBlock):
    """A block of SAM 3."""

    attn: RotaryAttention

    def __init__(self, config: RotaryVitConfig):
        attention = RotaryAttention(config.channels, config.num_heads, config.rope_theta)
        super().__init__(config.channels, config.hidden, attention, NORM_EPS)

    def forward(self, map_bhwc: Tensor, window: int, turns: Tensor, overwrite: bool = False) -> Tensor:
        """[B, H, W, C] -> [B, H, W, C], with `window` and `overwrite` of `in_strips`. turns: of a window's tokens, or
        of the map's.
        """
        if window == 0 and not torch.is_grad_enabled():
            return join_strips(self._over_all(map_bhwc, turns), map_bhwc.shape, into=map_bhwc if overwrite else None)
        return self.in_strips(map_bhwc, window, lambda tokens: self._in_windows(tokens, turns), overwrite)

    def _in_windows(self, windows: Tensor, turns: Tensor) -> Tensor:
        """Attention inside windows [B, h, w, C], before the output projection. Without gradients `windows` is used up,
        and queries, keys and values are held of a few windows at a time.
        """
        if torch.is_grad_enabled():
            return self.attn(windows, turns)
        for some in windows.split(max(1, STRIP_TOKENS // windows.shape[1:3].numel())):
            some.copy_(self.attn(some, turns))
        return windows

    def _over_all(self, map_bhwc: Tensor, turns: Tensor) -> Iterator[Tensor]:
        """A global block's output in strips."""
        b, _, w, c = map_bhwc.shape
        attended = self.attn.over_all(map_bhwc, self.norm1, max(1, STRIP_TOKENS // w), turns)
        rows = max(1, FEED_TOKENS // w)
        for strip, shortcut in zip(attended.split(rows * w, dim=2), map_bhwc.split(rows, dim=1), strict=True):
            yield self._after_attention(strip.transpose(1, 2).reshape(b, -1, w, c), shortcut)

    def _after_attention(self, attended: Tensor, shortcut: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return super()._after_attention(attended, shortcut)
        strip = self.attn.proj.plus(attended, shortcut)
        for part in strip.split(max(1, FEED_TOKENS // strip.shape[2]), dim=1):
            part.copy_(self.mlp.plus(self.norm2(part), part))
        return strip

    def vectors(self, map_bhwc: Tensor, window: int, turns: Tensor) -> BlockVectors:
        """Of one picture, [1, H, W, C]; window and turns as `forward` takes them."""
        rows, columns = (window, window) if window else map_bhwc.shape[1:3]
        tokens = partition_windows(self.norm1(map_bhwc), rows, columns)
        queries, keys, _ = self.attn.queries_keys_values(tokens, turns)
        valid = partition_windows(torch.ones_like(map_bhwc[..., :1], dtype=torch.bool), rows, columns)[..., 0]
        queries, keys = (each.unflatten(2, (rows, columns)) for each in (queries, keys))
        return BlockVectors(window, queries, keys, valid)


class RotaryPatches(nn.Module):
    """A convolution without a bias whose stride is its size, run as one matrix product."""

    def __init__(self, patch_size: int, channels: int):
        super().__init__()
        self.proj = nn.Conv2d(3, channels, kernel_size=patch_size, stride=patch_size, bias=False)

    def forward(self, pixels_bchw: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, H/patch, W/patch, C]."""
        b, _, h, w = pixels_bchw.shape
        size = self.proj.kernel_size[0]
        tiles = pixels_bchw.view(b, 3, h // size, size, w // size, size)
        patches = tiles.permute(0, 2, 4, 1, 3, 5).reshape(b, h // size, w // size, -1)
        return F.linear(patches, self.proj.weight.flatten(1))


class RotaryVit(nn.Module):
    """The trunk. Parameters are named as in sam3.pt, but for `mlp.fc1` and `mlp.fc2`, which are `mlp.layers.0` and
    `mlp.layers.1` here; the table of positions has no entry for the class token of its pretraining.
    """

    def __init__(self, config: RotaryVitConfig):
        super().__init__()
        self.config = config
        self.patch_embed = RotaryPatches(config.patch_size, config.channels)
        self.pos_embed = nn.Parameter(torch.zeros(1, config.table_grid**2, config.channels))
        self.ln_pre = nn.LayerNorm(config.channels, eps=NORM_EPS)
        self.blocks: ModuleList[RotaryBlock] = ModuleList(RotaryBlock(config) for _ in range(config.depth))
        self._tables = TableCache(max_entries=24)

    def position_encoding(self, height: int, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """[C, height, width]: the learned table, repeated and cut."""
        grid = self.config.table_grid
        table = self.pos_embed[0].unflatten(0, (grid, grid)).permute(2, 0, 1).to(dtype)
        return table.repeat(1, -(-height // grid), -(-width // grid))[:, :height, :width]

    def turns(self, window: int, grid: tuple[int, int], reading: str) -> Tensor:
        """complex64 [tokens, pairs]: of a window's tokens, or, where `window` is 0, of all of the grid's."""
        config = self.config
        step = config.rotary_step(window, grid, reading)
        size = (window, window) if window else grid
        device = self.pos_embed.device
        channels = config.channels // config.num_heads
        return self._tables.get((size, step), lambda: rotary_turns(*size, channels, config.rope_theta, step, device))

    def first_tokens(self, pixels_bchw: Tensor) -> Tensor:
        """[B, h, w, C]: what the first block is given."""
        size, grid = self.config.patch_size, self.config.table_grid
        b, _, height, width = pixels_bchw.shape
        h, w = height // size, width // size
        table = self.pos_embed[0].unflatten(0, (grid, grid))[:, torch.arange(w) % grid]

        def strips() -> Iterator[Tensor]:
            rows = max(1, STRIP_TOKENS // w)
            for top in range(0, h, rows):
                tokens = self.patch_embed(pixels_bchw[:, :, top * size : (top + rows) * size])
                places = table[torch.arange(top, top + tokens.shape[1]) % grid]
                yield self.ln_pre(tokens + places.to(tokens.dtype))

        return join_strips(strips(), (b, h, w, self.config.channels))

    def block_vectors(self, pixels_bchw: Tensor) -> Iterator[BlockVectors]:
        """Of one picture [1, 3, H, W], block by block, with the model's own windows."""
        tokens = self.first_tokens(pixels_bchw)
        grid = (tokens.shape[1], tokens.shape[2])
        for block, window in zip(self.blocks, self.config.block_windows(self.config.window_sizes), strict=True):
            turns = self.turns(window, grid, "step")
            yield block.vectors(tokens, window, turns)
            tokens = block(tokens, window, turns, overwrite=True)

    def forward(
        self,
        pixels_bchw: Tensor,
        window_sizes: tuple[int, ...] | None = None,
        blocks: list[Tensor] | None = None,
        reading: str = "step",
    ) -> Tensor:
        """
        pixels_bchw:  [B, 3, H, W], normalised, H and W multiples of the patch size
        window_sizes: one for each group of blocks; None for the model's own
        blocks:       a list to which every block's output [B, h, w, C] is appended
        reading:      one of `WINDOW_READINGS`

        Returns the last block's output [B, h, w, C].
        """
        return self.run_blocks(self.first_tokens(pixels_bchw), window_sizes, blocks, reading)

    def run_blocks(
        self, tokens: Tensor, window_sizes: tuple[int, ...] | None, blocks: list[Tensor] | None, reading: str
    ) -> Tensor:
        """`forward` from what `first_tokens` gives, which is used up where no blocks are kept."""
        grid = (tokens.shape[1], tokens.shape[2])
        windows = self.config.block_windows(window_sizes or self.config.window_sizes)
        for block, window in zip(self.blocks, windows, strict=True):
            tokens = block(tokens, window, self.turns(window, grid, reading), overwrite=blocks is None)
            if blocks is not None:
                blocks.append(tokens)
            block_done()
        return tokens
