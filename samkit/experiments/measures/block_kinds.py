"""What each transformer block of a model is, and how long its tokens are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    from samkit.models.sam import SamModel


@dataclass(frozen=True)
class BlockKind:
    """stage: from 1, in SAM v1 one of four equal groups; window: side of its attention windows in tokens, 0 for global
    attention; convolution: it has no attention.
    """

    index: int
    stage: int
    window: int
    convolution: bool = False

    @property
    def attention(self) -> str:
        """How far a token sees, in words."""
        if self.convolution:
            return "convolution"
        return f"window {self.window}" if self.window else "global"


def block_kinds(model: "SamModel", window_sizes: Sequence[int]) -> list[BlockKind]:
    """What each block of a model is, run with these window sizes (one a stage)."""
    stages = [stage for stage, count in enumerate(model.info.blocks_per_stage, start=1) for _ in range(count)]
    encoder = model.config.encoder
    windows = encoder.block_windows(tuple(window_sizes))
    return [
        BlockKind(index, stage, window, index in encoder.convolution_blocks)
        for index, (stage, window) in enumerate(zip(stages, windows, strict=True))
    ]


def token_norms(tokens: Tensor) -> np.ndarray:
    """L2 norm over the channels: [h, w, C] -> float32 [h, w]."""
    return tokens.float().norm(dim=-1).cpu().numpy()
