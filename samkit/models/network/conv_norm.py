"""A convolution and the batch norm after it, run as one: the norm's statistics are those of its training, so its scale
goes into the convolution's weights. Maps are channels last, and strips of whole rows can be run on their own.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samkit.models.network.linear import Linear

EPSILON = 1e-5


def reach(top: int, end: int, stride: int, height: int) -> tuple[slice, tuple[int, int]]:
    """What the output rows from `top` up to `end` of a 3x3 convolution look at, in a map of that height: its rows, and
    how many rows of zeros lie above and below them.
    """
    first, last = stride * top - 1, stride * (end - 1) + 2
    return slice(max(first, 0), min(last, height)), (max(0, -first), max(0, last - height))


class FixedNorm(nn.Module):
    """Batch norm that keeps the statistics it was trained with. Named as in `nn.BatchNorm2d`, without its counter."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def folded_into(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """(weight, bias) of a convolution [out, ...] with this norm after it."""
        scale = self.weight.float() * (self.running_var.float() + EPSILON).rsqrt()
        bias = self.bias.float() - self.running_mean.float() * scale
        scaled = weight.float() * scale.view(-1, *[1] * (weight.ndim - 1))
        return scaled.to(weight.dtype), bias.to(weight.dtype)


class ConvNorm(nn.Module):
    """3x3, one zero around the map. groups: as in `nn.Conv2d`."""

    def __init__(self, channels: int, channels_out: int, stride: int = 1, groups: int = 1):
        super().__init__()
        self.stride, self.groups = stride, groups
        self.c = nn.Conv2d(channels, channels_out, 3, stride, 1, groups=groups, bias=False)
        self.bn = FixedNorm(channels_out)
        self._folded: tuple[Tensor, Tensor] | None = None

    def pack(self) -> None:
        """Fold the norm in once and for all; later edits of the parameters are not seen."""
        with torch.no_grad():
            self._folded = self.bn.folded_into(self.c.weight)

    @property
    def packed_numbers(self) -> int:
        """As `Linear.packed_numbers`."""
        return self.c.weight.numel()

    def forward(self, strip_bhwc: Tensor, zeros: tuple[int, int] = (1, 1)) -> Tensor:
        """zeros: rows of zeros above and below the strip, as `reach` gives them."""
        kept = None if torch.is_grad_enabled() else self._folded
        weight, bias = kept or self.bn.folded_into(self.c.weight)
        if any(zeros):
            strip_bhwc = F.pad(strip_bhwc, (0, 0, 0, 0, *zeros))
        strip = F.conv2d(strip_bhwc.permute(0, 3, 1, 2), weight, bias, self.stride, (0, 1), groups=self.groups)
        return strip.permute(0, 2, 3, 1)


class PointNorm(nn.Module):
    """1x1, which is a linear layer on each token: all inputs are [..., in]."""

    def __init__(self, channels: int, channels_out: int):
        super().__init__()
        self.c = nn.Conv2d(channels, channels_out, 1, bias=False)
        self.bn = FixedNorm(channels_out)
        # In a list, so that it is no part of the state dict.
        self._packed: list[Linear] = []

    def pack(self) -> None:
        """As `ConvNorm.pack`, and laid out for oneDNN where this machine can."""
        with torch.no_grad():
            weight, bias = self.folded()
        with torch.device("meta"):
            linear = Linear(weight.shape[1], weight.shape[0])
        linear.weight, linear.bias = nn.Parameter(weight, False), nn.Parameter(bias, False)
        linear.pack()
        self._packed = [linear]

    @property
    def packed_numbers(self) -> int:
        """As `Linear.packed_numbers`: folded, and laid out."""
        return 2 * self.c.weight.numel()

    def folded(self) -> tuple[Tensor, Tensor]:
        """(weight [out, in], bias [out])."""
        return self.bn.folded_into(self.c.weight.flatten(1))

    @property
    def _linear(self) -> Linear | None:
        return self._packed[0] if self._packed and not torch.is_grad_enabled() else None

    def forward(self, x: Tensor) -> Tensor:
        return linear(x) if (linear := self._linear) else F.linear(x, *self.folded())

    def gelu(self, x: Tensor) -> Tensor:
        """gelu(forward(x))"""
        return linear.gelu(x) if (linear := self._linear) else F.gelu(F.linear(x, *self.folded()))

    def plus(self, x: Tensor, residual: Tensor) -> Tensor:
        """forward(x) + residual"""
        return linear.plus(x, residual) if (linear := self._linear) else F.linear(x, *self.folded()) + residual
