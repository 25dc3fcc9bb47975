"""A linear layer that can pack its weight once for oneDNN, and then fuses what follows it: GELU, or the addition of a
residual.

Packed layers run about 1.5 times as fast as `torch.nn.functional.linear` on a CPU. The operators carry an underscore in
torch, so their presence is tested once and every call has a plain path that gives the same numbers; training, GPUs and
other builds of torch take that one.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PACK_ROWS = 4096
"""Rows the packed layout is chosen for: the tokens of one strip."""

WORTH_PACKING = 2**30
"""Multiplications from which laying out a weight that is used once costs less than it gains."""

HAS_PACKED_LINEAR = (
    all(hasattr(torch.ops.mkldnn, name) for name in ("_linear_pointwise", "_reorder_linear_weight"))
    and torch.backends.mkldnn.is_available()
)


class Linear(nn.Linear):
    """`nn.Linear` with the same parameters and state dict, plus `pack`. All inputs are [..., in_features]."""

    _packed: Tensor | None = None

    def pack(self) -> None:
        """Lay the weight out for oneDNN. The parameter itself stays as it is; later edits of it are not seen by the
        packed copy.
        """
        if (
            HAS_PACKED_LINEAR
            and self.weight.device.type == "cpu"
            and self.weight.dtype in (torch.float32, torch.bfloat16)
        ):
            self._packed = torch.ops.mkldnn._reorder_linear_weight(self.weight.detach().contiguous(), PACK_ROWS)

    def _runs_packed(self, x: Tensor) -> bool:
        return self._packed is not None and not torch.is_grad_enabled() and x.dtype == self.weight.dtype

    def forward(self, x: Tensor) -> Tensor:
        if self._runs_packed(x):
            return torch.ops.mkldnn._linear_pointwise(x, self._packed, self.bias, "none", [], "")
        return F.linear(x, self.weight, self.bias)

    def gelu(self, x: Tensor) -> Tensor:
        """gelu(linear(x)), the exact (erf) GELU."""
        if self._runs_packed(x):
            return torch.ops.mkldnn._linear_pointwise(x, self._packed, self.bias, "gelu", [], "none")
        return F.gelu(F.linear(x, self.weight, self.bias))

    def plus(self, x: Tensor, residual: Tensor) -> Tensor:
        """linear(x) + residual, with residual [..., out_features]."""
        if self._runs_packed(x):
            return torch.ops.mkldnn._linear_pointwise.binary(x, residual, self._packed, self.bias, "add")
        return F.linear(x, self.weight, self.bias) + residual


def fixed_product(weight: Tensor, rows: int) -> Callable[[Tensor], Tensor]:
    """A function x -> x @ weight^T for many products with one weight [out, in]; packed where that pays. rows: of all x
    together.
    """
    if (
        HAS_PACKED_LINEAR
        and weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and rows * weight.numel() > WORTH_PACKING
    ):
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), min(rows, PACK_ROWS))
        return lambda x: torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")
    return lambda x: x @ weight.T


def pack_linears(module: nn.Module) -> None:
    """Pack every `Linear` below `module`."""
    for layer in module.modules():
        if isinstance(layer, Linear):
            layer.pack()
