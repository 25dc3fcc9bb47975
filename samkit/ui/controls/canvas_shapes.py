"""Prompts as the shapes of a Fabric.js drawing, and back. Foreground points are discs, background points rings: colour
is not all that tells them apart.
"""

from typing import Any

from samkit.media.pictures import Picture
from samkit.prompts import BACKGROUND, FOREGROUND, Box, Point
from samkit.ui.parts import style
from samkit.ui.state.sheets import Drawn, Report, Sheet

POINT_RADIUS_PX = 6
STROKE_PX = 3
CLEAR = "rgba(0, 0, 0, 0)"
MIN_SIDE_PX = 3
MIN_BOX_PX = 8
"""A box is at least so wide or so high on the canvas, which draws a click as one of 3 pixels, and a click that slips by
one of 6.
"""


def canvas_size(picture: Picture, max_width: int, max_height: int) -> tuple[int, int]:
    """(width, height) in screen pixels of the picture on the canvas."""
    scale = min(max_width / picture.width, max_height / picture.height)
    return max(1, round(picture.width * scale)), max(1, round(picture.height * scale))


def to_drawing(sheet: Sheet, width: int, height: int) -> dict[str, Any]:
    """The Fabric.js drawing of a sheet on a canvas of that size in pixels: the prompts it was handed, then a shape that
    can't be seen and whose place is the sheet's number. What a person draws comes after that.
    """
    objects = [_box_shape(box, width, height) for box in sheet.handed.boxes]
    objects += [_point_shape(point, width, height) for point in sheet.handed.points]
    return {"objects": [*objects, _number_shape(sheet.number)]}


def read_report(drawing: dict[str, Any] | None, width: int, height: int) -> Report | None:
    """What a drawing on a canvas of that size says was drawn on which sheet; None where it names no sheet."""
    shapes = (drawing or {}).get("objects", [])
    for index, shape in enumerate(shapes):
        if shape.get("visible") is False:
            drawn = tuple(read_shape(each, width, height) for each in shapes[index + 1 :])
            return Report(round(shape["left"]), drawn)
    return None


def read_shape(shape: dict[str, Any], width: int, height: int) -> Drawn | None:
    """The point or box that a Fabric.js shape is; what sticks out of the picture is cut. None for a shape that is no
    prompt, such as the tiny box of a click.
    """
    kind = str(shape.get("type", "")).lower()
    if kind == "circle":
        x, y = _circle_centre(shape)
        label = FOREGROUND if str(shape.get("stroke", "")).lower() == style.FOREGROUND else BACKGROUND
        return _share(x, width), _share(y, height), label
    if kind != "rect":
        return None
    left, top = float(shape["left"]), float(shape["top"])
    right = left + float(shape["width"]) * float(shape.get("scaleX", 1))
    bottom = top + float(shape["height"]) * float(shape.get("scaleY", 1))
    x1, x2 = sorted((_share(left, width), _share(right, width)))
    y1, y2 = sorted((_share(top, height), _share(bottom, height)))
    short, long = sorted(((x2 - x1) * width, (y2 - y1) * height))
    return (x1, y1, x2, y2) if short >= MIN_SIDE_PX and long >= MIN_BOX_PX else None


def _box_shape(box: Box, width: int, height: int) -> dict[str, Any]:
    x1, y1, x2, y2 = box
    place = {"left": x1 * width, "top": y1 * height, "width": (x2 - x1) * width, "height": (y2 - y1) * height}
    look = {"fill": CLEAR, "stroke": style.BOX, "strokeWidth": STROKE_PX, "strokeUniform": True}
    return {"type": "Rect", "originX": "left", "originY": "top", "scaleX": 1, "scaleY": 1} | place | look


def _point_shape(point: Point, width: int, height: int) -> dict[str, Any]:
    x, y, label = point
    color = style.FOREGROUND if label == FOREGROUND else style.BACKGROUND
    look = {"fill": color if label == FOREGROUND else CLEAR, "stroke": color, "strokeWidth": STROKE_PX}
    place = {"left": x * width, "top": y * height, "originX": "center", "originY": "center"}
    return {"type": "Circle", "radius": POINT_RADIUS_PX, "startAngle": 0, "endAngle": 360} | place | look


def _number_shape(number: int) -> dict[str, Any]:
    """The canvas reports of a shape what it was handed, so a number that must come back is written as a place."""
    place = {"left": number, "top": 0, "width": 0, "height": 0, "originX": "left", "originY": "top"}
    return {"type": "Rect", "visible": False, "strokeWidth": 0} | place


def _circle_centre(shape: dict[str, Any]) -> tuple[float, float]:
    """A point drawn by a person has its origin at the left edge, one drawn from here at its centre."""
    reach = float(shape.get("radius", 0)) * float(shape.get("scaleX", 1)) + float(shape.get("strokeWidth", 0)) / 2
    x, y = float(shape["left"]), float(shape["top"])
    return (x + reach if shape.get("originX") == "left" else x), (y + reach if shape.get("originY") == "top" else y)


def _share(position: float, size: int) -> float:
    return round(min(1.0, max(0.0, position / size)), 5)
