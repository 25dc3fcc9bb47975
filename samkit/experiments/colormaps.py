"""Colour scales for maps of numbers: uint8 [256, 3] RGB tables, low to high."""

from functools import cache
from typing import Literal, get_args

import cv2
import numpy as np

Colormap = Literal["viridis", "magma", "inferno", "cividis", "turbo", "grey"]
COLORMAPS: tuple[str, ...] = get_args(Colormap)
"""All but turbo grow steadily in brightness, so they read the same in print and for colour-blind eyes; turbo tells more levels apart."""


@cache
def colormap_table(name: Colormap) -> np.ndarray:
    """uint8 [256, 3] RGB, not writeable. KeyError for a name that is not in `COLORMAPS`."""
    ramp = np.arange(256, dtype=np.uint8)
    if name == "grey":
        table = np.repeat(ramp[:, None], 3, axis=1)
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
