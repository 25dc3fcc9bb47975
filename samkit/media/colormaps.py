"""Colour scales for maps of numbers: uint8 [256, 3] RGB tables, low to high."""

from functools import cache
from typing import Literal, get_args

import cv2
import numpy as np

Colormap = Literal["viridis", "inferno", "magma", "turbo", "grey", "spectral", "cividis"]
COLORMAPS: tuple[str, ...] = get_args(Colormap)
"""All but turbo and spectral grow steadily in brightness, so they read the same in print and for colour-blind eyes;
those two tell more levels apart.
"""

SPECTRAL = "5e4fa2 3288bd 66c2a5 abdda4 e6f598 ffffbf fee08b fdae61 f46d43 d53e4f 9e0142"
"""The eleven colours of ColorBrewer's diverging scheme, from low to high."""


@cache
def colormap_table(name: Colormap) -> np.ndarray:
    """uint8 [256, 3] RGB, not writeable. KeyError for a name that is not in `COLORMAPS`."""
    ramp = np.arange(256, dtype=np.uint8)
    if name == "grey":
        table = np.repeat(ramp[:, None], 3, axis=1)
    elif name == "spectral":
        anchors = np.array([list(bytes.fromhex(color)) for color in SPECTRAL.split()], float)
        places = np.linspace(0, len(anchors) - 1, 256)
        table = (
            np.stack([np.interp(places, range(len(anchors)), anchors[:, channel]) for channel in range(3)], axis=1)
            .round()
            .astype(np.uint8)
        )
    else:
        codes = {
            "viridis": cv2.COLORMAP_VIRIDIS,
            "magma": cv2.COLORMAP_MAGMA,
            "inferno": cv2.COLORMAP_INFERNO,
            "cividis": cv2.COLORMAP_CIVIDIS,
            "turbo": cv2.COLORMAP_TURBO,
        }
        table = np.ascontiguousarray(cv2.applyColorMap(ramp, codes[name]).reshape(256, 3)[:, ::-1])
    table.flags.writeable = False
    return table


def apply_table(levels: np.ndarray, table: np.ndarray) -> np.ndarray:
    """uint8 [H, W] levels and a uint8 [256, 3] table -> uint8 [H, W, 3]."""
    return cv2.applyColorMap(np.ascontiguousarray(levels), np.ascontiguousarray(table).reshape(256, 1, 3))


def color_map(values: np.ndarray, low: float, high: float, colormap: Colormap = "viridis") -> np.ndarray:
    """float [H, W] -> uint8 [H, W, 3]: `low` and less in the table's first colour, `high` and more in its last."""
    span = high - low or 1.0
    levels = np.clip((values.astype(np.float32) - low) * (255 / span) + 0.5, 0, 255).astype(np.uint8)
    return apply_table(levels, colormap_table(colormap))
