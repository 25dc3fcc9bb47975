"""samkit against the official packages, random weights: features, every block, logits, predicted IoU and object score
within 1e-4.

Position encodings agree within 1e-5. Shrunken sizes run every time; the official sizes are in the slow tier:
`pytest -m slow tests/parity`. `python -m tests.parity.report` prints the table.
"""

import numpy as np
import pytest
import torch

from samkit.experiments.position_encoding import base_grid
from samkit.models.track import mask_logits
from tests.parity.cases import (
    PICTURES,
    PROMPTS,
    compare_blocks,
    compare_features,
    compare_masks,
    compare_positions,
    load_pair,
)
from tests.parity.official import SAM1_SIZES, SAM2_SIZES, SMALL_SAM1_SIZES, SMALL_SAM2_SIZES

LIMIT = 1e-4
POSITION_LIMIT = 1e-5
SMALL = [*SMALL_SAM1_SIZES, *SMALL_SAM2_SIZES]
OFFICIAL = ["vit_b", "tiny", "small", "base_plus", "tiny 2.0", "small 2.0", "base_plus 2.0"]
WINDOWS = {"sam1": (3, 4, 6, 9), "sam2": (4, 2, 6, 5)}


@pytest.fixture(scope="module", params=SMALL)
def small(request, tmp_path_factory):
    return load_pair(request.param, tmp_path_factory.mktemp("parity"))


@pytest.fixture(scope="module", params=OFFICIAL)
def official(request, tmp_path_factory):
    return load_pair(request.param, tmp_path_factory.mktemp("parity"))


@pytest.mark.parametrize("picture", PICTURES)
def test_features(small, picture):
    assert max(compare_features(small, PICTURES[picture])) <= LIMIT


@pytest.mark.parametrize("scale", [0.5, 1.5])
def test_other_sides(small, scale):
    side = int(small.size.side * scale) // 64 * 64
    assert max(compare_features(small, PICTURES["wide"], side=side)) <= LIMIT


def test_other_windows(small):
    assert max(compare_features(small, PICTURES["tall"], windows=WINDOWS[small.family])) <= LIMIT


def test_every_block(small):
    assert max(compare_blocks(small, PICTURES["wide"])) <= LIMIT


def test_every_block_at_other_windows(small):
    assert max(compare_blocks(small, PICTURES["wide"], windows=WINDOWS[small.family])) <= LIMIT


@pytest.mark.parametrize("grid", ["native", "other"])
@pytest.mark.parametrize("window_tiling", [True, False], ids=["tiled", "plain"])
def test_position_encoding(small, grid, window_tiling):
    base = base_grid(small.model)
    # The official code needs whole windows, of 8 tokens here.
    height, width = (
        (base, base)
        if grid == "native"
        else (base // 2, 2 * base)
        if small.family == "sam2"
        else (base // 2 + 1, 2 * base - 1)
    )
    assert max(compare_positions(small, (height, width), window_tiling)) <= POSITION_LIMIT


@pytest.mark.parametrize("prompts", PROMPTS)
@pytest.mark.parametrize("hint", [False, True], ids=["plain", "mask hint"])
def test_masks(small, prompts, hint):
    assert max(compare_masks(small, PICTURES["wide"], PROMPTS[prompts], hint)) <= LIMIT


@pytest.mark.parametrize("picture", PICTURES)
def test_a_mask_as_a_hint_becomes_the_logits_of_the_official_video_package(small, picture):
    """What `SAM2Base._use_mask_as_output` makes of a mask given on a frame, brought to the frame's size as
    `SAM2VideoPredictor.add_new_mask` does. SAM v1 has no such code: there it is the same within the picture, and -10 in
    the padding.
    """
    rgb = PICTURES[picture]
    mask = np.zeros(rgb.shape[:2], bool)
    mask[rgb.shape[0] // 5 : rgb.shape[0] // 2, rgb.shape[1] // 4 : rgb.shape[1] // 3] = True
    encoding = small.model.encode_image(rgb)
    (height, width), side = encoding.geometry.resized_size, small.size.side
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(mask)[None, None].float(), (height, width), mode="bilinear", antialias=True
    )
    whole = torch.zeros(1, 1, side, side)
    whole[..., :height, :width] = (resized >= 0.5).float()
    if small.family == "sam2":
        features = [level[None] for level in encoding.features]
        low, *_ = small.official._use_mask_as_output(features[0], [features[2], features[1]], whole)
    else:
        low = torch.nn.functional.interpolate(
            whole * 20 - 10, (side // 4, side // 4), mode="bilinear", align_corners=False, antialias=True
        )
    assert float((mask_logits(mask, encoding.geometry) - low).abs().max()) <= 1e-5
    hinted = small.model.predict_masks(encoding, PROMPTS["everything"], mask)
    same = small.model.predict_masks(encoding, PROMPTS["everything"], low[0])
    assert float((hinted.logits - same.logits).abs().max()) <= LIMIT


@pytest.mark.parametrize("name", [*SAM1_SIZES, *SAM2_SIZES, *(f"{name} 2.0" for name in SAM2_SIZES)])
def test_official_sizes_are_known_by_their_shapes(name, monkeypatch):
    from sam2.modeling.backbones import hieradet

    from samkit.models.config import read_config
    from tests.parity.cases import size_of
    from tests.parity.official import official_sam1, official_sam2

    size = size_of(name)
    linspace = torch.linspace
    # Hiera's constructor reads numbers out of a linspace, which a meta tensor does not have.
    monkeypatch.setattr(hieradet.torch, "linspace", lambda *span: linspace(*span, device="cpu"))
    with torch.device("meta"):
        model = (official_sam1 if name in SAM1_SIZES else official_sam2)(size, randomised=False)
    config = read_config(model.state_dict())
    encoder = config.encoder
    assert (encoder.channels, encoder.num_heads, encoder.global_blocks, config.native_side) == (
        size.channels,
        size.num_heads,
        size.global_blocks,
        1024,
    )
    if name in SAM1_SIZES:
        assert (config.family, config.version, encoder.window_sizes, encoder.depth) == (
            "sam1",
            "1",
            (14,) * 4,
            size.depth,
        )
    else:
        assert (config.family, config.version, encoder.window_sizes, encoder.blocks_per_stage) == (
            "sam2",
            size.version,
            size.windows,
            size.stages,
        )


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_official_size(official):
    figures = [*compare_features(official, PICTURES["wide"]), *compare_blocks(official, PICTURES["tall"])]
    for prompts in PROMPTS.values():
        figures += compare_masks(official, PICTURES["wide"], prompts, hint=False)
    figures += compare_masks(official, PICTURES["wide"], PROMPTS["everything"], hint=True)
    figures += compare_features(official, PICTURES["tall"], side=768)
    figures += compare_features(
        official, PICTURES["tall"], windows=(7, 9, 12, 16) if official.family == "sam1" else (4, 8, 10, 5)
    )
    assert max(figures) <= LIMIT
