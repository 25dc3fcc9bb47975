"""The public face of a model: what it refuses, what it keeps to itself, and that threads can share it."""

import json
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import samkit
from samkit.errors import BadInput, CheckpointError, DeviceError, EncodingError
from samkit.models.network.linear import Linear, machine_packs
from tests.random_models import SMALL_MODELS, random_state, save_random_model

RGB = np.random.default_rng(0).integers(0, 256, (90, 140, 3), dtype=np.uint8)
CLICK = samkit.Prompts(points=[(0.4, 0.6, 1)])


@pytest.fixture(scope="module", params=SMALL_MODELS)
def model(request, tmp_path_factory):
    path = save_random_model(
        tmp_path_factory.mktemp("models") / f"{request.param}.safetensors", SMALL_MODELS[request.param]
    )
    return samkit.load_model(path, device="cpu")


def test_info(model):
    config = SMALL_MODELS[model.info.family]
    assert (model.info.version, model.info.native_side, model.info.window_sizes) == (
        config.version,
        128,
        config.encoder.window_sizes,
    )
    assert model.info.global_blocks == config.encoder.global_blocks
    assert sum(model.info.blocks_per_stage) == config.encoder.depth
    assert set(model.info.parameters) >= {"image encoder", "prompt encoder", "mask decoder"}
    assert model.info.parameter_count == sum(tensor.numel() for tensor in random_state(config).values())
    assert len(model.info.sha256) == 64


def test_encoding_has_the_shapes_it_promises(model):
    encoding = model.encode_image(RGB, keep_blocks=True)
    if model.info.family == "sam1":
        assert [tuple(level.shape) for level in encoding.features] == [(32, 8, 8)]
        assert [tuple(level.shape) for level in encoding.raw] == [(32, 8, 8)]
        assert encoding.geometry.resized_size == (82, 128) and encoding.geometry.padded_size == (128, 128)
    else:
        assert [tuple(level.shape) for level in encoding.features] == [(32, 8, 8), (8, 16, 16), (4, 32, 32)]
        assert [tuple(level.shape) for level in encoding.raw] == [(128, 4, 4), (64, 8, 8), (32, 16, 16), (16, 32, 32)]
    assert len(encoding.blocks) == sum(model.info.blocks_per_stage)
    assert encoding.nbytes >= sum(level.numel() * 4 for level in encoding.features)
    assert model.encode_image(RGB).blocks is None


def test_keeping_blocks_changes_no_number(model):
    kept, plain = model.encode_image(RGB, keep_blocks=True), model.encode_image(RGB)
    assert all(torch.equal(a, b) for a, b in zip(kept.features, plain.features, strict=True))


def test_prediction_has_the_shapes_it_promises(model):
    prediction = model.predict_masks(model.encode_image(RGB), CLICK)
    assert prediction.logits.shape == (4, 32, 32) and prediction.logits.dtype == torch.float32
    assert prediction.iou.shape == (4,)
    assert (prediction.object_score is None) == (model.info.family == "sam1")
    assert prediction.best == 1 + int(prediction.iou[1:].argmax())
    assert prediction.mask(2).shape == (90, 140) and prediction.mask(2).dtype == bool
    assert prediction.mask(2, size=(45, 70)).shape == (45, 70)
    np.testing.assert_array_equal(prediction.mask(1, threshold=0.5), prediction.logits_at(1) > 0.5)


@pytest.mark.parametrize("fit", ["native", "stretch", "aspect"])
@pytest.mark.parametrize("side", [32, 96, 256])
@pytest.mark.parametrize("size", [(90, 140), (33, 300), (300, 33), (1, 1)])
def test_every_side_and_fit_gives_masks_of_the_picture(model, fit, side, size):
    rgb = np.resize(RGB, (*size, 3))
    encoding = model.encode_image(rgb, side=side, fit=fit)
    prediction = model.predict_masks(encoding, CLICK)
    assert prediction.mask(0).shape == size
    assert torch.isfinite(prediction.logits).all()
    if fit == "aspect":
        assert max(encoding.geometry.padded_size) == side
    else:
        assert encoding.geometry.padded_size == (side, side)


def test_prompts_of_every_kind_combine_and_each_counts(model):
    encoding = model.encode_image(RGB)
    point, box = CLICK, samkit.Prompts(boxes=[(0.1, 0.2, 0.6, 0.9)])
    both = samkit.Prompts(points=point.points, boxes=box.boxes)
    two = samkit.Prompts(points=point.points, boxes=[*box.boxes, (0.5, 0.5, 0.9, 0.9)])
    background = samkit.Prompts(points=[(0.4, 0.6, 0)])
    answers = [
        model.predict_masks(encoding, prompts).logits
        for prompts in (point, box, both, two, background, samkit.Prompts())
    ]
    assert all(not torch.allclose(a, b) for i, a in enumerate(answers) for b in answers[:i])


def test_many_prompts_together_are_what_each_is_alone(model):
    encoding = model.encode_image(RGB)
    prompts = [
        samkit.Prompts(points=[(0.2, 0.3, 1)]),
        samkit.Prompts(boxes=[(0.1, 0.1, 0.6, 0.7)]),
        samkit.Prompts(points=[(0.7, 0.6, 1), (0.1, 0.1, 0)]),
        samkit.Prompts(points=[(0.8, 0.2, 1)]),
    ]
    together = model.predict_masks_each(encoding, prompts)
    assert model.predict_masks_each(encoding, []) == []
    for ours, own in zip(together, prompts, strict=True):
        alone = model.predict_masks(encoding, own)
        torch.testing.assert_close(ours.logits, alone.logits, rtol=0, atol=1e-4)
        torch.testing.assert_close(ours.iou, alone.iou, rtol=0, atol=1e-5)
        assert (ours.best, ours.object_score is None) == (alone.best, alone.object_score is None)


def test_mask_hint_takes_an_earlier_prediction_and_resizes_others(model):
    encoding = model.encode_image(RGB)
    first = model.predict_masks(encoding, CLICK)
    hinted = model.predict_masks(encoding, CLICK, mask_hint=first.logits[1])
    assert not torch.allclose(hinted.logits, first.logits)
    assert torch.equal(hinted.logits, model.predict_masks(encoding, CLICK, mask_hint=first.logits[1:2].numpy()).logits)
    assert (
        model.predict_masks(encoding, CLICK, mask_hint=np.zeros((7, 9), np.float32)).logits.shape == first.logits.shape
    )
    with pytest.raises(BadInput, match="mask_hint"):
        model.predict_masks(encoding, CLICK, mask_hint=first.logits)


@pytest.mark.parametrize("side", [0, 31, 100, -64, 64.5, True])
def test_a_side_the_model_cannot_run_is_refused_with_a_sentence(model, side):
    with pytest.raises(EncodingError, match="multiples of"):
        model.encode_image(RGB, side=side)


@pytest.mark.parametrize("windows", [(8, 8), (0, 8, 8, 8), (33, 8, 8, 8), (8.0, 8, 8, 8)])
def test_window_sizes_out_of_range_are_refused(model, windows):
    with pytest.raises(EncodingError, match="window"):
        model.encode_image(RGB, window_sizes=windows)


def test_windows_that_pool_badly_are_refused_with_the_reason(tmp_path):
    model = samkit.load_model(save_random_model(tmp_path / "sam2.safetensors", SMALL_MODELS["sam2"]), device="cpu")
    with pytest.raises(EncodingError, match="stage 2 begins by halving each window"):
        model.encode_image(RGB, window_sizes=(5, 4, 4, 2))
    with pytest.raises(EncodingError, match="stage 1"):
        model.encode_image(RGB, window_sizes=(1, 4, 4, 2))


def test_every_window_size_either_runs_or_is_refused_with_a_sentence(model):
    for stage in range(4):
        for window in range(1, 33):
            windows = tuple(window if at == stage else own for at, own in enumerate(model.info.window_sizes))
            try:
                encoding = model.encode_image(RGB, window_sizes=windows)
            except EncodingError as refusal:
                assert model.info.family == "sam2" and f"The window size {window} of stage {stage + 1}" in str(refusal)
            else:
                assert torch.isfinite(encoding.features[0]).all()


@pytest.mark.parametrize(
    "rgb",
    [
        np.zeros((4, 4)),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        "cat.png",
    ],
)
def test_only_rgb_bytes_are_encoded(model, rgb):
    with pytest.raises(BadInput, match="uint8"):
        model.encode_image(rgb)


def test_threads_with_different_settings_get_what_each_gets_alone(model):
    settings = [
        {},
        {"side": 96},
        {"window_sizes": (4, 2, 6, 2)},
        {"side": 192, "fit": "aspect"},
        {"window_sizes": (2, 4, 8, 4), "side": 64},
        {"keep_blocks": True},
    ]
    alone = [model.encode_image(RGB, **setting) for setting in settings]
    masks = [model.predict_masks(encoding, CLICK).logits for encoding in alone]

    def together(index: int):
        encoding = model.encode_image(RGB, **settings[index])
        return index, encoding, model.predict_masks(encoding, CLICK).logits

    with ThreadPoolExecutor(6) as pool:
        for index, encoding, logits in pool.map(together, [i % len(settings) for i in range(36)]):
            assert all(torch.equal(a, b) for a, b in zip(encoding.features, alone[index].features, strict=True))
            assert torch.equal(logits, masks[index])


@pytest.mark.skipif(not machine_packs(torch.float32), reason="this machine has no packed products")
def test_packed_and_plain_linears_agree(model, monkeypatch):
    monkeypatch.delenv("SAMKIT_PACKED", raising=False)
    model = samkit.load_model(model.info.path, device="cpu")
    encoding = model.encode_image(RGB)
    assert any(layer._packed is not None for layer in model.network.modules() if isinstance(layer, Linear))
    network = model.network
    with torch.enable_grad():
        from samkit.models.geometry import prepare_pixels

        features, _ = network.encode(prepare_pixels(RGB, encoding.geometry, model.info.family))
    assert (
        max((a[0].permute(2, 0, 1) - b).abs().max().item() for a, b in zip(features, encoding.features, strict=True))
        <= 1e-4
    )


def test_the_network_can_be_trained(tmp_path):
    for name, config in SMALL_MODELS.items():
        network = samkit.load_model(save_random_model(tmp_path / f"{name}.safetensors", config), device="cpu").network
        network.requires_grad_(True)
        features, _ = network.encode(torch.randn(2, 3, 128, 128))
        decoded = network.decode(
            features, torch.rand(2, 2, 2), torch.tensor([[1, -1], [0, -1]]), torch.randn(2, 1, 32, 32)
        )
        (
            decoded.logits.square().mean()
            + decoded.iou.sum()
            + (0 if decoded.object_score is None else decoded.object_score.sum())
        ).backward()
        # A picture has no use for the memory side, which tests/training sees to.
        without = {
            key
            for key, parameter in network.named_parameters()
            if parameter.grad is None and not key.startswith("memory.")
        }
        assert {key.split(".")[-2] for key in without} <= {"no_mask_embed", "2", "3"}, without


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_stays_near(model, dtype):
    half = samkit.load_model(model.info.path, device="cpu", dtype=dtype)
    exact, rough = model.encode_image(RGB).features[0], half.encode_image(RGB).features[0].float()
    assert (exact - rough).norm() / exact.norm() < 0.05
    assert half.predict_masks(half.encode_image(RGB), CLICK).logits.dtype == torch.float32


def test_position_encoding(model):
    own = model.position_encoding(32, 32) if model.info.family == "sam2" else model.position_encoding(8, 8)
    assert own.dtype == torch.float32 and own.shape[0] == model.info.channels_per_stage[0]
    assert model.position_encoding(5, 13).shape == (own.shape[0], 5, 13)
    own.zero_()
    assert model.position_encoding(*own.shape[1:]).abs().sum() > 0, (
        "what a caller does to the answer must not reach the model"
    )
    if model.info.family == "sam2":
        assert not torch.allclose(model.position_encoding(16, 16), model.position_encoding(16, 16, window_tiling=False))
    with pytest.raises(EncodingError):
        model.position_encoding(0, 4)


def test_unknown_devices_and_dtypes_are_refused(model, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for device in ("cuda", "mps", "tpu", "nonsense"):
        with pytest.raises(DeviceError):
            samkit.load_model(model.info.path, device=device)
    with pytest.raises(DeviceError, match="float32"):
        samkit.load_model(model.info.path, dtype="float8")


def test_checkpoints_that_do_not_fit_are_refused(model, tmp_path):
    state = load_file(model.info.path)
    some = next(key for key in state if "blocks.1.norm1.weight" in key)
    path = tmp_path / "model.safetensors"
    save_file({key: tensor for key, tensor in state.items() if key != some}, path)
    with pytest.raises(CheckpointError, match="missing"), warnings.catch_warnings(action="ignore"):
        samkit.load_model(path)
    save_file({key: tensor for key, tensor in state.items() if key != some} | {"extra.weight": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="unknown"), warnings.catch_warnings(action="ignore"):
        samkit.load_model(path)
    save_file({"encoder.layer.0.weight": torch.zeros(3, 3)}, path)
    with pytest.raises(CheckpointError, match="not a Segment Anything model"):
        samkit.load_model(path)


def test_a_variant_that_says_nothing_gets_stated_defaults_and_a_warning(tmp_path):
    save_file(random_state(SMALL_MODELS["sam2"]), tmp_path / "plain.safetensors")
    with pytest.warns(
        UserWarning, match="assumed: num_heads 1, window_sizes .8, 4, 14, 7., global_blocks .*, native_side 1024"
    ):
        model = samkit.load_model(tmp_path / "plain.safetensors", device="cpu")
    assert model.info.native_side == 1024


def test_wrapped_and_bare_checkpoints_are_the_same_model(model, tmp_path):
    state = load_file(model.info.path)
    if model.info.family == "sam2":
        save_file(
            state,
            tmp_path / "bare.safetensors",
            metadata={
                "samkit": json.dumps(
                    {
                        "native_side": 128,
                        "num_heads": 1,
                        "window_sizes": [8, 4, 4, 2],
                        "global_blocks": [5],
                        "decoder_heads": 4,
                    }
                )
            },
        )
    else:
        save_file(state, tmp_path / "bare.safetensors", metadata={"samkit": json.dumps({"decoder_heads": 4})})
    again = samkit.load_model(tmp_path / "bare.safetensors", device="cpu")
    assert torch.equal(again.encode_image(RGB).features[0], model.encode_image(RGB).features[0])
