"""Folded attention gives the plain attention's numbers."""

import pytest
import torch

from samkit.models.network import few_tokens
from samkit.models.network.two_way_transformer import TwoWayTransformer


@pytest.fixture(scope="module")
def transformer() -> TwoWayTransformer:
    torch.manual_seed(0)
    made = TwoWayTransformer(channels=32, inner=16, num_heads=2, hidden=48, depth=2).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


def tokens(images: int, prompts: int, few: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = ((images, 35, 32), (1, 35, 32), (prompts, few, 32))
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)


@pytest.mark.parametrize("images, prompts", [(1, 1), (1, 3), (3, 3)])
def test_folded_as_plain(transformer, monkeypatch, images, prompts):
    monkeypatch.setattr(few_tokens, "STRIP_TOKENS", 16)
    image, places, few = tokens(images, prompts, 7)
    with torch.no_grad():
        assert few_tokens.can_fold(transformer.final_attn_token_to_image, few)
        folded = transformer(image, places, few)
    plain = transformer(image, places, few)
    for ours, expected in zip(folded, plain, strict=True):
        assert ours.shape == expected.shape
        torch.testing.assert_close(ours, expected.detach(), rtol=0, atol=2e-5)


def test_many_tokens_and_gradients_take_the_plain_form(transformer):
    attention = transformer.final_attn_token_to_image
    *_, few = tokens(1, 1, 8)
    *_, many = tokens(1, 1, 9)
    with torch.no_grad():
        assert few_tokens.can_fold(attention, few)
        assert not few_tokens.can_fold(attention, many)
    assert not few_tokens.can_fold(attention, few)
    image, places, few = tokens(1, 2, 8)
    queries, keys = transformer(image.requires_grad_(), places, few)
    (queries.sum() + keys.sum()).backward()
    assert image.grad is not None and torch.isfinite(image.grad).all()
