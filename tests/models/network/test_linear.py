"""Packed and plain products agree, and a machine that can't pack runs all the same."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import samkit
from samkit.models.network.linear import (
    PACKED_DTYPES,
    WORTH_PACKING,
    Linear,
    can_pack,
    fixed_product,
    machine_packs,
)
from tests.random_models import SMALL_MODELS, save_random_model

RGB = np.random.default_rng(0).integers(0, 256, (90, 140, 3), dtype=np.uint8)
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2**-6}
"""Relative: rounding in another order of the sums; bfloat16 keeps 8 bits."""


@pytest.fixture(autouse=True)
def packing_allowed(monkeypatch):
    monkeypatch.delenv("SAMKIT_PACKED", raising=False)


@pytest.fixture
def fresh_trial():
    """What the machine can do is found out again in this test, and after it."""
    machine_packs.cache_clear()
    yield
    machine_packs.cache_clear()


@pytest.fixture
def without_bfloat16(monkeypatch, fresh_trial):
    """A processor with AVX2 alone: packing float32 works, packing bfloat16 raises."""
    pack = getattr(torch.ops.mkldnn, "_reorder_linear_weight", None)

    def reorder(weight: Tensor, rows: int) -> Tensor:
        if weight.dtype != torch.float32:
            raise RuntimeError("mkldnn_reorder_linear_weight: bf16 path needs the cpu support avx_ne_convert")
        assert pack is not None
        return pack(weight, rows)

    monkeypatch.setattr(torch.ops.mkldnn, "_reorder_linear_weight", reorder, raising=False)


def needs_packing(dtype: torch.dtype) -> None:
    if not machine_packs(dtype):
        pytest.skip(f"this machine can't pack {dtype}")


def packed_layers(model: samkit.SamModel) -> list[Linear]:
    return [layer for layer in model.network.modules() if isinstance(layer, Linear) and layer._packed is not None]


@pytest.mark.parametrize("dtype", PACKED_DTYPES, ids=str)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_both_paths_agree(dtype, bias):
    needs_packing(dtype)
    torch.manual_seed(0)
    layer = Linear(48, 80, bias=bias).to(dtype)
    x, residual = torch.randn(3, 7, 48, dtype=dtype), torch.randn(3, 7, 80, dtype=dtype)
    with torch.no_grad():
        plain = layer(x), layer.gelu(x), layer.plus(x, residual)
        layer.pack()
        assert layer._packed is not None
        packed = layer(x), layer.gelu(x), layer.plus(x, residual)
    for ours, expected in zip(packed, plain, strict=True):
        assert ours.dtype == dtype and ours.shape == expected.shape
        assert (ours - expected).float().norm() <= TOLERANCE[dtype] * expected.float().norm()


def test_the_plain_path_is_linear_gelu_and_a_sum():
    layer, x, residual = Linear(5, 9), torch.randn(4, 5), torch.randn(4, 9)
    linear = F.linear(x, layer.weight, layer.bias)
    assert torch.equal(layer(x), linear)
    assert torch.equal(layer.gelu(x), F.gelu(linear))
    assert torch.equal(layer.plus(x, residual), linear + residual)


def test_a_packed_layer_still_learns():
    layer = Linear(5, 9)
    layer.pack()
    layer.plus(layer.gelu(torch.randn(4, 5))[:, :5], torch.zeros(4, 9)).sum().backward()
    assert layer.weight.grad is not None and layer.weight.grad.any()


@pytest.mark.parametrize("rows", [3, WORTH_PACKING], ids=["plain", "packed"])
def test_fixed_product(rows):
    weight, x = torch.randn(6, 4), torch.randn(3, 4)
    with torch.no_grad():
        torch.testing.assert_close(fixed_product(weight, rows)(x), x @ weight.T)


@pytest.mark.parametrize("family", SMALL_MODELS)
def test_a_machine_that_cannot_pack_bfloat16_runs_it_plainly(family, without_bfloat16, tmp_path):
    path = save_random_model(tmp_path / "model.safetensors", SMALL_MODELS[family])
    exact = samkit.load_model(path, device="cpu").encode_image(RGB).features[0]
    half = samkit.load_model(path, device="cpu", dtype="bfloat16")
    rough = half.encode_image(RGB).features[0].float()
    assert (exact - rough).norm() / exact.norm() < 0.05
    assert not can_pack(torch.bfloat16)
    assert all(layer.weight.dtype == torch.float32 for layer in packed_layers(half))
    assert bool(packed_layers(half)) == can_pack(torch.float32), "the mask decoder runs in float32 and is packed"


@pytest.mark.parametrize("operator", ["_reorder_linear_weight", "_linear_pointwise"])
def test_a_build_of_torch_without_the_operators_runs_plainly(operator, monkeypatch, fresh_trial, tmp_path):
    def missing(*arguments: object) -> Tensor:
        raise AttributeError(operator)

    monkeypatch.setattr(torch.ops.mkldnn, operator, missing, raising=False)
    model = samkit.load_model(save_random_model(tmp_path / "model.safetensors", SMALL_MODELS["sam2"]), device="cpu")
    assert model.encode_image(RGB).features[0].isfinite().all()
    assert not packed_layers(model)


def test_the_environment_can_forbid_packing(monkeypatch, tmp_path):
    path = save_random_model(tmp_path / "model.safetensors", SMALL_MODELS["sam2"])
    default = samkit.load_model(path, device="cpu").encode_image(RGB).features
    monkeypatch.setenv("SAMKIT_PACKED", "0")
    plain = samkit.load_model(path, device="cpu")
    for ours, expected in zip(plain.encode_image(RGB).features, default, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)
    assert not packed_layers(plain) and not any(can_pack(dtype) for dtype in PACKED_DTYPES)


def test_a_machine_is_tried_once_for_each_number_type(monkeypatch, fresh_trial):
    trials = []

    def refuse(weight: Tensor, rows: int) -> Tensor:
        trials.append(weight.dtype)
        raise RuntimeError("not on this processor")

    monkeypatch.setattr(torch.ops.mkldnn, "_reorder_linear_weight", refuse, raising=False)
    for _ in range(3):
        assert not any(can_pack(dtype) for dtype in (*PACKED_DTYPES, torch.float16))
    assert trials == list(PACKED_DTYPES)
