"""Measures of masks agree with their definitions and, where there is one, with the official code."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import tests.parity.official  # noqa: F401  (the official packages import beside a CPU build of torch only after it)
from samkit.media.masks import (
    boundary_pixels,
    connected_regions,
    contours,
    innermost_point,
    mask_area,
    mask_box,
    mask_iou,
    stability_score,
)

shapes = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)
some_masks = arrays(bool, shapes)
some_logits = arrays(np.float32, shapes, elements=st.floats(-20, 20, width=32))
mask_pairs = shapes.flatmap(lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape)))


@given(some_logits, st.sampled_from([-2.0, 0.0, 0.5]), st.sampled_from([0.25, 1.0, 2.0]))
def test_stability_score_is_the_official_one(logits, threshold, offset):
    from segment_anything.utils.amg import calculate_stability_score

    score = stability_score(logits, threshold, offset)
    assert 0 <= score <= 1
    official_score = calculate_stability_score(torch.from_numpy(logits)[None], threshold, offset)[0].item()
    if np.isnan(official_score):
        assert score == 0.0 and not (logits > threshold - offset).any()
    else:
        assert score == pytest.approx(official_score, abs=1e-6)


@given(some_masks)
def test_logits_far_from_the_threshold_are_stable(mask):
    assert stability_score(np.where(mask, 10.0, -10.0)) == (1.0 if mask.any() else 0.0)


@given(mask_pairs)
def test_iou(pair):
    a, b = pair
    assert mask_iou(a, b) == mask_iou(b, a)
    assert 0 <= mask_iou(a, b) <= 1
    assert mask_iou(a, a) == 1.0
    if (a | b).any():
        assert mask_iou(a, b) == pytest.approx((a & b).sum() / (a | b).sum())


def test_iou_of_empty_masks_and_of_other_shapes():
    empty, full = np.zeros((3, 3), bool), np.ones((3, 3), bool)
    assert mask_iou(empty, empty) == 1.0
    assert mask_iou(empty, full) == 0.0
    with pytest.raises(ValueError, match="can't be compared"):
        mask_iou(empty, np.zeros((3, 4), bool))


def ring():
    mask = np.zeros((10, 12), bool)
    mask[2:8, 3:10] = True
    mask[4:6, 5:8] = False
    return mask


def test_contours_go_around_regions_and_holes():
    outlines = contours(ring())
    assert len(outlines) == 2
    boxes = sorted((*outline.min(axis=0), *outline.max(axis=0)) for outline in outlines)
    assert boxes == [(3, 2, 9, 7), (4, 3, 8, 6)], "the hole's outline lies on the mask's pixels around it"
    assert outlines[0].dtype == np.float32
    assert contours(np.zeros((4, 4), bool)) == []


@given(some_masks)
def test_contour_points_lie_on_the_mask(mask):
    for outline in contours(mask):
        x, y = outline.astype(int).T
        assert mask[y, x].all()


def test_boundary_pixels():
    mask = np.zeros((5, 5), bool)
    mask[1:5, 1:4] = True
    expected = mask.copy()
    expected[2:4, 2] = False
    assert np.array_equal(boundary_pixels(mask), expected)


@given(some_masks)
def test_regions_make_up_the_mask(mask):
    regions = connected_regions(mask)
    together = np.zeros(mask.shape, int)
    for region in regions:
        together += region.mask
        assert region.area == mask_area(region.mask) > 0
        assert region.box == mask_box(region.mask)
        y, x = np.nonzero(region.mask)
        assert region.centroid == pytest.approx((x.mean(), y.mean()))
    assert np.array_equal(together, mask)
    assert [region.area for region in regions] == sorted((region.area for region in regions), reverse=True)
    assert [region.area for region in connected_regions(mask, min_area=3)] == [
        region.area for region in regions if region.area >= 3
    ]


@given(some_masks)
def test_the_innermost_point_is_the_farthest_from_all_that_is_outside(mask):
    point = innermost_point(mask)
    if not mask.any():
        assert point is None
        return
    outside = np.argwhere(~np.pad(mask, 1)) - 1
    distances = {(x, y): np.hypot(outside[:, 0] - y, outside[:, 1] - x).min() for y, x in np.argwhere(mask)}
    assert mask[point[1], point[0]] and distances[point] == pytest.approx(max(distances.values()))


def test_corners_connect():
    assert len(connected_regions(np.eye(4, dtype=bool))) == 1


def test_box_of_an_empty_mask():
    assert mask_box(np.zeros((3, 3), bool)) is None
