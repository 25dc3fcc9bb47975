"""What transformers saves, samkit loads as the same model: logits within 1e-4, of films within 1e-3.

Shrunken models run every time; official sizes are in the slow tier, `pytest -m slow tests/parity/test_transformers.py`.
"""

import json

import pytest
import torch

from tests.parity.transformers_models import CONFIGS, PROMPTS, both, compare_image, compare_video

SHRUNKEN = [name for name in CONFIGS if name.endswith("shrunken")]
OFFICIAL = [name for name in CONFIGS if name not in SHRUNKEN]
LIMIT, FILM_LIMIT = 1e-4, 1e-3


@pytest.fixture(scope="module", params=SHRUNKEN)
def pair(request, tmp_path_factory):
    return both(request.param, tmp_path_factory.mktemp("saved") / "fine-tuned")


@pytest.mark.parametrize("prompts", PROMPTS)
def test_masks(pair, prompts):
    logits, iou = compare_image(*pair, PROMPTS[prompts])
    assert logits <= LIMIT and iou <= LIMIT


def test_what_was_done_is_told_and_config_json_counts(pair):
    info = pair[1].info
    assert info.name == "fine-tuned" and info.native_side == 128
    assert any("transformers' names" in change for change in info.changes)
    assert any("config.json" in change for change in info.changes)


def test_a_film(tmp_path):
    theirs, ours = both("Sam2VideoModel, shrunken", tmp_path)
    assert compare_video(theirs, ours, frames=10) <= FILM_LIMIT


def test_in_parts_and_as_a_pickle_it_is_the_same_model(tmp_path):
    theirs, whole = both("Sam2VideoModel, shrunken", tmp_path / "whole")
    theirs.save_pretrained(tmp_path / "parts", max_shard_size="1MB")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    (tmp_path / "pickle").mkdir()
    torch.save(theirs.state_dict(), tmp_path / "pickle/pytorch_model.bin")
    (tmp_path / "pickle/config.json").write_text(json.dumps(theirs.config.to_dict()))
    from samkit.models.sam import load_model

    for place in ("parts", "parts/model.safetensors.index.json", "pickle", "pickle/pytorch_model.bin"):
        model = load_model(tmp_path / place, device="cpu")
        weights = model.network.state_dict()
        assert all(torch.equal(tensor, weights[key]) for key, tensor in whole.network.state_dict().items()), place
        assert model.info.window_sizes == whole.info.window_sizes == (8, 4, 4, 2)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", OFFICIAL)
def test_official_size(name, tmp_path):
    theirs, ours = both(name, tmp_path)
    for prompts in PROMPTS.values():
        assert max(compare_image(theirs, ours, prompts)) <= LIMIT
    if "Video" in name:
        assert compare_video(theirs, ours, frames=4) <= FILM_LIMIT
