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

from samkit.models.network.layers import ChannelNorm, Embedding, FeedForward, ModuleList, deconvolve_2x
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
            nn.ConvTranspose2d(channels, channels // 4, kernel_size=2, stride=2),
            ChannelNorm(channels // 4),
            nn.GELU(),
            nn.ConvTranspose2d(channels // 4, channels // 8, kernel_size=2, stride=2),
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
        keys:            [B, h*w, C] image features with the dense prompt added; keys_pe: [1, h*w, C] their positions
        prompt_tokens:   [B, N, C]
        grid:            (h, w)
        high_resolution: ([1 or B, h*w*4, C/4], [1 or B, h*w*16, C/8]) from `block_high_resolution`, or None for v1
        """
        config = self.config
        score_token = [self.obj_score_token.weight] if config.object_score_dims else []
        own_tokens = torch.cat([*score_token, self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([own_tokens.expand(prompt_tokens.shape[0], -1, -1), prompt_tokens], dim=1)
        tokens, keys = self.transformer(keys, keys_pe, tokens)

        first = 1 if config.object_score_dims else 0
        mask_tokens = tokens[:, first + 1 : first + 1 + config.num_masks]
        weights = torch.stack([mlp(mask_tokens[:, i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)], dim=1)
        logits = weights @ self._upscale(keys, high_resolution).transpose(1, 2)
        return DecodedMasks(
            logits=unblock(logits, grid),
            iou=self.iou_prediction_head(tokens[:, first]),
            mask_tokens=mask_tokens,
            object_score=self.pred_obj_score_head(tokens[:, 0]) if config.object_score_dims else None,
        )

    def _upscale(self, keys: Tensor, high_resolution: tuple[Tensor, Tensor] | None) -> Tensor:
        """[B, h*w, C] -> [B, h*w*16, C/8], the 16 pixels of each token side by side (see `unblock`)."""
        deconv1, norm, _, deconv2, _ = self.output_upscaling
        assert isinstance(deconv1, nn.ConvTranspose2d) and isinstance(deconv2, nn.ConvTranspose2d)
        assert isinstance(norm, ChannelNorm)
        x = deconvolve_2x(deconv1, keys).flatten(1, 2)
        if high_resolution is not None:
            x = x + high_resolution[0]
        x = F.gelu(F.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps))
        x = deconvolve_2x(deconv2, x).flatten(1, 2)
        if high_resolution is not None:
            x = x + high_resolution[1]
        return F.gelu(x)


def unblock(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """[B, M, h*w*16] in the order (row, column, 2x2 sub-pixel, 2x2 sub-sub-pixel) -> [B, M, 4h, 4w]."""
    h, w = grid
    return maps.unflatten(-1, (h, w, 2, 2, 2, 2)).permute(0, 1, 2, 4, 6, 3, 5, 7).reshape(*maps.shape[:2], 4 * h, 4 * w)


def block_high_resolution(half_bchw: Tensor, full_bchw: Tensor) -> tuple[Tensor, Tensor]:
    """Lays the high-resolution features out in the decoder's pixel order.

    half_bchw: [B, C/4, 2h, 2w] -> [B, h*w*4, C/4]; full_bchw: [B, C/8, 4h, 4w] -> [B, h*w*16, C/8].
    """
    b, c, hh, ww = half_bchw.shape
    half = half_bchw.reshape(b, c, hh // 2, 2, ww // 2, 2).permute(0, 2, 4, 3, 5, 1).reshape(b, hh * ww, c)
    b, c, hh, ww = full_bchw.shape
    full = full_bchw.reshape(b, c, hh // 4, 2, 2, ww // 4, 2, 2).permute(0, 2, 5, 3, 6, 4, 7, 1).reshape(b, hh * ww, c)
    return half, full
