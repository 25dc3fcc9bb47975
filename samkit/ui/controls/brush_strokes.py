"""Brush strokes as the canvas reports them, as a mask of the picture."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

PAINT, ERASE = "#1e90ff", "#202020"
"""Stroke colours, by which the two are told apart."""
MAX_STROKES, MAX_STEPS = 2_000, 20_000


def paint_strokes(
    drawing: Mapping[str, Any] | None, canvas_size: tuple[int, int], base: np.ndarray
) -> tuple[np.ndarray, int]:
    """(a new mask, bool [H, W], in which each stroke has added to the base mask or taken away from it in turn; how many
    strokes there are).

    drawing: the canvas's JSON, from a browser: what is no stroke is passed over; canvas_size: (height, width) in pixels
    """
    height, width = base.shape
    scale = np.array([width / canvas_size[1], height / canvas_size[0]])
    mask, count = base.astype(np.uint8), 0
    objects = drawing.get("objects", []) if isinstance(drawing, Mapping) else []
    for stroke in objects[:MAX_STROKES]:
        try:
            points = _points(stroke["path"]) * scale - 0.5
            thickness = max(1, round(float(stroke["strokeWidth"]) * float(scale.mean())))
            value = 1 if str(stroke["stroke"]).lower() == PAINT else 0
        except (KeyError, TypeError, ValueError, IndexError):
            continue
        if not len(points) or not np.isfinite(points).all() or thickness > 2 * max(height, width):
            continue
        places = np.clip(np.rint(points), -32_000, 32_000).astype(np.int32)
        cv2.polylines(mask, [places.reshape(-1, 1, 2)], False, value, thickness=thickness)
        for x, y in places[[0, -1]]:
            cv2.circle(mask, (int(x), int(y)), max(0, thickness // 2), value, thickness=-1)
        count += 1
    return mask.astype(bool), count


def _points(path: Any) -> np.ndarray:
    """float [N, 2] (x, y) in canvas pixels along the path of moves, lines and quadratic curves."""
    points: list[tuple[float, float]] = []
    for step in list(path)[:MAX_STEPS]:
        kind, *numbers = step
        if kind == "Q":
            (cx, cy, x, y), (sx, sy) = map(float, numbers), points[-1]
            for t in (0.25, 0.5, 0.75, 1.0):
                a, b, c = (1 - t) ** 2, 2 * t * (1 - t), t**2
                points.append((a * sx + b * cx + c * x, a * sy + b * cy + c * y))
        elif kind in ("M", "L"):
            x, y = map(float, numbers)
            points.append((x, y))
    return np.array(points, dtype=np.float64).reshape(-1, 2)
