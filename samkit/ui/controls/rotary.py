"""How rotary positions make attention fall with distance: what the angles say of each part of a model, and what each
block of the image encoder does on a picture.
"""

from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from samkit.experiments.measures.rotary_blocks import encoder_parts, kind_name, memory_part, rotary_curves
from samkit.experiments.measures.rotary_kernel import RotaryPart, kernel_curve
from samkit.experiments.result import Result
from samkit.models.sam import SamModel
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.parts.figures import PLOT, curves_figure, offset_figure, plain_colorscale, rows_figure
from samkit.ui.parts.tables import table_with_csv, three_decimals

BLOCK = "rotary_block"
"""The knob that says which block's map is shown."""
EXPECTED = (
    "Rotary positions turn queries and keys by angles that grow with their place. Expected is the cosine that a query "
    "and a key would keep if they were the same before and used all channels alike: it follows from the angles, and no "
    "picture is looked at."
)


def draw_rotary_parts(knobs: KnobValues, model: SamModel, result: Result[Any], letter: str, alone: bool) -> None:
    """All parts of a model. letter: of its side, in the keys of widgets; alone: nothing stands beside it"""
    memory = memory_part(model)
    if encoder_parts(model):
        _draw_encoder(knobs, model, result, letter, alone)
    elif memory is None:
        st.info("No part of this model has rotary positions.", icon=":material/info:")
    if memory is not None:
        _draw_part(memory, model, result, letter, alone)


def kinds_figure(rows: list[dict[str, Any]]) -> go.Figure:
    """Curves of each kind of blocks, expected and measured. rows: as `rotary_curves` gives them."""
    kinds = [name for name in rows[0] if name.startswith(("expected_", "measured_"))]
    names = {name: _words(name) for name in kinds}
    return curves_figure(rows, "distance", names, "", "tokens apart", "similarity", {}, from_zero=False)


def _words(column: str) -> str:
    """Such as "windows of 24, measured" for `measured_window_24`."""
    how, _, kind = column.partition("_")
    return f"{kind.replace('window_', 'windows of ')}, {how}"


def _draw_encoder(knobs: KnobValues, model: SamModel, result: Result[Any], letter: str, alone: bool) -> None:
    """Windowed blocks against global ones; where they were measured, block by block."""
    measured = "rotary" in result.tables
    rows = result.tables["rotary"] if measured else rotary_curves(model)
    left, right = st.columns(2, gap="medium") if alone else (st.container(), st.container())
    with left:
        st.markdown("**Image encoder**: how alike two tokens stay over their distance, the mean of all directions")
        st.plotly_chart(kinds_figure(rows), key=f"rotary_kinds_{letter}", config=PLOT)
        st.caption(
            f"{EXPECTED} A global block squeezes its whole map into the distances of a window, so it falls more slowly."
        )
    scale = plain_colorscale(result.params.colormap)
    with right:
        if not measured:
            st.info(
                "Choose a picture under “Measure rotary positions on” to see what each block really does.",
                icon=":material/straighten:",
            )
            return
        st.markdown(f"**Block by block**, measured on the sample {result.params.rotary_on}")
        st.plotly_chart(_blocks_figure(result, scale), key=f"rotary_blocks_{letter}", config=PLOT)
    _draw_block(knobs, model, result, letter, alone)
    decimals = three_decimals(*(name for name in result.tables["rotary_blocks"][0] if name.startswith("at_")))
    table_with_csv(result.tables["rotary_blocks"], f"rotary_blocks_{letter}", decimals, height=250)


def _blocks_figure(result: Result[Any], scale: list) -> go.Figure:
    blocks, rows = result.tables["rotary_blocks"], result.tables["rotary"]
    values = [[row[f"block_{index:02d}"] for row in rows] for index in range(len(blocks))]
    names = [f"{block['block']} · {block['attention']}" for block in blocks]
    return rows_figure(np.array(values, dtype=float), names, scale, "tokens apart", "similarity")


def _draw_block(knobs: KnobValues, model: SamModel, result: Result[Any], letter: str, alone: bool) -> None:
    """One block's map beside what the angles say of it, each over its own range: real queries and keys differ before
    they are turned, so their likeness begins lower.
    """
    blocks = result.tables["rotary_blocks"]
    texts = [f"{block['block']} · {block['attention']}" for block in blocks]
    block = knobs.step("Block", f"{BLOCK}_{letter}", range(len(blocks)), 0, format_func=texts.__getitem__)
    window = model.config.encoder.block_windows(model.info.window_sizes)[block]
    expected, values = encoder_parts(model)[window].expected().values, result.arrays[f"rotary_{block:02d}"]
    scale = plain_colorscale(result.params.colormap)
    columns = st.columns(2, gap="medium") if alone else (st.container(), st.container())
    for column, title, shown in zip(columns, ("Measured", "Expected from the angles"), (values, expected), strict=True):
        with column:
            st.markdown(f"**{title}**, by how far a key lies from its query")
            figure = offset_figure(shown, scale, "similarity")
            st.plotly_chart(figure, key=f"rotary_{kind_name(window)}_{title[:4].lower()}_{letter}", config=PLOT)
    st.caption(
        "Measured is the mean cosine of a query and a key over all pairs of tokens that lie so far apart, in all "
        "windows and heads. Both maps have a colour range of their own. Offsets that no two tokens have are empty."
    )


def _draw_part(part: RotaryPart, model: SamModel, result: Result[Any], letter: str, alone: bool) -> None:
    kernel = part.expected()
    left, right = st.columns(2, gap="medium") if alone else (st.container(), st.container())
    with left:
        st.markdown(f"**{part.name.capitalize()}**: how alike two tokens stay, by how far they lie apart")
        figure = offset_figure(kernel.values, plain_colorscale(result.params.colormap), "similarity")
        st.plotly_chart(figure, key=f"rotary_memory_map_{letter}", config=PLOT)
    with right:
        st.markdown("**Over distance**: the mean of all directions")
        names = {"similarity": "similarity"}
        figure = curves_figure(kernel_curve(kernel), "distance", names, "similarity", "tokens apart", "similarity", {})
        st.plotly_chart(figure, key=f"rotary_memory_curve_{letter}", config=PLOT)
    size = f"Map of {part.size[0]} × {part.size[1]} tokens, as at the native side."
    st.caption(size if encoder_parts(model) else f"{EXPECTED} {size}")
