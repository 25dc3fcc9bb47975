"""Maps of tokens: drawn at token resolution, so that they are small to send and quick to draw; hover tells token and
value, a click picks.

Plotly's heatmaps take several times as long to appear and tell the server nothing of a click; they are what is kept
with a run.
"""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import streamlit as st

from samkit.media.colormaps import Colormap, color_map, colormap_table
from samkit.media.pictures import Picture, array_to_png
from samkit.models.geometry import plan_geometry
from samkit.models.sam import ModelInfo
from samkit.ui.controls.knob_values import KnobValues
from samkit.ui.parts import style
from samkit.ui.parts.picture_view import view_name

TILE_PX = 118
WIDE = 1.8
"""Width by height from which on tiles get wider: up to it as many stand in a row as square ones."""
TILE_TOKENS = 64
"""Tiles have at most so many cells a side: of larger maps a cell is the largest of its tokens, so that no outlier is
averaged away.
"""
SAVED_PX = 512
"""A map's longest side in its PNG, about."""
AUTOMATIC, FIXED = "Automatic", "Fixed"

_component = st.components.v2.component(
    "samkit_token_map",
    html='<div class="maps"></div>',
    css=style.part("token_map.css"),
    # A page without a canvas has nobody else who brings the zoom.
    js="\n".join(style.part(name) for name in ("view.js", "token_map.js")),
)


@dataclass(frozen=True)
class TokenMap:
    """
    values: float [h, w], drawn with the colour scale; or uint8 [h, w, 3], drawn as it is
    note:   beside the title of a tile
    cell:   tokens a side that each value stands for
    marks:  (row, column) of tokens that are outlined; spot: of the one that was picked
    ground: the picture that the map is of; None where it is of none
    """

    title: str
    values: np.ndarray
    note: str = ""
    marks: Sequence[tuple[int, int]] = ()
    spot: tuple[int, int] | None = None
    cell: int = 1
    ground: "Ground | None" = None


@dataclass(frozen=True)
class Ground:
    """What a map lies over: it has the picture's proportions, and what stands for padding is cut off.

    view:   the picture's name for zoom and pan (`view_name`)
    ratio:  width by height of the picture
    rows, columns: how many of the map's rows and columns the picture covers, from the top left; None: all
    """

    view: str
    ratio: float
    rows: float | None = None
    columns: float | None = None


def ground_of(picture: Picture, covered: tuple[float, float] | None = None) -> Ground:
    """covered: (rows, columns) of the map that the picture covers."""
    rows, columns = covered or (None, None)
    return Ground(view_name(picture), picture.width / picture.height, rows, columns)


def token_ground(picture: Picture, info: ModelInfo, side: int | None, fit: str, grid: tuple[int, int]) -> Ground:
    """Of a map with a value for each of the encoder's tokens, (rows, columns): padding is cut off."""
    geometry = plan_geometry(picture.size, info.family, side or info.native_side, fit, info.side_step)
    (height, width), (padded_height, padded_width) = geometry.resized_size, geometry.padded_size
    return ground_of(picture, (grid[0] * height / padded_height, grid[1] * width / padded_width))


@dataclass(frozen=True)
class Picked:
    """map: index of the map that was clicked."""

    map: int
    row: int
    column: int


def map_view(
    knobs: KnobValues,
    name: str,
    shown: TokenMap,
    *,
    unit: str,
    colormap: Colormap,
    limits: tuple[float, float] | None = None,
    on_pick: Callable[[Picked], None] | None = None,
    pick_label: str = "",
    clip: bool = False,
    follow: str = "",
) -> None:
    """One large map with its colour bar; below it the colour range, fixed or automatic, and the map as PNG and NPY.

    name:   of the knob that holds the range, and of the files
    limits: the range, where the experiment has a knob of its own for it
    clip:   values below the range are black, those from its end on white
    follow: the knob with two ends that gives `limits`: the map follows it while it is dragged
    """
    place = st.container(height="content")
    with st.container(horizontal=True, gap="small", key=f"map_tools_{name}"):
        if shown.values.ndim == 2 and limits is None:
            with st.popover("Colour range", icon=":material/tune:"):
                limits = _range(knobs, name, shown.values)
        map_downloads(name, shown, limits, colormap)
    with place:
        _draw(
            [shown],
            f"map_{name}",
            unit,
            colormap,
            limits,
            None,
            on_pick,
            pick_label,
            clip=clip,
            follow=follow and knobs.widget(follow),
        )


def map_downloads(name: str, shown: TokenMap, limits: tuple[float, float] | None, colormap: Colormap) -> None:
    """The map as a picture and as numbers. name: of the files, once on a page."""
    values = shown.values
    png_button(name, lambda: _png(values, limits, colormap))
    st.download_button(
        "NPY",
        lambda: _npy(values),
        f"{name}.npy",
        "application/octet-stream",
        key=f"npy_{name}",
        icon=":material/data_array:",
        on_click="ignore",
    )


def png_button(name: str, make: Callable[[], bytes]) -> None:
    """A picture as a file of that name, once on a page; made when the button is pressed."""
    st.download_button(
        "PNG", make, f"{name}.png", "image/png", key=f"png_{name}", icon=":material/image:", on_click="ignore"
    )


def map_tiles(
    name: str,
    shown: Sequence[TokenMap],
    *,
    unit: str,
    colormap: Colormap,
    limits: tuple[float, float] | None = None,
    chosen: int | None = None,
    on_pick: Callable[[Picked], None] | None = None,
    pick_label: str = "",
) -> None:
    """Many small maps side by side; one of them is framed. limits: one colour range for all; None: each has its own."""
    small = [_shrunk(each) for each in shown]
    _draw(small, f"tiles_{name}", unit, colormap, limits, chosen, on_pick, pick_label, _tile_width(shown))


def _tile_width(shown: Sequence[TokenMap]) -> int:
    """In pixels, at least: tiles of tall and of wide pictures take about the room of square ones."""
    ratio = max(each.ground.ratio if each.ground is not None else 1.0 for each in shown)
    part = ratio if ratio < 1 else max(1.0, ratio / WIDE)
    return round(TILE_PX * float(np.clip(part**0.65, 0.55, 1.6)))


def _draw(
    maps: Sequence[TokenMap],
    key: str,
    unit: str,
    colormap: Colormap,
    limits: tuple[float, float] | None,
    chosen: int | None,
    on_pick: Callable[[Picked], None] | None,
    pick_label: str,
    tile: int = 0,
    clip: bool = False,
    follow: str = "",
) -> None:
    def picked() -> None:
        place = st.session_state[key].picked
        if place and on_pick is not None:
            on_pick(Picked(int(place["map"]), int(place["row"]), int(place["column"])))

    data = {
        "maps": [_packed(each, key) for each in maps],
        "table": base64.b64encode(colormap_table(colormap).tobytes()).decode(),
        "range": limits,
        "unit": unit,
        "chosen": chosen,
        "pick": pick_label if on_pick else "",
        "tile": tile,
        "clip": clip,
        "follow": follow,
    }
    _component(data=data, key=key, on_picked_change=picked if on_pick else lambda: None)


def _packed(shown: TokenMap, key: str = "") -> dict[str, Any]:
    """Values as float32, so that the number at the pointer is exact beside an outlier too."""
    values = shown.values
    rows, columns = values.shape[:2]
    ground = shown.ground or Ground(key, columns / rows)
    packed = {
        "title": shown.title,
        "note": shown.note,
        "h": values.shape[0],
        "w": values.shape[1],
        "marks": [list(map(int, mark)) for mark in shown.marks],
    }
    packed |= {"spot": None if shown.spot is None else list(map(int, shown.spot)), "cell": shown.cell}
    packed |= {"view": ground.view, "ratio": ground.ratio}
    packed |= {"wide": columns / (ground.columns or columns), "high_part": rows / (ground.rows or rows)}
    if values.ndim == 3:
        return packed | {"rgb": base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()}
    return packed | {
        "low": float(values.min()),
        "high": float(values.max()),
        "values": base64.b64encode(values.astype("<f4").tobytes()).decode(),
    }


def _shrunk(shown: TokenMap) -> TokenMap:
    """A tile of a large map: cells of so many tokens a side, each with its largest value."""
    values = shown.values
    cell = -(-max(values.shape) // TILE_TOKENS)
    if cell == 1:
        return TokenMap(shown.title, values, shown.note, ground=shown.ground)
    padded = np.pad(values, [(0, -length % cell) for length in values.shape], mode="edge")
    cells = padded.reshape(padded.shape[0] // cell, cell, padded.shape[1] // cell, cell).max(axis=(1, 3))
    return TokenMap(shown.title, cells, shown.note, cell=cell, ground=_in_cells(shown.ground, cell))


def _in_cells(ground: Ground | None, cell: int) -> Ground | None:
    """The same ground, of a map with so many tokens a side in each value."""
    if ground is None:
        return None
    rows, columns = (None if count is None else count / cell for count in (ground.rows, ground.columns))
    return replace(ground, rows=rows, columns=columns)


def _range(knobs: KnobValues, name: str, values: np.ndarray) -> tuple[float, float] | None:
    """The fixed limits, or None. A range is fixed first where the map's own values lie."""
    kind = knobs.choose(
        "Colour range",
        f"{name}_range",
        [AUTOMATIC, FIXED],
        AUTOMATIC,
        help="Fixed: the same colours for the same values when the map changes",
    )
    if kind == AUTOMATIC:
        knobs.forget(f"{name}_low", f"{name}_high")
        return None
    low_place, high_place = st.columns(2)
    with low_place:
        low = knobs.number("From", f"{name}_low", float(values.min()), format="%.4g")
    with high_place:
        high = knobs.number("To", f"{name}_high", float(values.max()), format="%.4g")
    if low >= high:
        st.caption(":material/warning: “From” must be less than “To”; the map shows its own range.")
        return None
    return low, high


def _png(values: np.ndarray, limits: tuple[float, float] | None, colormap: Colormap) -> bytes:
    low, high = limits or (float(values.min()), float(values.max()))
    pixels = color_map(np.nan_to_num(values, nan=low), low, high, colormap) if values.ndim == 2 else values
    factor = max(1, round(SAVED_PX / max(values.shape[:2])))
    return array_to_png(np.ascontiguousarray(pixels.repeat(factor, axis=0).repeat(factor, axis=1)))


def _npy(values: np.ndarray) -> bytes:
    written = io.BytesIO()
    np.save(written, values, allow_pickle=False)
    return written.getvalue()
