"""Prompts as the shapes of a Fabric.js drawing, and back. Foreground points are discs, background points rings: colour
is not all that tells them apart.
"""

from functools import lru_cache

import cv2
import numpy as np

from samkit.media.pictures import Picture
from samkit.prompts import BACKGROUND, FOREGROUND, MAX_PROMPTS, Prompts
from samkit.ui.parts import style

POINT_RADIUS_PX = 6
STROKE_PX = 3
CLEAR = "rgba(0, 0, 0, 0)"
MIN_BOX_PX = 3


def canvas_size(picture: Picture, max_width: int, max_height: int) -> tuple[int, int]:
    """(width, height) in screen pixels of the picture on the canvas."""
    scale = min(max_width / picture.width, max_height / picture.height)
    return max(1, round(picture.width * scale)), max(1, round(picture.height * scale))


@lru_cache(maxsize=32)
def background_jpeg(picture: Picture, width: int, height: int) -> bytes:
    """The picture at canvas size. Encoded once: the canvas would encode a PIL picture again on every rerun."""
    shrink = cv2.INTER_AREA if width < picture.width else cv2.INTER_CUBIC
    resized = cv2.resize(picture.rgb, (width, height), interpolation=shrink)
    return cv2.imencode(".jpg", np.ascontiguousarray(resized[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def to_drawing(prompts: Prompts, width: int, height: int) -> dict:
    """The Fabric.js drawing of the prompts on a canvas of that size in pixels."""
    objects = []
    for x1, y1, x2, y2 in prompts.boxes:
        place = {"left": x1 * width, "top": y1 * height, "width": (x2 - x1) * width, "height": (y2 - y1) * height}
        look = {"fill": CLEAR, "stroke": style.BOX, "strokeWidth": STROKE_PX, "strokeUniform": True}
        objects.append({"type": "Rect", "originX": "left", "originY": "top", "scaleX": 1, "scaleY": 1} | place | look)
    for x, y, label in prompts.points:
        color = style.FOREGROUND if label == FOREGROUND else style.BACKGROUND
        look = {"fill": color if label == FOREGROUND else CLEAR, "stroke": color, "strokeWidth": STROKE_PX}
        place = {
            "left": x * width,
            "top": y * height,
            "originX": "center",
            "originY": "center",
            "radius": POINT_RADIUS_PX,
            "startAngle": 0,
            "endAngle": 360,
        }
        objects.append({"type": "Circle"} | place | look)
    return {"objects": objects}


def from_drawing(drawing: dict | None, width: int, height: int) -> Prompts:
    """The prompts a drawing on a canvas of that size holds; shapes too small to mean anything are left out, and what
    sticks out of the picture is cut.
    """
    points, boxes = [], []
    for shape in (drawing or {}).get("objects", []):
        kind = str(shape.get("type", "")).lower()
        if kind == "circle":
            x, y = _circle_centre(shape)
            label = FOREGROUND if str(shape.get("stroke", "")).lower() == style.FOREGROUND else BACKGROUND
            points.append((_share(x, width), _share(y, height), label))
        elif kind == "rect":
            x1, y1 = float(shape["left"]), float(shape["top"])
            x2, y2 = (
                x1 + float(shape["width"]) * float(shape.get("scaleX", 1)),
                y1 + float(shape["height"]) * float(shape.get("scaleY", 1)),
            )
            box = (
                _share(min(x1, x2), width),
                _share(min(y1, y2), height),
                _share(max(x1, x2), width),
                _share(max(y1, y2), height),
            )
            if (box[2] - box[0]) * width >= MIN_BOX_PX and (box[3] - box[1]) * height >= MIN_BOX_PX:
                boxes.append(box)
    return Prompts(points=points[:MAX_PROMPTS], boxes=boxes[: MAX_PROMPTS - len(points[:MAX_PROMPTS])])


def _circle_centre(shape: dict) -> tuple[float, float]:
    """A point drawn by a person has its origin at the left edge, one drawn from here at its centre."""
    reach = float(shape.get("radius", 0)) * float(shape.get("scaleX", 1)) + float(shape.get("strokeWidth", 0)) / 2
    x, y = float(shape["left"]), float(shape["top"])
    return (x + reach if shape.get("originX") == "left" else x), (y + reach if shape.get("originY") == "top" else y)


def _share(position: float, size: int) -> float:
    return round(min(1.0, max(0.0, position / size)), 5)


def same_on_canvas(a: Prompts, b: Prompts, width: int, height: int) -> bool:
    """Whether two sets of prompts differ by less than a pixel of the canvas everywhere."""
    if [p[2] for p in a.points] != [p[2] for p in b.points] or len(a.boxes) != len(b.boxes):
        return False
    pairs = [
        *zip((p[:2] for p in a.points), (p[:2] for p in b.points), strict=True),
        *zip(a.boxes, b.boxes, strict=True),
    ]
    return all(
        abs(p - q) * (width, height)[i % 2] < 1
        for one, other in pairs
        for i, (p, q) in enumerate(zip(one, other, strict=True))
    )
