"""Mask stability: its functions on arrays against plain loops over thresholds, and the whole experiment on real small
models.
"""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import samkit
from samkit.errors import EncodingError, ParamsError, PromptError
from samkit.experiments.inputs import Inputs
from samkit.experiments.mask_stability import Params, cut_rows, rescale_picture, rescaled, run
from samkit.experiments.measures.jitter import (
    jitter_map,
    jitter_prompts,
    jitter_shifts,
    jitter_spread_px,
    mean_pairwise_iou,
)
from samkit.experiments.measures.mask_curves import (
    AREA_THRESHOLDS,
    CURVE_SIDE_PX,
    area_curve,
    curve_deltas,
    sort_logits,
    stability_curve,
)
from samkit.experiments.measures.mask_logits import view_logits
from samkit.experiments.params import build_params, parse_value
from samkit.experiments.registry import ENTRIES, find_entry, find_experiment
from samkit.media.colormaps import COLORMAPS, colormap_table
from samkit.media.mask_views import VIEW_SIDE_PX, outlined, threshold_band
from samkit.media.masks import mask_iou, stability_score
from samkit.media.pictures import Picture
from samkit.media.refine import refine_edges
from samkit.media.samples import load_sample
from samkit.prompts import Prompts
from samkit.work.lab import Lab
from tests.random_models import SMALL_MODELS, save_random_model

RNG = np.random.default_rng(0)
PICTURE = Picture.from_array(RNG.integers(0, 256, (90, 140, 3), dtype=np.uint8), "noise.png")
CLICK = Prompts(points=[(0.4, 0.6, 1)])

logit_maps = arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(-25, 25, width=32))
thresholds = st.integers(-40, 40).map(lambda half: half / 2)


@pytest.fixture(scope="module", params=SMALL_MODELS)
def model(request, tmp_path_factory):
    path = save_random_model(
        tmp_path_factory.mktemp("models") / f"{request.param}.safetensors", SMALL_MODELS[request.param]
    )
    return samkit.load_model(path, device="cpu")


@given(logit_maps, thresholds, thresholds)
def test_band_is_black_below_white_above_and_coloured_between(logits, a, b):
    lower, upper = min(a, b), max(a, b)
    band = threshold_band(logits, lower, upper)
    table = {tuple(color) for color in colormap_table("viridis").tolist()}
    assert (band[logits >= upper] == 255).all()
    assert (band[(logits < lower) & (logits < upper)] == 0).all()
    assert all(tuple(color) in table for color in band[(logits >= lower) & (logits < upper)].tolist())


def test_band_runs_through_the_colour_scale_in_order():
    band = threshold_band(np.linspace(-1, 9, 2000, dtype=np.float32)[None], 0, 8, "grey")[0, :, 0].astype(int)
    assert (np.diff(band) >= 0).all() and len(np.unique(band)) > 250


@pytest.mark.parametrize("name", COLORMAPS)
def test_colormaps_are_tables_that_begin_and_end_differently(name):
    table = colormap_table(name)
    assert table.shape == (256, 3) and table.dtype == np.uint8 and not table.flags.writeable
    assert (table[0] != table[255]).any()
    if name not in ("turbo", "spectral"):  # these two are brightest in their middle
        brightness = table @ np.array([0.2126, 0.7152, 0.0722])
        assert (np.diff(brightness[::8]) > 0).all()


def test_viridis_is_rgb():
    np.testing.assert_allclose(colormap_table("viridis")[[0, 255]], [[68, 1, 84], [253, 231, 37]], atol=2)


@given(logit_maps)
def test_stability_curve_is_the_iou_of_the_two_cuts(logits):
    deltas = np.array([0, 0.5, 1, 2, 7.5])
    curve = stability_curve(sort_logits(logits), deltas)
    for delta, value in zip(deltas.tolist(), curve, strict=True):
        outer, inner = logits > -delta, logits > delta
        assert value == (mask_iou(outer, inner) if outer.any() else 0.0)
        assert value == stability_score(logits, offset=delta)


@given(logit_maps, thresholds)
def test_stability_curve_starts_at_one_and_never_rises(logits, threshold):
    curve = stability_curve(sort_logits(logits), curve_deltas(8.0), threshold)
    if (logits > threshold).any():
        assert curve[0] == 1.0
        assert (np.diff(curve) <= 0).all()


@given(logit_maps)
def test_area_curve_counts_pixels_and_never_rises(logits):
    curve = area_curve(sort_logits(logits))
    assert curve.tolist() == [
        np.count_nonzero(logits > threshold) / logits.size for threshold in AREA_THRESHOLDS.tolist()
    ]
    assert (np.diff(curve) <= 0).all()


def test_curves_take_several_masks_at_once_and_sample_large_ones():
    y, x = np.mgrid[:900, :1000]
    logits = np.stack([15 * np.sin(x / period + 1) * np.cos(y / period) for period in (40, 90, 200, 500)]).astype(
        np.float32
    )
    ordered = sort_logits(logits)
    assert ordered.shape == (4, 450 * 500) and max(logits.shape) > CURVE_SIDE_PX
    curve = area_curve(ordered)
    assert curve.shape == (4, len(AREA_THRESHOLDS))
    exact = np.array(
        [[np.count_nonzero(one > threshold) / one.size for threshold in AREA_THRESHOLDS.tolist()] for one in logits]
    )
    np.testing.assert_allclose(curve, exact, atol=2e-3)


def test_scale_one_is_the_picture_itself():
    assert rescale_picture(PICTURE.rgb, 1.0) is PICTURE.rgb
    assert rescaled(PICTURE, 1.0) is PICTURE


@pytest.mark.parametrize("scale", [0.001, 0.1, 0.5, 0.73, 1.5, 2.0])
def test_rescaling_keeps_the_size(scale):
    result = rescale_picture(PICTURE.rgb, scale)
    assert result.shape == PICTURE.rgb.shape and result.dtype == np.uint8


def test_a_smaller_scale_loses_more_detail():
    detail = [
        float(np.abs(np.diff(rescale_picture(PICTURE.rgb, scale).astype(int), axis=1)).mean())
        for scale in (1.0, 0.5, 0.25, 0.1)
    ]
    assert detail == sorted(detail, reverse=True) and detail[-1] < 0.2 * detail[0]


def test_rescaling_does_not_move_the_picture():
    rgb = np.zeros((64, 64, 3), np.uint8)
    rgb[16:48, 24:40] = 255
    for scale in (0.25, 0.5, 2.0):
        result = rescale_picture(rgb, scale)[..., 0] > 127
        assert mask_iou(result, rgb[..., 0] > 127) > 0.95


def test_outline_leaves_the_picture_alone_and_marks_the_border():
    mask = np.zeros(PICTURE.size, bool)
    mask[20:60, 30:90] = True
    before = PICTURE.rgb.copy()
    drawn = outlined(PICTURE.rgb, mask)
    assert (PICTURE.rgb == before).all()
    changed = (drawn != PICTURE.rgb).any(axis=2)
    assert changed[20, 40] and not changed[40, 60] and not changed[5, 5]


def test_jitter_shifts_are_seeded_scaled_and_begin_alike():
    shifts = jitter_shifts(200, 4.0, seed=3)
    assert (shifts == jitter_shifts(200, 4.0, seed=3)).all() and (shifts != jitter_shifts(200, 4.0, seed=4)).any()
    assert (jitter_shifts(10, 4.0, seed=3) == shifts[:10]).all()
    assert 3.2 < shifts.std() < 4.8 and (jitter_shifts(5, 0.0, seed=3) == 0).all()


def test_jitter_moves_by_original_pixels():
    (moved,) = jitter_prompts(Prompts(points=[(0.5, 0.5, 1)]), np.array([[10.0, -20.0]]), (100, 200))
    assert moved.points == ((0.55, 0.3, 1),)


@given(arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 5))))
def test_jitter_map_and_pairwise_iou_against_plain_loops(masks):
    np.testing.assert_allclose(jitter_map(list(masks)).astype(float), masks.mean(axis=0), atol=1e-3)
    pairs = [mask_iou(masks[i], masks[j]) for i in range(len(masks)) for j in range(i)]
    assert mean_pairwise_iou(masks) == pytest.approx(np.mean(pairs) if pairs else 1.0)


def test_run_gives_what_it_promises(model):
    result = run(model, Inputs(PICTURE, CLICK), Params(), Lab())
    assert result.experiment == "mask-stability"
    assert set(result.masks) == {"mask_0", "mask_1", "mask_2", "mask_3", "mask_chosen", "mask_core"}
    assert all(
        mask.pixels.shape == PICTURE.size and mask.pixels.dtype == bool and mask.on == "image"
        for mask in result.masks.values()
    )
    assert set(result.images) == {"original", "prediction", "binary", "band_0", "band_1", "band_2", "band_3"}
    assert all(image.shape == (*PICTURE.size, 3) and image.dtype == np.uint8 for image in result.images.values())
    assert result.arrays["logits"].shape == (4, 32, 32) and result.arrays["logits"].dtype == np.float32
    numbers = (*(metric.value for metric in result.metrics.values()), *result.timings.values())
    assert all(type(value) is float and np.isfinite(value) for value in numbers)
    assert result.facts == {"mask_index": result.index()} and type(result.facts["mask_index"]) is int
    assert sum(metric.key for metric in result.metrics.values()) == 3
    assert ("object_score" in result.metrics) == (model.info.family == "sam2")
    assert len(result.tables["masks"]) == 4 and "jitter" not in result.tables and "iou_unscaled" not in result.metrics


def test_run_agrees_with_the_model_and_the_media_functions(model):
    prediction = model.predict_masks(model.encode_image(PICTURE.rgb), CLICK)
    result = run(model, Inputs(PICTURE, CLICK), Params(stability_offset=0.1), Lab())
    assert (view_logits(prediction) == np.stack([prediction.logits_at(i) for i in range(4)])).all()
    assert result.index() == prediction.best
    for i in range(4):
        logits = prediction.logits_at(i)
        assert (result.masks[f"mask_{i}"].pixels == (logits > 0)).all()
        assert (result.images[f"band_{i}"] == threshold_band(logits, -2, 2)).all()
        assert result.value(f"stability_score_{i}") == stability_score(logits)
        assert result.value(f"stability_at_0.1_mask_{i}") == stability_score(logits, offset=0.1)
        assert result.tables["masks"][i]["stability_at_0.1"] == stability_score(logits, offset=0.1)
        assert result.tables["masks"][i]["area_px"] == np.count_nonzero(logits > 0)
    assert (result.images["binary"][..., 0] == np.where(result.masks["mask_chosen"].pixels, 255, 0)).all()


def test_the_cuts_say_how_much_larger_and_smaller_the_mask_gets():
    logits = np.concatenate([np.full(50, -5.0), np.full(10, -1.0), np.full(30, 1.0), np.full(10, 5.0)])[None]
    rows = cut_rows(logits, -2, 2)
    assert [row["threshold"] for row in rows] == [-2, 0, 2]
    assert [row["area_share"] for row in rows] == [0.5, 0.4, 0.1]
    assert [row["of_mask"] for row in rows] == [1.25, 1.0, 0.25]
    assert [row["threshold"] for row in cut_rows(logits, 0, 8)] == [0, 8]
    assert all(row["of_mask"] is None for row in cut_rows(logits - 9, -2, 2))


def test_jitter_is_in_per_cent_of_the_longer_side_unless_pixels_are_given():
    assert jitter_spread_px(1.0, None, (3000, 4000)) == 40.0 and jitter_spread_px(1.0, 6.0, (3000, 4000)) == 6.0


def test_jitter_in_per_cent_moves_as_the_same_pixels_do(model):
    share = run(model, Inputs(PICTURE, CLICK), Params(jitter_copies=2, jitter_percent=2.0), Lab())
    pixels = 2.0 / 100 * max(PICTURE.size)
    same = run(model, Inputs(PICTURE, CLICK), Params(jitter_copies=2, jitter_px=pixels), Lab())
    assert share.tables["jitter"] == same.tables["jitter"]


def test_logits_for_a_screen_cover_the_picture_alone(model):
    prediction = model.predict_masks(model.encode_image(PICTURE.rgb), CLICK)
    logits = run(model, Inputs(PICTURE, CLICK), Params(), Lab()).arrays["picture_logits"]
    assert logits.dtype == np.float16
    np.testing.assert_allclose(logits[2], prediction.logits_at(2, logits.shape[1:]), rtol=1e-3, atol=1e-3)


def test_the_chosen_mask_is_the_users(model):
    for index in range(4):
        result = run(
            model, Inputs(PICTURE, CLICK), Params(mask_index=index, lower_threshold=-0.2, upper_threshold=0.1), Lab()
        )
        assert result.index() == index
        assert (result.masks["mask_chosen"].pixels == result.masks[f"mask_{index}"].pixels).all()
        assert not (result.masks["mask_core"].pixels & ~result.masks["mask_chosen"].pixels).any()


def test_loss_of_detail_is_compared_with_the_full_picture_and_encodes_twice(model, calls):
    lab = Lab()
    full = run(model, Inputs(PICTURE, CLICK), Params(), lab)
    assert calls["encode_image"] == 1
    coarse = run(model, Inputs(PICTURE, CLICK), Params(input_scale=0.1), lab)
    assert calls["encode_image"] == 2
    chosen = coarse.index()
    assert coarse.value("iou_unscaled") == mask_iou(
        coarse.masks["mask_chosen"].pixels, full.masks[f"mask_{chosen}"].pixels
    )
    assert [row["iou_unscaled"] for row in coarse.tables["masks"]] == [
        mask_iou(coarse.masks[f"mask_{i}"].pixels, full.masks[f"mask_{i}"].pixels) for i in range(4)
    ]


def test_knobs_of_the_view_need_no_encoding(model, calls):
    lab = Lab()
    for params in (
        Params(),
        Params(lower_threshold=-3, upper_threshold=1, colormap="magma", max_delta=2),
        Params(jitter_copies=3),
        Params(mask_index=0),
    ):
        run(model, Inputs(PICTURE, CLICK), params, lab)
    assert calls["encode_image"] == 1


def test_more_copies_begin_with_those_there_were(model, calls):
    lab, inputs = Lab(), Inputs(PICTURE, CLICK)
    run(model, inputs, Params(jitter_copies=3), lab)
    assert calls.taken() == {"encode_image": 1, "predict_masks": 1 + 3}
    run(model, inputs, Params(jitter_copies=5, mask_index=0), lab)
    assert calls.taken() == {"predict_masks": 2}


def test_jitter_map_of_a_run(model):
    params = Params(jitter_copies=6, jitter_px=5.0, seed=2)
    result = run(model, Inputs(PICTURE, CLICK), params, Lab())
    again = run(model, Inputs(PICTURE, CLICK), params, Lab())
    frequency = result.arrays["jitter_map"]
    assert (
        frequency.dtype == np.float16
        and frequency.shape == PICTURE.size
        and frequency.min() >= 0
        and frequency.max() <= 1
    )
    assert (frequency == again.arrays["jitter_map"]).all() and result.tables["jitter"] == again.tables["jitter"]
    assert len(result.tables["jitter"]) == 6 and result.images["jitter"].shape == (*PICTURE.size, 3)
    assert result.value("jitter_iou") == pytest.approx(np.mean([row["iou"] for row in result.tables["jitter"]]))
    encoding, chosen = model.encode_image(PICTURE.rgb), result.index()
    masks = [
        model.predict_masks(encoding, moved).mask(chosen)
        for moved in jitter_prompts(CLICK, jitter_shifts(6, 5.0, 2), PICTURE.size)
    ]
    assert (frequency == jitter_map(masks)).all()
    assert [row["iou"] for row in result.tables["jitter"]] == [
        mask_iou(mask, result.masks["mask_chosen"].pixels) for mask in masks
    ]


def test_unmoved_copies_agree_entirely(model):
    result = run(model, Inputs(PICTURE, CLICK), Params(jitter_copies=3, jitter_px=0), Lab())
    assert result.value("jitter_iou") == 1.0 and result.value("jitter_pairwise_iou") == 1.0
    assert (result.arrays["jitter_map"] == result.masks["mask_chosen"].pixels).all()


def test_refined_masks_are_named_measured_and_leave_the_logits_alone():
    model = samkit.load_model("nano-sam2", device="cpu")
    picture = load_sample("coffee")
    prompts = Prompts(points=[(0.4, 0.6, 1)], boxes=[(0.3, 0.1, 0.7, 0.6)])
    plain = run(model, Inputs(picture, prompts), Params(mask_index=1), Lab())
    refined = run(model, Inputs(picture, prompts), Params(mask_index=1, refine_edges=True), Lab())
    logits = model.predict_masks(model.encode_image(picture.rgb), prompts).logits_at(1)
    assert (refined.masks["mask_chosen"].pixels == refine_edges(picture.rgb, logits, prompts.boxes[0])).all()
    assert (
        refined.masks["mask_unrefined"].pixels == plain.masks["mask_chosen"].pixels
    ).all() and "mask_unrefined" not in plain.masks
    assert (
        refined.value("refine_iou")
        == mask_iou(refined.masks["mask_chosen"].pixels, plain.masks["mask_chosen"].pixels)
        < 1
    )
    assert refined.value("area_px") == np.count_nonzero(refined.masks["mask_chosen"].pixels)
    assert (refined.images["binary"][..., 0] == np.where(refined.masks["mask_chosen"].pixels, 255, 0)).all()
    for name in ("prediction", "band_1"):
        assert (refined.images[name] == plain.images[name]).all(), "the view of the logits stays the model's own"
    assert all((refined.arrays[name] == plain.arrays[name]).all() for name in plain.arrays)
    assert refined.tables["stability_curve"] == plain.tables["stability_curve"]
    again = run(model, Inputs(picture, prompts), Params(mask_index=1, refine_edges=True), Lab())
    assert all((again.masks[name].pixels == mask.pixels).all() for name, mask in refined.masks.items())
    assert again.metrics == refined.metrics


def test_no_prompt_is_answered_but_can_not_be_moved(model):
    assert run(model, Inputs(PICTURE), Params(), Lab()).masks["mask_chosen"].pixels.shape == PICTURE.size
    with pytest.raises(PromptError, match="no prompt to move"):
        run(model, Inputs(PICTURE), Params(jitter_copies=2), Lab())


def test_side_and_fit_reach_the_model(model):
    result = run(model, Inputs(PICTURE, CLICK), Params(side=256, fit="stretch"), Lab())
    assert result.arrays["logits"].shape == (4, 64, 64)
    with pytest.raises(EncodingError, match="33"):
        run(model, Inputs(PICTURE, CLICK), Params(side=33), Lab())


def test_large_pictures_are_drawn_small_and_masked_whole(model):
    picture = Picture.from_array(RNG.integers(0, 256, (300, 1500, 3), dtype=np.uint8), "wide.png")
    result = run(model, Inputs(picture, CLICK), Params(jitter_copies=2), Lab())
    assert all(mask.pixels.shape == (300, 1500) for mask in result.masks.values())
    assert all(max(image.shape) == VIEW_SIDE_PX for image in result.images.values())
    assert result.arrays["jitter_map"].shape == result.images["original"].shape[:2]


def test_progress_rises_to_the_end(model):
    seen = []
    lab = Lab(progress=lambda share, line: seen.append((share, line)))
    run(model, Inputs(PICTURE, CLICK), Params(input_scale=0.5, jitter_copies=2), lab)
    shares = [share for share, _ in seen]
    assert shares == sorted(shares) and shares[0] == 0.0 and shares[-1] == 1.0 and all(line for _, line in seen)


def test_everything_outside_the_model_is_quick(model):
    picture = Picture.from_array(RNG.integers(0, 256, (683, 1024, 3), dtype=np.uint8), "large.png")
    times = []
    for _ in range(5):
        start = time.thread_time()
        result = run(model, Inputs(picture, CLICK), Params(), Lab())
        times.append(1000 * (time.thread_time() - start) - result.timings["encode_ms"] - result.timings["decode_ms"])
    assert min(times) < 150


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"lower_thresold": 1}, 'There is no parameter "lower_thresold": did you mean lower_threshold'),
        ({"qqq": 1}, "there are side, fit, refine_edges, lower_threshold"),
        ({"lower_threshold": 9}, "The lower threshold 9 is above the upper threshold 2"),
        ({"upper_threshold": 21}, '"upper_threshold" can\'t be 21'),
        ({"input_scale": 0}, '"input_scale" can\'t be 0'),
        ({"input_scale": float("nan")}, "finite number"),
        ({"side": 3}, '"side" can\'t be 3'),
        ({"colormap": "red"}, "viridis"),
        ({"jitter_copies": 1.5}, "jitter_copies"),
        ({"seed": None}, '"seed" can\'t be empty'),
    ],
)
def test_params_are_refused_with_a_sentence(values, sentence):
    with pytest.raises(ParamsError) as caught:
        build_params(Params, values)
    assert sentence in str(caught.value) and str(caught.value).endswith((".", "?")) and "\n" not in str(caught.value)


def test_values_from_texts():
    texts = {"side": "128", "lower_threshold": "-2.5", "colormap": "magma", "mask_index": "none"}
    params = build_params(Params, {name: parse_value(text) for name, text in texts.items()})
    assert (params.side, params.lower_threshold, params.colormap, params.mask_index) == (128, -2.5, "magma", None)


def test_experiments_are_found_by_name():
    entry = find_entry("Mask_Stability")
    assert entry in ENTRIES and entry.name == "mask-stability" and entry.question.endswith("?")
    assert find_experiment("Mask_Stability") is entry.experiment and entry.name == entry.experiment.NAME
    with pytest.raises(samkit.SamkitError, match="did you mean mask-stability"):
        find_experiment("mask-stabilty")
