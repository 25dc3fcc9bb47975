"""Small layers that the image encoders and the mask decoder share."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, TypeVar, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samkit.models.network.linear import PACK_ROWS, Linear, can_pack, pack_weight, packed_product, packed_sum

AnyModule = TypeVar("AnyModule", bound=nn.Module)


class ModuleList(nn.ModuleList, Generic[AnyModule]):
    """`nn.ModuleList` that tells a type checker which modules are in it."""

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, idx: slice) -> "ModuleList[AnyModule]": ...

        @overload
        def __getitem__(self, idx: int) -> AnyModule: ...

        def __getitem__(self, idx: int | slice) -> "AnyModule | ModuleList[AnyModule]": ...

        def __iter__(self) -> Iterator[AnyModule]: ...


class Embedding(nn.Embedding):
    """`nn.Embedding` that is not filled on the meta device, where that would import torch's compiler, which takes
    longer than loading a model.
    """

    def reset_parameters(self) -> None:
        """Random values, where there is memory for them."""
        if self.weight.device.type != "meta":
            super().reset_parameters()


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of a map. The official code's `LayerNorm2d`: same parameters, same epsilon."""

    def __init__(self, channels: int):
        super().__init__(channels, eps=1e-6)

    def forward(self, map_bchw: Tensor) -> Tensor:
        return super().forward(map_bchw.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class FeedForward(nn.Module):
    """Layers of `Linear` with an activation between them; parameters `layers.0`, `layers.1`, ... as in the official
    `MLP`.
    """

    def __init__(self, dims: tuple[int, ...], activation: str = "relu", sigmoid: bool = False):
        """dims: the input width, each hidden width, the output width."""
        super().__init__()
        self.layers: ModuleList[Linear] = ModuleList(
            Linear(before, after) for before, after in zip(dims, dims[1:], strict=False)
        )
        self.activation = activation
        self.sigmoid = sigmoid

    def hidden(self, x: Tensor) -> Tensor:
        """All layers but the last, with their activations."""
        for layer in self.layers[:-1]:
            x = layer.gelu(x) if self.activation == "gelu" else F.relu(layer(x))
        return x

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers[-1](self.hidden(x))
        return torch.sigmoid(x) if self.sigmoid else x

    def plus(self, x: Tensor, residual: Tensor) -> Tensor:
        """forward(x) + residual."""
        return self.layers[-1].plus(self.hidden(x), residual)


class Opening(nn.ConvTranspose2d):
    """A 2x2 transposed convolution of stride 2: every token opens into four pixels, which is one matrix product."""

    _packed: Tensor | None = None

    def __init__(self, channels: int, channels_out: int):
        super().__init__(channels, channels_out, kernel_size=2, stride=2)

    def pack(self) -> None:
        """As `Linear.pack`."""
        if self.weight.device.type == "cpu" and can_pack(self.weight.dtype):
            self._packed = pack_weight(self._rows().detach(), PACK_ROWS)

    @property
    def packed_numbers(self) -> int:
        """As `Linear.packed_numbers`."""
        return self.weight.numel()

    def open(self, tokens: Tensor, residual: Tensor | None = None) -> Tensor:
        """tokens: [..., in]. Returns [..., 4 * out], the four pixels side by side in the order (0,0), (0,1), (1,0),
        (1,1) of (row, column), with `residual` [..., 4 * out] added.
        """
        assert self.bias is not None
        bias = self.bias.repeat(4)
        if self._packed is None or torch.is_grad_enabled() or tokens.dtype != self.weight.dtype:
            opened = F.linear(tokens, self._rows(), bias)
            return opened if residual is None else opened + residual
        if residual is None:
            return packed_product(tokens, self._packed, bias)
        return packed_sum(tokens, residual, self._packed, bias)

    def _rows(self) -> Tensor:
        """The weight [in, out, 2, 2] as rows [4 * out, in]."""
        return self.weight.permute(2, 3, 1, 0).flatten(0, 2)


def feature_neck(channels: int, channels_out: int) -> nn.Sequential:
    """v1's neck: [B, C, h, w] of an image encoder -> the features that the decoder takes, [B, C', h, w]."""
    return nn.Sequential(
        nn.Conv2d(channels, channels_out, kernel_size=1, bias=False),
        ChannelNorm(channels_out),
        nn.Conv2d(channels_out, channels_out, kernel_size=3, padding=1, bias=False),
        ChannelNorm(channels_out),
    )
