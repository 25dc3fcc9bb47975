"""What peft saves, samkit merges as peft does: logits within 1e-4, whether the base has transformers' names or the
official ones.
"""

import pytest
import torch

from samkit.models.config import official_keys
from samkit.models.sam import load_model
from tests.parity.transformers_models import PROMPTS, compare_image, their_model

LIMIT = 1e-4
PLAIN = {"r": 2, "lora_alpha": 6, "target_modules": ["qkv", "q_proj", "v_proj"]}
CASES = {
    "SamModel": ("SamModel, shrunken", PLAIN),
    "a convolution": ("SamModel, shrunken", PLAIN | {"target_modules": ["neck.conv2", "lin2"]}),
    "ranks of their own, rank-stabilised": (
        "SamModel, shrunken",
        PLAIN
        | {
            "target_modules": ["qkv", "lin1"],
            "rank_pattern": {"lin1": 4},
            "alpha_pattern": {"lin1": 3},
            "use_rslora": True,
        },
    ),
    "a head saved whole": ("SamModel, shrunken", PLAIN | {"modules_to_save": ["iou_prediction_head"]}),
    "biases": ("SamModel, shrunken", PLAIN | {"bias": "lora_only"}),
    "one layer of a head": ("SamModel, shrunken", PLAIN | {"target_modules": ["iou_prediction_head.proj_out"]}),
    "Sam2Model": ("Sam2Model, shrunken", PLAIN | {"target_modules": ["qkv", "q_proj", "v_proj", "proj_out"]}),
}


@pytest.fixture(scope="module", params=CASES)
def tuned(request, tmp_path_factory):
    """(peft's model merged, the folder of base and adapter)."""
    from peft import LoraConfig, get_peft_model

    name, config = CASES[request.param]
    folder = tmp_path_factory.mktemp("tuned")
    base = their_model(name)
    base.save_pretrained(folder / "base")
    adapted = get_peft_model(base, LoraConfig(**config))
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for key, parameter in adapted.named_parameters():
            if parameter.requires_grad and "lora_A" not in key:
                loud = 0.1 if "lora_B" in key else 0.02
                parameter += loud * torch.randn(parameter.shape, generator=generator)
    adapted.save_pretrained(folder / "adapter")
    return adapted.merge_and_unload(), folder


def test_merged_on_its_base(tuned):
    theirs, folder = tuned
    ours = load_model(f"{folder / 'adapter'}#base={folder / 'base'}", device="cpu")
    before = load_model(folder / "base", device="cpu")
    assert max(compare_image(theirs, ours, PROMPTS["one point"])) <= LIMIT
    assert max(compare_image(theirs, before, PROMPTS["one point"])) > 10 * LIMIT


def test_merged_on_the_same_model_with_the_official_names(tuned):
    theirs, folder = tuned
    base = load_model(folder / "base", device="cpu")
    official = folder / "official.pt"
    torch.save(official_keys(base.network.state_dict(), base.info.family), official)
    official.with_suffix(".json").write_text(
        f'{{"native_side": 128, "decoder_heads": 4, "num_heads": {base.config.encoder.num_heads}, "window_sizes": '
        f'{list(base.info.window_sizes)}, "global_blocks": {list(base.info.global_blocks)}}}'
    )
    ours = load_model(f"{folder / 'adapter'}#base={official}", device="cpu")
    assert max(compare_image(theirs, ours, PROMPTS["one point"])) <= LIMIT
