"""Views of many things in one picture: regions outlined and masks filled, each in a colour of its own; and their masks
as a COCO file.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from samkit.media.coco import coco_annotation, coco_file, coco_image
from samkit.media.pictures import Picture

GOLDEN_ANGLE = 137.508


def object_color(number: int) -> tuple[int, int, int]:
    """RGB, as unlike its neighbours' as can be."""
    hue = (number * GOLDEN_ANGLE) % 360 / 2
    value = np.array([[[hue, 190 + 40 * (number % 2), 235]]]).astype(np.uint8)
    red, green, blue = (int(channel) for channel in cv2.cvtColor(value, cv2.COLOR_HSV2RGB)[0, 0])
    return red, green, blue


def regions_image(picture: Picture, labels: np.ndarray, count: int) -> np.ndarray:
    """uint8 [h, w, 3], the picture at the size of the labels (int [h, w]), with each region's outline in its colour."""
    rgb = cv2.resize(picture.rgb, labels.shape[::-1], interpolation=cv2.INTER_AREA)
    for number in range(1, count + 1):
        outlines, _ = cv2.findContours((labels == number).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(rgb, outlines, -1, object_color(number), thickness=2)
    return rgb


def objects_image(picture: Picture, masks: Mapping[int, np.ndarray]) -> np.ndarray:
    """uint8 [H, W, 3]: every mask, bool [H, W] by its number, in its region's colour, the largest first, so that none
    hides another; its number at its middle.
    """
    rgb = picture.rgb.copy()
    for number in sorted(masks, key=lambda number: -int(masks[number].sum())):
        color = object_color(number)
        mask = masks[number]
        rgb[mask] = np.rint(rgb[mask] * 0.5 + np.array(color) * 0.5).astype(np.uint8)
        outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(rgb, outlines, -1, color, thickness=max(1, round(max(mask.shape) / 400)))
    size = max(0.35, picture.size[0] / 700)
    for number, mask in masks.items():
        row, column = np.argwhere(mask).mean(axis=0).round().astype(int)
        for tint, width in (((0, 0, 0), 4), ((255, 255, 255), 1)):
            place, thickness = (int(column), int(row)), max(1, round(width * max(0.5, size)))
            cv2.putText(rgb, str(number), place, cv2.FONT_HERSHEY_SIMPLEX, size, tint, thickness, cv2.LINE_AA)
    return rgb


def coco_json(picture: Picture, masks: Mapping[int, np.ndarray], rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The masks as a COCO annotation file of one picture; ids are the rows' object numbers, score is the predicted
    IoU.
    """
    annotations = []
    for number, mask in masks.items():
        row = next(row for row in rows if row["object"] == number)
        more = {"score": row["predicted_iou"], "similarity": row["similarity"]}
        annotations.append(coco_annotation(mask, number, **more))
    return coco_file([coco_image(picture.name, picture.size)], annotations, "similar")
