"""The ViT position encoding page: what tells the encoder where a token is, on any grid."""

from contextlib import suppress
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from samkit.errors import SamkitError
from samkit.experiments.measures.rotary_blocks import encoder_parts
from samkit.experiments.position_encoding import MIN_GRID, attention_heads, base_grid, channel_count
from samkit.experiments.result import Result
from samkit.models.sam import SamModel
from samkit.ui.bench.bench import side_columns
from samkit.ui.bench.page import About, ExperimentPage, Scene, Side
from samkit.ui.bench.tables.sides import Sides
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.controls.knobs import Choice, ColourScale, Panel, Quiet, Steps, Switched, Toggle
from samkit.ui.controls.rotary import draw_rotary_parts, kinds_figure
from samkit.ui.controls.token_map import Picked, TokenMap, map_view
from samkit.ui.parts.figures import (
    PLOT,
    histogram_figure,
    plain_colorscale,
    scatter_figure,
    token_figure,
)
from samkit.ui.parts.tables import table_with_csv, three_decimals
from samkit.ui.state.models import shared_model
from samkit.ui.state.workspace import Workspace

ABOUT = About(
    idea="Attention does not know where a token is, so the encoder adds a learned vector for each place to the "
    "tokens. SAM v1 has one table for its base grid; SAM v2 adds a coarse table and a small one that repeats "
    "window by window. For any other grid the tables are stretched. MobileSAM adds nothing to its tokens: each head "
    "of its attention has a learned bias for each distance between two tokens of a window, and the page shows these. "
    "SAM 3 repeats one small table and never stretches it; each of its blocks also turns queries and keys by their "
    "place.",
    paper="v1: [Segment Anything](https://arxiv.org/abs/2304.02643); v2: [Hiera with absolute "
    "win](https://arxiv.org/abs/2311.05613), which found that stretching needs the repeated part; rotary positions: "
    "[RoFormer](https://arxiv.org/abs/2104.09864).",
    look_for="- Directions: colours that change smoothly tell places apart everywhere.\n"
    "- Click a place: which other places does the model consider close?\n"
    "- Switch the windows off: what remains is the coarse table.\n"
    "- The spectrum: is a larger model's encoding really finer?\n"
    "- bfloat16: where does rounding hurt, and does stretching make it worse?\n"
    "- Rotary: the memory attention of SAM v2 and SAM 3, and all blocks of SAM 3's encoder, know places by turning "
    "queries and keys. How fast does that fall with distance? Measure it on a sample picture: do global blocks look "
    "farther than windowed ones?",
    try_label="Try it: twice the base height, directions as colours",
)


def _grid_sizes(panel: Panel) -> range:
    return range(MIN_GRID, 2 * base_grid(panel.model) + 1)


def _grid_length(name: str, panel: Panel) -> int:
    """How many tokens the grid has in that direction, as the knobs stand."""
    base = base_grid(panel.model)
    length = panel.values.get(name) if panel.values.get("stretch_grid") else base
    return int(length or base)


def _last_channel(params: dict[str, Any], model: SamModel) -> int:
    return channel_count(model) - 1


def _largest_grid(params: dict[str, Any], model: SamModel) -> int:
    return 2 * base_grid(model)


def _last_place(name: str) -> Any:
    """The last row or column of another model's grid."""
    return lambda params, model: (params[name] or base_grid(model)) - 1


def _grid_knob(name: str) -> Steps:
    return Steps(name, options=_grid_sizes, default=lambda panel: base_grid(panel.model), limit=_largest_grid)


def _no_second_table(panel: Panel) -> str:
    if attention_heads(panel.model):
        return "This model has no table"
    return "" if panel.model.config.repeats_window_table else "This model has only one table"


def channel_name(model: SamModel, channel: int) -> str:
    heads = attention_heads(model)
    return f"{channel} · block {heads[channel][0]}, head {heads[channel][1]}" if heads else str(channel)


def _channel_names(panel: Panel) -> Any:
    return lambda channel: channel_name(panel.model, channel)


KNOBS = (
    Switched(
        "stretch_grid",
        "A grid other than the base grid",
        off={"height": None, "width": None},
        knobs=(_grid_knob("height"), _grid_knob("width")),
        help="A new grid takes a moment with large models; all other knobs respond at once",
    ),
    Toggle(
        "window_tiling",
        impossible=_no_second_table,
    ),
    Steps(
        "channel",
        options=lambda panel: range(channel_count(panel.model)),
        text=_channel_names,
        limit=_last_channel,
    ),
    Quiet("row", length=lambda panel: _grid_length("height", panel), limit=_last_place("height")),
    Quiet("column", length=lambda panel: _grid_length("width", panel), limit=_last_place("width")),
    Choice("rotary_on", offered=lambda panel: bool(encoder_parts(panel.model))),
    ColourScale(),
)


def try_it(work: Workspace, knobs: KnobValues) -> None:
    with suppress(SamkitError):  # the page itself says what is wrong with a model
        base = base_grid(shared_model(work.model_ref, work.device, "float32"))
        knobs.set({"height": 2 * base, "width": base})
    knobs.set({"view": "Directions", "stretch_grid": True, "window_tiling": True})


def summary(result: Result[Any]) -> str:
    """The grid in one line."""
    value = result.value
    return (
        f"{result.index('height')} × {result.index('width')} tokens of {result.index('channels')} channels · mean norm "
        f"{value('mean_norm'):.2f} · strongest frequency {value('frequency'):.1f}, mean {value('mean_frequency'):.1f} "
        f"cycles per side · bfloat16 is off by {100 * value('bfloat16_error'):.2f} %"
    )


def _say_biases(side: Side) -> None:
    """What is seen where there is no table."""
    if not attention_heads(side.model):
        return
    windows = sorted(set(side.model.info.window_sizes[1:]))
    st.info(
        "This model adds nothing to its tokens. Instead, each attention head has a learned bias for each distance "
        "between two tokens of a window. Top left is a token and itself, to the right are tokens further along the "
        f"row, downwards further along the column. Its windows are {' and '.join(map(str, windows))} tokens wide; "
        "biases of other windows than the grid are stretched to it. A channel is one head of one block.",
        icon=":material/info:",
    )


def draw_norm_and_channel(scene: Scene) -> None:
    for side, column in zip(scene.sides, side_columns(scene.sides, "main"), strict=True):
        with column:
            _draw_norm_and_channel(side, scene.knobs, stacked=len(scene.sides) > 1)


def _draw_norm_and_channel(side: Side, knobs: KnobValues, stacked: bool) -> None:
    params, arrays = side.result.params, side.result.arrays
    _say_biases(side)
    with st.container(key=side.key("row_maps")):
        left, right = (st.container(), st.container()) if stacked else st.columns(2, gap="small")
    with left:
        st.markdown("L2 norm over the channels")
        map_view(knobs, side.key("norm"), TokenMap("Norm", arrays["norm"]), unit="", colormap=params.colormap)
    with right:
        title = f"Channel {channel_name(side.model, params.channel)}"
        st.markdown(title)
        map_view(knobs, side.key("channel"), TokenMap(title, arrays["channel"]), unit="", colormap=params.colormap)


def draw_directions(scene: Scene) -> None:
    for side, column in zip(scene.sides, side_columns(scene.sides, "main"), strict=True):
        with column:
            result = side.result
            _say_biases(side)
            shown = TokenMap("Directions", result.images["components"])
            map_view(scene.knobs, side.key("directions"), shown, unit="", colormap=result.params.colormap)
            shares = [100 * result.value(f"component_{index}") for index in (1, 2, 3)]
            st.caption(
                "The three directions in which positions differ most (PCA), as red, green and blue: "
                f"{shares[0]:.0f}, {shares[1]:.0f} and {shares[2]:.0f} % of the variance"
            )


def draw_similarity(scene: Scene) -> None:
    for side, column in zip(scene.sides, side_columns(scene.sides, "main"), strict=True):
        with column:
            _draw_similarity(side, scene.knobs)


def _draw_similarity(side: Side, knobs: KnobValues) -> None:
    result = side.result
    _say_biases(side)
    place = result.index("row"), result.index("column")

    def choose(picked: Picked) -> None:
        knobs.set({"row": picked.row, "column": picked.column})

    shown = TokenMap("Similarity", result.arrays["similarity"], spot=place)
    map_view(
        knobs,
        side.key("similarity"),
        shown,
        unit="",
        colormap=result.params.colormap,
        on_pick=choose,
        pick_label="Choose a place",
    )
    st.caption(
        f"Cosine similarity with row {place[0]}, column {place[1]} (framed). Click another place, or move with the "
        "arrow keys."
    )


def spectrum_figure(result: Result[Any]) -> go.Figure:
    frequencies = [row["frequency"] for row in result.tables["channels"]]
    return histogram_figure(frequencies, "strongest frequency (cycles per side)", "channels")


def directions_figure(result: Result[Any]) -> go.Figure:
    rows = result.tables["channels"]
    hover = [f"channel {row['channel']}" for row in rows]
    points = [row["horizontal"] for row in rows], [row["vertical"] for row in rows]
    return scatter_figure(*points, hover, "horizontal (cycles per side)", "vertical (cycles per side)")


def figures(result: Result[Any]) -> dict[str, go.Figure]:
    scale, names = plain_colorscale(result.params.colormap), ("norm", "channel", "similarity", "difference")
    maps = {name: token_figure(result.arrays[name], scale, name) for name in names}
    drawn = maps | {"spectrum": spectrum_figure(result), "frequencies": directions_figure(result)}
    return drawn | ({"rotary": kinds_figure(result.tables["rotary"])} if "rotary" in result.tables else {})


def draw_spectrum(scene: Scene) -> None:
    alone = len(scene.sides) == 1
    for side, column in zip(scene.sides, side_columns(scene.sides, "spectrum"), strict=True):
        with column:
            left, right = st.columns(2, gap="medium") if alone else (st.container(), st.container())
            with left:
                st.markdown("**How fine**: the strongest frequency of each channel")
                st.plotly_chart(spectrum_figure(side.result), key=side.key("spectrum"), config=PLOT)
            with right:
                st.markdown("**Which way**: that frequency's two parts")
                st.plotly_chart(directions_figure(side.result), key=side.key("frequencies"), config=PLOT)
    st.caption("One cycle per side is one wave across the whole grid. Each channel's mean is subtracted.")


def draw_bfloat16(scene: Scene) -> None:
    for side, column in zip(scene.sides, side_columns(scene.sides, "bfloat16"), strict=True):
        with column:
            arrays, colormap = side.result.arrays, side.result.params.colormap
            shown = TokenMap("Difference", arrays["difference"])
            map_view(scene.knobs, side.key("bfloat16"), shown, unit="", colormap=colormap)
            relative = np.median(arrays["difference"] / np.maximum(arrays["norm"], 1e-12))
            st.caption(
                "L2 distance of each token's encoding in bfloat16 (tables rounded, stretched and added in it) from "
                f"float32: median {100 * relative:.2f} % of the norm, largest {side.result.value('bfloat16_max'):.4f}. "
                "samkit's own encoders always stretch in float32."
            )


def draw_channels(scene: Scene) -> None:
    decimals = three_decimals("frequency", "vertical", "horizontal", "mean_frequency", "deviation")
    for side, column in zip(scene.sides, side_columns(scene.sides, "channels"), strict=True):
        with column:
            table_with_csv(side.result.tables["channels"], side.key("channels"), decimals, height=320)


def draw_rotary(scene: Scene) -> None:
    """How rotary positions make attention fall with distance, in each part of the model that has them."""
    for side, column in zip(scene.sides, side_columns(scene.sides, "rotary"), strict=True):
        with column:
            draw_rotary_parts(scene.knobs, side.model, side.result, side.letter.lower(), alone=len(scene.sides) == 1)


PAGE = ExperimentPage(
    name="position-encoding",
    about=ABOUT,
    table=Sides(takes_picture=False),
    knobs=KNOBS,
    views={"Norm and channel": draw_norm_and_channel, "Directions": draw_directions, "Similarity": draw_similarity},
    tabs={"Spectrum": draw_spectrum, "bfloat16": draw_bfloat16, "Channels": draw_channels, "Rotary": draw_rotary},
    figures=figures,
    try_it=try_it,
    arrows=("channel",),
    summary=summary,
)
