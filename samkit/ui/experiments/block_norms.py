"""The Block norms page: every transformer block's tokens as a map, and the tokens that stick out."""

from typing import Any

import cv2
import numpy as np
import plotly.graph_objects as go
import streamlit as st

from samkit.experiments.block_norms import BlockKind, block_kinds, outliers
from samkit.experiments.result import Result
from samkit.media.samples import load_sample
from samkit.models.geometry import plan_geometry
from samkit.models.sam import SamModel
from samkit.ui.bench.bench import side_columns
from samkit.ui.bench.page import About, ExperimentPage, Scene, Side
from samkit.ui.bench.tables.sides import Sides
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.knobs import ColourScale, Panel, Slider, Steps, Switched
from samkit.ui.controls.token_map import Ground, Picked, TokenMap, map_downloads, map_tiles, map_view, token_ground
from samkit.ui.parts.figures import PLOT, curves_figure, matrix_figure, plain_colorscale, token_figure
from samkit.ui.parts.inline_image import fit_within
from samkit.ui.parts.picture_view import picture_view, view_name
from samkit.ui.parts.tables import table_with_csv, three_decimals
from samkit.ui.state.workspace import Workspace
from samkit.words import share_text

ONE_BLOCK = "One block"
MOST_NAMED = 8
SHOWN_PX = (900, 620)
CKA, COSINE = "CKA", "Cosine"
MATRICES = {CKA: "similarity", COSINE: "cosine"}
"""Measure of blocks with blocks -> its array in the result."""
NORMS = {"min": "smallest", "max": "largest", "median": "median"}

ABOUT = About(
    idea="Every transformer block gives each token a vector. Its length, the L2 norm over the channels, is drawn "
    "here as a map, block by block. Large plain transformers are known to make a few tokens, often in empty "
    "areas, many times longer than the others, and to store information in them.",
    paper="[Vision Transformers Need Registers](https://arxiv.org/abs/2309.16588) found those tokens. Blocks are "
    "compared by linear CKA ([Kornblith et al.](https://arxiv.org/abs/1905.00414)).",
    look_for="- Single bright tokens that have nothing to do with the picture's content.\n"
    "- Does the largest norm leave the median behind, and from which block on?\n"
    "- Window blocks: do the maps show the window's edges?\n"
    "- Two pictures: do the same tokens stick out in both?",
    try_label="Try it: the cat, outliers above twice the median",
)


def last_block(model: SamModel) -> int:
    return sum(model.info.blocks_per_stage) - 1


def channel_count(model: SamModel, block: int | None) -> int:
    """How many channels that block's tokens have; None: the last block's."""
    kinds = block_kinds(model, model.info.window_sizes)
    return model.info.channels_per_stage[kinds[-1 if block is None else block].stage - 1]


def block_name(kind: BlockKind) -> str:
    return f"{kind.index} · stage {kind.stage} · {kind.attention}"


def _block_names(panel: Panel) -> Any:
    kinds = block_kinds(panel.model, panel.model.info.window_sizes)
    return lambda index: block_name(kinds[index])


KNOBS = (
    Steps(
        "block",
        options=lambda panel: range(last_block(panel.model) + 1),
        default=lambda panel: last_block(panel.model),
        text=_block_names,
        limit=lambda params, model: last_block(model),
    ),
    Switched(
        "one_channel",
        "One channel",
        off={"channel": None},
        knobs=(
            Steps(
                "channel",
                options=lambda panel: range(channel_count(panel.model, panel.values.get("block"))),
                default=lambda panel: 0,
                limit=lambda params, model: channel_count(model, params["block"]) - 1,
                open_at_default=False,
            ),
        ),
        help="One channel of the block's tokens in place of the norm over all",
    ),
    Slider("outlier_factor"),
    ColourScale(),
)


def try_it(work: Workspace, knobs: KnobValues) -> None:
    work.open_picture(load_sample("chelsea"))
    knobs.set({"view": "Outliers", "outlier_factor": 2.0, "block": None, "one_channel": False})


def norms_of(result: Result[Any]) -> list[np.ndarray]:
    """float32 [h, w] of each block."""
    return [result.arrays[name] for name in sorted(result.arrays) if name.startswith("norms_")]


def shown_block(result: Result[Any]) -> int:
    block = result.params.block
    return block if block is not None else len(result.tables["blocks"]) - 1


def outlier_block(result: Result[Any]) -> int:
    """The block whose outliers are shown: the chosen one; in place of the last, which nobody may have chosen, the last
    that has some.
    """
    rows, block = result.tables["blocks"], shown_block(result)
    with_some = [row["block"] for row in rows if row["outliers"]]
    return with_some[-1] if with_some and block == len(rows) - 1 else block


def outlier_blocks_text(result: Result[Any]) -> str:
    """Which blocks have outliers, a sentence."""
    blocks = [str(row["block"]) for row in result.tables["blocks"] if row["outliers"]]
    if not blocks:
        return "no block has one"
    shown = ", ".join(blocks[:MOST_NAMED]) + (" …" if len(blocks) > MOST_NAMED else "")
    return f"{result.value('outliers'):.0f} in all, in block{'s' if len(blocks) > 1 else ''} {shown}"


def draw_block(scene: Scene) -> None:
    for side, column in zip(scene.sides, side_columns(scene.sides, "main"), strict=True):
        with column:
            _draw_block(side, scene.knobs)


def _draw_block(side: Side, knobs: KnobValues) -> None:
    result, block, params = side.result, shown_block(side.result), side.result.params
    values, row = result.arrays["map"], result.tables["blocks"][block]
    what = "norm" if params.channel is None else f"channel {params.channel}"
    marks: list[tuple[int, int]] = []
    if params.channel is None:
        places = np.argwhere(outliers(norms_of(result)[block], params.outlier_factor))
        marks = [(int(row), int(column)) for row, column in places]
    shown = TokenMap(f"Block {block}, {what}", values, marks=marks, ground=_ground(side, values))
    map_view(knobs, side.key("block_map"), shown, unit="", colormap=params.colormap)
    outlined = f" · outlined: {len(marks)} above {params.outlier_factor:g} × the median" if marks else ""
    st.caption(
        f"Block {block} of {len(result.tables['blocks']) - 1} · stage {row['stage']}, {row['attention']} · "
        f"{values.shape[0]} × {values.shape[1]} tokens of {row['channels']} channels · {what} {values.min():.2f} to "
        f"{values.max():.2f}{outlined}"
    )


def _ground(side: Side, values: np.ndarray) -> Ground:
    """What a map of that picture's tokens, [h, w], lies over."""
    params = side.result.params
    return token_ground(side.inputs.picture, side.model.info, params.side, params.fit, values.shape)


def draw_all(scene: Scene) -> None:
    for side, column in zip(scene.sides, side_columns(scene.sides, "main"), strict=True):
        with column:
            _draw_all(side, scene.knobs)


def _draw_all(side: Side, knobs: KnobValues) -> None:
    rows, norms = side.result.tables["blocks"], norms_of(side.result)
    maps = [
        TokenMap(
            str(row["block"]),
            values,
            f"s{row['stage']} {tile_attention(row)} [{row['min']:.1f}, {row['max']:.1f}]",
            ground=_ground(side, values),
        )
        for row, values in zip(rows, norms, strict=True)
    ]
    limits = None
    if knobs.toggle("One colour range for all", side.key("same_range"), False, help="Off: each block has its own"):
        limits = min(float(values.min()) for values in norms), max(float(values.max()) for values in norms)

    def choose(picked: Picked) -> None:
        knobs.set({"block": picked.map, "view": ONE_BLOCK})

    map_tiles(
        side.key("blocks"),
        maps,
        unit="",
        colormap=side.result.params.colormap,
        limits=limits,
        chosen=shown_block(side.result),
        on_pick=choose,
        pick_label="Show large block",
    )
    convolutions = " or c for convolutions" if side.model.config.convolution_stages else ""
    stages = "stage" if side.model.config.has_stages else "quarter of all blocks, which stands for a stage"
    st.caption(
        f"Block number, s and its {stages}, w and the side of its attention windows{convolutions} or g for global "
        "attention, [smallest, largest] norm. Click a block to see it large. Encoded in "
        f"{side.result.timings['encode_ms']:.0f} ms."
    )


def tile_attention(row: dict[str, Any]) -> str:
    """ "w8", "g" or "c"."""
    if row["attention"] == "convolution":
        return "c"
    return "g" if row["attention"] == "global" else f"w{row['attention'].removeprefix('window ')}"


def draw_outlined(scene: Scene) -> None:
    for side, column in zip(scene.sides, side_columns(scene.sides, "main"), strict=True):
        with column:
            _draw_outlined(side)


def _draw_outlined(side: Side) -> None:
    """The picture with the chosen block's outliers."""
    result = side.result
    block = outlier_block(result)
    norms = norms_of(result)[block]
    above = outliers(norms, result.params.outlier_factor)
    rgb, outside = outlined_picture(side, above)
    description = f"The picture with the {int(above.sum())} outliers of block {block}"
    picture_view(rgb, description, view_name(side.inputs.picture))
    beyond = f" · {outside} in the padding beside the picture" if outside else ""
    factor, share = result.params.outlier_factor, share_text(above.mean())
    instead = "" if block == shown_block(result) else ", shown because the last block has none,"
    st.caption(
        f"Block {block}{instead or ':'} {int(above.sum())} of {above.size} tokens ({share}) above {factor:g} × the "
        f"median of {np.median(norms):.2f}{beyond} · {outlier_blocks_text(result)}"
    )


def outlined_picture(side: Side, above: np.ndarray) -> tuple[np.ndarray, int]:
    """The picture with a frame around each token of bool [h, w], uint8 [H, W, 3], and how many of them lie outside it,
    in the padding.
    """
    info, params, picture = side.model.info, side.result.params, side.inputs.picture
    geometry = plan_geometry(picture.size, info.family, params.side or info.native_side, params.fit, info.side_step)
    rgb = fit_within(picture.rgb, *SHOWN_PX).copy()
    step = np.array(geometry.padded_size) / above.shape / geometry.resized_size * rgb.shape[:2]
    outside = 0
    for place in np.argwhere(above):
        (top, left), (bottom, right) = (place * step).round().astype(int), ((place + 1) * step).round().astype(int)
        if top >= rgb.shape[0] or left >= rgb.shape[1]:
            outside += 1
            continue
        for color, width in (((0, 0, 0), 3), ((255, 79, 216), 1)):
            cv2.rectangle(rgb, (int(left), int(top)), (int(right), int(bottom)), color, width)
    return rgb, outside


def stage_marks(rows: list[dict[str, Any]]) -> dict[float, str]:
    """Where stages begin, for a chart over the blocks."""
    return {
        row["block"] - 0.5: f"stage {row['stage']}"
        for before, row in zip(rows, rows[1:], strict=False)
        if row["stage"] != before["stage"]
    }


def norms_figure(result: Result[Any]) -> go.Figure:
    rows = result.tables["blocks"]
    return curves_figure(rows, "block", NORMS, "max", "block", "norm", stage_marks(rows))


def change_figure(result: Result[Any]) -> go.Figure:
    rows, column = result.tables["blocks"], "similarity_to_last"
    names = {column: "cosine similarity with the previous block"}
    return curves_figure(rows, "block", names, column, "block", "cosine similarity", stage_marks(rows), from_zero=False)


def matrix_limits(values: np.ndarray) -> tuple[float, float]:
    """0 to 1, or -1 to 1 where two blocks are opposed."""
    return (-1.0 if np.nanmin(values) < 0 else 0.0), 1.0


def similarity_figure(result: Result[Any], measure: str = CKA) -> go.Figure:
    values, scale = result.arrays[MATRICES[measure]], plain_colorscale(result.params.colormap)
    return matrix_figure(values, "block", "block", measure, scale, matrix_limits(values))


def figures(result: Result[Any]) -> dict[str, go.Figure]:
    unit = "norm" if result.params.channel is None else "value"
    return {
        "map": token_figure(result.arrays["map"], plain_colorscale(result.params.colormap), unit),
        "norms": norms_figure(result),
        "change": change_figure(result),
        "block_similarity": similarity_figure(result),
        "block_cosine": similarity_figure(result, COSINE),
    }


def draw_curve(scene: Scene) -> None:
    for side, column in zip(scene.sides, side_columns(scene.sides, "curve"), strict=True):
        with column:
            st.plotly_chart(norms_figure(side.result), key=side.key("norms_curve"), config=PLOT)
    st.caption("Largest, median and smallest norm of each block's tokens; a vertical line marks the start of a stage.")


def draw_change(scene: Scene) -> None:
    for side, column in zip(scene.sides, side_columns(scene.sides, "change"), strict=True):
        with column:
            with st.container(key=f"row_change_{side.letter}"):
                alone = len(scene.sides) == 1
                left, right = st.columns(2, gap="medium") if alone else (st.container(), st.container())
            with left:
                _draw_successive(side)
            with right:
                _draw_matrix(side, scene.knobs)


def _draw_successive(side: Side) -> None:
    st.markdown("**Successive blocks**: mean cosine similarity of each token before and after")
    st.plotly_chart(change_figure(side.result), key=side.key("change_curve"), config=PLOT)
    if any(row["similarity_to_last"] is None for row in side.result.tables["blocks"][1:]):
        st.caption(
            "There is a gap where a stage changes grid and width: tokens can't be compared one by one there. A block "
            "that stands alone between two gaps is a dot."
        )


def _draw_matrix(side: Side, knobs: KnobValues) -> None:
    """All blocks with all others, by the measure chosen on side A."""
    result = side.result
    row = st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute")
    with row:
        st.markdown("**All blocks**, block by block")
        help_text = "CKA compares blocks of any width; cosine compares token with token, where widths are the same"
        measure = knobs.get("matrix", CKA)
        if side.letter == "A":
            measure = knobs.choose(
                "Measure", "matrix", [CKA, COSINE], CKA, label_visibility="collapsed", help=help_text
            )
    values = result.arrays[MATRICES[measure]]
    st.plotly_chart(similarity_figure(result, measure), key=side.key(f"block_{measure}"), config=PLOT)
    rows, columns = result.index("similarity_grid_h"), result.index("similarity_grid_w")
    if measure == CKA:
        grids = {norms.shape for norms in norms_of(result)}
        differ = ", because grids differ from stage to stage" if len(grids) > 1 else ""
        grid = f"averaged to one grid of {rows} × {columns}{differ}"
        st.caption(f"Linear CKA on every block's tokens {grid}. 1: the same up to rotation and scale.")
    else:
        gaps = " There is no value between blocks of different widths." if np.isnan(values).any() else ""
        tokens = f"{rows} × {columns} tokens spread over each block"
        st.caption(f"Mean cosine similarity of corresponding tokens, over {tokens}.{gaps}")
    with st.container(horizontal=True, gap="small"):
        shown = TokenMap("Block similarity", values)
        map_downloads(side.key("block_similarity"), shown, matrix_limits(values), result.params.colormap)


def draw_outliers(scene: Scene) -> None:
    for side, column in zip(scene.sides, side_columns(scene.sides, "outliers"), strict=True):
        with column:
            rows = side.result.tables["outliers"]
            if rows:
                decimals = three_decimals("x", "y", "norm", "times_median")
                factor, where = side.result.params.outlier_factor, outlier_blocks_text(side.result)
                st.caption(f"Tokens above {factor:g} × their block's median: {where}.")
                table_with_csv(rows, side.key("outliers"), decimals)
            else:
                factor = side.result.params.outlier_factor
                st.info(f"No token is above {factor:g} × its block's median. Lower the factor to see the nearest.")


def draw_numbers(scene: Scene) -> None:
    decimals = three_decimals("min", "median", "max", "similarity_to_last")
    decimals["outlier_share"] = st.column_config.NumberColumn(format="%.6f")
    for side, column in zip(scene.sides, side_columns(scene.sides, "numbers"), strict=True):
        with column:
            table_with_csv(side.result.tables["blocks"], side.key("blocks"), decimals)


PAGE = ExperimentPage(
    name="block-norms",
    about=ABOUT,
    table=Sides(),
    knobs=KNOBS,
    views={"All blocks": draw_all, ONE_BLOCK: draw_block, "Outliers": draw_outlined},
    tabs={
        "Norms": draw_curve,
        "Change": draw_change,
        "Outliers": draw_outliers,
        "Numbers": draw_numbers,
    },
    figures=figures,
    try_it=try_it,
    arrows=("block", "channel"),
)
