"""TinyViT, the image encoder of MobileSAM: a stem and a stage of convolutions, then three stages of window attention.

Follows mobile_sam/modeling/tiny_vit_sam.py (https://arxiv.org/abs/2306.14289, https://arxiv.org/abs/2207.10666). No
table of positions is added to the tokens: each head has a learned bias for each distance between two tokens of a
window, and convolutions see the edge of the map. Tokens stay channels last. Everything runs in strips of whole rows, so
that what is widest, four times the channels, stays in the processor's cache.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samkit.models.network.blocks_done import block_done
from samkit.models.network.conv_norm import ConvNorm, PointNorm, reach
from samkit.models.network.layers import ModuleList, feature_neck
from samkit.models.network.linear import Linear
from samkit.models.network.windows import ceil_to, join_strips, join_windows, partition_windows

STRIP_TOKENS = 2048
"""About how many tokens go through a block at a time."""
MERGE_STRIDES = (2, 2, 1)
"""By how much the map shrinks after each stage but the last. TinyViT itself shrinks it a third time; MobileSAM does
not, so that there are as many tokens as SAM's decoder takes.
"""
CONVOLUTION = 3
"""Side of what a block without attention looks at, in tokens."""


@dataclass(frozen=True)
class TinyVitConfig:
    """
    heads_per_stage: of attention; the first stage has none, and says 1
    window_sizes:    one for each stage; the first stage has no use for it
    native_windows:  those that the tables of biases are for
    conv_hidden:     width inside the first stage's blocks
    mlp_ratio:       width inside the feed forward layers, in widths of their stage
    """

    channels_per_stage: tuple[int, ...]
    blocks_per_stage: tuple[int, ...]
    heads_per_stage: tuple[int, ...]
    window_sizes: tuple[int, ...]
    native_windows: tuple[int, ...]
    neck_channels: int = 256
    conv_hidden: int = 256
    mlp_ratio: float = 4.0

    patch_size: ClassVar[int] = 4
    """Pixels of the input that one token of the first block covers, along a side."""
    feature_stride: ClassVar[int] = 16
    """Pixels that one feature of the decoder's lowest level covers, along a side."""
    side_step: ClassVar[int] = 16
    """Sides that can be run are multiples of this: one token of the coarsest map."""
    global_blocks: ClassVar[tuple[int, ...]] = ()

    @property
    def depth(self) -> int:
        return sum(self.blocks_per_stage)

    @property
    def channels(self) -> int:
        """Of the first stage."""
        return self.channels_per_stage[0]

    @property
    def num_heads(self) -> int:
        """Of the first stage."""
        return self.heads_per_stage[0]

    @property
    def convolution_blocks(self) -> tuple[int, ...]:
        """Indices of the blocks without attention."""
        return tuple(range(self.blocks_per_stage[0]))

    def block_windows(self, window_sizes: tuple[int, ...]) -> tuple[int, ...]:
        """The window of each block; of a convolution what it looks at."""
        windows = (CONVOLUTION, *window_sizes[1:])
        return tuple(window for window, count in zip(windows, self.blocks_per_stage, strict=True) for _ in range(count))


def strips_of(height: int, width: int) -> Iterator[tuple[int, int]]:
    """(top, end) of each strip of a map."""
    rows = max(1, STRIP_TOKENS // width)
    return ((top, min(top + rows, height)) for top in range(0, height, rows))


class Stem(nn.Module):
    """Two convolutions that halve the map each: pixels to tokens."""

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels
        self.seq = nn.Sequential(ConvNorm(3, channels // 2, 2), nn.GELU(), ConvNorm(channels // 2, channels, 2))

    def forward(self, pixels_bchw: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, H/4, W/4, C]."""
        pixels = pixels_bchw.permute(0, 2, 3, 1).contiguous()
        b, h, w, _ = pixels.shape
        return join_strips(self._strips(pixels), (b, h // 4, w // 4, self.channels))

    def _strips(self, pixels: Tensor) -> Iterator[Tensor]:
        halve, gelu, halve_again = self.seq
        h, w = pixels.shape[1:3]
        for top, end in strips_of(h // 4, w // 4):
            middle, zeros = reach(top, end, 2, h // 2)
            rows, outer_zeros = reach(middle.start, middle.stop, 2, h)
            yield halve_again(gelu(halve(pixels[:, rows], outer_zeros)), zeros)


class ConvBlock(nn.Module):
    """gelu(x + convolutions(x)): wider, each channel on its own, narrower (MobileNet's inverted bottleneck)."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.conv1 = PointNorm(channels, hidden)
        self.conv2 = ConvNorm(hidden, hidden, groups=hidden)
        self.conv3 = PointNorm(hidden, channels)

    def forward(self, map_bhwc: Tensor, window: int, overwrite: bool = False) -> Tensor:
        """[B, H, W, C] -> [B, H, W, C]. Has neither a window nor a use for the input's memory, which its next strip
        looks at.
        """
        return join_strips(self._strips(map_bhwc), map_bhwc.shape)

    def _strips(self, map_bhwc: Tensor) -> Iterator[Tensor]:
        h, w = map_bhwc.shape[1:3]
        for top, end in strips_of(h, w):
            rows, zeros = reach(top, end, 1, h)
            hidden = F.gelu(self.conv2(self.conv1.gelu(map_bhwc[:, rows]), zeros))
            yield F.gelu(self.conv3.plus(hidden, map_bhwc[:, top:end]))


class PatchMerging(nn.Module):
    """From one stage to the next: another width, and a smaller map where the stride is 2."""

    def __init__(self, channels: int, channels_out: int, stride: int):
        super().__init__()
        self.conv1 = PointNorm(channels, channels_out)
        self.conv2 = ConvNorm(channels_out, channels_out, stride, groups=channels_out)
        self.conv3 = PointNorm(channels_out, channels_out)

    def forward(self, map_bhwc: Tensor) -> Tensor:
        """[B, H, W, C] -> [B, H/stride, W/stride, C']."""
        b, h, w, _ = map_bhwc.shape
        stride = self.conv2.stride
        h_out, w_out = -(-h // stride), -(-w // stride)
        return join_strips(self._strips(map_bhwc, h_out, w_out), (b, h_out, w_out, self.conv3.c.out_channels))

    def _strips(self, map_bhwc: Tensor, h_out: int, w_out: int) -> Iterator[Tensor]:
        for top, end in strips_of(h_out, w_out):
            rows, zeros = reach(top, end, self.conv2.stride, map_bhwc.shape[1])
            yield self.conv3(F.gelu(self.conv2(self.conv1.gelu(map_bhwc[:, rows]), zeros)))


class BiasedAttention(nn.Module):
    """Multi-head attention with a bias for each distance in rows and columns, whatever the direction."""

    def __init__(self, channels: int, num_heads: int, window: int):
        super().__init__()
        self.num_heads, self.native_window = num_heads, window
        self.norm = nn.LayerNorm(channels)
        self.qkv = Linear(channels, 3 * channels)
        self.proj = Linear(channels, channels)
        self.attention_biases = nn.Parameter(torch.zeros(num_heads, window * window))

    def distance_table(self, height: int, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """[heads, height, width]: the bias at each distance, from 0, in rows and columns. Stretched for other windows
        than the native one (bicubic, as TinyViT's own code does for fine-tuning at another window).
        """
        table = self.attention_biases.unflatten(1, (self.native_window, -1)).to(dtype)
        if table.shape[1:] == (height, width):
            return table
        return F.interpolate(table[None], size=(height, width), mode="bicubic", align_corners=False)[0]

    def pair_biases(self, window: int) -> Tensor:
        """[1, heads, N, N]: the bias of each pair of a window's N tokens."""
        table = self.distance_table(window, window).to(self.attention_biases.dtype)
        steps = torch.arange(window, device=table.device)
        apart = (steps[:, None] - steps).abs()
        return table[:, apart[:, None, :, None], apart[None, :, None, :]].flatten(3).flatten(1, 2)[None]

    def forward(self, windows: Tensor, biases: Tensor) -> Tensor:
        """[B, h, w, C] -> [B, h, w, C], before the output projection. biases: as `pair_biases` gives them."""
        b, h, w, c = windows.shape
        # The norm comes after the windows were cut, so padding takes part with the norm's bias.
        qkv = self.qkv(self.norm(windows)).view(b, h * w, self.num_heads, 3, -1)
        q, k, v = (each.transpose(1, 2) for each in qkv.unbind(3))
        return F.scaled_dot_product_attention(q, k, v, attn_mask=biases).transpose(1, 2).reshape(b, h, w, c)


class Mlp(nn.Module):
    """x + a feed forward layer of norm(x)."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.fc1 = Linear(channels, hidden)
        self.fc2 = Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2.plus(self.fc1.gelu(self.norm(x)), x)


class TinyVitBlock(nn.Module):
    """x + attention(norm(x)), a convolution of each channel on its own, and x + mlp(norm(x))."""

    def __init__(self, channels: int, num_heads: int, hidden: int, window: int):
        super().__init__()
        self.attn = BiasedAttention(channels, num_heads, window)
        self.mlp = Mlp(channels, hidden)
        self.local_conv = ConvNorm(channels, channels, groups=channels)

    def forward(self, map_bhwc: Tensor, window: int, overwrite: bool = False) -> Tensor:
        """[B, H, W, C] -> [B, H, W, C]. overwrite: the input may be used up (it then holds the output, without
        gradients).
        """
        attended = join_strips(self._attended(map_bhwc, window), map_bhwc.shape)
        return join_strips(self._after_attention(attended), map_bhwc.shape, into=map_bhwc if overwrite else None)

    def _attended(self, map_bhwc: Tensor, window: int) -> Iterator[Tensor]:
        """x + attention, strips of whole rows of windows."""
        h, w = map_bhwc.shape[1:3]
        biases = self.attn.pair_biases(window)
        rows = max(1, STRIP_TOKENS // (window * ceil_to(w, window))) * window
        for top in range(0, h, rows):
            strip = map_bhwc[:, top : top + rows]
            attended = self.attn(partition_windows(strip, window, window), biases)
            yield self.attn.proj.plus(join_windows(attended, *strip.shape[1:3]).contiguous(), strip)

    def _after_attention(self, attended: Tensor) -> Iterator[Tensor]:
        h, w = attended.shape[1:3]
        for top, end in strips_of(h, w):
            rows, zeros = reach(top, end, 1, h)
            yield self.mlp(self.local_conv(attended[:, rows], zeros))


class Stage(nn.Module):
    """Blocks of one width, and what leads to the next."""

    def __init__(self, blocks: list[ConvBlock | TinyVitBlock], downsample: PatchMerging | None):
        super().__init__()
        self.blocks: ModuleList[ConvBlock | TinyVitBlock] = ModuleList(blocks)
        self.downsample = downsample


class TinyVit(nn.Module):
    """Parameters are named as in the official package. Its classifier's head, which segmenting has no use for, is left
    out.
    """

    def __init__(self, config: TinyVitConfig):
        super().__init__()
        self.config = config
        self.patch_embed = Stem(config.channels)
        self.layers: ModuleList[Stage] = ModuleList()
        for stage, (channels, count) in enumerate(zip(config.channels_per_stage, config.blocks_per_stage, strict=True)):
            merging = None
            if stage < len(MERGE_STRIDES):
                merging = PatchMerging(channels, config.channels_per_stage[stage + 1], MERGE_STRIDES[stage])
            self.layers.append(Stage([self._block(stage, channels) for _ in range(count)], merging))
        self.neck = feature_neck(config.channels_per_stage[-1], config.neck_channels)

    def _block(self, stage: int, channels: int) -> ConvBlock | TinyVitBlock:
        config = self.config
        if stage == 0:
            return ConvBlock(channels, config.conv_hidden)
        hidden = int(channels * config.mlp_ratio)
        return TinyVitBlock(channels, config.heads_per_stage[stage], hidden, config.native_windows[stage])

    def bias_tables(self, height: int, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """[heads of all blocks, height, width]: the bias of each head at each distance in rows and columns, from 0."""
        tables = [
            block.attn.distance_table(height, width, dtype)
            for stage in self.layers
            for block in stage.blocks
            if isinstance(block, TinyVitBlock)
        ]
        return torch.cat(tables)

    def forward(
        self, pixels_bchw: Tensor, window_sizes: tuple[int, ...] | None = None, blocks: list[Tensor] | None = None
    ) -> Tensor:
        """
        pixels_bchw:  [B, 3, H, W], normalised, H and W multiples of 16
        window_sizes: one per stage; None for the model's own
        blocks:       a list to which every block's output [B, h, w, C] is appended

        Returns the last block's output [B, h, w, C]; `neck` makes the features of it.
        """
        tokens = self.patch_embed(pixels_bchw)
        windows = iter(self.config.block_windows(window_sizes or self.config.window_sizes))
        for stage in self.layers:
            for block in stage.blocks:
                tokens = block(tokens, next(windows), overwrite=blocks is None)
                if blocks is not None:
                    blocks.append(tokens)
                block_done()
            if stage.downsample is not None:
                tokens = stage.downsample(tokens)
        return tokens
