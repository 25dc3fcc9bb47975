"""The prompt encoder of SAM v1 and v2: points, boxes and a mask hint become tokens and a map.

Follows segment_anything/modeling/prompt_encoder.py and sam2/modeling/sam/prompt_encoder.py. Every prompt is a list of
(x, y, label) with the labels -1 padding, 0 background, 1 foreground, 2 and 3 the top left and bottom right corners of a
box.
"""

import math

import torch
from torch import Tensor, nn

from samkit.models.network.layers import ChannelNorm, Embedding, ModuleList

PADDING, BACKGROUND, FOREGROUND, BOX_TOP_LEFT, BOX_BOTTOM_RIGHT = -1, 0, 1, 2, 3


class FourierPositions(nn.Module):
    """Positions as sines and cosines of random projections; official name `PositionEmbeddingRandom`."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.empty(2, channels // 2))

    def forward(self, points_xy: Tensor) -> Tensor:
        """[..., 2] positions 0..1 of the padded model input -> [..., channels]."""
        angles = 2 * math.pi * ((2 * points_xy - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)

    def grid(self, height: int, width: int) -> Tensor:
        """Encodings of the pixel centres of a grid: [height, width, channels]."""
        like = self.positional_encoding_gaussian_matrix
        y = (torch.arange(height, device=like.device, dtype=like.dtype) + 0.5) / height
        x = (torch.arange(width, device=like.device, dtype=like.dtype) + 0.5) / width
        return self(torch.stack(torch.broadcast_tensors(x[None, :], y[:, None]), dim=-1))


class PromptEncoder(nn.Module):
    """Parameters are named as in the official packages."""

    def __init__(self, channels: int, mask_channels: int = 16):
        super().__init__()
        self.pe_layer = FourierPositions(channels)
        self.point_embeddings: ModuleList[Embedding] = ModuleList(Embedding(1, channels) for _ in range(4))
        self.not_a_point_embed = Embedding(1, channels)
        self.no_mask_embed = Embedding(1, channels)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, mask_channels // 4, kernel_size=2, stride=2),
            ChannelNorm(mask_channels // 4),
            nn.GELU(),
            nn.Conv2d(mask_channels // 4, mask_channels, kernel_size=2, stride=2),
            ChannelNorm(mask_channels),
            nn.GELU(),
            nn.Conv2d(mask_channels, channels, kernel_size=1),
        )

    def embed_points(self, points_xy: Tensor, labels: Tensor) -> Tensor:
        """points_xy: [..., N, 2] in 0..1 of the padded model input, pixel centres included; labels: int [..., N].
        Returns [..., N, C].
        """
        padding = labels == PADDING
        table = torch.cat([embedding.weight for embedding in self.point_embeddings] + [self.not_a_point_embed.weight])
        positions = self.pe_layer(points_xy).masked_fill(padding[..., None], 0.0)
        return positions + table[labels.masked_fill(padding, len(self.point_embeddings))]

    def embed_mask(self, mask_logits: Tensor) -> Tensor:
        """[B, 1, 4h, 4w] logits of an earlier prediction -> [B, C, h, w]."""
        return self.mask_downscaling(mask_logits)
