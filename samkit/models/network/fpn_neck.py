"""The feature pyramid between Hiera and the mask decoder.

Follows `FpnNeck` in sam2/modeling/backbones/image_encoder.py with the official settings: each stage gets a 1x1
convolution, the coarsest stage is added (nearest neighbour) into the next one and then dropped, and the two finest
stages go through without top-down features.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samkit.models.network.layers import ModuleList


class LateralConv(nn.Module):
    """One stage's 1x1 convolution, under the name that the official state dict has for it."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel_size=1)


class FpnNeck(nn.Module):
    """`convs` run from the coarsest stage to the finest, as in the official state dict."""

    def __init__(self, channels: int, channels_per_stage: tuple[int, ...]):
        super().__init__()
        self.convs: ModuleList[LateralConv] = ModuleList(
            LateralConv(stage_channels, channels) for stage_channels in reversed(channels_per_stage)
        )

    def forward(self, stages: list[Tensor], conv_s1: nn.Conv2d | None, conv_s0: nn.Conv2d | None) -> list[Tensor]:
        """
        stages:           [B, h, w, C] per stage, finest first
        conv_s1, conv_s0: the decoder's 1x1 convolutions of its two high-resolution levels; they are multiplied into the
                          neck's own, or None

        Returns three maps [B, h, w, C'], coarsest first: stride 16, 8 and 4 of the input.
        """
        coarsest, low = (
            _conv_1x1(stage, layer.conv) for stage, layer in zip(reversed(stages[2:]), self.convs[:2], strict=True)
        )
        b, h, w, c = coarsest.shape
        low = (low.view(b, h, 2, w, 2, c) + coarsest.view(b, h, 1, w, 1, c)).view_as(low)
        half = _conv_1x1(stages[1], self.convs[2].conv, then=conv_s1)
        full = _conv_1x1(stages[0], self.convs[3].conv, then=conv_s0)
        return [low, half, full]


def _conv_1x1(map_bhwc: Tensor, conv: nn.Conv2d, then: nn.Conv2d | None = None) -> Tensor:
    """A 1x1 convolution, or two in a row as one product, of a channels-last map."""
    weight, bias = conv.weight.flatten(1), conv.bias
    if then is not None:
        assert bias is not None and then.bias is not None
        outer = then.weight.flatten(1).to(weight.dtype)
        weight, bias = outer @ weight, torch.addmv(then.bias.to(weight.dtype), outer, bias)
    return F.linear(map_bhwc, weight, bias)
