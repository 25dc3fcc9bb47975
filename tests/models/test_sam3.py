"""SAM 3 models with random weights: what is read from files in its own layout, which sides and windows run, and what
a file without the tracker is told to be.
"""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from samkit.errors import CheckpointError, EncodingError
from samkit.models.memory_bank import MemoryBank
from samkit.models.random_models import DEMO_SAM3, random_state, save_random_model
from samkit.models.sam import load_model
from samkit.prompts import Prompts

POINT = Prompts(points=[(0.5, 0.5, 1)])


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return save_random_model(tmp_path_factory.mktemp("models") / "random.safetensors", DEMO_SAM3)


@pytest.fixture(scope="module")
def model(path):
    return load_model(path, device="cpu")


@pytest.fixture(scope="module")
def rgb():
    return np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)


def test_the_file_is_known_with_its_memory(model):
    assert model.config == DEMO_SAM3
    assert model.config.window_readings == ("step", "span") and not model.config.has_stages
    assert model.config.memory_lack == "" and model.memory_rules.name == "sam3"
    assert sum(model.info.parameters.values()) == model.info.parameter_count > 0


@pytest.mark.parametrize("side, fit", [(168, "native"), (336, "stretch"), (504, "aspect"), (336, "aspect")])
def test_any_side_that_is_a_multiple_of_14_runs(model, rgb, side, fit):
    encoding = model.encode_image(rgb, side=side, fit=fit)
    height, width = (length // 14 for length in encoding.geometry.padded_size)
    assert [level.shape[1:] for level in encoding.features] == [(scale * height, scale * width) for scale in (1, 2, 4)]
    prediction = model.predict_masks(encoding, POINT)
    assert prediction.logits.shape == (4, 4 * height, 4 * width)
    mask = prediction.mask(prediction.best)
    assert mask.shape == rgb.shape[:2]
    hinted = model.predict_masks(encoding, POINT, mask)
    assert hinted.logits.shape == prediction.logits.shape


def test_strips_change_no_number(model, rgb, monkeypatch):
    from samkit.models.network import rotary_neck, rotary_vit, vit

    whole = model.encode_image(rgb)
    monkeypatch.setattr(vit, "STRIP_TOKENS", 1)
    monkeypatch.setattr(rotary_vit, "STRIP_TOKENS", 1)
    monkeypatch.setattr(rotary_vit, "FEED_TOKENS", 1)
    monkeypatch.setattr(rotary_neck, "STRIP_ROWS", 1)
    for one, other in zip(whole.features, model.encode_image(rgb).features, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_with_gradients_it_is_the_same_model(model):
    """Without them a block overwrites what it was given, strip by strip."""
    trunk = model.network.image_encoder.trunk
    pixels = torch.randn(2, 3, 112, 154, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain = trunk(pixels)
    assert torch.allclose(trunk(pixels), plain, atol=1e-5)


def test_windows_and_their_readings(model, rgb):
    own = model.encode_image(rgb, side=168)
    step, span = (
        model.encode_image(rgb, side=168, window_sizes=(5, 8, 8, 12), window_reading=how) for how in ("step", "span")
    )
    assert not torch.allclose(own.raw[0], step.raw[0]) and not torch.allclose(step.raw[0], span.raw[0])
    same = model.encode_image(rgb, side=168, window_reading="span")
    assert torch.equal(own.raw[0], same.raw[0])
    assert model.encode_image(rgb, side=168, window_sizes=(72,) * 4).settings.window_sizes == (72,) * 4
    for wrong in ({"window_sizes": (73,) * 4}, {"window_reading": "half"}, {"side": 160}):
        with pytest.raises(EncodingError):
            model.encode_image(rgb, **({"side": 168} | wrong))


def test_the_position_table_is_repeated_and_never_stretched(model):
    table = model.position_encoding(8, 8)
    assert torch.equal(model.position_encoding(16, 20), torch.cat([torch.cat([table] * 3, 2)[..., :20]] * 2, 1))


def test_it_follows_an_object(model, rgb):
    encoding = model.encode_image(rgb, side=168)
    bank = MemoryBank(rules=model.memory_rules)
    bank.add_prompt(model.encode_memory(encoding, model.predict_masks(encoding, POINT)))
    (frame,) = model.track_video([rgb], bank, side=168)
    assert frame.prediction.logits.shape[-1] == 4 * 168 // 14


def test_a_file_without_the_unused_position_of_no_memory_loads(path, tmp_path):
    state = load_file(path)
    del state["tracker.no_mem_pos_enc"]
    save_file(state, tmp_path / "sam3.safetensors", {"samkit": json.dumps({"num_heads": 3, "native_side": 336})})
    assert load_model(tmp_path / "sam3.safetensors", device="cpu").config == DEMO_SAM3


def test_a_side_that_is_too_much_names_one_that_fits(model, rgb, monkeypatch):
    monkeypatch.setattr("samkit.models.sam.memory_at_hand", lambda: 60_000_000)
    with pytest.raises(EncodingError, match="choose a side of"):
        model.encode_image(rgb, side=1512)
    with pytest.raises(EncodingError, match="nearest is 42"):
        model.encode_image(rgb, side=20)


def test_stored_rotary_tables_say_heads_windows_and_global_blocks(path, tmp_path):
    state = load_file(path)
    trunk = "detector.backbone.vision_backbone.trunk."
    for block in range(8):
        places = 24 if block % 2 else 8
        state[f"{trunk}blocks.{block}.attn.freqs_cis"] = torch.zeros(places**2, 32, dtype=torch.complex64)
    state["detector.backbone.language_backbone.weight"] = torch.zeros(4, 4)
    torch.save(state, tmp_path / "sam3.pt")
    (tmp_path / "sam3.json").write_text(json.dumps({"decoder_heads": 8}))
    model = load_model(tmp_path / "sam3.pt", device="cpu")
    assert model.config == DEMO_SAM3


def test_sam_31_is_for_pictures(tmp_path, rgb):
    state = {}
    for key, tensor in random_state(DEMO_SAM3).items():
        key = key.replace("sam2_convs", "interactive_convs").replace(
            "tracker.no_mem_embed", "tracker.interactivity_no_mem_embed"
        )
        if key.startswith("tracker."):
            key = f"tracker.model.interactive_{key[8:]}".replace("interactive_interactivity", "interactivity")
        state[key] = tensor
    save_file(state, tmp_path / "multiplex.safetensors", {"samkit": json.dumps({"num_heads": 3, "native_side": 336})})
    model = load_model(tmp_path / "multiplex.safetensors", device="cpu")
    assert model.info.version == "3.1" and "3.1" in model.config.memory_lack
    assert model.predict_masks(model.encode_image(rgb, side=112), POINT).logits.shape == (4, 32, 32)


def test_a_file_of_the_detector_alone_says_what_is_missing(path, tmp_path):
    state = {
        f"module.{key.removeprefix('detector.')}".replace("sam2_convs", "convs"): tensor
        for key, tensor in load_file(path).items()
        if key.startswith("detector.")
    }
    save_file(state, tmp_path / "tuned.safetensors")
    with pytest.raises(CheckpointError, match="without the tracker.*#base="):
        load_model(tmp_path / "tuned.safetensors", device="cpu")
    filled = load_model(f"{tmp_path / 'tuned.safetensors'}#base={path}", device="cpu")
    assert filled.config.memory is not None and any("filled" in change for change in filled.info.changes)
