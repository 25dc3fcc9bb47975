"""Masks against the one that is right, and a mask hint in every experiment that predicts masks."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import samkit
from samkit.errors import PromptError
from samkit.experiments import cross_image, mask_stability, semantic_similarity, window_size
from samkit.experiments.inputs import Inputs
from samkit.experiments.measures.mask_curves import AREA_THRESHOLDS
from samkit.experiments.measures.truth import boundary_f_measure, true_iou_curve
from samkit.media.given_masks import MaskHint, Truth
from samkit.media.masks import mask_iou
from samkit.media.pictures import Picture
from samkit.prompts import Prompts
from samkit.work.lab import Lab
from tests.random_models import SMALL_SAM2, save_random_model
from training.video_measures import boundary_similarity

CLICK = Prompts([(0.4, 0.6, 1)])
A, B = (
    Picture(np.random.default_rng(seed).integers(0, 256, (90, 140, 3), dtype=np.uint8), name)
    for seed, name in ((1, "a"), (2, "b"))
)
SQUARE = np.zeros(A.size, bool)
SQUARE[20:60, 30:90] = True
IGNORE = np.zeros(A.size, bool)
IGNORE[55:70, 20:100] = True
ALONE = {
    "mask-stability": (mask_stability, {}),
    "window-size": (window_size, {"sweep_sizes": (4, 3)}),
    "semantic-similarity": (semantic_similarity, {}),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    return samkit.load_model(save_random_model(path, SMALL_SAM2, seed=3), device="cpu")


@pytest.mark.parametrize("name", ALONE)
def test_a_hint_changes_the_masks_and_is_a_prompt_by_itself(model, name):
    experiment, params = ALONE[name]
    hint = MaskHint(SQUARE)

    def masks(inputs):
        result = experiment.run(model, inputs, experiment.Params(mask_index=1, **params), Lab())
        return result.masks["mask_1"].pixels

    hinted = masks(Inputs(A, CLICK, mask_hint=hint))
    encoding = model.encode_image(A.rgb)
    assert np.array_equal(hinted, model.predict_masks(encoding, CLICK, SQUARE).mask(1))
    alone = masks(Inputs(A, mask_hint=hint))
    assert np.array_equal(alone, model.predict_masks(encoding, Prompts(), SQUARE).mask(1))
    plain = model.predict_masks(encoding, CLICK)
    assert not np.array_equal(hinted, plain.mask(1))
    again = masks(Inputs(A, CLICK, mask_hint=MaskHint(plain.logits[1].numpy())))
    assert np.array_equal(again, model.predict_masks(encoding, CLICK, plain.logits[1]).mask(1))


@pytest.mark.parametrize("name", ALONE)
def test_with_a_truth_every_mask_has_its_true_iou(model, name):
    experiment, params = ALONE[name]
    truth = Truth(SQUARE, IGNORE)
    result = experiment.run(model, Inputs(A, CLICK, truth=truth), experiment.Params(mask_index=2, **params), Lab())
    masks = [result.masks[f"mask_{index}"].pixels for index in range(4)]
    ious = [mask_iou(mask & ~IGNORE, SQUARE & ~IGNORE) for mask in masks]
    assert [row["true_iou"] for row in result.tables["masks"]] == ious
    assert result.value("true_iou") == ious[2] and result.value("true_iou_best") == max(ious)
    assert [result.value(f"true_iou_{index}") for index in range(4)] == ious
    assert result.metrics["true_iou"].better == "higher" and 0 <= result.value("true_boundary_f_measure") <= 1
    plain = experiment.run(model, Inputs(A, CLICK), experiment.Params(**params), Lab())
    assert not any("true" in name for name in (*plain.metrics, *plain.tables, *plain.tables["masks"][0]))


def test_the_curve_over_the_threshold_is_that_of_the_cut_masks(model):
    truth = Truth(SQUARE, IGNORE)
    result = mask_stability.run(model, Inputs(A, CLICK, truth=truth), mask_stability.Params(), Lab())
    prediction = model.predict_masks(model.encode_image(A.rgb), CLICK)
    rows = {row["threshold"]: row for row in result.tables["true_iou_curve"]}
    assert list(rows) == list(AREA_THRESHOLDS)
    for threshold in (-0.5, 0.0, 0.5):
        for index in range(4):
            assert rows[threshold][f"mask_{index}"] == truth.iou(prediction.mask(index, threshold=threshold))


def test_a_sweep_of_windows_has_true_ious(model):
    truth = Truth(SQUARE)
    params = window_size.Params(sweep_sizes=(4, 3))
    result = window_size.run(model, Inputs(A, CLICK, truth=truth), params, Lab())
    possible, refused = result.tables["sweep"]
    assert refused["refused"] and [refused[f"true_iou_{i}"] for i in range(4)] == [None] * 4
    for row in [possible]:
        encoding = model.encode_image(A.rgb, window_sizes=tuple(map(int, row["windows"].split())))
        prediction = model.predict_masks(encoding, CLICK)
        assert [row[f"true_iou_{i}"] for i in range(4)] == [truth.iou(prediction.mask(i)) for i in range(4)]
    assert result.value("default_true_iou") == result.tables["masks"][result.index()]["default_true_iou"]


@pytest.mark.parametrize("side", ["a", "b"])
def test_cross_image_has_a_hint_on_the_prompted_picture_and_a_truth_on_each(model, side):
    truths = Truth(SQUARE), Truth(~SQUARE)
    inputs = Inputs(A, CLICK, B, mask_hint=MaskHint(SQUARE), truth=truths[0], truth_b=truths[1])
    result = cross_image.run(model, inputs, cross_image.Params(prompt_on=side, jitter_copies=2), Lab())
    prompted, tracked = truths if side == "a" else truths[::-1]
    assert result.value("true_iou") == tracked.iou(result.masks["mask_tracked"].pixels)
    assert result.value("prompted_true_iou") == prompted.iou(result.masks["mask_prompted"].pixels)
    assert result.tables["passes"][0]["true_iou"] == result.value("true_iou")
    picture = A if side == "a" else B
    hinted = model.predict_masks(model.encode_image(picture.rgb), CLICK, SQUARE)
    assert np.array_equal(result.masks["mask_prompted_1"].pixels, hinted.mask(1))
    alone = replace(inputs, prompts=Prompts())
    cross_image.run(model, alone, cross_image.Params(prompt_on=side), Lab())
    with pytest.raises(PromptError, match="no prompt to move"):
        cross_image.run(model, alone, cross_image.Params(prompt_on=side, jitter_copies=2), Lab())


small_masks = arrays(bool, (18, 25))


@settings(deadline=None)
@given(small_masks, small_masks)
def test_the_boundary_f_measure_is_that_of_davis(mask, target):
    assert boundary_f_measure(mask, Truth(target)) == pytest.approx(boundary_similarity(mask, target))


@settings(deadline=None)
@given(
    arrays(np.float32, (1, 9, 7), elements=st.floats(-3, 3, width=16)),
    arrays(bool, (9, 7)),
    arrays(bool, (9, 7)),
)
def test_each_point_of_the_curve_is_the_iou_of_one_cut(logits, mask, ignore):
    thresholds = np.linspace(-3, 3, 13)
    truth = Truth(mask, ignore)
    curve = true_iou_curve(logits, truth, thresholds)[0]
    assert list(curve) == [truth.iou(logits[0] > np.float32(threshold)) for threshold in thresholds]
