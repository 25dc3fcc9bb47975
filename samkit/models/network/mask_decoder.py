"""The mask decoder of SAM v1 and v2: image features and prompt tokens become four masks, their predicted IoUs and, in
v2, an object score.

Follows segment_anything/modeling/mask_decoder.py and sam2/modeling/sam/mask_decoder.py. What v2 adds to v1: an object
score token, skip connections from high-resolution features, and a sigmoid on the predicted IoUs. Maps run channels
last, so that each 1x1 or 2x2 convolution is one matrix product.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samkit.models.network.few_tokens import STRIP_TOKENS
from samkit.models.network.layers import ChannelNorm, Embedding, FeedForward, ModuleList, Opening
from samkit.models.network.two_way_transformer import TwoWayTransformer


@dataclass(frozen=True)
class MaskDecoderConfig:
    """channels: width of tokens and features; inner: width inside cross attention; hidden: of the transformer's feed
    forward layers.
    """

    channels: int = 256
    inner: int = 128
    num_heads: int = 8
    hidden: int = 2048
    depth: int = 2
    num_masks: int = 4
    iou_dims: tuple[int, ...] = (256, 256, 256, 4)
    iou_sigmoid: bool = False
    high_resolution: bool = False
    object_score_dims: tuple[int, ...] | None = None


@dataclass(frozen=True)
class DecodedMasks:
    """logits [B, masks, 4h, 4w], iou [B, masks], mask_tokens [B, masks, C], object_score [B, 1] or None."""

    logits: Tensor
    iou: Tensor
    mask_tokens: Tensor
    object_score: Tensor | None


class MaskDecoder(nn.Module):
    """Parameters are named as in the official packages."""

    def __init__(self, config: MaskDecoderConfig):
        super().__init__()
        self.config = config
        channels = config.channels
        self.transformer = TwoWayTransformer(channels, config.inner, config.num_heads, config.hidden, config.depth)
        self.iou_token = Embedding(1, channels)
        self.mask_tokens = Embedding(config.num_masks, channels)
        self.output_upscaling = nn.Sequential(
            Opening(channels, channels // 4),
            ChannelNorm(channels // 4),
            nn.GELU(),
            Opening(channels // 4, channels // 8),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps: ModuleList[FeedForward] = ModuleList(
            FeedForward((channels, channels, channels, channels // 8)) for _ in range(config.num_masks)
        )
        self.iou_prediction_head = FeedForward(config.iou_dims, sigmoid=config.iou_sigmoid)
        if config.high_resolution:
            self.conv_s0 = nn.Conv2d(channels, channels // 8, kernel_size=1)
            self.conv_s1 = nn.Conv2d(channels, channels // 4, kernel_size=1)
        if config.object_score_dims:
            self.obj_score_token = Embedding(1, channels)
            self.pred_obj_score_head = FeedForward(config.object_score_dims)

    def forward(
        self,
        keys: Tensor,
        keys_pe: Tensor,
        prompt_tokens: Tensor,
        grid: tuple[int, int],
        high_resolution: tuple[Tensor, Tensor] | None,
    ) -> DecodedMasks:
        """
        keys:            [1 or B, h*w, C] image features with the dense prompt added; keys_pe: [1, h*w, C] their
                         positions
        prompt_tokens:   [B, N, C]
        grid:            (h, w)
        high_resolution: ([1 or B, C/4, 2h, 2w], [1 or B, C/8, 4h, 4w]) from the encoder's neck, or None for v1
        """
        config = self.config
        score_token = [self.obj_score_token.weight] if config.object_score_dims else []
        own_tokens = torch.cat([*score_token, self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([own_tokens.expand(prompt_tokens.shape[0], -1, -1), prompt_tokens], dim=1)
        tokens, keys = self.transformer(keys, keys_pe, tokens)

        first = 1 if config.object_score_dims else 0
        mask_tokens = tokens[:, first + 1 : first + 1 + config.num_masks]
        weights = torch.stack([mlp(mask_tokens[:, i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)], dim=1)
        return DecodedMasks(
            logits=self._draw(weights, keys, grid, high_resolution),
            iou=self.iou_prediction_head(tokens[:, first]),
            mask_tokens=mask_tokens,
            object_score=self.pred_obj_score_head(tokens[:, 0]) if config.object_score_dims else None,
        )

    def _draw(
        self, weights: Tensor, keys: Tensor, grid: tuple[int, int], high_resolution: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        """weights [B, M, C/8] of each mask, keys [B, h*w, C] -> logits [B, M, 4h, 4w].

        On a CPU a strip of tokens and one set of prompts at a time, so that what is in between stays in its cache: it
        is eight times as much as the keys.
        """
        height, width = grid
        tokens = keys.unflatten(1, grid)
        if torch.is_grad_enabled() or keys.device.type != "cpu":
            return self._draw_strip(weights, tokens, high_resolution and _blocks(high_resolution, slice(0, height)))
        rows = max(1, STRIP_TOKENS // width)
        logits = keys.new_empty(*weights.shape[:2], 4 * height, 4 * width)
        for top in range(0, height, rows):
            strip = slice(top, min(top + rows, height))
            high = high_resolution and _blocks(high_resolution, strip)
            for each in range(len(keys)):
                one = slice(each, each + 1)
                own = high if high is None or len(high[0]) == 1 else (high[0][one], high[1][one])
                logits[one, :, 4 * strip.start : 4 * strip.stop] = self._draw_strip(
                    weights[one], tokens[one, strip], own
                )
        return logits

    def _draw_strip(self, weights: Tensor, tokens: Tensor, high: tuple[Tensor, Tensor] | None) -> Tensor:
        """weights [B, M, C/8], tokens [B, rows, w, C], high: of `_blocks` -> [B, M, 4 * rows, 4w]."""
        opening1, norm, _, opening2, _ = self.output_upscaling
        assert isinstance(opening1, Opening) and isinstance(opening2, Opening) and isinstance(norm, ChannelNorm)
        gelu = F.gelu if torch.is_grad_enabled() else torch.ops.aten.gelu_
        batch, rows, width, _ = tokens.shape
        half = opening1.open(tokens.flatten(1, 2), high and high[0]).view(batch, rows * width * 4, -1)
        half = gelu(F.layer_norm(half, norm.normalized_shape, norm.weight, norm.bias, norm.eps))
        full = gelu(opening2.open(half, high and high[1])).view(batch, rows * width * 16, -1)
        pixels = (weights @ full.transpose(1, 2)).unflatten(-1, (rows, width, 2, 2, 2, 2))
        return pixels.permute(0, 1, 2, 4, 6, 3, 5, 7).reshape(batch, -1, 4 * rows, 4 * width)


def _blocks(levels: tuple[Tensor, Tensor], rows: slice) -> tuple[Tensor, Tensor]:
    """Of maps [B, C/4, 2h, 2w] and [B, C/8, 4h, 4w], what belongs to those rows of tokens, in the order in which tokens
    open: [B, tokens, 4 * C/4] and [B, 4 * tokens, 4 * C/8].
    """
    half = levels[0][:, :, 2 * rows.start : 2 * rows.stop]
    full = levels[1][:, :, 4 * rows.start : 4 * rows.stop]
    b, c, hh, ww = half.shape
    half = half.reshape(b, c, hh // 2, 2, ww // 2, 2).permute(0, 2, 4, 3, 5, 1).reshape(b, hh * ww // 4, 4 * c)
    b, c, hh, ww = full.shape
    full = full.reshape(b, c, hh // 4, 2, 2, ww // 4, 2, 2).permute(0, 2, 5, 3, 6, 4, 7, 1)
    return half, full.reshape(b, hh * ww // 4, 4 * c)
