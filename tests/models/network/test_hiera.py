"""Where Hiera's tokens lie in memory. What they are is held to the official package in tests/parity."""

import pytest
import torch

from samkit.models.network.hiera import HieraBlock, PatchEmbedding


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def test_tokens_of_a_patch_lie_beside_each_other_whatever_the_strides_of_the_pixels():
    embed = PatchEmbedding(8)
    pixels = torch.rand(1, 3, 64, 96)
    permuted = pixels[0].permute(1, 2, 0).contiguous().permute(2, 0, 1)[None]
    assert permuted.stride(0) == 3
    ways = [pixels, pixels.contiguous(memory_format=torch.channels_last), permuted, torch.rand(2, 3, 64, 96)]
    tokens = [embed(each) for each in ways]
    assert all(each.is_contiguous() for each in tokens)
    assert torch.equal(tokens[0], tokens[1]) and torch.equal(tokens[0], tokens[2])


def test_a_strip_of_tokens_is_normed_without_a_copy():
    """The first block is given what the patches become: a strip of it can be viewed as rows of tokens."""
    seen = []
    block = HieraBlock(8, 8, 1, 32, pools=False)
    block.norm1.register_forward_pre_hook(lambda _, given: seen.append(given[0].is_contiguous()))
    permuted = torch.rand(64, 64, 3).permute(2, 0, 1)[None]
    block(PatchEmbedding(8)(permuted), window=8)
    assert seen and all(seen)
