"""A linear layer that can pack its weight once for oneDNN, and then fuses what follows it: GELU, or the addition of a
residual.

Packed layers run about 1.5 times as fast as `torch.nn.functional.linear` on a CPU. The operators carry an underscore in
torch, and what they can do depends on the processor, so they are tried once (`can_pack`). Every call has a plain path
that gives the same numbers up to rounding; training, GPUs, other builds of torch and other processors take that one.
"""

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samkit.settings import packing_allowed

PACK_ROWS = 4096
"""Rows the packed layout is chosen for: the tokens of one strip."""

WORTH_PACKING = 2**30
"""Multiplications from which laying out a weight that is used once costs less than it gains."""

PACKED_DTYPES = (torch.float32, torch.bfloat16)


def can_pack(dtype: torch.dtype) -> bool:
    """Whether weights of `dtype` can be packed on this machine and the environment leaves it at that."""
    return dtype in PACKED_DTYPES and packing_allowed() and machine_packs(dtype)


@cache
def machine_packs(dtype: torch.dtype) -> bool:
    """Tried rather than asked for. No list of processors would stay true: packing bfloat16, say, raises where neither
    AVX-512 nor AVX-NE-CONVERT is there.
    """
    try:
        with torch.no_grad():
            weight = torch.ones(16, 16, dtype=dtype, device="cpu")
            x, bias = weight[:2], weight[0]
            packed = pack_weight(weight, PACK_ROWS)
            for product in (
                packed_product(x, packed, bias),
                packed_gelu(x, packed, bias),
                packed_sum(x, x, packed, bias),
            ):
                if not torch.isfinite(product).all():
                    return False
    except (AttributeError, RuntimeError):
        return False
    return True


def pack_weight(weight: Tensor, rows: int) -> Tensor:
    """The weight [out, in] in oneDNN's own layout, chosen for products with that many rows."""
    return torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows)


def packed_product(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    """x [..., in] times a weight from `pack_weight`, plus the bias [out]."""
    return torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")


def packed_gelu(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    """GELU of `packed_product`. With AVX-512 oneDNN's own takes next to nothing. With AVX2 alone it takes a quarter of
    the product's time and torch's, after the product, a tenth (`python -m benchmarks.limits` measures both).
    """
    if has_avx512():
        return torch.ops.mkldnn._linear_pointwise(x, packed, bias, "gelu", [], "none")
    return torch.ops.aten.gelu_(packed_product(x, packed, bias))


@cache
def has_avx512() -> bool:
    """Whether the processor has AVX-512, as far as torch may use it."""
    return "AVX512" in torch.backends.cpu.get_cpu_capability()


def packed_sum(x: Tensor, residual: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    """`packed_product` plus a residual [..., out]."""
    return torch.ops.mkldnn._linear_pointwise.binary(x, residual, packed, bias, "add")


class Linear(nn.Linear):
    """`nn.Linear` with the same parameters and state dict, plus `pack`. All inputs are [..., in_features]."""

    _packed: Tensor | None = None

    def pack(self) -> None:
        """Lay the weight out for oneDNN where this machine can. The parameter itself stays as it is; later edits of it
        are not seen by the packed copy.
        """
        if self.weight.device.type == "cpu" and can_pack(self.weight.dtype):
            self._packed = pack_weight(self.weight.detach(), PACK_ROWS)

    @property
    def packed_numbers(self) -> int:
        """How many numbers packing lays down beside the parameters."""
        return self.weight.numel()

    def _packed_for(self, x: Tensor) -> Tensor | None:
        """The packed weight, or None where `x` has to take the plain path."""
        return None if torch.is_grad_enabled() or x.dtype != self.weight.dtype else self._packed

    def forward(self, x: Tensor) -> Tensor:
        packed = self._packed_for(x)
        return F.linear(x, self.weight, self.bias) if packed is None else packed_product(x, packed, self.bias)

    def gelu(self, x: Tensor) -> Tensor:
        """gelu(linear(x)), the exact (erf) GELU."""
        packed = self._packed_for(x)
        return F.gelu(F.linear(x, self.weight, self.bias)) if packed is None else packed_gelu(x, packed, self.bias)

    def plus(self, x: Tensor, residual: Tensor) -> Tensor:
        """linear(x) + residual, with residual [..., out_features]."""
        packed = self._packed_for(x)
        return (
            F.linear(x, self.weight, self.bias) + residual
            if packed is None
            else packed_sum(x, residual, packed, self.bias)
        )


def fixed_product(weight: Tensor, rows: int) -> Callable[[Tensor], Tensor]:
    """A function x -> x @ weight^T for many products with one weight [out, in]; packed where that pays. rows: of all x
    together.
    """
    worth_packing = rows * weight.numel() > WORTH_PACKING
    if worth_packing and weight.device.type == "cpu" and weight.dtype == torch.float32 and can_pack(weight.dtype):
        packed = pack_weight(weight, min(rows, PACK_ROWS))
        return lambda x: packed_product(x, packed, None)
    return lambda x: x @ weight.T


def pack_linears(module: nn.Module) -> None:
    """Pack every `Linear` below `module`, and every other layer that can be."""
    for layer in module.modules():
        if callable(pack := getattr(layer, "pack", None)):
            pack()


def packed_numbers(module: nn.Module) -> int:
    """How many numbers `pack_linears` lays down, where this machine can pack."""
    return sum(getattr(layer, "packed_numbers", 0) for layer in module.modules())
