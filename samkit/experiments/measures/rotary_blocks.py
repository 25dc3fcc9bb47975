"""Rotary positions in a model: where it has them, what they do by their angles alone, and what each block of the image
encoder makes of them on a picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from samkit.experiments.lab import LabLike
from samkit.experiments.measures.rotary_kernel import Kernel, RotaryPart, joined_curves, kernel_curve, measured_kernel
from samkit.media.pictures import Picture
from samkit.models.network.rotary_vit import RotaryVitConfig

if TYPE_CHECKING:
    from samkit.models.sam import SamModel

DISTANCES = (0, 1, 4, 16)
"""In tokens, of the table of blocks."""


def encoder_parts(model: "SamModel") -> dict[int, RotaryPart]:
    """By the windows of its blocks, 0 for global ones, the parts of an image encoder with rotary positions (SAM 3);
    empty for another.
    """
    encoder = model.config.encoder
    if not isinstance(encoder, RotaryVitConfig):
        return {}
    grid = (model.info.native_side // encoder.patch_size,) * 2
    parts = {}
    for window in sorted(set(encoder.block_windows(encoder.window_sizes)), reverse=True):
        name = f"image encoder, windows of {window} tokens" if window else "image encoder, global blocks"
        size, step = (window, window) if window else grid, encoder.rotary_step(window, grid)
        parts[window] = RotaryPart(name, encoder.channels // encoder.num_heads, encoder.rope_theta, size, step)
    return parts


def memory_part(model: "SamModel") -> RotaryPart | None:
    """Where a frame looks at itself and at its memories; None for a model that remembers nothing."""
    config = model.config
    if config.memory is None:
        return None
    tokens = config.native_side // config.feature_stride
    channels = config.decoder.channels // config.memory.num_heads
    return RotaryPart("memory attention", channels, config.memory.rope_theta, (tokens, tokens))


@dataclass(frozen=True)
class BlockKernel:
    """What a block of the image encoder does on a picture. window: of its attention, 0 for global"""

    window: int
    kernel: Kernel

    @property
    def attention(self) -> str:
        """How far a token sees, in words."""
        return f"window {self.window}" if self.window else "global"


def measure_encoder(model: "SamModel", picture: Picture, lab: LabLike) -> tuple[BlockKernel, ...]:
    """Each block's kernel on that picture at the native side; empty for an encoder without rotary positions. A step
    that a lab recalls.
    """
    count = sum(model.info.blocks_per_stage)
    found: list[BlockKernel] = []
    for vectors in model.rotary_vectors(picture.rgb):
        lab.report(len(found) / count, f"Measuring block {len(found) + 1} of {count}")
        found.append(BlockKernel(vectors.window, measured_kernel(vectors.queries, vectors.keys, vectors.valid)))
    return tuple(found)


def mean_kernel(kernels: Sequence[Kernel]) -> Kernel:
    """Of several blocks with the same offsets."""
    return Kernel(np.mean([each.values for each in kernels], axis=0), kernels[0].pairs)


def rotary_curves(model: "SamModel", blocks: Sequence[BlockKernel] = ()) -> list[dict[str, Any]]:
    """Over the distance of two tokens, from 0: how alike query and key are, for each kind of blocks as the angles say
    (`expected_global`, `expected_window_24`) and as the mean over its blocks that were measured (`measured_...`), and
    of each block (`block_00`, ...). None beyond what a kind of blocks reaches.
    """
    curves = []
    for window, part in encoder_parts(model).items():
        kind = kind_name(window)
        curves.append((f"expected_{kind}", part.expected()))
        alike = [block.kernel for block in blocks if block.window == window]
        curves += [(f"measured_{kind}", mean_kernel(alike))] if alike else []
    curves += [(f"block_{index:02d}", block.kernel) for index, block in enumerate(blocks)]
    return joined_curves([(name, kernel_curve(kernel, name)) for name, kernel in curves])


def kind_name(window: int) -> str:
    """Of blocks, in the columns of `rotary_curves`."""
    return f"window_{window}" if window else "global"


def rotary_rows(blocks: Sequence[BlockKernel]) -> list[dict[str, Any]]:
    """One row a block for a table: how alike query and key are on the same token and at three distances, in tokens."""
    return [
        {"block": index, "attention": f"window {block.window}" if block.window else "global"}
        | _at_distances(block.kernel)
        for index, block in enumerate(blocks)
    ]


def _at_distances(kernel: Kernel) -> dict[str, float | None]:
    values = {row["distance"]: row["similarity"] for row in kernel_curve(kernel)}
    return {f"at_{distance}": values.get(distance) for distance in DISTANCES}
