"""What the Block norms page draws: its knobs, its maps, its tabs, and the figures kept with a run."""

from collections.abc import Sequence

import cv2
import numpy as np
import plotly.graph_objects as go
import streamlit as st

from samkit.experiments.block_norms import NAME, block_kinds, outliers
from samkit.experiments.result import Result
from samkit.models.geometry import plan_geometry
from samkit.ui.bench.inspect_page import Side, sides_columns
from samkit.ui.controls.knobs import Knobs
from samkit.ui.controls.token_map import Picked, TokenMap, map_downloads, map_tiles, map_view
from samkit.ui.parts.figures import curves_figure, matrix_figure, plain_colorscale, token_figure
from samkit.ui.parts.inline_image import fit_within, inline_image
from samkit.ui.parts.tables import table_with_csv
from samkit.ui.state.workspace import workspace

VIEWS = ("All blocks", "One block", "Outliers")
PLOT = {"displaylogo": False}
SHOWN_PX = (900, 620)
CKA, COSINE = "CKA", "Cosine"
MATRICES = {CKA: "similarity", COSINE: "cosine"}
"""Measure of blocks with blocks -> its array in the result."""
NORMS = {"min": "smallest", "max": "largest", "median": "median"}


def draw_knobs(knobs: Knobs, model) -> dict:
    """The experiment's parameters by name."""
    kinds = block_kinds(model, model.info.window_sizes)
    names = [block_name(kind) for kind in kinds]
    last = len(kinds) - 1
    block = knobs.step(
        "Block",
        "block",
        list(range(len(kinds))),
        last,
        format_func=lambda index: names[index],
        help="Blocks are counted from 0",
    )
    single = knobs.toggle(
        "One channel", "one_channel", False, help="One channel of the block's tokens in place of the norm over all"
    )
    channels = channel_count(model, block)
    channel = knobs.step("Channel", "channel", list(range(channels)), 0, disabled=not single)
    factor = knobs.slider(
        "Outliers above (times the median)", "outlier_factor", 1.1, 10.0, 3.0, 0.1, help="Of a block's own norms"
    )
    shown = knobs.left_open("block", block, last)
    return {
        "block": shown,
        "channel": channel if single else None,
        "outlier_factor": factor,
        "colormap": knobs.colormap(),
    }


def adapt(values: dict, model) -> dict:
    """The same block where the other model has it, else its last one; the same with the channel."""
    last = sum(model.info.blocks_per_stage) - 1
    block = None if values["block"] is None else min(values["block"], last)
    channel = values["channel"]
    channels = channel_count(model, last if block is None else block)
    return values | {"block": block, "channel": None if channel is None else min(channel, channels - 1)}


def channel_count(model, block: int) -> int:
    """How many channels that block's tokens have."""
    return model.info.channels_per_stage[block_kinds(model, model.info.window_sizes)[block].stage - 1]


def block_name(kind) -> str:
    return f"{kind.index} · stage {kind.stage} · {f'window {kind.window}' if kind.window else 'global'}"


def restore(params: dict) -> dict:
    """A kept run's parameters -> values of the knobs that make them."""
    values = {name: params[name] for name in ("block", "outlier_factor", "colormap")}
    return values | {"one_channel": params["channel"] is not None, "channel": params["channel"] or 0}


def norms_of(result: Result) -> list[np.ndarray]:
    """float32 [h, w] of each block."""
    return [result.arrays[name] for name in sorted(name for name in result.arrays if name.startswith("norms_"))]


def shown_block(result: Result) -> int:
    return result.params.block if result.params.block is not None else len(result.tables["blocks"]) - 1


def draw_main(sides: Sequence[Side], knobs: Knobs) -> None:
    """The view switch, and the chosen view of every side."""
    view = knobs.choose("View", "view", list(VIEWS), VIEWS[0], label_visibility="collapsed")
    for side, column in zip(sides, sides_columns(sides, "main"), strict=True):
        with column:
            if view == "One block":
                _draw_block(side, knobs)
            elif view == "All blocks":
                _draw_all(side, knobs)
            else:
                _draw_outlined(side)


def _draw_block(side: Side, knobs: Knobs) -> None:
    result, block = side.result, shown_block(side.result)
    values, row = result.arrays["map"], result.tables["blocks"][block]
    what = "norm" if result.params.channel is None else f"channel {result.params.channel}"
    found = (
        np.argwhere(outliers(norms_of(result)[block], result.params.outlier_factor))
        if result.params.channel is None
        else ()
    )
    shown = TokenMap(f"Block {block}, {what}", values, marks=[tuple(place) for place in found])
    map_view(knobs, side.key("block_map"), shown, unit="", colormap=result.params.colormap)
    outlined = f" · outlined: {len(found)} above {result.params.outlier_factor:g} × the median" if len(found) else ""
    st.caption(
        f"Block {block} of {len(result.tables['blocks']) - 1} · stage {row['stage']}, {row['attention']} · "
        f"{values.shape[0]} × {values.shape[1]} tokens of "
        f"{row['channels']} channels · {what} {values.min():.2f} to {values.max():.2f}{outlined}"
    )


def _draw_all(side: Side, knobs: Knobs) -> None:
    maps = [
        TokenMap(
            f"{row['block']}", norms, f"s{row['stage']} {tile_attention(row)} [{row['min']:.1f}, {row['max']:.1f}]"
        )
        for row, norms in zip(side.result.tables["blocks"], norms_of(side.result), strict=True)
    ]
    limits = None
    if knobs.toggle("One colour range for all", side.key("same_range"), False, help="Off: each block has its own"):
        limits = min(float(each.values.min()) for each in maps), max(float(each.values.max()) for each in maps)

    def choose(picked: Picked) -> None:
        knobs.set({"block": picked.map, "view": VIEWS[1]})

    colormap, chosen = side.result.params.colormap, shown_block(side.result)
    map_tiles(
        side.key("blocks"),
        maps,
        unit="",
        colormap=colormap,
        limits=limits,
        chosen=chosen,
        on_pick=choose,
        pick_label="Show large block",
    )
    st.caption(
        "Block number, s and its stage, w and the side of its attention windows or g for global attention, "
        "[smallest, largest] norm. "
        f"Click a block to see it large. Encoded in {side.result.timings['encode_ms']:.0f} ms."
    )


def tile_attention(row: dict) -> str:
    """ "w8" or "g"."""
    return "g" if row["attention"] == "global" else f"w{row['attention'].removeprefix('window ')}"


def _draw_outlined(side: Side) -> None:
    """The picture with the chosen block's outliers."""
    result, block = side.result, shown_block(side.result)
    norms = norms_of(result)[block]
    found = outliers(norms, result.params.outlier_factor)
    rgb, outside = outlined_picture(side, found)
    inline_image(rgb, f"The picture with the {int(found.sum())} outliers of block {block}", "samkit-figure")
    rows = result.tables["blocks"]
    beyond = f" · {outside} in the padding beside the picture" if outside else ""
    st.caption(
        f"Block {block}: {int(found.sum())} of {found.size} tokens above {result.params.outlier_factor:g} × the "
        f"median of {np.median(norms):.2f}{beyond} · "
        f"in all {len(rows)} blocks: {int(result.metrics['outliers'])}, in {int(result.metrics['outlier_blocks'])} "
        "of them"
    )


def outlined_picture(side: Side, found: np.ndarray) -> tuple[np.ndarray, int]:
    """The picture with a frame around each token of bool [h, w], uint8 [H, W, 3], and how many of them lie outside it,
    in the padding.
    """
    model, params = side.model, side.result.params
    picture = side.inputs.image
    geometry = plan_geometry(
        picture.size, model.info.family, params.side or model.info.native_side, params.fit, model.info.side_step
    )
    rgb = fit_within(picture.rgb, *SHOWN_PX).copy()
    step = np.array(geometry.padded_size) / found.shape / geometry.resized_size * rgb.shape[:2]
    outside = 0
    for place in np.argwhere(found):
        (top, left), (bottom, right) = (place * step).round().astype(int), ((place + 1) * step).round().astype(int)
        if top >= rgb.shape[0] or left >= rgb.shape[1]:
            outside += 1
            continue
        for color, width in (((0, 0, 0), 3), ((255, 79, 216), 1)):
            cv2.rectangle(rgb, (int(left), int(top)), (int(right), int(bottom)), color, width)
    return rgb, outside


def stage_marks(rows: list[dict]) -> dict[float, str]:
    """Where stages begin, for a chart over the blocks."""
    return {
        row["block"] - 0.5: f"stage {row['stage']}"
        for before, row in zip(rows, rows[1:], strict=False)
        if row["stage"] != before["stage"]
    }


def norms_figure(result: Result) -> go.Figure:
    rows = result.tables["blocks"]
    return curves_figure(rows, "block", NORMS, "max", "block", "norm", stage_marks(rows))


def change_figure(result: Result) -> go.Figure:
    rows = result.tables["blocks"]
    names = {"similarity_to_last": "cosine similarity with the block before"}
    return curves_figure(
        rows, "block", names, "similarity_to_last", "block", "cosine similarity", stage_marks(rows), from_zero=False
    )


def matrix_limits(values: np.ndarray) -> tuple[float, float]:
    """0 to 1, or -1 to 1 where two blocks are opposed."""
    return (-1.0 if np.nanmin(values) < 0 else 0.0), 1.0


def similarity_figure(result: Result, measure: str = CKA) -> go.Figure:
    values = result.arrays[MATRICES[measure]]
    return matrix_figure(
        values, "block", "block", measure, plain_colorscale(result.params.colormap), matrix_limits(values)
    )


def figures(result: Result) -> dict:
    block = token_figure(
        result.arrays["map"],
        plain_colorscale(result.params.colormap),
        "norm" if result.params.channel is None else "value",
    )
    return {
        "map": block,
        "norms": norms_figure(result),
        "change": change_figure(result),
        "block_similarity": similarity_figure(result),
        "block_cosine": similarity_figure(result, COSINE),
    }


def draw_curve(sides: Sequence[Side]) -> None:
    for side, column in zip(sides, sides_columns(sides, "curve"), strict=True):
        with column:
            st.plotly_chart(norms_figure(side.result), key=side.key("norms_curve"), config=PLOT)
    st.caption("Largest, median and smallest norm of each block's tokens; a new stage begins at each line.")


def draw_change(sides: Sequence[Side]) -> None:
    for side, column in zip(sides, sides_columns(sides, "change"), strict=True):
        with column:
            with st.container(key=f"row_change_{side.letter}"):
                left, right = st.columns(2, gap="medium") if len(sides) == 1 else (st.container(), st.container())
            with left:
                st.markdown("**Successive blocks**: mean cosine similarity of each token before and after")
                st.plotly_chart(change_figure(side.result), key=side.key("change_curve"), config=PLOT)
                if any(row["similarity_to_last"] is None for row in side.result.tables["blocks"][1:]):
                    st.caption(
                        "There is a gap where a stage changes grid and width: token and token can't be compared there."
                    )
            with right:
                _draw_matrix(side)


def _draw_matrix(side: Side) -> None:
    """All blocks with all others, by the measure chosen on side A."""
    knobs, result = Knobs(workspace(), NAME), side.result
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown("**All blocks**, block by block")
        told = dict(
            label_visibility="collapsed",
            help="CKA compares blocks of any width; cosine compares token with token, where widths are the same",
        )
        measure = (
            knobs.choose("Measure", "matrix", [CKA, COSINE], CKA, **told)
            if side.letter == "A"
            else knobs.get("matrix", CKA)
        )
    values = result.arrays[MATRICES[measure]]
    st.plotly_chart(similarity_figure(result, measure), key=side.key(f"block_{measure}"), config=PLOT)
    rows, columns = int(result.metrics["similarity_grid_h"]), int(result.metrics["similarity_grid_w"])
    grids = {norms.shape for norms in norms_of(result)}
    if measure == CKA:
        differ = ", because grids differ from stage to stage" if len(grids) > 1 else ""
        st.caption(
            f"Linear CKA on every block's tokens averaged to one grid of {rows} × {columns}{differ}. 1: alike up "
            "to rotation and scale."
        )
    else:
        gaps = " There is none between blocks of different widths." if np.isnan(values).any() else ""
        st.caption(
            f"Mean cosine similarity of token and token, over {rows} × {columns} tokens spread over each block.{gaps}"
        )
    with st.container(horizontal=True, gap="small"):
        map_downloads(
            side.key("block_similarity"),
            TokenMap("Block similarity", values),
            matrix_limits(values),
            result.params.colormap,
        )


def draw_outliers(sides: Sequence[Side]) -> None:
    for side, column in zip(sides, sides_columns(sides, "outliers"), strict=True):
        with column:
            rows = side.result.tables["outliers"]
            if rows:
                decimals = {
                    name: st.column_config.NumberColumn(format="%.3f") for name in ("x", "y", "norm", "times_median")
                }
                table_with_csv(rows, side.key("outliers"), decimals)
            else:
                st.info(
                    f"No token is above {side.result.params.outlier_factor:g} × its block's median. Lower the "
                    "factor to see the nearest."
                )


def draw_numbers(sides: Sequence[Side]) -> None:
    for side, column in zip(sides, sides_columns(sides, "numbers"), strict=True):
        with column:
            names = ("min", "median", "max", "outlier_share", "similarity_to_last")
            decimals = {name: st.column_config.NumberColumn(format="%.3f") for name in names}
            table_with_csv(side.result.tables["blocks"], side.key("blocks"), decimals)
