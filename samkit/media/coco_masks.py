"""Masks out of a COCO annotation file that somebody else wrote: polygons and run lengths alike."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pycocotools import mask as coco

from samkit.errors import PictureError
from samkit.media.pictures import MAX_PIXELS
from samkit.media.rle import mask_to_rle, rle_to_mask

MAX_POINTS = 100_000
"""Corners of one object's polygons."""


def annotation_rle(segmentation: Any, size: tuple[int, int]) -> dict[str, Any]:
    """The `segmentation` of a COCO annotation as compressed run lengths, ready for JSON.

    size: (height, width) of its picture in pixels. Raises PictureError for what is no mask of that size.
    """
    height, width = size
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise PictureError(f"A COCO picture of {width} x {height} pixels can't be read.")
    if isinstance(segmentation, list):
        return _of_polygons(segmentation, height, width)
    if not isinstance(segmentation, Mapping) or segmentation.get("size") not in ([height, width], (height, width)):
        raise PictureError(f"A COCO mask must have its picture's size, {width} x {height} pixels.")
    counts = segmentation.get("counts")
    if isinstance(counts, list):
        return _of_runs(counts, height, width)
    return mask_to_rle(rle_to_mask(segmentation))


def _of_polygons(polygons: list[Any], height: int, width: int) -> dict[str, Any]:
    corners = []
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise PictureError("A COCO polygon is a list of at least three corners, x1, y1, x2, y2 and so on.")
        if not all(isinstance(value, int | float) and abs(value) < 1e300 for value in polygon):
            raise PictureError("A COCO polygon holds something else than numbers.")
        # A corner far outside would cost pycocotools memory for all the pixels on the way to it.
        clipped = np.clip(np.reshape(polygon, (-1, 2)).astype(float), (-1, -1), (width + 1, height + 1))
        corners.append(clipped.ravel().tolist())
    if not corners or sum(map(len, corners)) > 2 * MAX_POINTS:
        raise PictureError(f"A COCO object has between one polygon and {MAX_POINTS} corners.")
    merged = coco.merge(coco.frPyObjects(corners, height, width))
    return mask_to_rle(coco.decode(merged).astype(bool))


def _of_runs(counts: list[Any], height: int, width: int) -> dict[str, Any]:
    """counts: lengths of runs of 0 and 1 in turn, down the columns."""
    whole = all(isinstance(run, int) and run >= 0 for run in counts)
    if not whole or sum(counts) != height * width:
        raise PictureError(f"The runs of a COCO mask do not add up to {width} x {height} pixels.")
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return mask_to_rle(flat.reshape((height, width), order="F"))
