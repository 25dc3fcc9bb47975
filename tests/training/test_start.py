"""A run begins with another run's averaged weights, or with an exported model's."""

from dataclasses import replace

import torch
from safetensors.torch import save_file

from training.export import averaged_weights, export_state
from training.model import NANO_SAM1, NANO_SAM2_WITH_MEMORY, begin_with, build_network, earlier_weights


def test_an_exported_model_gives_the_weights_back_under_their_own_names(tmp_path):
    network = build_network(NANO_SAM2_WITH_MEMORY, seed=3)
    save_file(export_state(network.state_dict(), NANO_SAM2_WITH_MEMORY), tmp_path / "model.safetensors")
    torch.save({"ema": network.state_dict()}, tmp_path / "checkpoint0.pt")
    exported, kept = (earlier_weights(tmp_path / name) for name in ("model.safetensors", "checkpoint0.pt"))
    assert exported.keys() == kept.keys() == network.state_dict().keys()
    for name, tensor in kept.items():
        assert exported[name].dtype == torch.float32
        torch.testing.assert_close(exported[name], tensor, rtol=1e-3, atol=1e-3)
    build_network(NANO_SAM2_WITH_MEMORY).load_state_dict(exported)


def test_two_models_average_to_the_mean_of_what_both_have(tmp_path):
    first, second = (
        {"a": torch.tensor([1.0, 3.0]), "own": torch.zeros(1)},
        {"a": torch.tensor([3.0, 4.0]), "other": torch.ones(1)},
    )
    for name, state in (("first", first), ("second", second)):
        torch.save({"ema": state}, tmp_path / f"{name}.pt")
    averaged = averaged_weights([tmp_path / "first.pt", tmp_path / "second.pt"], like={})
    assert list(averaged) == ["a"] and averaged["a"].tolist() == [2.0, 3.5]


def test_the_object_score_stays_that_of_the_memory_run(tmp_path):
    clips, pictures = (build_network(NANO_SAM2_WITH_MEMORY, seed=seed).state_dict() for seed in (1, 2))
    for name, state in (("clips", clips), ("pictures", pictures)):
        torch.save({"ema": state}, tmp_path / f"{name}.pt")
    network = build_network(NANO_SAM2_WITH_MEMORY, seed=3)
    begin_with(network, tmp_path / "clips.pt", tmp_path / "pictures.pt")
    state = network.state_dict()
    for name in ("mask_decoder.obj_score_token.weight", "mask_decoder.pred_obj_score_head.layers.0.weight"):
        assert torch.equal(state[name], clips[name]) and not torch.equal(state[name], pictures[name])
    assert torch.equal(state["mask_decoder.iou_token.weight"], pictures["mask_decoder.iou_token.weight"])


def test_a_larger_native_side_begins_with_the_smaller_ones_positions(tmp_path):
    """The stretched model sees a picture at the new side as samkit would have run the old model there."""
    smaller = replace(
        NANO_SAM1,
        native_side=320,
        encoder=replace(NANO_SAM1.encoder, native_grid=20, window_sizes=(10,) * 4, table_rows=(19, 39) * 4),
    )
    old, new = build_network(smaller, seed=1).eval(), build_network(NANO_SAM1, seed=2).eval()
    for name, parameter in old.named_parameters():
        if "rel_pos" in name:
            torch.nn.init.normal_(parameter)
    torch.save({"ema": old.state_dict()}, tmp_path / "checkpoint0.pt")
    begin_with(new, tmp_path / "checkpoint0.pt")
    pixels = torch.randn(1, 3, 384, 384)
    with torch.no_grad():
        expected = old.image_encoder(pixels, window_sizes=NANO_SAM1.encoder.window_sizes)
        torch.testing.assert_close(new.image_encoder(pixels), expected, rtol=1e-4, atol=1e-4)
        assert not torch.allclose(old.image_encoder(pixels), expected, rtol=1e-3, atol=1e-3), (
            "windows of 10 give something else"
        )
