"""Files of SAM 3 as people have them: in the layout of sam3.pt, bare and wrapped; what lies beside the model in them
stays on disk.
"""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from samkit.models.files import checkpoint as checkpoint_module
from samkit.models.files import needed
from samkit.models.files.sam3_keys import NECK, TRUNK
from samkit.models.random_models import random_state
from samkit.models.sam import load_model
from samkit.prompts import Prompts
from tests.random_models import SMALL_SAM3

POINT = Prompts(points=[(0.4, 0.6, 1)])
BESIDE = {
    "detector.backbone.language_backbone.encoder.weight": torch.ones(400, 500),
    "detector.transformer.decoder.norm.weight": torch.ones(7),
    "detector.backbone.vision_backbone.convs.0.conv_1x1.weight": torch.ones(3, 3, 1, 1),
    f"{NECK}3.conv_1x1.weight": torch.ones(3, 3, 1, 1),
}
"""What else such a file holds."""


def whole_file() -> dict[str, torch.Tensor]:
    """As sam3.pt is: with the table entry of the class token, and tables of rotary positions."""
    state = random_state(SMALL_SAM3)
    table = state[f"{TRUNK}pos_embed"]
    state[f"{TRUNK}pos_embed"] = torch.cat([torch.full_like(table[:, :1], 9.0), table], dim=1)
    for block in range(4):
        tokens = 144 if block in (1, 3) else 16
        state[f"{TRUNK}blocks.{block}.attn.freqs_cis"] = torch.ones(tokens, 8, dtype=torch.complex64)
    return state | BESIDE


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    """Masks of the model as samkit writes it."""
    from samkit.models.random_models import save_random_model

    return masks(save_random_model(tmp_path_factory.mktemp("right") / "small.safetensors", SMALL_SAM3))


def masks(path) -> torch.Tensor:
    model = load_model(path, device="cpu")
    rgb = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
    return model.predict_masks(model.encode_image(rgb), POINT).logits


def check_same(masks: torch.Tensor, right: torch.Tensor) -> None:
    """But for rounding, which depends on where a file's weights come to lie in memory (MKL on an AMD processor)."""
    torch.testing.assert_close(masks, right, rtol=0, atol=1e-5)


def saved(folder, state, name="sam3.pt"):
    torch.save(state, folder / name)
    (folder / name).with_suffix(".json").write_text('{"decoder_heads": 4, "num_heads": 2}')
    return folder / name


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"model": state}])
def test_the_official_layout(wrap, tmp_path, right):
    path = saved(tmp_path, wrap(whole_file()))
    info = load_model(path, device="cpu").info
    assert (info.family, info.version, info.native_side) == ("sam3", "3.0", 168)
    assert info.window_sizes == (4, 4, 4, 4) and info.global_blocks == (1, 3)
    assert any("left out" in change for change in info.changes)
    check_same(masks(path), right)


def test_prefixes_of_wrappers(tmp_path, right):
    path = saved(tmp_path, {f"module.{key}": value for key, value in whole_file().items()})
    check_same(masks(path), right)


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_what_is_not_needed_of_a_large_file_takes_no_memory(ending, tmp_path, right, monkeypatch):
    state = {key: tensor for key, tensor in whole_file().items() if not tensor.is_complex()}
    path = tmp_path / f"sam3.{ending}"
    said = '{"decoder_heads": 4, "num_heads": 2, "global_blocks": [1, 3]}'
    if ending == "pt":
        torch.save(state, path)
    else:
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, path)
    path.with_suffix(".json").write_text(said)
    whole = load_model(path, device="cpu").info.file_sha256
    kept = []
    read = checkpoint_module.read_own_bytes

    def watched(path, needed=None):
        kept.append(needed)
        return read(path, needed)

    monkeypatch.setattr(needed, "PICKED_FROM", 0)
    monkeypatch.setattr(checkpoint_module, "read_own_bytes", watched)
    picked = load_model(path, device="cpu").info
    assert picked.file_sha256 == whole
    check_same(masks(path), right)
    size = path.stat().st_size
    assert kept[0] is not None and sum(end - first for first, end in kept[0]) < size - 790_000


def test_what_is_not_needed_of_a_large_model_in_parts_takes_no_memory(tmp_path, right, monkeypatch):
    state = {key: tensor for key, tensor in whole_file().items() if not tensor.is_complex()}
    files = {key: f"model-{1 + index % 2:05}-of-00002.safetensors" for index, key in enumerate(state)}
    for name in set(files.values()):
        save_file({key: state[key].contiguous() for key in state if files[key] == name}, tmp_path / name)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": files, "decoder_heads": 4, "num_heads": 2, "global_blocks": [1, 3]}))
    whole = load_model(index, device="cpu").info.file_sha256
    kept, read = 0, checkpoint_module.read_own_bytes

    def watched(path, needed=None):
        nonlocal kept
        assert needed is not None
        kept += sum(end - first for first, end in needed)
        return read(path, needed)

    monkeypatch.setattr(needed, "PICKED_FROM", 0)
    monkeypatch.setattr(checkpoint_module, "read_own_bytes", watched)
    assert load_model(index, device="cpu").info.file_sha256 == whole
    size = sum((tmp_path / name).stat().st_size for name in set(files.values()))
    assert 0 < kept < size - 790_000
    check_same(masks(index), right)


def test_windows_may_be_as_large_as_the_map_and_be_read_in_two_ways(tmp_path, right):
    model = load_model(saved(tmp_path, whole_file()), device="cpu")
    rgb = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)

    def low(**settings):
        return model.encode_image(rgb, **settings).features[0]

    whole = (12,) * 4
    # A window over the whole map that spans what the trained one spans is a block without windows.
    unwindowed = model.network.image_encoder.trunk.turns(0, (12, 12), "step")
    assert torch.equal(model.network.image_encoder.trunk.turns(12, (12, 12), "span"), unwindowed)
    assert not torch.allclose(low(window_sizes=whole), low(window_sizes=whole, window_reading="span"), atol=1e-3)
    # Of the model's own windows there is one reading.
    assert torch.equal(low(), low(window_reading="span"))
    assert low(side=336, fit="aspect").shape[1:] == (18, 24)
