"""samkit against MobileSAM's own package, random weights: features, every block, logits and predicted IoU within 1e-4.

A shrunken size runs every time; the official one is in the slow tier. `python -m tests.parity.report mobile_sam` prints
its table.
"""

import pytest
import torch

from tests.parity.cases import PICTURES, PROMPTS, compare_features, compare_masks
from tests.parity.mobile_sam import MOBILE_SAM, SMALL, elsewhere, every_block, load_mobile_pair, our_pixels

LIMIT = 1e-4
WINDOWS = (7, 5, 4, 6)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return load_mobile_pair(SMALL, tmp_path_factory.mktemp("parity"))


def test_what_it_is(small):
    info = small.model.info
    assert (info.family, info.version, info.side_step, info.patch_size) == ("sam1", "1", 16, 4)
    assert (info.blocks_per_stage, info.channels_per_stage) == (SMALL.blocks, SMALL.channels)
    assert info.window_sizes == SMALL.windows and info.global_blocks == ()


@pytest.mark.parametrize("picture", PICTURES)
def test_features(small, picture):
    assert max(compare_features(small, PICTURES[picture])) <= LIMIT


def test_every_block(small):
    assert max(every_block(small, "wide")) <= LIMIT


@pytest.mark.parametrize("side", [64, 80, 192])
def test_other_sides(small, side):
    assert elsewhere(small, "tall", side) <= LIMIT


def test_other_windows(small):
    assert elsewhere(small, "wide", SMALL.side, WINDOWS) <= LIMIT


@pytest.mark.parametrize("prompts", PROMPTS)
def test_masks(small, prompts):
    assert max(compare_masks(small, PICTURES["wide"], PROMPTS[prompts], hint=prompts == "everything")) <= LIMIT


def test_strips_fold_and_packing_change_nothing(small, monkeypatch):
    """With gradients the norms are not folded in beforehand, and a map in one strip has no seams."""
    from samkit.models.network import tiny_vit

    rgb = PICTURES["square"]
    features = small.model.encode_image(rgb).features[0]
    monkeypatch.setattr(tiny_vit, "STRIP_TOKENS", 64)
    assert float((small.model.encode_image(rgb).features[0] - features).abs().max()) <= 1e-5
    pixels = our_pixels(small, "square", SMALL.side)
    with torch.enable_grad():
        again, _ = small.model.network.encode(pixels.requires_grad_())
    assert float((again[0][0].detach().permute(2, 0, 1) - features).abs().max()) <= 1e-5
    again[0].sum().backward()
    assert float(pixels.grad.abs().sum()) > 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_official_size(tmp_path):
    pair = load_mobile_pair(MOBILE_SAM, tmp_path)
    figures = [*compare_features(pair, PICTURES["wide"]), *every_block(pair, "tall")]
    for prompts in PROMPTS.values():
        figures += compare_masks(pair, PICTURES["wide"], prompts, hint=False)
    figures += compare_masks(pair, PICTURES["wide"], PROMPTS["everything"], hint=True)
    figures += [elsewhere(pair, "tall", 768), elsewhere(pair, "wide", 1024, (7, 8, 16, 10))]
    assert max(figures) <= LIMIT
