"""What SAM v2 has beyond an image model: memories of frames, object pointers, and how both condition the frame that
comes next.

Follows `SAM2Base` in sam2/modeling/sam2_base.py with the released settings.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samkit.models.network.layers import FeedForward
from samkit.models.network.linear import Linear
from samkit.models.network.memory_attention import MemoryAttention
from samkit.models.network.memory_encoder import MemoryEncoder
from samkit.models.network.rope import rotary_turns
from samkit.models.network.sine_positions import sine_map, sine_times
from samkit.models.network.table_cache import TableCache

ABSENT_LOGIT = -1024.0
"""What every logit becomes where the object is judged absent."""
MASK_SCALE, MASK_BIAS = 20.0, -10.0
"""From a probability to what the memory encoder takes, and from a mask to logits."""
POSITION_SHARE = 0.1
"""Of the frame's own positions, added before memory attention."""


@dataclass(frozen=True)
class MemoryConfig:
    """
    channels:         of a memory
    memories:         how many frames, the prompted one counted, have a time of their own
    timed_pointers:   whether object pointers have a time (2.1)
    absent_embedding: whether a frame without the object is marked as such (2.1)
    """

    channels: int = 64
    layers: int = 4
    num_heads: int = 1
    hidden: int = 2048
    memories: int = 7
    mask_kernel: int = 3
    fuser_kernel: int = 7
    fuser_hidden: int = 1024
    fuser_layers: int = 2
    pointer_dims: tuple[int, ...] = (256, 256, 256, 256)
    timed_pointers: bool = True
    absent_embedding: bool = True
    rope_theta: float = 10000.0


class MemorySide(nn.Module):
    """Parameters are named as in the official package, which has them beside the other parts."""

    def __init__(self, config: MemoryConfig, channels: int):
        """channels: of the frame's features."""
        super().__init__()
        self.config = config
        width = config.channels
        self.memory_attention = MemoryAttention(channels, width, config.num_heads, config.hidden, config.layers)
        self.memory_encoder = MemoryEncoder(
            channels, width, config.mask_kernel, config.fuser_kernel, config.fuser_hidden, config.fuser_layers
        )
        self.maskmem_tpos_enc = nn.Parameter(torch.zeros(config.memories, 1, 1, width))
        self.no_mem_pos_enc = nn.Parameter(torch.zeros(1, 1, channels))
        self.no_obj_ptr = nn.Parameter(torch.zeros(1, channels))
        self.mask_downsample = nn.Conv2d(1, 1, kernel_size=4, stride=4)
        self.obj_ptr_proj = FeedForward(config.pointer_dims)
        if config.timed_pointers:
            self.obj_ptr_tpos_proj = Linear(channels, width)
        if config.absent_embedding:
            self.no_obj_embed_spatial = nn.Parameter(torch.zeros(1, width))
        self._tables = TableCache(max_entries=24)

    def encode(
        self,
        features_bhwc: Tensor,
        logits_bchw: Tensor,
        present: Tensor,
        *,
        through: tuple[int, int] | None = None,
        squash_first: bool = False,
        cut: bool = False,
    ) -> Tensor:
        """What to remember of a frame.

        features_bhwc: [1 or B, h, w, C]; logits_bchw: [B, 1, h', w'] of the mask over the input, at any size; present:
                       bool [B], whether the object is in the frame
        through:       a size (height, width) that the logits are brought to on their way to 16 times the grid
        squash_first:  whether they become -10..10 there already
        cut:           whether the mask is cut at 0, and so has no soft edge

        Returns [B, h, w, Cm].
        """
        _, h, w, _ = features_bhwc.shape
        shown = hide_absent(logits_bchw, present[:, None, None, None])
        if through is not None:
            shown = resize_maps(shown, through, antialias=False)
        size = (16 * h, 16 * w)
        if squash_first:
            mask = resize_maps(_squash(shown, cut), size, antialias=True)
        else:
            mask = _squash(resize_maps(shown, size, antialias=through is not None), cut)
        memory = self.memory_encoder(features_bhwc, mask)
        if self.config.absent_embedding:
            memory = memory + torch.where(present[:, None], 0.0, self.no_obj_embed_spatial)[:, None, None]
        return memory

    def pointer(self, mask_token: Tensor, present: Tensor) -> Tensor:
        """The object as one vector. mask_token: [B, C], the decoder's for the chosen mask; present: bool [B]. Returns
        [B, C].
        """
        return torch.where(present[:, None], self.obj_ptr_proj(mask_token), self.no_obj_ptr)

    def condition(
        self, features_bhwc: Tensor, memories: Sequence[Tensor], slots: Sequence[int], pointers: Tensor, times: Tensor
    ) -> Tensor:
        """A frame's features in the light of what is remembered.

        features_bhwc: [B, h, w, C] of the lowest level
        memories:      [B, h', w', Cm] each, at least one; slots: for each, its entry in the table of times: 0 the frame
                       before, ... , last a prompted frame
        pointers:      [B, P, C], P may be 0; times: float [P], their distances as shares of the longest

        Returns [B, h, w, C].
        """
        _, h, w, c = features_bhwc.shape
        device, width = features_bhwc.device, self.config.channels
        tokens = features_bhwc.flatten(1, 2) + POSITION_SHARE * self._positions(h, w, c, device)
        remembered = [memory.flatten(1, 2).to(tokens.dtype) for memory in memories]
        grids = [(memory.shape[1], memory.shape[2]) for memory in memories]
        positions = [
            self._positions(*grid, width, device) + self.maskmem_tpos_enc[slot]
            for grid, slot in zip(grids, slots, strict=True)
        ]
        if pointers.shape[1]:
            # A pointer is as wide as several tokens of memory, and becomes as many.
            pieces = c // width
            remembered.append(pointers.unflatten(-1, (pieces, width)).flatten(1, 2))
            positions.append(self._pointer_positions(times, c).repeat_interleave(pieces, dim=0)[None])
        turns = self._turns((h, w), (h, w), c, device)
        memory_turns = torch.cat([self._turns(grid, (h, w), c, device) for grid in grids])
        tokens = self.memory_attention(
            tokens, torch.cat(remembered, dim=1), torch.cat(positions, dim=1), turns, memory_turns
        )
        return tokens.unflatten(1, (h, w))

    def _pointer_positions(self, times: Tensor, channels: int) -> Tensor:
        if not self.config.timed_pointers:
            return torch.zeros(len(times), self.config.channels, device=times.device)
        return self.obj_ptr_tpos_proj(sine_times(times, channels))

    def _positions(self, height: int, width: int, channels: int, device: torch.device) -> Tensor:
        """[1, height * width, channels]."""
        return self._tables.get(
            ("sine", height, width, channels), lambda: sine_map(height, width, channels, device).flatten(0, 1)[None]
        )

    def _turns(self, grid: tuple[int, int], frame_grid: tuple[int, int], channels: int, device: torch.device) -> Tensor:
        """The rotary turns of a map's places. A map of another resolution than the frame's is stretched over it, so
        that the same place has the same angles.
        """
        step = frame_grid[0] / grid[0], frame_grid[1] / grid[1]
        channels //= self.config.num_heads
        theta = self.config.rope_theta
        return self._tables.get(
            ("turns", grid, frame_grid, channels), lambda: rotary_turns(*grid, channels, theta, step, device)
        )


def hide_absent(logits: Tensor, present: Tensor) -> Tensor:
    """Logits, with those of an absent object at `ABSENT_LOGIT`."""
    return torch.where(present, logits, ABSENT_LOGIT)


def _squash(logits: Tensor, cut: bool) -> Tensor:
    """Logits -> -10..10, or cut at 0, to one of both."""
    shares = (logits > 0).to(logits.dtype) if cut else torch.sigmoid(logits)
    return shares * MASK_SCALE + MASK_BIAS


def resize_maps(maps_bchw: Tensor, size: tuple[int, int], antialias: bool = False) -> Tensor:
    """[B, C, h, w] -> [B, C, *size], bilinear."""
    if tuple(maps_bchw.shape[-2:]) == size:
        return maps_bchw
    return F.interpolate(maps_bchw, size=size, mode="bilinear", align_corners=False, antialias=antialias)
