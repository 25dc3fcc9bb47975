"""Small layers that the image encoders and the mask decoder share."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, TypeVar, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samkit.models.network.linear import Linear

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


def deconvolve_2x(layer: nn.ConvTranspose2d, tokens: Tensor) -> Tensor:
    """A 2x2 transposed convolution of stride 2, run as one matrix product.

    tokens: [..., in]. Returns [..., 4, out]: the four pixels each token opens into, in the order (0,0), (0,1), (1,0),
            (1,1) of (row, column).
    """
    assert layer.bias is not None
    weight_in_out_2_2 = layer.weight
    weight = weight_in_out_2_2.permute(2, 3, 1, 0).flatten(0, 2)
    opened = F.linear(tokens, weight)
    return opened.unflatten(-1, (4, -1)) + layer.bias


def feature_neck(channels: int, channels_out: int) -> nn.Sequential:
    """v1's neck: [B, C, h, w] of an image encoder -> the features that the decoder takes, [B, C', h, w]."""
    return nn.Sequential(
        nn.Conv2d(channels, channels_out, kernel_size=1, bias=False),
        ChannelNorm(channels_out),
        nn.Conv2d(channels_out, channels_out, kernel_size=3, padding=1, bias=False),
        ChannelNorm(channels_out),
    )
