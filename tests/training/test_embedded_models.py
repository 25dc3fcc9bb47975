"""What a person notices about the models that come with the app, on pictures that no run has seen: scikit-image's.

The objects' true masks: coins lie on a darker ground and are found by watershed; the horse is a silhouette.
"""

import numpy as np
import pytest
from scipy import ndimage
from skimage.filters import sobel
from skimage.segmentation import watershed

import samkit
from samkit.media.samples import load_sample
from samkit.models.files.catalogue import catalogue
from training.evaluate import click_at, mask_iou, rank_correlation, tight_box
from training.prompts import innermost_pixel

SMALLEST_COIN = 500
"""Pixels; what is smaller is dirt."""


@pytest.fixture(scope="module", params=[entry.name for entry in catalogue() if entry.embedded])
def model(request):
    return samkit.load_model(request.param, device="cpu")


@pytest.fixture(scope="module")
def coins() -> tuple[np.ndarray, list[np.ndarray]]:
    """The picture and the 24 coins, top to bottom."""
    rgb = load_sample("coins").rgb
    grey = rgb[..., 0].astype(float)
    seeds = np.where(grey < 30, 1, np.where(grey > 150, 2, 0))
    numbers, _ = ndimage.label(ndimage.binary_fill_holes(watershed(sobel(grey), seeds) == 2))
    masks = [numbers == number for number in range(1, numbers.max() + 1)]
    return rgb, [mask for mask in masks if mask.sum() > SMALLEST_COIN]


@pytest.fixture(scope="module")
def horse() -> tuple[np.ndarray, np.ndarray]:
    rgb = load_sample("horse").rgb
    return rgb, rgb[..., 0] < 128


def click(mask: np.ndarray, label: int = 1) -> tuple[float, float, int]:
    """In the middle of an object."""
    return click_at(innermost_pixel(mask), label, mask.shape)


def test_a_click_in_the_middle_of_a_clear_object_gives_the_object(model, horse):
    rgb, mask = horse
    prediction = model.predict_masks(model.encode_image(rgb), samkit.Prompts(points=[click(mask)]))
    assert mask_iou(prediction.mask(prediction.best), mask) > 0.88


def test_a_click_on_one_of_many_alike_gives_that_one(model, coins):
    rgb, masks = coins
    encoding = model.encode_image(rgb)
    predictions = [model.predict_masks(encoding, samkit.Prompts(points=[click(mask)])) for mask in masks]
    chosen = [
        mask_iou(prediction.mask(prediction.best), mask) for prediction, mask in zip(predictions, masks, strict=True)
    ]
    best = [
        max(mask_iou(prediction.mask(index), mask) for index in range(4))
        for prediction, mask in zip(predictions, masks, strict=True)
    ]
    assert np.mean(best) > 0.7 and np.mean(chosen) > 0.7


def test_a_box_gives_what_is_in_it(model, coins):
    rgb, masks = coins
    encoding = model.encode_image(rgb)
    ious = [
        mask_iou(model.predict_masks(encoding, samkit.Prompts(boxes=[tight_box(mask)])).mask(0), mask) for mask in masks
    ]
    assert np.mean(ious) > 0.85 and min(ious) > 0.7


def test_a_background_point_removes(model, coins):
    """Of two neighbours in one box, or beside a click."""
    rgb, masks = coins
    encoding = model.encode_image(rgb)
    neighbours = [pair for pair in zip(masks, masks[1:], strict=False) if abs(np.subtract(*map(middle_row, pair))) < 20]
    assert len(neighbours) > 15
    for begin in (
        lambda left, right: samkit.Prompts(boxes=[tight_box(left | right)]),
        lambda left, right: samkit.Prompts(points=[click(left)]),
    ):
        shares = []
        for left, right in neighbours:
            mask = model.predict_masks(encoding, begin(left, right).with_point(*click(right, 0))).mask(0)
            shares.append(((mask & left).sum() / left.sum(), (mask & right).sum() / right.sum()))
        kept, left_in = np.median(shares, axis=0)
        assert kept > 0.8 and left_in < 0.2


def middle_row(mask: np.ndarray) -> float:
    return np.flatnonzero(mask.any(1)).mean()


def test_predicted_iou_ranks_masks_and_the_masks_of_a_click_differ(model, coins):
    rgb, masks = coins
    encoding, pairs, areas = model.encode_image(rgb), [], []
    for mask in masks:
        for prompts in (samkit.Prompts(points=[click(mask)]), samkit.Prompts(boxes=[tight_box(mask)])):
            prediction = model.predict_masks(encoding, prompts)
            pairs += [(float(prediction.iou[index]), mask_iou(prediction.mask(index), mask)) for index in range(4)]
            if prompts.points:
                areas.append(sorted(int(prediction.mask(index).sum()) for index in (1, 2, 3)))
    assert rank_correlation(np.array(pairs)) > 0.6
    assert np.median([smallest / max(1, largest) for smallest, _, largest in areas]) < 0.7


@pytest.mark.parametrize("side", [256, 512, 768, 1024])
def test_other_sides_degrade_gently(model, coins, horse, side):
    for rgb, masks in (coins, (horse[0], [horse[1]])):
        encoding = model.encode_image(rgb, side=side)
        assert (
            np.mean(
                [
                    mask_iou(model.predict_masks(encoding, samkit.Prompts(boxes=[tight_box(mask)])).mask(0), mask)
                    for mask in masks
                ]
            )
            > 0.8
        )


@pytest.mark.parametrize("factor", [0.5, 2])
def test_other_windows_degrade_gently(model, coins, factor):
    rgb, masks = coins
    encoding = model.encode_image(
        rgb, window_sizes=tuple(max(1, round(window * factor)) for window in model.info.window_sizes)
    )
    assert (
        np.mean(
            [
                mask_iou(model.predict_masks(encoding, samkit.Prompts(boxes=[tight_box(mask)])).mask(0), mask)
                for mask in masks
            ]
        )
        > 0.8
    )
