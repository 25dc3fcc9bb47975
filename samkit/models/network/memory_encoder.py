"""The memory encoder of SAM v2: a frame's features and its mask become 64 channels worth remembering.

Follows sam2/modeling/memory_encoder.py with the released settings. Maps run channels last, but for the convolutions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samkit.models.network.layers import ChannelNorm
from samkit.models.network.linear import Linear

MASK_CHANNELS = (1, 4, 16, 64, 256)
"""Each convolution of the mask halves its sides and has four times as many channels."""


class MaskDownSampler(nn.Module):
    def __init__(self, channels: int, kernel: int):
        super().__init__()
        self.encoder = nn.Sequential()
        for before, after in zip(MASK_CHANNELS, MASK_CHANNELS[1:], strict=False):
            self.encoder.extend(
                [nn.Conv2d(before, after, kernel, stride=2, padding=kernel // 2), ChannelNorm(after), nn.GELU()]
            )
        self.encoder.append(nn.Conv2d(MASK_CHANNELS[-1], channels, kernel_size=1))

    def forward(self, mask_bchw: Tensor) -> Tensor:
        """[B, 1, 16h, 16w] -> [B, C, h, w]."""
        return self.encoder(mask_bchw)


class FuserBlock(nn.Module):
    """A ConvNeXt block; official name `CXBlock`."""

    def __init__(self, channels: int, kernel: int, hidden: int):
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.norm = ChannelNorm(channels)
        self.pwconv1 = Linear(channels, hidden)
        self.pwconv2 = Linear(hidden, channels)
        self.gamma = nn.Parameter(torch.full((channels,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C, h, w]."""
        inner = self.norm(self.dwconv(x)).permute(0, 2, 3, 1)
        inner = self.pwconv2(self.pwconv1.gelu(inner))
        return x + (self.gamma * inner).permute(0, 3, 1, 2)


class Fuser(nn.Module):
    def __init__(self, channels: int, kernel: int, hidden: int, layers: int):
        super().__init__()
        self.layers = nn.ModuleList(FuserBlock(channels, kernel, hidden) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class MemoryEncoder(nn.Module):
    """Parameters are named as in the official package."""

    def __init__(
        self,
        channels: int,
        memory_channels: int,
        mask_kernel: int,
        fuser_kernel: int,
        fuser_hidden: int,
        fuser_layers: int,
    ):
        super().__init__()
        self.mask_downsampler = MaskDownSampler(channels, mask_kernel)
        self.pix_feat_proj = nn.Conv2d(channels, channels, kernel_size=1)
        self.fuser = Fuser(channels, fuser_kernel, fuser_hidden, fuser_layers)
        self.out_proj = nn.Conv2d(channels, memory_channels, kernel_size=1)

    def forward(self, features_bhwc: Tensor, mask_bchw: Tensor) -> Tensor:
        """features [1 or B, h, w, C] and mask [B, 1, 16h, 16w], scaled to -10..10, -> [B, h, w, Cm]."""
        projected = F.linear(features_bhwc, self.pix_feat_proj.weight.flatten(1), self.pix_feat_proj.bias).permute(
            0, 3, 1, 2
        )
        fused = self.fuser(self.mask_downsampler(mask_bchw) + projected).permute(0, 2, 3, 1)
        return F.linear(fused, self.out_proj.weight.flatten(1), self.out_proj.bias)
