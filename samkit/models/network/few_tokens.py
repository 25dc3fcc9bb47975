"""Attention between thousands of image tokens and about ten prompt tokens, with the projections of the image side left
out.

A score is q . (W x) for a projection W and an image token x, which is (W^T q) . x: projecting the few tokens instead
gives the same scores from narrower products. Likewise the sum of the projected image tokens, by attention, is the
projection of their sum. With 8 prompt tokens and 8 heads an image token takes part in products 64 wide, where its own
query, key and value would be 128 wide each, and no kernel has to cope with rows of 8.

Image tokens are taken a strip at a time, so that what is made of them stays in the processor's cache. Equal to the
plain form up to rounding; pays on a CPU while there are at most as many scores an image token as the projection is
wide.
"""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor, addmm, einsum, nn, softmax

from samkit.models.network.linear import Linear

STRIP_TOKENS = 1024
"""Image tokens at a time."""


class Projections(Protocol):
    """Of multi-head attention. q, k, v lead to the inner width, out back from it."""

    num_heads: int
    q_proj: Linear
    k_proj: Linear
    v_proj: Linear
    out_proj: Linear


def can_fold(attention: Projections, few: Tensor) -> bool:
    """Whether the tokens [B, N, C] are few enough, and what is computed allows it: gradients take the plain form."""
    fits = few.shape[1] * attention.num_heads <= attention.k_proj.out_features
    return fits and few.device.type == "cpu" and not torch.is_grad_enabled()


def look_at_image(attention: Projections, q: Tensor, image: Tensor, places: Tensor, residual: Tensor) -> Tensor:
    """Prompt tokens q [B, N, C] look at image tokens [1 or B, M, C], which lie at `places` [1, M, C]. Returns
    [B, N, C], with `residual` added.
    """
    batch, few, heads = len(q), q.shape[1], attention.num_heads
    queries = attention.q_proj(q).unflatten(-1, (heads, -1))
    queries = queries * queries.shape[-1] ** -0.5
    # The bias of the keys adds the same to all scores of a query, and softmax takes it out again.
    folded = einsum("bnhd,hdc->bhnc", queries, attention.k_proj.weight.unflatten(0, (heads, -1))).flatten(1, 2)
    if len(image) == 1:
        # All look at the same image: as if they were one long row of tokens.
        folded = folded.flatten(0, 1)[None]
    scores = folded.new_empty(*folded.shape[:2], image.shape[1])
    for each, strip in _strips(image):
        scores[each, :, strip] = folded[each] @ (image[each, strip] + places[0, strip]).T
    seen = (softmax(scores, dim=-1) @ image).view(batch, heads, few, -1)
    attended = einsum("bhnc,hdc->bnhd", seen, attention.v_proj.weight.unflatten(0, (heads, -1))).flatten(2)
    if attention.v_proj.bias is not None:
        attended += attention.v_proj.bias
    return attention.out_proj.plus(attended, residual)


def image_looks_back(
    attention: Projections, image: Tensor, places: Tensor, k: Tensor, v: Tensor, norm: nn.LayerNorm
) -> Tensor:
    """Image tokens [1 or B, M, C], which lie at `places` [1, M, C], look at prompt tokens: k for where, v for what
    [B, N, C]. Returns [B, M, C]: the norm of what they see added to what they are.
    """
    few, heads = k.shape[1], attention.num_heads
    keys = attention.k_proj(k).unflatten(-1, (heads, -1))
    keys = keys * keys.shape[-1] ** -0.5
    folded = einsum("bnhd,hdc->bhnc", keys, attention.q_proj.weight.unflatten(0, (heads, -1))).flatten(1, 2)
    offset = torch.zeros_like(folded[..., :1])
    if attention.q_proj.bias is not None:
        offset = einsum("bnhd,hd->bhn", keys, attention.q_proj.bias.unflatten(0, (heads, -1))).flatten(1)[..., None]
    values = attention.v_proj(v).unflatten(-1, (heads, -1))
    back = einsum("bnhd,chd->bhnc", values, attention.out_proj.weight.unflatten(1, (heads, -1)))
    if attention.out_proj.bias is not None:
        # A head's shares add up to one, so that what is added to all of its values is added once.
        back[:, 0] += attention.out_proj.bias
    back = back.flatten(1, 2)
    seen = image.new_empty(len(k), *image.shape[1:])
    for each, strip in _strips(seen):
        own = image[each if len(image) > 1 else 0, strip]
        scores = addmm(offset[each], folded[each], (own + places[0, strip]).T)
        # Over the first but one axis: torch's kernel for the last one takes twenty times as long for rows of 8.
        shares = softmax(scores.view(heads, few, -1), dim=1).flatten(0, 1)
        seen[each, strip] = norm(addmm(own, shares.T, back[each]))
    return seen


def _strips(image: Tensor) -> Iterator[tuple[int, slice]]:
    """Of every image [B, M, C], its strips of tokens."""
    for each in range(len(image)):
        for start in range(0, image.shape[1], STRIP_TOKENS):
            yield each, slice(start, start + STRIP_TOKENS)
