"""Kept runs side by side, against plain numpy."""

from dataclasses import replace

import numpy as np
import pytest

from samkit.errors import BadInput
from samkit.experiments.inputs import Inputs
from samkit.experiments.mask_stability import Params
from samkit.experiments.result import Mask, Metric, Result, higher, lower, neutral
from samkit.media.pictures import Picture
from samkit.prompts import Prompts
from samkit.tracking.bundle.bundle import write_bundle
from samkit.tracking.bundle.record import MaskEntry
from samkit.tracking.compare import (
    STRIPE_SHADE,
    Comparison,
    Row,
    Shown,
    compare_pair,
    difference_map,
    equal_masks,
    iou_matrix,
    outlines,
)
from samkit.ui.runs.compare_tables import equal_sentence, metric_rows, pictures_sentence
from tests.made_up_model import made_up_info

RNG = np.random.default_rng(3)
SIZE = 40, 61
MODEL = made_up_info("m", "0" * 64)


def picture(seed: int, size=SIZE) -> Picture:
    return Picture(np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8), f"picture {seed}")


def blob(*limits: int, size=SIZE) -> np.ndarray:
    mask = np.zeros(size, bool)
    mask[limits[0] : limits[1], limits[2] : limits[3]] = True
    return mask


def kept(folder, image, masks: dict, prompts=None, metrics=None, experiment="mask-stability", **params):
    result = Result(
        experiment,
        Params(**params),
        masks={name: Mask(pixels) for name, pixels in masks.items()},
        metrics=metrics or {},
        timings={"encode_ms": 5.0},
    )
    inputs = Inputs(image=image, prompts=prompts or Prompts(points=[(0.5, 0.5, 1)]))
    return write_bundle(
        folder, result=result, inputs=inputs, model_info=MODEL, device="cpu", dtype="float32", name=folder.name
    )


@pytest.fixture
def three(tmp_path):
    same, other = picture(1), picture(2)
    first = kept(
        tmp_path / "a",
        same,
        {"mask_chosen": blob(5, 25, 5, 30), "mask_0": blob(0, 9, 0, 9)},
        metrics={"predicted_iou": higher(0.5), "area_px": neutral(500.0)},
    )
    second = kept(
        tmp_path / "b",
        same,
        {"mask_chosen": blob(10, 30, 5, 30)},
        metrics={"predicted_iou": higher(0.75), "area_px": neutral(500.0)},
        upper_threshold=4.0,
    )
    third = kept(
        tmp_path / "c",
        other,
        {"mask_chosen": blob(0, 9, 0, 9)},
        Prompts(boxes=[(0, 0, 0.5, 0.5)]),
        {"predicted_iou": higher(0.75)},
        side=512,
    )
    return Comparison([first, second, third])


def named(rows, name):
    return next(row for row in rows if row.name == name)


def test_what_differs_is_told_apart_from_what_is_the_same(three):
    assert {each.name for each in three.params if each.differs} == {"upper_threshold", "side"}
    assert named(three.params, "upper_threshold").values == (2.0, 4.0, 2.0)
    rows = {each.name: each for each in three.circumstances}
    assert not rows["model"].differs and rows["picture"].values == ("picture 1", "picture 1", "picture 2")
    assert rows["points"].values == (1, 1, 0) and rows["prompts"].differs


def test_metrics_that_are_no_numbers_are_never_the_best(three):
    bundles = []
    for bundle, value in zip(three.bundles, (float("nan"), 0.5, 0.75), strict=True):
        metrics = {
            "predicted_iou": Metric(value, "higher"),
            "jitter_iou": Metric("high" if value == 0.5 else 0.5, "higher"),
            "drift_error": Metric(None, "lower"),
        }
        bundles.append(replace(bundle, record=bundle.record.model_copy(update={"metrics": metrics})))
    best = {row.name: row.best for row in Comparison(bundles).metrics}
    assert best["predicted_iou"] == () and best["jitter_iou"] == () and best["drift_error"] == ()
    bundles[2] = replace(bundles[2], record=bundles[2].record.model_copy(update={"picture": bundles[0].record.picture}))
    best = {row.name: row.best for row in Comparison(bundles).metrics}
    assert best["predicted_iou"] == (2,) and best["jitter_iou"] == () and best["drift_error"] == ()


def test_the_best_are_marked_only_where_something_tells_which_they_are(three):
    assert named(three.metrics, "predicted_iou").best == (1,), "the third is on another picture"
    assert named(three.metrics, "area_px").best == () and named(three.metrics, "area_px").values == (500.0, 500.0, None)
    assert named(three.metrics, "encode_ms").best == (), "all the same"


def test_less_is_better_for_times_and_drift(tmp_path):
    runs = [
        kept(
            tmp_path / str(value),
            picture(1),
            {"mask_chosen": blob(1, 5, 1, 5)},
            metrics={"drift": lower(value), "wait_ms": lower(-value)},
        )
        for value in (0.3, 0.1)
    ]
    metrics = Comparison(runs).metrics
    assert named(metrics, "drift").best == (1,) and named(metrics, "wait_ms").best == (0,)


def test_each_group_of_one_experiment_on_one_picture_has_its_best(tmp_path):
    def run(name: str, value: float, image: Picture, experiment: str = "mask-stability"):
        metrics = {"predicted_iou": higher(value)}
        return kept(tmp_path / name, image, {"mask_chosen": blob(1, 5, 1, 5)}, metrics=metrics, experiment=experiment)

    one, two = picture(1), picture(2)
    comparison = Comparison(
        [
            run("a", 0.2, one),
            run("b", 0.1, one),
            run("c", 0.9, two),
            run("d", 0.9, two),
            run("e", 1, one, "window-size"),
        ]
    )
    assert comparison.peers == ((0, 1), (2, 3))
    assert named(comparison.metrics, "predicted_iou").best == (0,), "the second group is a draw, the last is alone"


def test_a_row_of_which_no_run_says_anything_is_empty():
    assert Row("x", (None, "", ())).is_empty and not Row("x", (None, 0)).is_empty and not Row("x", (False,)).is_empty


def test_facts_are_conditions_and_no_metrics(three):
    bundles = [
        replace(bundle, record=bundle.record.model_copy(update={"facts": facts}))
        for bundle, facts in zip(three.bundles, ({"mask_index": 1}, {"mask_index": 3}, {"tokens": 12}), strict=True)
    ]
    comparison = Comparison(bundles)
    assert named(comparison.facts, "mask_index").values == (1, 3, None) and named(comparison.facts, "tokens").differs
    assert [row.name for row in comparison.conditions].count("mask_index") == 1, "the parameter of that name"
    for name, fact in (("mask_index, as computed", "mask_index"), ("tokens", "tokens")):
        assert named(comparison.conditions, name).values == named(comparison.facts, fact).values
    assert not {"mask_index", "tokens"} & {row.name for row in comparison.metrics}


def test_none_is_the_best_where_runs_disagree_about_what_is_better(tmp_path):
    runs = [
        kept(tmp_path / metric.better, picture(1), {}, metrics={"coverage": metric})
        for metric in (higher(0.3), lower(0.1))
    ]
    assert named(Comparison(runs).metrics, "coverage").best == ()


def test_only_masks_on_one_picture_are_laid_over_each_other(three):
    assert three.mask_names == ("mask_chosen",)
    assert three.grounds("mask_chosen") == ((Shown(0, "mask_chosen"), Shown(1, "mask_chosen")),)
    assert three.shown("mask_0") == (Shown(0, "mask_0"),)
    np.testing.assert_array_equal(three.picture(Shown(2, "mask_chosen")), picture(2).rgb)


def test_a_pair_of_pictures_shows_both_of_its_masks_among_others(tmp_path, three):
    pair = kept(
        tmp_path / "pair",
        picture(2),
        {"mask_prompted": blob(1, 9, 1, 9), "mask_tracked": blob(5, 9, 5, 9)},
        experiment="cross-image",
    )
    bare = kept(tmp_path / "bare", picture(2), {}, experiment="block-norms")
    comparison = Comparison([*three.bundles, pair, bare])
    assert comparison.mask_names == ("", "mask_chosen")
    assert comparison.shown("") == (
        *(Shown(index, "mask_chosen") for index in range(3)),
        Shown(3, "mask_prompted"),
        Shown(3, "mask_tracked"),
        Shown(4, ""),
    )
    on_second = (Shown(2, "mask_chosen"), Shown(3, "mask_prompted"), Shown(3, "mask_tracked"))
    assert comparison.grounds("")[0] == on_second and len(comparison.masks_of(on_second)) == 3
    assert comparison.mask(Shown(4, "")) is None
    np.testing.assert_array_equal(comparison.picture(Shown(4, "")), picture(2).rgb)


def test_iou_matrix_is_that_of_the_definition():
    masks = [RNG.random(SIZE) > share for share in (0.2, 0.5, 0.9)] + [np.zeros(SIZE, bool)] * 2
    direct = [[(a & b).sum() / (a | b).sum() if (a | b).any() else 1.0 for b in masks] for a in masks]
    np.testing.assert_allclose(iou_matrix(masks), direct, atol=1e-12)


def test_a_pair_is_counted_pixel_by_pixel():
    first, second = RNG.random(SIZE) > 0.4, RNG.random(SIZE) > 0.7
    pair = compare_pair(first, second)
    assert (pair.only_first, pair.only_second, pair.both) == (
        (first & ~second).sum(),
        (second & ~first).sum(),
        (first & second).sum(),
    )
    assert (
        pair.iou == (first & second).sum() / (first | second).sum()
        and compare_pair(first & False, first & False).iou == 1
    )


def test_a_difference_map_has_the_runs_colours_in_stripes_of_two_directions_and_leaves_the_rest_grey():
    first, second, colors = blob(5, 20, 5, 30), blob(10, 30, 5, 30), ((200, 100, 50), (10, 90, 250))
    drawn = difference_map(picture(1).rgb, first, second, colors=colors)
    for only, color, shift in ((first & ~second, colors[0], 1), (second & ~first, colors[1], -1)):
        light, dark = ((drawn == np.round(np.array(color) * shade)).all(axis=2) & only for shade in (1, STRIPE_SHADE))
        assert (light | dark)[only].all() and light.any() and dark.any()
        # Along its own direction a stripe goes on; across it does not.
        along = np.roll(light, (1, -shift), (0, 1))[only & np.roll(only, (1, -shift), (0, 1))]
        assert (along == light[only & np.roll(only, (1, -shift), (0, 1))]).all()
    outside = drawn[~first & ~second]
    assert (outside[:, 0] == outside[:, 1]).all() and outside.max() < 160
    assert (drawn[first & second].min(axis=1) > 140).all()


def test_outlines_are_drawn_in_their_colours_on_the_edge_only():
    mask = blob(10, 30, 10, 40)
    drawn = outlines(picture(1).rgb, [mask], [(255, 0, 0)])
    for row, column in ((10, 20), (20, 10)):
        assert drawn[row, column, 0] > 180 and drawn[row, column, 1:].max() < 80, "a smoothed line of red"
    assert drawn[20, 25, 0] == drawn[20, 25, 1] and drawn[2, 2, 0] == drawn[2, 2, 1]


RED, BLUE, GREEN = (255, 0, 0), (0, 0, 255), (0, 255, 0)


def has_color(drawn: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((np.abs(drawn.astype(int) - color).max(axis=2) < 60).sum())


def test_no_outline_hides_another():
    size = 200, 300
    image, mask = picture(1, size).rgb, blob(50, 150, 60, 220, size=size)
    nearly = mask.copy()
    nearly[60, 60] = False
    for masks in ([mask, mask, mask], [mask, nearly, mask], [mask, nearly, blob(50, 150, 60, 219, size=size)]):
        drawn = outlines(image, masks, [RED, BLUE, GREEN])
        assert all(has_color(drawn, color) > 100 for color in (RED, BLUE, GREEN)), [
            has_color(drawn, color) for color in (RED, BLUE, GREEN)
        ]


def test_equal_masks_are_told():
    one, other = blob(5, 20, 5, 30), blob(5, 20, 5, 31)
    assert equal_masks([one, other, one.copy()]) == ((0, 2), (1,))


def test_a_sentence_says_which_runs_have_equal_masks(three):
    twice = Comparison([three.bundles[0], three.bundles[1], three.bundles[0]])
    (group,) = twice.grounds("mask_chosen")
    assert equal_sentence(twice, "mask_chosen", group).endswith("run 1 and run 3.")
    assert not equal_sentence(twice, "mask_chosen", group[:2])


def test_a_row_says_on_which_picture_each_runs_mask_was_measured(tmp_path, three):
    assert three.measured_on.values == ("picture 1", "picture 1", "picture 2") and three.measured_on.differs
    pair = replace(
        three.bundles[1],
        record=three.bundles[1].record.model_copy(
            update={
                "picture_b": three.bundles[2].record.picture,
                "masks": {"mask_tracked": MaskEntry(on="image_b")},
            }
        ),
    )
    comparison = Comparison([three.bundles[0], pair])
    assert comparison.measured_on.values == ("picture 1", "picture 2"), "of a pair where it was found"
    assert metric_rows(comparison)[0].name == "mask_on" and "different pictures" in pictures_sentence(comparison)
    alike = Comparison(three.bundles[:2])
    assert metric_rows(alike) == alike.metrics and not pictures_sentence(alike)


def test_two_to_twelve_runs_are_compared(three):
    with pytest.raises(BadInput, match="2 to 12 runs can be compared, not 1"):
        Comparison(three.bundles[:1])
    with pytest.raises(BadInput, match="not 13"):
        Comparison(three.bundles[:1] * 13)
