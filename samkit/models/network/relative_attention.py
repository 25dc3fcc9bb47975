"""Attention with decomposed relative positions, as SAM v1's image encoder has it, in three ways that give the same.

All take q, k, v [B, heads, N, d] of a grid of h x w = N tokens, and what the positions add to the scores: rel_h [B,
heads, N, h] for each row that a query may look at, rel_w [B, heads, N, w] for each column. All return [B, heads, N, d].
"""

import torch
import torch.nn.functional as F
from torch import Tensor

SCORE_STRIP = 512
"""Rows of global attention's score matrix held at a time."""


def attend(q: Tensor, k: Tensor, v: Tensor, rel_h: Tensor, rel_w: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d) + rel_h + rel_w) v, in the way that is best where it runs."""
    if torch.is_grad_enabled() or q.device.type != "cpu":
        return attend_folded(q, k, v, rel_h, rel_w)
    if q.shape[0] == 1 and q.shape[2] > SCORE_STRIP:
        return attend_in_strips(q, k, v, rel_h, rel_w)
    return attend_with_bias(q, k, v, rel_h, rel_w)


def attend_with_bias(q: Tensor, k: Tensor, v: Tensor, rel_h: Tensor, rel_w: Tensor) -> Tensor:
    """As it is written down: a bias for each pair of tokens."""
    bias = rel_h[..., :, None] + rel_w[..., None, :]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias.flatten(-2), scale=q.shape[-1] ** -0.5)


def attend_folded(q: Tensor, k: Tensor, v: Tensor, rel_h: Tensor, rel_w: Tensor) -> Tensor:
    """q . k + rel_h + rel_w as one longer dot product: each key carries one-hot vectors of its row and column. No bias
    is needed, so fused kernels serve, and gradients need no tokens x tokens matrix.
    """
    h, w = rel_h.shape[-1], rel_w.shape[-1]
    rows = torch.eye(h, dtype=k.dtype, device=k.device).repeat_interleave(w, dim=0)
    columns = torch.eye(w, dtype=k.dtype, device=k.device).repeat(h, 1)
    places = torch.cat([rows, columns], dim=1).expand(*k.shape[:2], -1, -1)
    longer_q = torch.cat([q * q.shape[-1] ** -0.5, rel_h, rel_w], dim=-1)
    return F.scaled_dot_product_attention(longer_q, torch.cat([k, places], dim=-1), v, scale=1.0)


def attend_in_strips(q: Tensor, k: Tensor, v: Tensor, rel_h: Tensor, rel_w: Tensor) -> Tensor:
    """One head and `SCORE_STRIP` rows of the score matrix at a time, without gradients; B is 1. The matrix of a global
    block would be 64 MB a head at 1024 pixels.
    """
    _, heads, n, d = q.shape
    h, w = rel_h.shape[-1], rel_w.shape[-1]
    attended = torch.empty(1, n, heads, d, dtype=q.dtype).transpose(1, 2)
    scores = torch.empty(min(SCORE_STRIP, n), h, w, dtype=q.dtype)
    for head in range(heads):
        keys_t, values = k[0, head].T, v[0, head]
        for top in range(0, n, SCORE_STRIP):
            rows = slice(top, min(top + SCORE_STRIP, n))
            strip = scores[: rows.stop - rows.start]
            torch.add(rel_h[0, head, rows, :, None], rel_w[0, head, rows, None, :], out=strip)
            flat = strip.view(-1, n)
            flat.addmm_(q[0, head, rows], keys_t, alpha=d**-0.5)
            torch.softmax(flat, dim=-1, out=flat)
            torch.mm(flat, values, out=attended[0, head, rows])
    return attended
