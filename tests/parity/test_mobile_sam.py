"""samkit against MobileSAM's own package, random weights: features, every block, logits and predicted IoU within 1e-4.

A shrunken size runs every time; the official one is in the slow tier. `python -m tests.parity.report mobile_sam` prints
its table.
"""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import samkit
from tests.parity.cases import PICTURES, PROMPTS, Pair, compare_features, compare_masks
from tests.parity.mobile_sam import MOBILE_SAM, SMALL, MobileSize, encoder_at, official_mobile_sam

LIMIT = 1e-4
WINDOWS = (7, 5, 4, 6)


def load_mobile_pair(size: MobileSize, folder: Path) -> Pair:
    """Saved as its users have it: the whole state dict, the classifier's head and the counters of training with it. A
    shrunken one's file says its side.
    """
    official = official_mobile_sam(size)
    if size.side == MOBILE_SAM.side:
        path = folder / "mobile_sam.pt"
        torch.save(official.state_dict(), path)
    else:
        path = folder / "mobile_sam.safetensors"
        save_file(official.state_dict(), path, metadata={"samkit": json.dumps({"native_side": size.side})})
    return Pair("sam1", size, official, samkit.load_model(path, device="cpu"))


def official_blocks(pair: Pair, pixels: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Every block's output as [h, w, C], taken with hooks; and the features."""
    taken: list[torch.Tensor] = []
    encoder = pair.official.image_encoder
    blocks = [block for layer in encoder.layers for block in layer.blocks]
    hooks = [block.register_forward_hook(lambda module, inputs, output: taken.append(output[0])) for block in blocks]
    with torch.no_grad():
        features = encoder(pixels)[0]
    for hook in hooks:
        hook.remove()
    maps = []
    for output in taken:
        side = round(output[0].numel() ** 0.5) if output.ndim == 3 else round(len(output) ** 0.5)
        maps.append(output.permute(1, 2, 0) if output.ndim == 3 else output.view(side, side, -1))
    return maps, features


def our_pixels(pair: Pair, picture: str, side: int) -> torch.Tensor:
    """As the official package resizes and normalises them."""
    from segment_anything.utils.transforms import ResizeLongestSide

    pair.official.image_encoder.img_size = side
    resized = torch.as_tensor(ResizeLongestSide(side).apply_image(PICTURES[picture]))
    pixels = pair.official.preprocess(resized.permute(2, 0, 1)[None].contiguous())
    pair.official.image_encoder.img_size = pair.size.side
    return pixels


def every_block(pair: Pair, picture: str) -> list[float]:
    """Largest differences."""
    encoding = pair.model.encode_image(PICTURES[picture], keep_blocks=True)
    blocks, features = official_blocks(pair, our_pixels(pair, picture, pair.size.side))
    assert [tuple(block.shape) for block in encoding.blocks] == [tuple(block.shape) for block in blocks]
    pairs = [*zip(encoding.blocks, blocks, strict=True), (encoding.features[0], features)]
    return [float((ours - theirs).abs().max()) for ours, theirs in pairs]


def elsewhere(pair: Pair, picture: str, side: int, windows: tuple[int, ...] | None = None) -> float:
    """Largest difference of the features at another side or other windows."""
    ours = pair.model.encode_image(PICTURES[picture], side=side, window_sizes=windows)
    with torch.no_grad():
        theirs = encoder_at(pair.official, pair.size, side, windows)(our_pixels(pair, picture, side))
    return float((ours.features[0] - theirs[0]).abs().max())


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
