"""SAM 3 beside Hugging Face transformers, which is the only oracle: every block's tokens, features, all logits, the
predicted IoUs and the object score within 1e-4. The full size is in the slow tier, `pytest -m slow
tests/parity/test_sam3.py`.
"""

import numpy as np
import pytest
import torch

from samkit.models.sam import load_model
from tests.parity.sam3_models import GRID, PROMPTS, SIDE, both, compare, encode_both, their_config, their_model
from tests.parity.transformers_models import picture

LIMIT = 1e-4


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return both(tmp_path_factory.mktemp("saved") / "sam3")


@pytest.mark.parametrize("prompts", PROMPTS)
def test_points_and_boxes(pair, prompts):
    apart = compare(*pair, PROMPTS[prompts])
    assert max(apart.values()) <= LIMIT, apart


def test_a_mask_hint_is_four_times_as_fine_as_the_grid(pair):
    hint = torch.tensor(np.random.default_rng(0).normal(0, 8, (4 * GRID, 4 * GRID))).float()
    apart = compare(*pair, PROMPTS["one point"], hint)
    assert max(apart.values()) <= LIMIT, apart


def test_what_the_file_says_is_read(pair):
    info = pair[1].info
    assert (info.family, info.version, info.native_side, info.side_step) == ("sam3", "3.0", SIDE, 14)
    assert info.window_sizes == (4,) * 4 and info.global_blocks == (1, 3)


@pytest.mark.parametrize("side", [56, 112, 210])
def test_other_sides_are_as_if_made_for_them(pair, tmp_path, side):
    """transformers' model made for another side has the rotary positions of that side; ours has them at any."""
    theirs = their_model(their_config(side=side))
    theirs.load_state_dict(pair[0].state_dict())
    rgb = picture(side)
    from samkit.models.geometry import plan_geometry, prepare_pixels

    geometry = plan_geometry((side, side), "sam3", side, "native", 14)
    with torch.no_grad():
        expected = theirs.get_image_embeddings(prepare_pixels(rgb, geometry, "sam3"))
    for level, other in zip(reversed(expected[:2]), pair[1].encode_image(rgb, side=side).features[1:], strict=True):
        assert float((level[0] - other).abs().max()) <= LIMIT


def test_another_window_is_transformers_with_that_window(pair):
    """Reading "span": transformers squeezes the places of its global blocks into the window it is told."""
    rgb = picture(SIDE)
    ours = pair[1]
    theirs = their_model(their_config(window_size=6))
    theirs.load_state_dict(pair[0].state_dict())
    for block in (0, 2):
        # Step 1 inside windows whatever their size; global blocks as in the model's own windows.
        theirs.vision_encoder.backbone.layers[block + 1].position_ids = (
            pair[0].vision_encoder.backbone.layers[block + 1].position_ids
        )
    from samkit.models.geometry import plan_geometry, prepare_pixels

    geometry = plan_geometry((SIDE, SIDE), "sam3", SIDE, "native", 14)
    with torch.no_grad():
        expected = theirs.get_image_embeddings(prepare_pixels(rgb, geometry, "sam3"))
    step = ours.encode_image(rgb, window_sizes=(6,) * 4)
    span = ours.encode_image(rgb, window_sizes=(6,) * 4, window_reading="span")
    assert float((expected[0][0] - step.features[2]).abs().max()) <= LIMIT
    for block in (0, 2):
        theirs.vision_encoder.backbone.layers[block].position_ids *= 4 / 6
    with torch.no_grad():
        expected = theirs.get_image_embeddings(prepare_pixels(rgb, geometry, "sam3"))
    assert float((expected[0][0] - span.features[2]).abs().max()) <= LIMIT
    assert float((step.features[2] - span.features[2]).abs().max()) > LIMIT


def test_in_parts_it_is_the_same_model(pair, tmp_path):
    pair[0].save_pretrained(tmp_path / "parts", max_shard_size="500KB")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    weights = load_model(tmp_path / "parts", device="cpu").network.state_dict()
    assert all(torch.equal(tensor, weights[key]) for key, tensor in pair[1].network.state_dict().items())


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_full_size(tmp_path):
    theirs, ours = both(tmp_path / "full", small=False)
    seen = encode_both(theirs, ours)
    apart = {name: compare(theirs, ours, prompts, seen=seen) for name, prompts in PROMPTS.items()}
    assert max(max(each.values()) for each in apart.values()) <= LIMIT, apart
