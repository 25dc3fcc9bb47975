"""An outline drawn back is the mask it was made of, holes and corners included."""

import re
import xml.etree.ElementTree as ElementTree

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from samkit.media.outline import mask_to_polygons, mask_to_svg, outline_loops

some_masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20))
FINE = 4
"""OpenCV fills polygons and their edge: of pixels drawn so many times larger the middle is on no edge."""


def ring(height: int = 60, width: int = 90) -> np.ndarray:
    """A disk with a hole, and a disk in the hole that has one of its own."""
    mask = np.zeros((height, width), np.uint8)
    for radius, value in ((28, 1), (20, 0), (12, 1), (5, 0)):
        cv2.circle(mask, (width // 2, height // 2), radius, value, -1)
    return mask.astype(bool)


def svg_loops(svg: bytes) -> list[np.ndarray]:
    """The closed paths of an SVG file, read as a browser reads M, H, V and Z."""
    path = next(element for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("path"))
    assert path.get("fill-rule") == "evenodd"
    loops: list[list[tuple[int, int]]] = []
    for letter, numbers in re.findall(r"([MHVZ])([-\d ]*)", path.get("d") or ""):
        values = [int(number) for number in numbers.split()]
        if letter == "M":
            loops.append([(values[0], values[1])])
        elif letter == "H":
            loops[-1].append((values[0], loops[-1][-1][1]))
        elif letter == "V":
            loops[-1].append((loops[-1][-1][0], values[0]))
    return [np.array(loop, np.int32) for loop in loops]


def filled(loops: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """bool [H, W]: the loops filled, even-odd, by OpenCV."""
    fine = np.zeros((FINE * size[0] + 1, FINE * size[1] + 1), np.uint8)
    cv2.fillPoly(fine, [FINE * loop for loop in loops], 1)
    return fine[FINE // 2 :: FINE, FINE // 2 :: FINE][: size[0], : size[1]].astype(bool)


@given(some_masks)
def test_an_svg_file_draws_the_mask(mask):
    svg = mask_to_svg(mask)
    root = ElementTree.fromstring(svg)
    assert root.get("viewBox") == f"0 0 {mask.shape[1]} {mask.shape[0]}"
    assert np.array_equal(filled(svg_loops(svg), mask.shape), mask)


@given(some_masks)
def test_polygons_are_the_mask_to_coco_one_for_each_region(mask):
    polygons = mask_to_polygons(mask)
    regions, _ = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    assert len(polygons) == regions - 1
    if polygons:
        drawn = coco.decode(coco.merge(coco.frPyObjects(polygons, *mask.shape)))
        assert np.array_equal(drawn.astype(bool), mask)


def test_a_ring_in_a_ring():
    mask = ring()
    assert np.array_equal(filled(svg_loops(mask_to_svg(mask)), mask.shape), mask)
    polygons = mask_to_polygons(mask)
    assert len(polygons) == 2, "a hole is no region of its own"
    assert np.array_equal(coco.decode(coco.merge(coco.frPyObjects(polygons, *mask.shape))).astype(bool), mask)


def test_an_outline_follows_the_edges_of_pixels():
    mask = np.zeros((5, 6), bool)
    mask[1:3, 2:5] = True
    (loop,) = outline_loops(mask)
    assert loop.tolist() == [[2, 1], [5, 1], [5, 3], [2, 3]]


@pytest.mark.parametrize("mask", [np.zeros((3, 4), bool), np.ones((3, 4), bool), np.ones((1, 1), bool)])
def test_nothing_and_everything(mask):
    svg = mask_to_svg(mask)
    assert np.array_equal(filled(svg_loops(svg), mask.shape), mask)
    assert bool(mask_to_polygons(mask)) == bool(mask.any())
