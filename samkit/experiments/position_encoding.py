"""ViT position encoding: what the encoder adds to its tokens so that they know where they are, on any grid.

SAM v1 has one learned table, SAM v2 a coarse one plus a small one that is repeated window by window; both are stretched
to the grid at hand. MobileSAM has none: each head of its attention has a learned bias for each distance between two
tokens of a window, and these stand in for a table here, with distances as places and heads as channels. SAM 3 has a
small table that is repeated, and rotary positions in every block.

A model is all that is looked at. Only how rotary positions act on real queries and keys needs a picture: a sample.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from samkit.errors import ParamsError
from samkit.experiments.inputs import Inputs
from samkit.experiments.lab import LabLike
from samkit.experiments.measures.rotary_blocks import (
    BlockKernel,
    encoder_parts,
    measure_encoder,
    rotary_curves,
    rotary_rows,
)
from samkit.experiments.params import PlainParams, knob
from samkit.experiments.result import Metric, Result, lower, neutral
from samkit.media.colormaps import Colormap, color_map
from samkit.media.samples import load_sample
from samkit.models.network.tiny_vit import TinyVitConfig

if TYPE_CHECKING:
    from samkit.models.sam import SamModel

NAME = "position-encoding"
TAKES = ()

MIN_GRID = 2
COMPONENTS = 3
SATURATED = 0.01
"""Share of tokens at either end that a principal component shows in full colour."""


class Params(PlainParams):
    """Tokens are counted from 0, from the top left."""

    height: int | None = Field(
        default=None,
        ge=MIN_GRID,
        description="Tokens from top to bottom, up to twice the base grid; empty: the base grid.",
        json_schema_extra=knob(step=1, unit="tokens", label="Height"),
    )
    width: int | None = Field(
        default=None,
        ge=MIN_GRID,
        description="Tokens from left to right, up to twice the base grid; empty: the base grid.",
        json_schema_extra=knob(step=1, unit="tokens", label="Width"),
    )
    window_tiling: bool = Field(
        default=True,
        description="SAM v2 adds a second table that is repeated window by window; SAM v1 and SAM 3 have only one.",
        json_schema_extra=knob(label="Repeated window table"),
    )
    channel: int = Field(
        default=0,
        ge=0,
        description="The channel that is shown beside the norm.",
        json_schema_extra=knob(step=1, label="Channel"),
    )
    row: int | None = Field(
        default=None,
        ge=0,
        description="Row of the token that all others are compared with; empty: the middle.",
        json_schema_extra=knob(step=1, label="Row"),
    )
    column: int | None = Field(
        default=None,
        ge=0,
        description="Column of the token that all others are compared with; empty: the middle.",
        json_schema_extra=knob(step=1, label="Column"),
    )
    rotary_on: Literal["nothing", "coffee", "chelsea"] = Field(
        default="nothing",
        description="The sample picture on which the rotary positions of SAM 3's blocks are measured; nothing: they "
        "are only reckoned from the angles.",
        json_schema_extra=knob(label="Measure rotary positions on"),
    )
    colormap: Colormap = Field(
        default="viridis",
        description="Colour scale of the maps.",
        json_schema_extra=knob(label="Colour scale"),
    )


def attention_heads(model: "SamModel") -> list[tuple[int, int]]:
    """(block, head) of each channel where a model has attention biases in place of a table; else empty."""
    encoder = model.config.encoder
    if not isinstance(encoder, TinyVitConfig):
        return []
    heads = [
        count
        for count, blocks in zip(encoder.heads_per_stage, encoder.blocks_per_stage, strict=True)
        for _ in range(blocks)
    ]
    return [
        (block, head)
        for block, count in enumerate(heads)
        if block not in encoder.convolution_blocks
        for head in range(count)
    ]


def channel_count(model: "SamModel") -> int:
    """Channels of the position encoding: those of the encoder's first map, or heads."""
    return len(attention_heads(model)) or model.info.channels_per_stage[0]


def base_grid(model: "SamModel") -> int:
    """Tokens along a side of the encoder's first map at the model's native side; of attention biases, along a side of
    the largest window.
    """
    encoder = model.config.encoder
    if isinstance(encoder, TinyVitConfig):
        return max(encoder.native_windows[1:])
    return model.info.native_side // model.info.patch_size


def encoding_norm(encoding: Tensor) -> np.ndarray:
    """L2 norm over the channels: [C, h, w] -> float32 [h, w]."""
    return encoding.norm(dim=0).cpu().numpy()


def principal_components(encoding: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The three directions in which positions differ most: [C, h, w] -> uint8 [h, w, 3] (red is the first) and each
    one's share of the variance [3].

    A component's sign is free; here its largest loading is positive.
    """
    tokens = encoding.flatten(1).double()
    tokens = tokens - tokens.mean(dim=1, keepdim=True)
    variances, directions = torch.linalg.eigh(tokens @ tokens.T)
    variances, directions = variances.flip(0).clamp(min=0), directions.flip(1)[:, :COMPONENTS]
    largest = directions.abs().argmax(dim=0)
    directions = directions * directions[largest, torch.arange(directions.shape[1])].sign()
    projected = torch.zeros(COMPONENTS, tokens.shape[1], dtype=torch.float64)
    projected[: directions.shape[1]] = (directions.T @ tokens).cpu()
    values = projected.numpy()
    low, high = np.quantile(values, [SATURATED, 1 - SATURATED], axis=1)[..., None]
    colors = np.clip((values - low) / np.maximum(high - low, 1e-12), 0, 1)
    shares = np.zeros(COMPONENTS)
    shares[: len(variances[:COMPONENTS])] = (variances[:COMPONENTS] / variances.sum().clamp(min=1e-30)).cpu().numpy()
    return (255 * colors + 0.5).astype(np.uint8).T.reshape(*encoding.shape[1:], COMPONENTS), shares


def similarity_to(encoding: Tensor, row: int, column: int) -> np.ndarray:
    """Cosine similarity of one position's encoding to all: [C, h, w] -> float32 [h, w] of -1..1."""
    chosen = encoding[:, row, column]
    scale = encoding.norm(dim=0) * chosen.norm()
    return (torch.einsum("chw,c->hw", encoding, chosen) / scale.clamp(min=1e-12)).clamp(-1, 1).cpu().numpy()


def channel_frequencies(encoding: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How fine each channel's pattern is, by its power spectrum without the mean: [C, h, w] -> three arrays [C], cycles
    per side of the grid.

    The strongest frequency's vertical part (0 or more), its horizontal part (with the sign that makes the direction),
    and the power's mean frequency.
    """
    height, width = encoding.shape[1:]
    vertical = torch.fft.fftfreq(height, 1 / height).abs()
    vertical_signed = torch.fft.fftfreq(height, 1 / height)
    horizontal = torch.fft.rfftfreq(width, 1 / width)
    power = torch.fft.rfft2(encoding.cpu() - encoding.cpu().mean(dim=(1, 2), keepdim=True)).abs().square()
    # The half that rfft leaves out mirrors the other one; its columns count twice, but for the two that are their own
    # mirror.
    weight = torch.full((power.shape[2],), 2.0)
    weight[0] = 1.0
    if width % 2 == 0:
        weight[-1] = 1.0
    power = power * weight
    radius = torch.hypot(vertical[:, None], horizontal[None])
    total = power.sum(dim=(1, 2)).clamp(min=1e-30)
    mean = (power * radius).sum(dim=(1, 2)) / total
    strongest = power.flatten(1).argmax(dim=1)
    down, across = vertical_signed[strongest // power.shape[2]], horizontal[strongest % power.shape[2]]
    flipped = torch.where(down < 0, -across, across)
    return down.abs().numpy(), flipped.numpy(), mean.numpy()


@dataclass(frozen=True)
class PositionMeasures:
    """What one grid's encoding gives, whatever channel or token is shown.

    encoding: float32 [C, h, w]; norm, difference: float32 [h, w], the latter between bfloat16 and float32 as L2 over
              the channels
    components, shares: as `principal_components` gives them; vertical, horizontal, mean_frequency: as
                        `channel_frequencies` does
    """

    encoding: Tensor
    norm: np.ndarray
    difference: np.ndarray
    components: np.ndarray
    shares: np.ndarray
    vertical: np.ndarray
    horizontal: np.ndarray
    mean_frequency: np.ndarray


def measure_positions(model: "SamModel", height: int, width: int, window_tiling: bool) -> PositionMeasures:
    """The bfloat16 encoding is made as in a model that was cast as a whole: from rounded tables, stretched and added in
    bfloat16.
    """
    encoding = model.position_encoding(height, width, window_tiling).cpu()
    rounded = model.position_encoding(height, width, window_tiling, dtype="bfloat16").cpu()
    return PositionMeasures(
        encoding,
        encoding_norm(encoding),
        encoding_norm(encoding - rounded),
        *principal_components(encoding),
        *channel_frequencies(encoding),
    )


def check_grid(model: "SamModel", params: Params) -> tuple[int, int]:
    """(height, width) of the grid. Raises ParamsError for one beyond twice the base grid, and for a token or a channel
    that isn't there.
    """
    base = base_grid(model)
    height, width = params.height or base, params.width or base
    for name, length in (("height", height), ("width", width)):
        if length > 2 * base:
            raise ParamsError(
                f"The {name} {length} is beyond twice this model's base grid of {base} x {base} tokens; choose "
                f"{MIN_GRID} to {2 * base}."
            )
    for name, place, length in (("row", params.row, height), ("column", params.column, width)):
        if place is not None and place >= length:
            raise ParamsError(f"This grid has the {name}s 0 to {length - 1}; there is no {name} {place}.")
    channels = channel_count(model)
    if params.channel >= channels:
        raise ParamsError(
            f"This model's position encoding has the channels 0 to {channels - 1}; there is no channel "
            f"{params.channel}."
        )
    return height, width


def run(model: "SamModel", inputs: Inputs, params: Params, lab: LabLike) -> Result[Params]:
    """Make the position encoding of a grid and measure it. `inputs` are not used.

    images:  norm, channel, components (the first three as red, green and blue), similarity, difference
    arrays:  norm, channel, similarity, difference, float32 [h, w]; rotary_00, rotary_01, ..., what was measured of each
             block, float32 [2 rows - 1, 2 columns - 1] as in `Kernel`
    metrics: mean_norm, component_1 to component_3 (shares of the variance), frequency (median over the channels of the
             strongest one, cycles per side), mean_frequency (mean over the channels), bfloat16_error (relative L2),
             bfloat16_max (of a token)
    facts:   height, width, channels, row and column of the compared token (or distance)
    tables:  channels; with `rotary_on` rotary (curves over the distance) and rotary_blocks
    Raises ParamsError for a grid, token or channel the model doesn't have, and for a measurement that it can't give.
    """
    start = time.perf_counter()
    height, width = check_grid(model, params)
    lab.report(0.1, "Stretching the tables")
    tiled = params.window_tiling or not model.config.repeats_window_table
    measures = lab.recall(measure_positions, model, height, width, tiled)
    row = height // 2 if params.row is None else params.row
    column = width // 2 if params.column is None else params.column
    maps = {
        "norm": measures.norm,
        "channel": measures.encoding[params.channel].numpy(),
        "similarity": similarity_to(measures.encoding, row, column),
        "difference": measures.difference,
    }
    limits = {name: (float(values.min()), float(values.max())) for name, values in maps.items()}
    limits["similarity"] = -1.0, 1.0
    images = {name: color_map(values, *limits[name], params.colormap) for name, values in maps.items()}
    measure_ms = 1000 * (time.perf_counter() - start)
    blocks = _measured_blocks(model, params, lab.span(0.2, 1.0))
    lab.report(1.0, "Done")
    return Result(
        NAME,
        params,
        images=images | {"components": measures.components},
        arrays=maps | {f"rotary_{index:02d}": block.kernel.values for index, block in enumerate(blocks)},
        metrics=_metrics(measures),
        facts={
            "height": height,
            "width": width,
            "channels": len(measures.encoding),
            "row": row,
            "column": column,
        },
        tables={"channels": channel_rows(measures, attention_heads(model))}
        | ({"rotary": rotary_curves(model, blocks), "rotary_blocks": rotary_rows(blocks)} if blocks else {}),
        timings={"measure_ms": measure_ms},
    )


def _measured_blocks(model: "SamModel", params: Params, lab: LabLike) -> tuple[BlockKernel, ...]:
    """None where nothing is to be measured."""
    if params.rotary_on == "nothing":
        return ()
    if not encoder_parts(model):
        raise ParamsError("This model's image encoder has no rotary positions: leave rotary_on at nothing.")
    return lab.recall(measure_encoder, model, load_sample(params.rotary_on), lab)


def _metrics(measures: PositionMeasures) -> dict[str, Metric]:
    strongest = np.hypot(measures.vertical, measures.horizontal)
    error = float(np.linalg.norm(measures.difference)) / max(float(measures.encoding.norm()), 1e-12)
    metrics = {"mean_norm": neutral(measures.norm.mean(), key=True)}
    metrics |= {f"component_{index}": neutral(share) for index, share in enumerate(measures.shares, start=1)}
    return metrics | {
        "frequency": neutral(np.median(strongest), key=True),
        "mean_frequency": neutral(measures.mean_frequency.mean(), key=True),
        "bfloat16_error": lower(error, key=True),
        "bfloat16_max": lower(measures.difference.max()),
    }


def channel_rows(measures: PositionMeasures, heads: list[tuple[int, int]] | None = None) -> list[dict[str, Any]]:
    """One row a channel for a table; frequencies in cycles per side of the grid. heads: (block, head) of each, where
    they are heads.
    """
    named = [{"block": block, "head": head} for block, head in heads or ()] or [{} for _ in measures.vertical]
    spread = (
        measures.encoding.std(dim=(1, 2)).tolist()
        if measures.encoding[0].numel() > 1
        else [0.0] * len(measures.encoding)
    )
    columns = zip(
        measures.vertical.tolist(), measures.horizontal.tolist(), measures.mean_frequency.tolist(), spread, strict=True
    )
    return [
        {
            "channel": index,
            **named[index],
            "frequency": float(np.hypot(down, across)),
            "vertical": down,
            "horizontal": across,
            "mean_frequency": mean,
            "deviation": deviation,
        }
        for index, (down, across, mean, deviation) in enumerate(columns)
    ]
