"""Views of masks and of the logits behind them, as pictures for a person to look at."""

from collections.abc import Sequence

import cv2
import numpy as np

from samkit.media.colormaps import Colormap, apply_table, colormap_table
from samkit.media.drawing import overlay
from samkit.media.films import shrunk_size

VIEW_SIDE_PX = 1024
CONTOUR_COLOR = (255, 64, 129)
"""RGB of outlines."""


def view_size(picture_size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a view in pixels: the picture's own, or its proportions within `VIEW_SIDE_PX`."""
    shrink = min(1.0, VIEW_SIDE_PX / max(picture_size))
    return max(1, round(picture_size[0] * shrink)), max(1, round(picture_size[1] * shrink))


def threshold_band(logits: np.ndarray, lower: float, upper: float, colormap: Colormap = "viridis") -> np.ndarray:
    """uint8 [H, W, 3] of float [H, W] logits: black below `lower`, white from `upper` on, the colour scale in
    between.
    """
    scale = np.float32(254 / (upper - lower)) if upper > lower else np.float32(0)
    levels = np.clip((logits - np.float32(lower)) * scale, 0, 253).astype(np.uint8) + np.uint8(1)
    levels *= logits >= lower
    np.maximum(levels, (logits >= upper).view(np.uint8) * np.uint8(255), out=levels)
    table = colormap_table(colormap).copy()
    table[0], table[255] = 0, 255
    return apply_table(levels, table)


def outlined(rgb: np.ndarray, mask: np.ndarray, color: tuple[int, int, int] = CONTOUR_COLOR) -> np.ndarray:
    """A copy of uint8 [H, W, 3] with the outline of the bool [H, W] mask on it, thick enough to be seen on a picture
    shown 1000 px wide.
    """
    outlines, _ = cv2.findContours(np.ascontiguousarray(mask).view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.array(rgb), outlines, -1, color, thickness=max(1, round(max(mask.shape) / 400)))


def view_outlined(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """uint8 [h, w, 3] at `view_size`: the picture, uint8 [H, W, 3], with the outline of the bool [H, W] mask."""
    height, width = view_size((mask.shape[0], mask.shape[1]))
    if mask.shape != (height, width):
        rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST).astype(bool)
    return outlined(rgb, mask)


def binary_view(mask: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3]: the bool [H, W] mask in white on black."""
    return cv2.cvtColor(np.ascontiguousarray(mask).view(np.uint8) * np.uint8(255), cv2.COLOR_GRAY2RGB)


def film_view(rgb: np.ndarray, layers: Sequence[tuple[np.ndarray, tuple[int, int, int]]], max_side: int) -> np.ndarray:
    """uint8 [h, w, 3], at most `max_side` pixels a side: a frame, uint8 [H, W, 3], with masks laid over it, for a film
    that is written.

    layers: each a mask, bool [H, W], and its RGB colour, later ones above earlier ones
    """
    height, width = shrunk_size((rgb.shape[0], rgb.shape[1]), max_side)
    shrinks = rgb.shape[:2] != (height, width)
    if shrinks:
        rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    for mask, color in layers:
        if shrinks:
            mask = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST).astype(bool)
        rgb = overlay(rgb, mask, color)
    return rgb
