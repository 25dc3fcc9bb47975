"""Refine edges: it moves the unsure part of an edge to the picture's, leaves what is sure alone, answers everything,
and is the same every time.
"""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from samkit.media.masks import mask_iou
from samkit.media.refine import SURE_LOGIT, hull_box, refine_edges
from samkit.media.samples import load_sample


def disc(height: int = 120, width: int = 160, radius: float = 40, x: float = 80, y: float = 60) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def scene(height: int = 120, width: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """A red disc on a green ground with a little noise, and where it is."""
    mask = disc(height, width, 0.33 * height, width / 2, height / 2)
    rgb = np.where(mask[..., None], (200, 60, 50), (60, 170, 80)) + np.random.default_rng(0).normal(
        0, 8, (height, width, 3)
    )
    return rgb.clip(0, 255).astype(np.uint8), mask


def soft(mask: np.ndarray, slope: float = 0.2) -> np.ndarray:
    """Logits that rise by `slope` a pixel from the mask's edge inwards: float32 [H, W]."""
    within = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    without = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    return (slope * (within - without)).astype(np.float32)


def test_an_edge_that_is_off_moves_to_the_pictures():
    rgb, truth = scene()
    logits = soft(disc(radius=46, x=84, y=58))
    assert mask_iou(logits > 0, truth) < 0.8 < 0.97 < mask_iou(refine_edges(rgb, logits), truth)


def test_large_pictures_are_refined_too():
    rgb, truth = scene(900, 1200)
    logits = soft(disc(900, 1200, 340, 620, 440), 0.03)
    refined = refine_edges(rgb, logits)
    assert refined.shape == truth.shape and mask_iou(logits > 0, truth) < 0.85 and mask_iou(refined, truth) > 0.97


def test_what_is_sure_stays():
    logits = soft(disc(radius=30), 1.0)
    refined = refine_edges(load_sample("coffee").rgb[:120, :160], logits)
    assert refined[logits > SURE_LOGIT].all() and not refined[logits < -SURE_LOGIT].any()


def test_nothing_is_left_outside_the_box():
    rgb, truth = scene()
    stray = disc(radius=10, x=145, y=15)
    logits = soft(truth | stray)
    assert refine_edges(rgb, np.where(stray, 9, logits))[stray].all()
    refined = refine_edges(rgb, np.where(stray, 9, logits), (0.2, 0.1, 0.8, 0.9))
    assert mask_iou(refined, truth) > 0.97 and not refined[:, 128:].any()


def test_the_same_every_time_and_in_any_thread():
    rgb = load_sample("chelsea").rgb
    logits = soft(disc(*rgb.shape[:2], 110, 200, 150), 0.04)
    first = refine_edges(rgb, logits)
    cv2.setRNGSeed(12345)
    assert (refine_edges(rgb, logits) == first).all()
    with ThreadPoolExecutor(4) as pool:
        assert all((mask == first).all() for mask in pool.map(lambda _: refine_edges(rgb, logits), range(4)))


def test_the_arguments_stay_as_they_are():
    rgb, truth = scene()
    logits = soft(truth)
    before = rgb.copy(), logits.copy()
    refine_edges(rgb, logits, (0.1, 0.1, 0.9, 0.9))
    assert (rgb == before[0]).all() and (logits == before[1]).all()


@pytest.mark.parametrize(
    ("logits", "box"),
    [
        (np.full((60, 80), -9.0), None),
        (np.full((60, 80), 9.0), None),
        (np.full((60, 80), 0.5), None),
        (np.where(disc(60, 80, 1, 40, 30), 1.0, -1.0), None),
        (np.where(disc(60, 80, 8, 20, 20), 1.0, -1.0), (0.9, 0.9, 1.0, 1.0)),
        (np.where(disc(3, 4, 1, 2, 1), 1.0, -1.0), None),
        (np.ones((1, 1)), (0.0, 0.0, 1.0, 1.0)),
    ],
    ids=["empty", "full", "full but unsure", "a few pixels", "box elsewhere", "tiny picture", "one pixel"],
)
def test_where_there_is_nothing_to_learn_the_mask_comes_back(logits, box):
    rgb = np.random.default_rng(0).integers(0, 256, (*logits.shape, 3), dtype=np.uint8)
    assert (refine_edges(rgb, logits.astype(np.float32), box) == (logits > 0)).all()


@settings(max_examples=60)
@given(
    arrays(np.float32, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.floats(-6, 6, width=32)),
    st.sampled_from([None, (0.0, 0.0, 1.0, 1.0), (0.2, 0.1, 0.7, 0.9), (0.5, 0.5, 0.51, 0.51)]),
    st.booleans(),
)
def test_any_logits_are_answered(logits, box, plain):
    rgb = (
        np.zeros((*logits.shape, 3), np.uint8)
        if plain
        else np.random.default_rng(1).integers(0, 256, (*logits.shape, 3), dtype=np.uint8)
    )
    refined = refine_edges(rgb, logits, box)
    assert refined.shape == logits.shape and refined.dtype == bool


def test_another_pictures_logits_are_refused():
    with pytest.raises(ValueError, match="don't lie on a picture"):
        refine_edges(np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4), np.float32))


def test_several_boxes_have_one_hull():
    assert hull_box(()) is None
    assert hull_box([(0.2, 0.3, 0.4, 0.5), (0.1, 0.4, 0.3, 0.9)]) == (0.1, 0.3, 0.4, 0.9)
