"""Semantic similarity: averages and cosines against direct computation, mirroring, prototypes, regions, objects handed
back to the model.
"""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from typer.testing import CliRunner

import samkit
from samkit.cli import app
from samkit.errors import BadInput, ParamsError
from samkit.experiments.inputs import Inputs
from samkit.experiments.measures.region_objects import count_hits, ground_reason, larger_box, same_objects
from samkit.experiments.measures.token_similarity import (
    ReferenceTokens,
    find_regions,
    mask_weights,
    picture_similarity,
    prototypes,
    reference_tokens,
    similarity_map,
)
from samkit.experiments.semantic_similarity import (
    COCO_FILE,
    Params,
    TokenSource,
    color_range,
    describe_object,
    level_strides,
    run,
)
from samkit.media.rle import rle_to_mask
from samkit.media.samples import load_sample, mirrored
from samkit.models.geometry import plan_geometry, restore_size
from samkit.prompts import Prompts
from samkit.tracking.bundle.bundle import write_bundle
from samkit.tracking.bundle.older import params_of_today
from samkit.work.lab import Lab
from samkit.work.replay import replay
from tests.random_models import SMALL_SAM1, save_random_model

COIN = Prompts(boxes=[(0.815, 0.08, 0.935, 0.215)])


@pytest.fixture(scope="module")
def nano():
    return samkit.load_model("nano-sam2", device="cpu")


@pytest.fixture(scope="module")
def small_v1(tmp_path_factory):
    return samkit.load_model(
        save_random_model(tmp_path_factory.mktemp("v1") / "v1.safetensors", SMALL_SAM1), device="cpu"
    )


@pytest.fixture(scope="module")
def coins():
    return Inputs(load_sample("coins"), COIN)


@pytest.fixture(scope="module", params=["nano", "small_v1"])
def model(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def lab():
    """Keeps the encodings for all tests."""
    return Lab()


@pytest.mark.parametrize(("family", "fit"), [("sam1", "native"), ("sam2", "native"), ("sam1", "aspect")])
def test_weights_are_the_mean_of_the_upsampled_features(family, fit):
    geometry = plan_geometry((53, 90), family, 128, fit, 16 if family == "sam1" else 32)
    grid = tuple(side // 16 for side in geometry.padded_size)
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(5, *grid, generator=generator)
    mask = np.zeros((53, 90), bool)
    mask[20:41, 30:77] = True
    direct = restore_size(features, geometry).numpy()[:, mask].mean(axis=1)
    weights = mask_weights(mask, grid, geometry)
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose((features.numpy() * weights).sum(axis=(1, 2)), direct, atol=1e-5)


def test_one_prototype_is_the_weighted_mean_and_similarity_the_cosine():
    features = torch.randn(6, 8, 8, generator=torch.Generator().manual_seed(1))
    mask = np.zeros((40, 40), bool)
    mask[5:20, 10:30] = True
    geometry = plan_geometry((40, 40), "sam2", 128, "native", 32)
    reference = reference_tokens(features, mask, geometry)
    mean = torch.from_numpy((features.numpy() * mask_weights(mask, (8, 8), geometry)).sum(axis=(1, 2))).float()
    vectors = prototypes(reference, 1)
    np.testing.assert_allclose(vectors[0], F.normalize(mean, dim=0), atol=1e-6)
    wanted = F.cosine_similarity(features, mean[:, None, None].expand_as(features), dim=0)
    np.testing.assert_allclose(similarity_map(features, vectors), wanted, atol=1e-5)


def test_prototypes_find_the_groups_there_are():
    generator = torch.Generator().manual_seed(2)
    centres = torch.eye(3, 10)
    tokens = torch.cat([centre + 0.05 * torch.randn(20, 10, generator=generator) for centre in centres])
    vectors = prototypes(ReferenceTokens(tokens, np.full(60, 1 / 60)), 3)
    assert torch.allclose((vectors @ centres.T).max(dim=0).values, torch.ones(3), atol=0.02)
    assert len(prototypes(ReferenceTokens(tokens[:2], np.full(2, 0.5)), 8)) <= 2


def test_the_best_prototype_counts():
    features = torch.randn(4, 5, 5, generator=torch.Generator().manual_seed(3))
    vectors = F.normalize(torch.randn(3, 4, generator=torch.Generator().manual_seed(4)), dim=1)
    each = [similarity_map(features, vector[None]) for vector in vectors]
    np.testing.assert_allclose(similarity_map(features, vectors), np.max(each, axis=0), atol=1e-6)


def test_mirroring_a_mirrored_picture_changes_nothing(model, lab):
    picture = load_sample("coffee")
    mask = np.zeros(picture.size, bool)
    mask[40:200, 180:420] = True
    source = TokenSource("projected", 0, None, "native")
    one = describe_object(model, picture, mask, source, True, False, lab)
    other = describe_object(model, mirrored(picture), mask[:, ::-1], source, True, False, lab)
    np.testing.assert_allclose(prototypes(one, 1), prototypes(other, 1), atol=1e-5)
    plain = describe_object(model, picture, mask, source, False, False, lab)
    assert np.abs(prototypes(one, 1).numpy() - prototypes(plain, 1).numpy()).max() > 1e-3
    assert len(one.tokens) == pytest.approx(2 * len(plain.tokens), rel=0.2) and one.weights.sum() == pytest.approx(1)


def test_regions_are_counted_and_placed():
    similarity = np.full((50, 100), 0.1, np.float32)
    similarity[5:15, 10:20] = 0.8
    similarity[9, 14] = 0.95
    similarity[30:34, 60:70] = 0.75
    similarity[45, 90] = 0.9
    labels, regions = find_regions(similarity, 0.5, 0.001)
    assert [region.label for region in regions] == [1, 2] and labels.max() == 2
    assert (
        regions[0].peak == (0.145, 0.19)
        and regions[0].box == (0.1, 0.1, 0.2, 0.3)
        and regions[0].area_share == pytest.approx(100 / 5000)
    )
    assert regions[0].peak_similarity == pytest.approx(0.95) and regions[1].mean_similarity == pytest.approx(0.75)
    assert len(find_regions(similarity, 0.5, 0.0)[1]) == 3 and not find_regions(similarity, 0.99, 0.0)[1]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"features": "raw", "mirrored": True},
        {"zoom": True, "prototypes": 3},
        {"zoom": True, "mirrored": True, "features": "raw", "prototypes": 2},
    ],
)
def test_every_combination_works_on_the_same_and_another_picture(model, coins, lab, values):
    for other in (None, load_sample("coffee")):
        levels = range(1) if model.info.family == "sam1" else (0, 2)
        for level in levels:
            inputs = Inputs(coins.image, coins.prompts, other)
            result = run(model, inputs, Params(level=level, find_objects=False, **values), lab)
            compared = other or coins.image
            assert result.masks["mask_similar"].pixels.shape == compared.size and result.arrays["prototypes"].shape[
                0
            ] <= values.get("prototypes", 1)
            np.testing.assert_allclose(np.linalg.norm(result.arrays["prototypes"], axis=1), 1, atol=1e-5)
            wide = result.arrays["picture_similarity"]
            assert -1 <= wide.min() <= wide.max() <= 1.0001 and result.value("regions") == len(result.tables["regions"])


def test_one_coin_finds_other_coins(nano, coins, lab):
    result = run(nano, coins, Params(side=512, find_objects=True), lab)
    assert result.facts["known_count"] == 24 == result.value("true_with_region")
    assert result.value("objects") == result.value("true_with_mask") == 24, "each coin has its own mask"
    rows = result.tables["objects"]
    assert result.value("objects") == sum(row["same_as"] is None and not row["dropped"] for row in rows)
    coco = json.loads(result.files[COCO_FILE])
    masks = [rle_to_mask(annotation["segmentation"]) for annotation in coco["annotations"]]
    assert len(masks) == result.value("objects") and all(mask.shape == coins.image.size for mask in masks)
    np.testing.assert_array_equal(np.logical_or.reduce(masks), result.masks["mask_objects"].pixels)
    for annotation, mask in zip(coco["annotations"], masks, strict=True):
        x, y, width, height = annotation["bbox"]
        assert annotation["area"] == mask.sum() == mask[y : y + height, x : x + width].sum()


def disc(size: int, x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.ogrid[:size, :size]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def test_masks_of_one_object_are_merged_into_the_first():
    masks = {1: disc(60, 20, 20, 8), 2: disc(60, 21, 20, 8), 3: disc(60, 45, 45, 8), 4: disc(60, 20, 20, 3)}
    assert same_objects(masks, [2, 1, 3, 4], 0.5) == {1: 2}
    assert same_objects(masks, [1, 2, 3, 4], 0.95) == {}


def test_a_mask_of_the_ground_is_dropped_with_the_reason():
    box = (0.2, 0.2, 0.5, 0.5)
    assert ground_reason(disc(60, 20, 20, 8), 0.9, box) == ""
    assert "stability score under 0.6" in ground_reason(disc(60, 20, 20, 8), 0.5, box)
    assert "beyond its region's box" in ground_reason(disc(60, 45, 45, 8), 0.9, box)
    assert "of the picture" in ground_reason(np.ones((60, 60), bool), 0.9, box)
    assert ground_reason(np.zeros((60, 60), bool), 0.9, box) == "empty"


def test_a_box_grows_within_the_picture():
    assert larger_box((0.0, 0.4, 0.4, 1.0)) == pytest.approx((0.0, 0.325, 0.45, 1.0))


def test_a_true_object_is_hit_by_a_mask_of_its_own():
    boxes = [(0.2, 0.2, 0.5, 0.5), (0.6, 0.6, 0.9, 0.9)]
    assert count_hits([disc(60, 21, 21, 9)], boxes) == 1 and count_hits([np.ones((60, 60), bool)], boxes) == 0


def test_a_kept_run_by_peaks_says_the_same_again(nano, coins):
    """Its masks are those of clicks, whatever a region is given for today."""
    params = params_of_today("semantic-similarity", {"side": 256, "find_objects": True, "threshold": 0.6})
    result = run(nano, coins, Params(**params), Lab())
    assert result.params.object_prompts == "peaks" and not result.value("objects_dropped")


def test_a_knob_makes_nothing_again(nano, coins, calls):
    lab = Lab()

    def go(**values):
        return run(nano, coins, Params(mirrored=True, **values), lab)

    first = go()
    assert calls.taken() == {"encode_image": 2, "predict_masks": 1}
    for values in (
        {"threshold": 0.5},
        {"prototypes": 4},
        {"range_low": 0.0},
        {"own_range": False},
        {"colormap": "magma"},
        {"min_area": 0.01},
        {"mask_index": 0},
        {"features": "raw", "level": 3},
    ):
        go(**values)
    assert first.metrics == go().metrics and not calls.taken()


def test_another_threshold_has_most_objects_in_common(nano, coins, calls):
    lab = Lab()
    peaks = set()
    for threshold in (0.7, 0.6, 0.7):
        before = len(peaks)
        calls.clear()
        params = Params(side=512, find_objects=True, object_prompts="peaks", threshold=threshold)
        result = run(nano, coins, params, lab)
        peaks |= {(row["x"], row["y"]) for row in result.tables["objects"]}
        clicked = calls["predict_masks"] - (before == 0)
        assert clicked == len(peaks) - before
    assert clicked == 0 and len(peaks) > 10


def test_what_is_found_lies_on_the_compared_picture(nano, coins):
    other = load_sample("coffee")
    for image_b, ground, size in ((None, "image", coins.image.size), (other, "image_b", other.size)):
        result = run(nano, Inputs(coins.image, coins.prompts, image_b), Params(find_objects=True, side=256), Lab())
        for name, mask in result.masks.items():
            compared = name in ("mask_similar", "mask_objects")
            assert mask.on == (ground if compared else "image")
            assert mask.pixels.shape == (size if compared else coins.image.size)


def test_colours_span_what_is_asked_or_the_map_itself():
    similarity = np.array([[-0.25, 0.5]])
    assert color_range(similarity, Params(range_low=0.0, range_high=0.75)) == (0.0, 0.75)
    assert color_range(similarity, Params(range_low=0.0, own_range=True)) == (-0.25, 0.5)
    assert color_range(similarity, Params()) == (-0.25, 0.5)


def test_each_level_has_the_stride_that_its_tokens_have(nano, small_v1):
    for model in (nano, small_v1):
        encoding = model.encode_image(np.zeros((64, 64, 3), np.uint8), side=64)
        for features, maps in (("projected", encoding.features), ("raw", encoding.raw)):
            assert level_strides(model, features) == tuple(64 / tokens.shape[-1] for tokens in maps)


def test_what_can_not_be_compared_is_a_sentence(nano, small_v1, coins, lab):
    with pytest.raises(BadInput, match="no prompt"):
        run(nano, Inputs(coins.image), Params(), lab)
    with pytest.raises(ParamsError, match="3 projected resolutions"):
        run(nano, coins, Params(level=3), lab)
    with pytest.raises(ParamsError, match="1 raw resolutions"):
        run(small_v1, coins, Params(level=1, features="raw"), lab)
    with pytest.raises(ValueError, match="range_low"):
        Params(range_low=0.5, range_high=0.5)


def test_the_map_over_the_picture_leaves_out_the_padding():
    geometry = plan_geometry((60, 120), "sam1", 128, "native", 16)
    similarity = np.zeros((8, 8), np.float32)
    similarity[5:] = 1
    assert picture_similarity(similarity, geometry, 512)[:50].max() < 0.01
    direct = restore_size(torch.from_numpy(similarity)[None], geometry)[0].numpy()
    np.testing.assert_allclose(picture_similarity(similarity, geometry, 512), direct, atol=1e-5)


def test_runs_are_replayed_and_the_command_line_gives_the_same(nano, coins, tmp_path):
    inputs = Inputs(coins.image, coins.prompts, load_sample("coins-lower"))
    result = run(nano, inputs, Params(find_objects=True), Lab())
    bundle = write_bundle(
        tmp_path / "run", result=result, inputs=inputs, model_info=nano.info, device=nano.device, dtype=nano.dtype
    )
    outcome = replay(bundle)
    assert outcome.identical and not outcome.metric_differences
    words = [
        "run",
        "semantic-similarity",
        "--model",
        "nano-sam2",
        "--image",
        "sample:coins",
        "--box",
        "0.815,0.08,0.935,0.215",
        "--json",
    ]
    picture = tmp_path / "run" / "inputs" / "image_b.png"
    done = CliRunner().invoke(
        app, [*words, "--image-b", str(picture), "--set", "find_objects=true", "--out", str(tmp_path / "cli")]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["metrics"] == {name: metric.value for name, metric in result.metrics.items()}
