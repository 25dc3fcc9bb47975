"""The transformer of the mask decoder: prompt tokens look at the image, the image looks back.

Follows segment_anything/modeling/transformer.py; the same in SAM v1 and v2. Keys are the image tokens (thousands),
queries the prompt tokens (about ten).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from samkit.models.network.few_tokens import can_fold, image_looks_back, look_at_image
from samkit.models.network.layers import FeedForward
from samkit.models.network.linear import Linear


class Attention(nn.Module):
    """Multi-head attention whose inner width may be smaller than its outer one."""

    def __init__(self, channels: int, inner: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.q_proj = Linear(channels, inner)
        self.k_proj = Linear(channels, inner)
        self.v_proj = Linear(channels, inner)
        self.out_proj = Linear(inner, channels)

    def forward(self, q: Tensor, k: Tensor, v: Tensor, residual: Tensor | None = None) -> Tensor:
        """q: [B, N, C]; k, v: [B, M, C]. Returns [B, N, C], plus `residual` if there is one."""
        q, k, v = (
            layer(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for layer, x in ((self.q_proj, q), (self.k_proj, k), (self.v_proj, v))
        )
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return self.out_proj(attended) if residual is None else self.out_proj.plus(attended, residual)

    def to_image(self, q: Tensor, image: Tensor, places: Tensor, residual: Tensor) -> Tensor:
        """Tokens q [B, N, C] look at the image's, [1 or B, M, C], which lie at `places` [1, M, C]. Returns [B, N, C],
        with `residual` added.
        """
        if can_fold(self, q):
            return look_at_image(self, q, image, places, residual)
        image = image.expand(len(q), -1, -1)
        return self(q, image + places, image, residual)

    def from_image(self, image: Tensor, places: Tensor, k: Tensor, v: Tensor, norm: nn.LayerNorm) -> Tensor:
        """The image's tokens, as in `to_image`, look at k and v [B, N, C]. Returns [B, M, C]: the norm of what they see
        added to what they are.
        """
        if can_fold(self, k):
            return image_looks_back(self, image, places, k, v, norm)
        image = image.expand(len(k), -1, -1)
        return norm(self(image + places, k, v, residual=image.contiguous()))


class TwoWayBlock(nn.Module):
    """Self-attention of the tokens, tokens to image, feed forward, image to tokens."""

    def __init__(self, channels: int, inner: int, num_heads: int, hidden: int, first: bool):
        super().__init__()
        self.self_attn = Attention(channels, channels, num_heads)
        self.norm1 = nn.LayerNorm(channels)
        self.cross_attn_token_to_image = Attention(channels, inner, num_heads)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = FeedForward((channels, hidden, channels))
        self.norm3 = nn.LayerNorm(channels)
        self.norm4 = nn.LayerNorm(channels)
        self.cross_attn_image_to_token = Attention(channels, inner, num_heads)
        self.first = first

    def forward(self, queries: Tensor, keys: Tensor, queries_pe: Tensor, keys_pe: Tensor) -> tuple[Tensor, Tensor]:
        if self.first:
            # The first block has nothing to add positions to: the tokens are the positions, and there is no residual.
            queries = self.self_attn(queries, queries, queries)
        else:
            q = queries + queries_pe
            queries = self.self_attn(q, q, queries, residual=queries)
        queries = self.norm1(queries)

        q = queries + queries_pe
        queries = self.norm2(self.cross_attn_token_to_image.to_image(q, keys, keys_pe, queries))
        queries = self.norm3(self.mlp.plus(queries, queries))
        q = queries + queries_pe
        return queries, self.cross_attn_image_to_token.from_image(keys, keys_pe, q, queries, self.norm4)


class TwoWayTransformer(nn.Module):
    def __init__(self, channels: int, inner: int, num_heads: int, hidden: int, depth: int):
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(channels, inner, num_heads, hidden, first=i == 0) for i in range(depth))
        self.final_attn_token_to_image = Attention(channels, inner, num_heads)
        self.norm_final_attn = nn.LayerNorm(channels)

    def forward(self, keys: Tensor, keys_pe: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """keys: [1 or B, h*w, C] image tokens, keys_pe: [1, h*w, C] their positions, tokens: [B, N, C]. Returns (tokens
        [B, N, C], keys [B, h*w, C]).
        """
        queries = tokens
        for layer in self.layers:
            queries, keys = layer(queries, keys, tokens, keys_pe)
        queries = self.final_attn_token_to_image.to_image(queries + tokens, keys, keys_pe, queries)
        return self.norm_final_attn(queries), keys
