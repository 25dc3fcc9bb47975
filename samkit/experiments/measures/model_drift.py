"""How far two models of one architecture drift apart on one picture, block by block and at the features."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from samkit.experiments.lab import LazyEncoding
from samkit.experiments.measures.block_kinds import block_kinds, token_norms

if TYPE_CHECKING:
    from samkit.models.sam import SamModel


@dataclass(frozen=True)
class ModelDrift:
    """rows:     one a block for a table: what it is, relative L2 distance (drift), mean cosine of corresponding tokens
              (cosine), the largest and the median norm of both
    features: relative L2 distance of the features that the decoder takes, all levels together
    by_token: float32 [h, w], each token's L2 distance at the lowest level
    """

    rows: list[dict[str, Any]]
    features: float
    by_token: np.ndarray


def measure_model_drift(model: "SamModel", after: LazyEncoding, before: LazyEncoding) -> ModelDrift:
    """A step that a lab recalls. after, before: encodings of one picture by both, at one size, with their blocks."""
    new, old = after.value, before.value
    with torch.no_grad():
        rows = [
            {"block": kind.index, "stage": kind.stage, "attention": kind.attention} | _block(tokens, earlier)
            for kind, tokens, earlier in zip(
                block_kinds(model, new.settings.window_sizes), new.blocks or (), old.blocks or (), strict=True
            )
        ]
        pairs = [(level.float(), other.float()) for level, other in zip(new.features, old.features, strict=True)]
        apart = sum(float((level - other).square().sum()) for level, other in pairs) ** 0.5
        length = sum(float(other.square().sum()) for _, other in pairs) ** 0.5
        by_token = (pairs[0][0] - pairs[0][1]).norm(dim=0).cpu().numpy()
    return ModelDrift(rows, apart / max(length, 1e-30), by_token)


def _block(tokens: Tensor, earlier: Tensor) -> dict[str, float]:
    new, old = tokens.float(), earlier.float()
    norms, earlier_norms = token_norms(new), token_norms(old)
    return {
        "drift": float((new - old).norm() / old.norm().clamp(min=1e-30)),
        "cosine": float(torch.nn.functional.cosine_similarity(new, old, dim=-1).mean()),
        "max_norm": float(norms.max()),
        "median_norm": float(np.median(norms)),
        "other_max_norm": float(earlier_norms.max()),
        "other_median_norm": float(np.median(earlier_norms)),
    }
