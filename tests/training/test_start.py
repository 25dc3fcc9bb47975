"""A run begins with another run's averaged weights, or with an exported model's."""

import torch
from safetensors.torch import save_file

from training.export import averaged_weights, export_state
from training.model import NANO_SAM2_WITH_MEMORY, build_network, earlier_weights


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
    first, second = {"a": torch.tensor([1.0, 3.0]), "own": torch.zeros(1)}, {"a": torch.tensor([3.0, 4.0]), "other": torch.ones(1)}
    for name, state in (("first", first), ("second", second)):
        torch.save({"ema": state}, tmp_path / f"{name}.pt")
    averaged = averaged_weights([tmp_path / "first.pt", tmp_path / "second.pt"])
    assert list(averaged) == ["a"] and averaged["a"].tolist() == [2.0, 3.5]
