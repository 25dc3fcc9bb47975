"""Attention between thousands of image tokens and about ten prompt tokens, with the projections of the image side left
out.

A score is q . (W x) for a projection W and an image token x, which is (W^T q) . x: projecting the few tokens instead
gives the same scores from narrower products. Likewise the sum of the projected image tokens, by attention, is the
projection of their sum. With 8 prompt tokens and 8 heads an image token takes part in products 64 wide, where its own
query, key and value would be 128 wide each, and no kernel has to cope with rows of 8.

Equal to the plain form up to rounding. Pays while there are at most as many scores an image token as the projection is
wide (`can_fold`).
"""

from typing import Protocol

from torch import Tensor, baddbmm, bmm, einsum, softmax

from samkit.models.network.linear import Linear


class Projections(Protocol):
    """Of multi-head attention. Layers are [out, in]: q, k, v to the inner width, out from it."""

    num_heads: int
    q_proj: Linear
    k_proj: Linear
    v_proj: Linear
    out_proj: Linear


def can_fold(attention: Projections, few: int) -> bool:
    """Whether `few` tokens are few enough."""
    return few * attention.num_heads <= attention.k_proj.out_features


def look_at_image(attention: Projections, q: Tensor, k: Tensor, v: Tensor, residual: Tensor) -> Tensor:
    """Prompt tokens q [B, N, C] look at image tokens: k for where, v for what [1 or B, M, C]. Returns [B, N, C], with
    `residual` added.
    """
    few, heads = q.shape[1], attention.num_heads
    queries = attention.q_proj(q).unflatten(-1, (heads, -1))
    queries = queries * queries.shape[-1] ** -0.5
    # The bias of the keys adds the same to all scores of a query, and softmax takes it out again.
    folded = einsum("bnhd,hdc->bhnc", queries, attention.k_proj.weight.unflatten(0, (heads, -1)))
    seen = sums(softmax(products(folded.flatten(1, 2), k), dim=-1), v)
    values = attention.v_proj.weight.unflatten(0, (heads, -1))
    attended = einsum("bhnc,hdc->bnhd", seen.unflatten(1, (heads, few)), values).flatten(2)
    if attention.v_proj.bias is not None:
        attended = attended + attention.v_proj.bias
    return attention.out_proj.plus(attended, residual)


def image_looks_back(attention: Projections, q: Tensor, k: Tensor, v: Tensor, residual: Tensor) -> Tensor:
    """Image tokens q [1 or B, M, C] look at prompt tokens: k for where, v for what [B, N, C]. Returns [B, M, C], with
    `residual` [1 or B, M, C] added.
    """
    few, heads = k.shape[1], attention.num_heads
    keys = attention.k_proj(k).unflatten(-1, (heads, -1))
    keys = keys * keys.shape[-1] ** -0.5
    folded = einsum("bnhd,hdc->bhnc", keys, attention.q_proj.weight.unflatten(0, (heads, -1)))
    scores = products(folded.flatten(1, 2), q).unflatten(1, (heads, few))
    if attention.q_proj.bias is not None:
        scores += einsum("bnhd,hd->bhn", keys, attention.q_proj.bias.unflatten(0, (heads, -1)))[..., None]
    # Over the second last axis: torch's kernel for the last one takes twenty times as long for rows of 8.
    shares = softmax(scores, dim=2).flatten(1, 2)
    values = attention.v_proj(v).unflatten(-1, (heads, -1))
    back = einsum("bnhd,chd->bhnc", values, attention.out_proj.weight.unflatten(1, (heads, -1)))
    if attention.out_proj.bias is not None:
        # A head's shares add up to one, so that what is added to all of its values is added once.
        back[:, 0] += attention.out_proj.bias
    return baddbmm(residual, shares.transpose(1, 2), back.flatten(1, 2))


def products(few: Tensor, image: Tensor) -> Tensor:
    """few [B, N, C], image [1 or B, M, C]. Returns [B, N, M]."""
    if image.shape[0] == few.shape[0]:
        return bmm(few, image.transpose(1, 2))
    return (few.flatten(0, 1) @ image[0].T).unflatten(0, few.shape[:2])


def sums(shares: Tensor, image: Tensor) -> Tensor:
    """shares [B, N, M], image [1 or B, M, C]. Returns [B, N, C]."""
    if image.shape[0] == shares.shape[0]:
        return bmm(shares, image)
    return (shares.flatten(0, 1) @ image[0]).unflatten(0, shares.shape[:2])
