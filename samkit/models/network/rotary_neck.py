"""The neck between SAM 3's encoder and the mask decoder: three levels, 1, 2 and 4 times as fine as the tokens, each
made of the last block alone.

What is linear in a row is one product: the last transposed convolution with the 1x1 convolution after it, and the 3x3
convolution with the decoder's own 1x1 convolution. The fine levels are made in strips of rows.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samkit.models.network.layers import ModuleList, Opening

STRIP_ROWS = 2
"""Rows of tokens from which a fine level is made at a time."""


class NeckLevel(nn.Module):
    """Parameters are named as in sam3.pt. doublings: how often the map is made twice as fine, 0 to 2."""

    def __init__(self, channels_in: int, channels: int, doublings: int):
        super().__init__()
        self.doublings = doublings
        inside = channels_in
        if doublings == 2:
            self.dconv_2x2_0 = Opening(inside, inside // 2)
            self.dconv_2x2_1 = nn.ConvTranspose2d(inside // 2, inside // 4, kernel_size=2, stride=2)
            inside //= 4
        elif doublings == 1:
            self.dconv_2x2 = nn.ConvTranspose2d(inside, inside // 2, kernel_size=2, stride=2)
            inside //= 2
        self.conv_1x1 = nn.Conv2d(inside, channels, kernel_size=1)
        self.conv_3x3 = nn.Conv2d(channels, channels, kernel_size=3, padding=1)

    def forward(self, tokens: Tensor, then: nn.Conv2d | None = None) -> Tensor:
        """[B, h, w, C] -> [B, h * 2^doublings, w * 2^doublings, C'].

        then: a 1x1 convolution of the result, which is multiplied into the last one, or None
        """
        kernel, bias = self.conv_3x3.weight, self.conv_3x3.bias
        assert bias is not None
        if then is not None:
            assert then.bias is not None
            outer = then.weight.flatten(1).to(kernel.dtype)
            kernel = (outer @ kernel.flatten(1)).unflatten(1, kernel.shape[1:])
            bias = torch.addmv(then.bias.to(kernel.dtype), outer, bias)
        if torch.is_grad_enabled() or self.doublings == 0:
            return _convolve(F.pad(self._opened(tokens, self._last()), (0, 0, 0, 0, 1, 1)), kernel, bias)
        return self._in_strips(tokens, kernel, bias)

    def _in_strips(self, tokens: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
        """What `forward` returns, from the top down. A fine row is convolved when the one below it is there."""
        (b, height, width, _), times = tokens.shape, 2**self.doublings
        level = tokens.new_empty(b, height * times, width * times, len(bias))
        outside = tokens.new_zeros(b, 1, width * times, self.conv_1x1.out_channels)
        held, done, last = outside, 0, self._last()
        for top in range(0, height, STRIP_ROWS):
            end = min(top + STRIP_ROWS, height)
            below = [outside] if end == height else []
            held = torch.cat([held, self._opened(tokens[:, top:end], last), *below], dim=1)
            ready = done + held.shape[1] - 2
            level[:, done:ready] = _convolve(held, kernel, bias)
            held, done = held[:, -2:].clone(), ready
        return level

    def _opened(self, tokens: Tensor, last: tuple[Tensor, Tensor]) -> Tensor:
        """Made finer, and as wide as the result: [B, h, w, C] -> [B, h * 2^doublings, w * 2^doublings, C']. last: of
        `_last`.
        """
        if self.doublings == 0:
            return F.linear(tokens, *last)
        if self.doublings == 2:
            tokens = F.gelu(_unfold(self.dconv_2x2_0.open(tokens).unflatten(-1, (4, -1))))
        return _unfold(F.linear(tokens, *last).unflatten(-1, (4, -1)))

    def _last(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the 1x1 convolution and the transposed one before it, if there is one, as one product."""
        inner, bias = self.conv_1x1.weight.flatten(1), self.conv_1x1.bias
        assert bias is not None
        if self.doublings == 0:
            return inner, bias
        before = self.dconv_2x2_1 if self.doublings == 2 else self.dconv_2x2
        assert before.bias is not None
        weight = torch.einsum("oc,icyx->yxoi", inner, before.weight).flatten(0, 2)
        return weight, torch.addmv(bias, inner, before.bias).repeat(4)


def _unfold(opened: Tensor) -> Tensor:
    """[B, h, w, 4, C], the four pixels that each token opens into -> [B, 2h, 2w, C]."""
    b, h, w, _, c = opened.shape
    return opened.view(b, h, w, 2, 2, c).transpose(2, 3).reshape(b, 2 * h, 2 * w, c)


def _convolve(map_bhwc: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """A 3x3 convolution of a map whose rows are padded already: [B, h + 2, w, C] -> [B, h, w, C']."""
    return F.conv2d(map_bhwc.permute(0, 3, 1, 2), kernel, bias, padding=(0, 1)).permute(0, 2, 3, 1)


class RotaryNeck(nn.Module):
    """`convs` run from the finest level to the coarsest, as in sam3.pt."""

    def __init__(self, channels_in: int, channels: int):
        super().__init__()
        self.convs: ModuleList[NeckLevel] = ModuleList(NeckLevel(channels_in, channels, times) for times in (2, 1, 0))

    def forward(self, tokens: Tensor, conv_s1: nn.Conv2d | None, conv_s0: nn.Conv2d | None) -> list[Tensor]:
        """
        tokens:           [B, h, w, C] of the last block
        conv_s1, conv_s0: the decoder's 1x1 convolutions of its two high-resolution levels, or None

        Returns three maps [B, h', w', C'], coarsest first.
        """
        fine, middle, low = self.convs
        return [low(tokens), middle(tokens, conv_s1), fine(tokens, conv_s0)]
