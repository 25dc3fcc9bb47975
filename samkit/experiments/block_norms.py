"""Block norms: how long each token is after every transformer block, and which tokens stick out ("Vision Transformers
Need Registers", Darcet et al. 2023).

The slow part is one encoding with every block's tokens kept. What follows from it is measured once and is small, while
the blocks of a large model are more than a lab keeps; all else are plain functions, quick enough to be called again for
each knob.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from pydantic import Field
from torch import Tensor

from samkit.errors import ParamsError
from samkit.experiments.inputs import Inputs
from samkit.experiments.lab import LabLike, LazyEncoding
from samkit.experiments.measures.block_kinds import BlockKind, block_kinds, token_norms
from samkit.experiments.measures.block_similarity import cka_matrix, common_grid, cosine_matrix, successive_similarity
from samkit.experiments.params import ExperimentParams, knob
from samkit.experiments.result import Metric, Result, neutral
from samkit.media.colormaps import Colormap, color_map
from samkit.models.geometry import ImageGeometry

if TYPE_CHECKING:
    from samkit.models.sam import SamModel

NAME = "block-norms"
TAKES = ("image",)

TILE_PX, SHEET_COLUMNS = 160, 6


class Params(ExperimentParams):
    """Blocks are counted from 0."""

    block: int | None = Field(
        default=None,
        ge=0,
        description="The block that is shown large, counted from 0; empty: the last one.",
        json_schema_extra=knob(step=1, label="Block"),
    )
    channel: int | None = Field(
        default=None,
        ge=0,
        description="One channel of that block in place of the norm over all channels; empty: the norm.",
        json_schema_extra=knob(step=1, label="Channel"),
    )
    outlier_factor: float = Field(
        default=3.0,
        gt=1,
        le=100,
        allow_inf_nan=False,
        description="A token is an outlier if its norm is more than this many times its block's median.",
        json_schema_extra=knob(step=0.1, usual=(1.1, 10.0), unit="times the median", label="Outliers above"),
    )
    colormap: Colormap = Field(
        default="viridis",
        description="Colour scale of the maps.",
        json_schema_extra=knob(label="Colour scale"),
    )


def channel_map(tokens: Tensor, channel: int) -> np.ndarray:
    """One channel: [h, w, C] -> float32 [h, w]. Raises ParamsError for a channel the block doesn't have."""
    if channel >= tokens.shape[-1]:
        raise ParamsError(f"This block has the channels 0 to {tokens.shape[-1] - 1}; there is no channel {channel}.")
    return tokens[..., channel].float().cpu().numpy()


def outliers(norms: np.ndarray, factor: float) -> np.ndarray:
    """Tokens whose norm is above `factor` times the median: [h, w] -> bool [h, w]."""
    return norms > factor * np.median(norms)


def block_rows(
    norms: Sequence[np.ndarray],
    kinds: Sequence[BlockKind],
    widths: Sequence[int],
    similarities: Sequence[float | None],
    factor: float,
) -> list[dict]:
    """One row a block for a table."""
    rows = []
    for kind, values, channels, similarity in zip(kinds, norms, widths, similarities, strict=True):
        above = outliers(values, factor)
        row = {
            "block": kind.index,
            "stage": kind.stage,
            "attention": kind.attention,
        }
        row |= {"height": values.shape[0], "width": values.shape[1], "channels": channels}
        row |= {"min": float(values.min()), "median": float(np.median(values)), "max": float(values.max())}
        rows.append(
            row | {"outliers": int(above.sum()), "outlier_share": float(above.mean()), "similarity_to_last": similarity}
        )
    return rows


def outlier_rows(norms: Sequence[np.ndarray], factor: float, geometry: ImageGeometry) -> list[dict]:
    """One row an outlier: where it is (its middle, as shares of the original picture; above 1 in the padding beside
    it), and how far above the median.
    """
    rows = []
    scale_y, scale_x = (
        padded / resized for padded, resized in zip(geometry.padded_size, geometry.resized_size, strict=True)
    )
    for block, values in enumerate(norms):
        median, (height, width) = float(np.median(values)), values.shape
        for row, column in np.argwhere(outliers(values, factor)):
            norm = float(values[row, column])
            place = {
                "row": int(row),
                "column": int(column),
                "x": scale_x * (int(column) + 0.5) / width,
                "y": scale_y * (int(row) + 0.5) / height,
            }
            rows.append({"block": block, **place, "norm": norm, "times_median": norm / median})
    return rows


@dataclass(frozen=True)
class BlockMeasures:
    """What one encoding's blocks give, whatever the knobs say.

    norms: float32 [h, w] of each block; widths: their channels; successive: as `successive_similarity` gives it
    similarity: float32 [N, N], CKA; cosine: float32 [N, N], NaN between blocks of different widths; both on tokens of
                `grid`
    """

    norms: tuple[np.ndarray, ...]
    kinds: tuple[BlockKind, ...]
    widths: tuple[int, ...]
    successive: tuple[float | None, ...]
    similarity: np.ndarray
    cosine: np.ndarray
    grid: tuple[int, int]
    geometry: ImageGeometry
    encode_ms: float


def measure_blocks(model: "SamModel", encoding: LazyEncoding) -> BlockMeasures:
    """encoding: with its blocks kept."""
    encoded = encoding.value
    blocks = encoded.blocks or ()
    grid = common_grid(blocks)
    return BlockMeasures(
        norms=tuple(token_norms(tokens) for tokens in blocks),
        kinds=tuple(block_kinds(model, encoded.settings.window_sizes)),
        widths=tuple(tokens.shape[-1] for tokens in blocks),
        successive=tuple(successive_similarity(blocks)),
        similarity=cka_matrix(blocks, grid),
        cosine=cosine_matrix(blocks, grid),
        grid=grid,
        geometry=encoded.geometry,
        encode_ms=encoded.encode_ms,
    )


def block_tokens(encoding: LazyEncoding, block: int) -> Tensor:
    """[h, w, C] of one block. encoding: with its blocks kept."""
    return (encoding.value.blocks or ())[block]


def run(model: "SamModel", inputs: Inputs, params: Params, lab: LabLike) -> Result[Params]:
    """Encode the picture with every block kept, and measure. Only a channel of another block needs the encoding again.

    images:  sheet, all norm maps side by side; map, the chosen block's norm or channel
    arrays:  norms_00, norms_01, ..., float32 [h, w] of each block; map, float32 [h, w]; similarity (linear CKA) and
             cosine (NaN between blocks of different widths), float32 [N, N]
    metrics: max_norm, outliers (of all blocks), outlier_blocks, last_max_over_median
    facts:   blocks, max_norm_block, similarity_grid_h and similarity_grid_w
    tables:  blocks, outliers
    Raises ParamsError for a block or a channel the model doesn't have.
    """
    count = sum(model.info.blocks_per_stage)
    chosen = count - 1 if params.block is None else params.block
    if chosen >= count:
        raise ParamsError(f"This model has the blocks 0 to {count - 1}; there is no block {chosen}.")
    lab.report(0.0, "Encoding the picture")
    encoding = lab.encoding(model, inputs.picture, side=params.side, fit=params.fit, keep_blocks=True)
    at_hand = not lab.knows(measure_blocks, model, encoding)
    measures = lab.recall(measure_blocks, model, encoding)
    lab.report(0.8, "Measuring")
    start = time.perf_counter()
    shown = measures.norms[chosen]
    # While the encoding is there anyway, its shown block is kept for a look at single channels.
    if at_hand or params.channel is not None:
        tokens = lab.recall(block_tokens, encoding, chosen)
        shown = shown if params.channel is None else channel_map(tokens, params.channel)
    rows = block_rows(measures.norms, measures.kinds, measures.widths, measures.successive, params.outlier_factor)
    highest, (grid_h, grid_w) = int(np.argmax([row["max"] for row in rows])), measures.grid
    images = {
        "sheet": norm_sheet(measures.norms, params.colormap),
        "map": color_map(shown, float(shown.min()), float(shown.max()), params.colormap),
    }
    arrays = {f"norms_{index:02d}": values for index, values in enumerate(measures.norms)}
    tables = {"blocks": rows, "outliers": outlier_rows(measures.norms, params.outlier_factor, measures.geometry)}
    lab.report(1.0, "Done")
    return Result(
        NAME,
        params,
        images=images,
        arrays=arrays | {"map": shown, "similarity": measures.similarity, "cosine": measures.cosine},
        metrics=_metrics(rows),
        facts={
            "blocks": count,
            "max_norm_block": highest,
            "similarity_grid_h": grid_h,
            "similarity_grid_w": grid_w,
        },
        tables=tables,
        timings={"encode_ms": measures.encode_ms, "measure_ms": 1000 * (time.perf_counter() - start)},
    )


def _metrics(rows: list[dict[str, Any]]) -> dict[str, Metric]:
    """rows: as `block_rows` gives them."""
    return {
        "max_norm": neutral(max(row["max"] for row in rows), key=True),
        "outliers": neutral(sum(row["outliers"] for row in rows), key=True),
        "outlier_blocks": neutral(sum(row["outliers"] > 0 for row in rows)),
        "last_max_over_median": neutral(rows[-1]["max"] / max(rows[-1]["median"], 1e-12), key=True),
    }


def norm_sheet(norms: Sequence[np.ndarray], colormap: Colormap) -> np.ndarray:
    """uint8 [H, W, 3]: every block's norms in its own range, in reading order."""
    tiles = []
    for values in norms:
        scale = TILE_PX / max(values.shape)
        tile = color_map(values, float(values.min()), float(values.max()), colormap)
        tile = cv2.resize(
            tile,
            (max(1, round(values.shape[1] * scale)), max(1, round(values.shape[0] * scale))),
            interpolation=cv2.INTER_NEAREST,
        )
        framed = np.full((TILE_PX + 4, TILE_PX + 4, 3), 255, np.uint8)
        framed[2 : 2 + tile.shape[0], 2 : 2 + tile.shape[1]] = tile
        tiles.append(framed)
    columns = min(SHEET_COLUMNS, len(tiles))
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)])
