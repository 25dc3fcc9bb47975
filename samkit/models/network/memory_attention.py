"""Memory attention of SAM v2: the features of a frame look at themselves and at what is remembered.

Follows sam2/modeling/memory_attention.py and `RoPEAttention` in sam2/modeling/sam/transformer.py with the released
settings. Two things differ in how it is computed, not in what: on a CPU the score matrix (4,096 x 28,736 at 1024
pixels) exists in strips only, and what is remembered is averaged before it is projected to values, which are four times
as wide.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samkit.models.network.linear import Linear, fixed_product
from samkit.models.network.rope import turn

SCORES_HELD = 7_000_000
"""About how many attention scores exist at a time. Strips stay below the 32 MB from which glibc asks the kernel for
fresh pages each time.
"""


class RotaryAttention(nn.Module):
    """Attention with rotary positions on queries and keys. `inputs`: width of what becomes keys and values."""

    def __init__(self, channels: int, num_heads: int, inputs: int):
        super().__init__()
        self.num_heads = num_heads
        self.q_proj = Linear(channels, channels)
        self.k_proj = Linear(inputs, channels)
        self.v_proj = Linear(inputs, channels)
        self.out_proj = Linear(channels, channels)

    def forward(
        self, queries: Tensor, keys: Tensor, values: Tensor, query_turns: Tensor, key_turns: Tensor, residual: Tensor
    ) -> Tensor:
        """
        queries:     [B, N, C]; residual: [B, N, C], added to what comes out
        keys:        [B, M, inputs]; the first of them have a place, the others (object pointers) have none
        values:      [B, M, inputs]
        query_turns: of the N queries' places, as `turn` takes them; key_turns: of the first keys'
        """
        q = turn(self._heads(self.q_proj(queries)), query_turns)
        k = turn(self._heads(self.k_proj(keys)), key_turns)
        if q.device.type == "cpu":
            attended = self._project_values(average(q, k, values))
        else:
            attended = F.scaled_dot_product_attention(q, k, self._heads(self.v_proj(values)))
        return self.out_proj.plus(attended.transpose(1, 2).flatten(2), residual)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def _project_values(self, averaged: Tensor) -> Tensor:
        """[B, heads, N, inputs] -> [B, heads, N, C / heads]: attention weights sum to one, so projecting the average is
        averaging the projections.
        """
        weight = self.v_proj.weight.unflatten(0, (self.num_heads, -1))
        return averaged @ weight.transpose(-1, -2) + self.v_proj.bias.view(self.num_heads, 1, -1)


def average(q: Tensor, k: Tensor, values: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) values, per head. q: [B, heads, N, d], k: [B, heads, M, d], values: [B, M, E] -> [B,
    heads, N, E].
    """
    if torch.is_grad_enabled():
        return F.scaled_dot_product_attention(q, k, values[:, None].expand(-1, k.shape[1], -1, -1))
    b, heads, n, d = q.shape
    rows = max(1, min(n, SCORES_HELD // k.shape[2]))
    averaged = torch.empty(b, heads, n, values.shape[-1], dtype=q.dtype)
    q = q * d**-0.5
    for item in range(b):
        times_values = fixed_product(values[item].T, n)
        for head in range(heads):
            times_keys = fixed_product(k[item, head], n)
            for top in range(0, n, rows):
                scores = times_keys(q[item, head, top : top + rows])
                averaged[item, head, top : top + rows] = times_values(torch.softmax(scores, dim=-1, out=scores))
    return averaged


class MemoryAttentionLayer(nn.Module):
    """Parameters are named as in the official package."""

    def __init__(self, channels: int, memory_channels: int, num_heads: int, hidden: int):
        super().__init__()
        self.self_attn = RotaryAttention(channels, num_heads, channels)
        self.cross_attn_image = RotaryAttention(channels, num_heads, memory_channels)
        self.linear1 = Linear(channels, hidden)
        self.linear2 = Linear(hidden, channels)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(channels) for _ in range(3))

    def forward(
        self, tokens: Tensor, memory: Tensor, memory_keys: Tensor, turns: Tensor, memory_turns: Tensor
    ) -> Tensor:
        normed = self.norm1(tokens)
        tokens = self.self_attn(normed, normed, normed, turns, turns, tokens)
        tokens = self.cross_attn_image(self.norm2(tokens), memory_keys, memory, turns, memory_turns, tokens)
        return self.linear2.plus(F.relu(self.linear1(self.norm3(tokens))), tokens)


class MemoryAttention(nn.Module):
    def __init__(self, channels: int, memory_channels: int, num_heads: int, hidden: int, layers: int):
        super().__init__()
        self.layers = nn.ModuleList(
            MemoryAttentionLayer(channels, memory_channels, num_heads, hidden) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(channels)

    def forward(
        self, tokens: Tensor, memory: Tensor, memory_positions: Tensor, turns: Tensor, memory_turns: Tensor
    ) -> Tensor:
        """
        tokens:           [B, N, C] features of the frame, with a tenth of their positions added
        memory:           [B, M, Cm] remembered tokens, those with a place first; memory_positions: [1 or B, M, Cm]
        turns:            of the frame's places, as `rope.turn` takes them; memory_turns: of the remembered tokens that
                          have a place

        Returns [B, N, C].
        """
        memory_keys = memory + memory_positions
        for layer in self.layers:
            tokens = layer(tokens, memory, memory_keys, turns, memory_turns)
        return self.norm(tokens)
