"""What the ViT position encoding page draws: its knobs, its maps, its tabs, and the figures kept with a run."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from samkit.experiments.position_encoding import MIN_GRID, NAME, base_grid
from samkit.experiments.result import Result
from samkit.ui.bench.inspect_page import Side, sides_columns
from samkit.ui.controls.knobs import Knobs
from samkit.ui.controls.token_map import Picked, TokenMap, map_view
from samkit.ui.parts.figures import histogram_figure, plain_colorscale, scatter_figure, token_figure
from samkit.ui.parts.tables import table_with_csv
from samkit.ui.state.workspace import workspace

VIEWS = ("Norm and channel", "Directions", "Similarity")
PLOT = {"displaylogo": False}
HELP = "All knobs but this one answer at once; a new grid takes a moment for large models"


def draw_knobs(knobs: Knobs, model) -> dict:
    """The experiment's parameters by name."""
    base = base_grid(model)
    stretched = knobs.toggle(
        "Another grid than the base one", "stretch_grid", False, help=f"This model's base grid: {base} × {base} tokens"
    )
    sizes = list(range(MIN_GRID, 2 * base + 1))
    height = knobs.step("Height (tokens)", "height", sizes, base, disabled=not stretched, help=HELP)
    width = knobs.step("Width (tokens)", "width", sizes, base, disabled=not stretched, help=HELP)
    if not stretched:
        height = width = base
    v2 = model.info.family == "sam2"
    tiled = knobs.toggle(
        "Repeated window table",
        "window_tiling",
        True,
        disabled=not v2,
        help=None if v2 else "SAM v1 has one table only",
    )
    channel = knobs.step("Channel", "channel", list(range(model.info.channels_per_stage[0])), 0)
    place = {"row": _inside(knobs, "row", height), "column": _inside(knobs, "column", width)}
    grid = (
        {"height": knobs.left_open("height", height, base), "width": knobs.left_open("width", width, base)}
        if stretched
        else {"height": None, "width": None}
    )
    return grid | place | {"window_tiling": tiled, "channel": channel, "colormap": knobs.colormap()}


def _inside(knobs: Knobs, name: str, length: int) -> int | None:
    """The chosen row or column, the last one where the grid has fewer."""
    place = knobs.get(name)
    if place is None or place < length:
        return place
    knobs.move(name, length - 1, f"the grid has 0 to {length - 1}")
    return length - 1


def adapt(values: dict, model) -> dict:
    """The same grid as far as the other model goes, and the same place in it."""
    base, channels = base_grid(model), model.info.channels_per_stage[0]
    adapted = values | {"channel": min(values["channel"], channels - 1)}
    for name, place in (("height", "row"), ("width", "column")):
        length = base if values[name] is None else min(values[name], 2 * base)
        adapted[name] = None if values[name] is None else length
        adapted[place] = None if values[place] is None else min(values[place], length - 1)
    return adapted


def restore(params: dict) -> dict:
    """A kept run's parameters -> values of the knobs that make them."""
    values = {name: params[name] for name in ("window_tiling", "channel", "row", "column", "colormap")}
    # No height or width is the base grid's, which is the knob's default.
    return (
        values
        | {name: params[name] for name in ("height", "width")}
        | {"stretch_grid": params["height"] is not None or params["width"] is not None}
    )


def draw_main(sides: Sequence[Side], knobs: Knobs) -> None:
    """The view switch, and the chosen view of every side."""
    view = knobs.choose("View", "view", list(VIEWS), VIEWS[0], label_visibility="collapsed")
    for side, column in zip(sides, sides_columns(sides, "main"), strict=True):
        with column:
            if view == "Norm and channel":
                _draw_norm_and_channel(side, knobs, stacked=len(sides) > 1)
            elif view == "Directions":
                _draw_directions(side, knobs)
            else:
                _draw_similarity(side, knobs)
            st.caption(summary(side.result))


def summary(result: Result) -> str:
    """The grid in one line."""
    metrics = result.metrics
    return (
        f"{metrics['height']:.0f} × {metrics['width']:.0f} tokens of {metrics['channels']:.0f} channels · mean "
        f"norm {metrics['mean_norm']:.2f} · "
        f"strongest frequency {metrics['frequency']:.1f}, mean {metrics['mean_frequency']:.1f} cycles per side · "
        f"bfloat16 is off by {100 * metrics['bfloat16_error']:.2f} %"
    )


def _draw_norm_and_channel(side: Side, knobs: Knobs, stacked: bool) -> None:
    params, arrays = side.result.params, side.result.arrays
    with st.container(key=side.key("row_maps")):
        left, right = (st.container(), st.container()) if stacked else st.columns(2, gap="small")
    with left:
        st.markdown("L2 norm over the channels")
        map_view(knobs, side.key("norm"), TokenMap("Norm", arrays["norm"]), unit="", colormap=params.colormap)
    with right:
        st.markdown(f"Channel {params.channel}")
        map_view(
            knobs,
            side.key("channel"),
            TokenMap(f"Channel {params.channel}", arrays["channel"]),
            unit="",
            colormap=params.colormap,
        )


def _draw_directions(side: Side, knobs: Knobs) -> None:
    map_view(
        knobs,
        side.key("directions"),
        TokenMap("Directions", side.result.images["components"]),
        unit="",
        colormap=side.result.params.colormap,
    )
    shares = [100 * side.result.metrics[f"component_{index}"] for index in (1, 2, 3)]
    st.caption(
        "The three directions in which positions differ most (PCA), as red, green and blue: "
        f"{shares[0]:.0f}, {shares[1]:.0f} and {shares[2]:.0f} % of the variance"
    )


def _draw_similarity(side: Side, knobs: Knobs) -> None:
    result = side.result
    place = int(result.metrics["row"]), int(result.metrics["column"])

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


def spectrum_figure(result: Result) -> go.Figure:
    rows = result.tables["channels"]
    return histogram_figure([row["frequency"] for row in rows], "strongest frequency (cycles per side)", "channels")


def directions_figure(result: Result) -> go.Figure:
    rows = result.tables["channels"]
    hover = [f"channel {row['channel']}" for row in rows]
    points = [row["horizontal"] for row in rows], [row["vertical"] for row in rows]
    return scatter_figure(*points, hover, "horizontal (cycles per side)", "vertical (cycles per side)")


def figures(result: Result) -> dict:
    scale = plain_colorscale(result.params.colormap)
    maps = {
        name: token_figure(result.arrays[name], scale, name) for name in ("norm", "channel", "similarity", "difference")
    }
    return maps | {"spectrum": spectrum_figure(result), "frequencies": directions_figure(result)}


def draw_spectrum(sides: Sequence[Side]) -> None:
    for side, column in zip(sides, sides_columns(sides, "spectrum"), strict=True):
        with column:
            left, right = st.columns(2, gap="medium") if len(sides) == 1 else (st.container(), st.container())
            with left:
                st.markdown("**How fine**: the strongest frequency of each channel")
                st.plotly_chart(spectrum_figure(side.result), key=side.key("spectrum"), config=PLOT)
            with right:
                st.markdown("**Which way**: that frequency's two parts")
                st.plotly_chart(directions_figure(side.result), key=side.key("frequencies"), config=PLOT)
    st.caption("One cycle per side is one wave over the whole grid. Every channel's mean is left out.")


def draw_bfloat16(sides: Sequence[Side]) -> None:
    for side, column in zip(sides, sides_columns(sides, "bfloat16"), strict=True):
        with column:
            result = side.result
            knobs = Knobs(workspace(), NAME)
            map_view(
                knobs,
                side.key("bfloat16"),
                TokenMap("Difference", result.arrays["difference"]),
                unit="",
                colormap=result.params.colormap,
            )
            relative = np.median(result.arrays["difference"] / np.maximum(result.arrays["norm"], 1e-12))
            st.caption(
                "L2 distance of each token's encoding in bfloat16 (tables rounded, stretched and added in it) "
                "from float32: "
                f"median {100 * relative:.2f} % of the norm, largest {result.metrics['bfloat16_max']:.4f}. "
                "samkit's own encoders stretch in float32 always."
            )


def draw_channels(sides: Sequence[Side]) -> None:
    for side, column in zip(sides, sides_columns(sides, "channels"), strict=True):
        with column:
            names = ("frequency", "vertical", "horizontal", "mean_frequency", "deviation")
            decimals = {name: st.column_config.NumberColumn(format="%.3f") for name in names}
            table_with_csv(side.result.tables["channels"], side.key("channels"), decimals, height=320)
