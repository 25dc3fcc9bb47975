"""Whether the shapes that are really drawn on a canvas are those of a list of prompts."""

import cv2
import numpy as np

from samkit.prompts import Prompts
from samkit.ui.parts import style

REACH_PX = 13
"""Of a point's centre as read from its chip, which is rounded: no pixel of the point lies further away."""


def what_differs(drawn: np.ndarray, prompts: Prompts) -> list[str]:
    """In words, what of the prompts is not among the shapes on a canvas, and what is there that is no prompt; none
    where the canvas shows exactly the prompts.

    drawn:   uint8 [h, w, 4], BGRA
    prompts: as their chips name them, rounded to hundredths
    """
    height, width = drawn.shape[:2]
    left_over = drawn[..., 3] > 60
    rows, columns = np.mgrid[:height, :width]
    complaints = []
    for x, y, label in prompts.points:
        near = np.hypot(columns - x * width, rows - y * height) <= REACH_PX
        color = style.FOREGROUND if label else style.BACKGROUND
        if np.count_nonzero(near & _colored(drawn, color)) < 40:
            complaints.append(f"point {x}, {y}, {label} is not drawn")
        left_over &= ~near
    for x1, y1, x2, y2 in prompts.boxes:
        x, y = (columns - x1 * width, columns - x2 * width), (rows - y1 * height, rows - y2 * height)
        inside = (x[0] > -8) & (x[1] < 8) & (y[0] > -8) & (y[1] < 8)
        sides = [inside & (np.abs(distance) < 8) for distance in (*x, *y)]
        blue = _colored(drawn, style.BOX)
        for side, name in zip(sides, ("left", "right", "top", "bottom"), strict=True):
            along = (side & blue).any(axis=1 if name in ("left", "right") else 0)
            length = (y2 - y1) * height if name in ("left", "right") else (x2 - x1) * width
            if np.count_nonzero(along) < 0.7 * length:
                complaints.append(f"the {name} side of box {x1}, {y1}, {x2}, {y2} is not drawn")
            left_over &= ~side
    _, _, boxes, centres = cv2.connectedComponentsWithStats(left_over.astype(np.uint8))
    complaints += [
        f"something that is no prompt is drawn at {x / width:.2f}, {y / height:.2f}, {box[4]} pixels"
        for box, (x, y) in zip(boxes[1:], centres[1:], strict=True)
    ]
    return complaints


def _colored(drawn: np.ndarray, color: str) -> np.ndarray:
    """bool [h, w]: opaque pixels of that colour, `#rrggbb`."""
    wanted = np.array([int(color[i : i + 2], 16) for i in (5, 3, 1)])
    return (np.abs(drawn[..., :3].astype(int) - wanted).max(axis=2) < 40) & (drawn[..., 3] > 200)
