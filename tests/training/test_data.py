"""From a data folder to samples and held-out objects."""

import shutil

import cv2
import numpy as np
import pytest

from tests.training.pictures import draw_picture, write_data_folder, write_pair
from training.augment import Sampler
from training.data import CACHE_SIDE, Job, is_object_like, list_jobs, load_job, open_cache, write_cache
from training.held_out import load_held_out

SOURCES = [("coco", "train"), ("coco", "val"), ("animals", "train"), ("facade", "train"), ("fish", "train")]


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory):
    return write_data_folder(tmp_path_factory.mktemp("data") / "data", SOURCES)


@pytest.fixture(scope="module")
def cache(data_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    write_cache(list_jobs(data_folder), folder, processes=1)
    return open_cache(folder)


def test_the_cache_holds_every_picture_once(cache):
    assert cache.sources == ("coco", "coco", "animals", "fish", "video", "video") and cache.splits.count("val") == 1
    assert cache.images.shape == (6, CACHE_SIDE, CACHE_SIDE, 3) and [cache.mask_count(i) for i in range(6)] == [2] * 6


def test_cached_masks_lie_on_their_objects(cache):
    for picture in range(len(cache.images)):
        for index in range(2):
            mask = cache.mask(picture, index).astype(bool)
            assert cache.images[picture][mask].mean() > 130 > cache.images[picture][~mask].mean()


def test_training_leaves_held_out_pictures_alone_and_weighs_sources(cache):
    pictures, probabilities = cache.training_pictures()
    assert 1 not in pictures and probabilities.sum() == pytest.approx(1)
    assert probabilities[list(pictures).index(3)] == pytest.approx(probabilities[0] / 2)


def test_masks_too_small_or_too_large_are_left_out(tmp_path):
    rgb, ids = draw_picture(np.random.default_rng(0))
    ids[:] = 3
    ids[:2, :2] = 1
    write_pair(tmp_path / "a.jpg", tmp_path / "a.png", rgb, ids)
    assert load_job(Job(tmp_path / "a.jpg", (tmp_path / "a.png",), "coco", "train")) is None
    with pytest.raises(FileNotFoundError, match="missing or no picture"):
        load_job(Job(tmp_path / "b.jpg", (), "coco", "train"))


@pytest.mark.parametrize(
    ("rows", "columns", "object_like"),
    [((10, 60), (10, 60), True), ((0, 50), (0, 100), False), ((10, 15), (10, 15), False)],
)
def test_regions_that_may_pass_for_objects(rows, columns, object_like):
    mask = np.zeros((100, 100), bool)
    mask[slice(*rows), slice(*columns)] = True
    assert is_object_like(mask) == object_like


@pytest.mark.parametrize("seed", range(3))
def test_samples_have_the_shapes_they_promise_and_prompts_on_their_masks(cache, seed):
    sampler = Sampler(cache, seed)
    for _ in range(8):
        sample = sampler.draw(64, 6, clicks=4)
        assert (
            sample.image.shape == (64, 64, 3)
            and sample.image.dtype == np.float32
            and 0 <= sample.image.min() <= sample.image.max() <= 255
        )
        (clicks, foreground), (boxes, corners) = sample.clicks, sample.boxes
        assert sample.masks.shape == (6, 64, 64) and clicks.shape == (4, 1, 2) and boxes.shape == (2, 2, 2)
        assert (foreground == 1).all() and corners.tolist() == [[2, 3]] * 2
        for mask, ((x, y),) in zip(sample.masks, clicks, strict=False):
            assert mask[int(y * 64), int(x * 64)] > 0.5
        for mask, (corner, opposite) in zip(sample.masks[4:], boxes, strict=True):
            rows, columns = np.nonzero(mask > 0.5)
            assert (
                np.abs(corner * 64 - (columns.min(), rows.min())).max() < 20
                and np.abs(opposite * 64 - (columns.max(), rows.max())).max() < 20
            )


def test_equal_seeds_draw_equal_samples(cache):
    first, second = (Sampler(cache, 5).draw(64, 4) for _ in range(2))
    assert np.array_equal(first.image, second.image) and np.array_equal(first.boxes[0], second.boxes[0])


def test_held_out_objects_leave_out_lookalikes_of_training_pictures(data_folder, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(data_folder, root)
    (kept,) = load_held_out(root, "val")
    assert kept.file == "train/images/1.jpg" and kept.mask.shape == kept.rgb.shape[:2] and kept.mask.any()
    darker = cv2.convertScaleAbs(cv2.imread(str(root / "train/images/1.jpg")), alpha=0.9)
    cv2.imwrite(str(root / "train/images/0.jpg"), darker)
    assert load_held_out(root, "val") == []
    with pytest.raises(ValueError, match="use val or pairs"):
        load_held_out(root, "test")
