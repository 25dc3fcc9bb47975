"""Masks as a COCO annotation file, which labelling tools and training code read."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from samkit.media.masks import mask_area, mask_box
from samkit.media.outline import mask_to_polygons
from samkit.media.rle import mask_to_rle


def coco_image(name: str, size: tuple[int, int], number: int = 1) -> dict[str, Any]:
    """size: (height, width) in pixels. number: the image's id."""
    return {"id": number, "file_name": name, "height": size[0], "width": size[1]}


def coco_annotation(
    mask: np.ndarray, number: int = 1, image: int = 1, polygons: bool = False, **more: float
) -> dict[str, Any]:
    """The bool [H, W] mask in its picture's pixels. number: its id; image: that of its picture; more: what else is said
    of it, such as score.

    polygons: one for each region, holes cut in, where run lengths are not read; both give the same pixels
    """
    x1, y1, x2, y2 = mask_box(mask) or (0, 0, 0, 0)
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "iscrowd": 0,
        "segmentation": mask_to_polygons(mask) if polygons else mask_to_rle(mask),
        "area": mask_area(mask),
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        **more,
    }


def coco_file(
    images: Sequence[Mapping[str, Any]], annotations: Sequence[Mapping[str, Any]], category: str = "object"
) -> bytes:
    """All of one category, as JSON."""
    return json.dumps(
        {
            "images": list(images),
            "categories": [{"id": 1, "name": category}],
            "annotations": list(annotations),
        }
    ).encode()
