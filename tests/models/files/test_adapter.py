"""LoRA adapters as peft saves them become part of a named base; what is no plain one is refused."""

import json
import math

import pytest
import torch
from safetensors.torch import save_file

import samkit
from samkit.errors import CheckpointError
from tests.models.files.people_files import sam1, saved

KEY = "image_encoder.blocks.1.attn.qkv.weight"
CONFIG = {"peft_type": "LORA", "r": 2, "lora_alpha": 6, "base_model_name_or_path": "nobody/nothing"}


def pair(key=KEY, rank=2):
    out, inside = sam1()[key].shape
    generator = torch.Generator().manual_seed(1)
    module = f"base_model.model.{key.removesuffix('.weight')}"
    return {
        f"{module}.lora_A.weight": torch.randn(rank, inside, generator=generator),
        f"{module}.lora_B.weight": torch.randn(out, rank, generator=generator),
    }


def adapter(folder, weights, **config):
    place = folder / "adapter"
    place.mkdir()
    save_file(weights, place / "adapter_model.safetensors")
    (place / "adapter_config.json").write_text(json.dumps(CONFIG | config))
    return f"{place}#base={saved(folder, sam1(), name='base.pt')}"


@pytest.mark.parametrize(
    ("config", "factor"), [({}, 3), ({"use_rslora": True}, 6 / math.sqrt(2)), ({"alpha_pattern": {"attn.qkv": 2}}, 1)]
)
def test_it_is_merged(tmp_path, config, factor):
    weights = pair()
    model = samkit.load_model(adapter(tmp_path, weights, **config), device="cpu")
    down, up = weights.values()
    merged = model.network.state_dict()[KEY]
    assert torch.allclose(merged, sam1()[KEY] + factor * (up @ down), atol=1e-5)
    assert model.info.name == "adapter on base" and "1 weight of base" in " ".join(model.info.changes)
    assert model.info.sha256 != model.info.file_sha256


def test_what_stands_in_front_of_all_its_keys_is_left_out(tmp_path):
    weights = {key.replace("base_model.model.", "base_model.model.net.sam."): each for key, each in pair().items()}
    model = samkit.load_model(adapter(tmp_path, weights), device="cpu")
    assert not torch.equal(model.network.state_dict()[KEY], sam1()[KEY])


def test_weights_saved_whole_replace_the_bases(tmp_path):
    token = torch.ones_like(sam1()["mask_decoder.iou_token.weight"])
    whole = {"base_model.model.mask_decoder.iou_token.modules_to_save.weight": token}
    model = samkit.load_model(adapter(tmp_path, pair() | whole), device="cpu")
    assert torch.equal(model.network.state_dict()["mask_decoder.iou_token.weight"], token)


@pytest.mark.parametrize(
    ("weights", "config", "words"),
    [
        (pair(), {"use_dora": True}, "DoRA"),
        (pair(), {"peft_type": "IA3"}, "IA3"),
        (pair(), {"init_lora_weights": "pissa_niter_4"}, "pissa_niter_4, which changes its base"),
        (pair(), {"layer_replication": [[0, 4], [2, 5]]}, "repeated layers"),
        (pair(), {"lora_alpha": "many"}, "lora_alpha"),
        (pair(), {"lora_alpha": 1e300}, "lora_alpha"),
        (pair(), {"alpha_pattern": {"(a+)+$": 1}}, "alpha_pattern"),
        (pair(), {"fan_in_fan_out": True}, "transposed"),
        (dict([*pair().items()][:1]), {}, "only one of"),
        (pair() | {"base_model.model.x.lora_magnitude_vector": torch.ones(3)}, {}, "merge_and_unload"),
        ({key.replace("blocks.1", "blocks.9"): each for key, each in pair().items()}, {}, "another model"),
        ({key: torch.ones(2, 2) for key in pair()}, {}, "another model"),
        ({key: torch.ones(2, 3, 2) for key in pair()}, {}, "don't fit each other"),
    ],
)
def test_what_is_no_plain_adapter_of_that_base_is_refused(tmp_path, weights, config, words):
    with pytest.raises(CheckpointError, match=words):
        samkit.load_model(adapter(tmp_path, weights, **config), device="cpu")


def test_without_a_base_or_its_configuration_it_says_what_to_do(tmp_path):
    ref = adapter(tmp_path, pair())
    with pytest.raises(CheckpointError, match="LoRA adapter.*#base="):
        samkit.load_model(ref.partition("#")[0], device="cpu")
    (tmp_path / "adapter/adapter_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"adapter_config.json.*missing"):
        samkit.load_model(ref, device="cpu")
