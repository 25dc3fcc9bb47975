"""Many small things in one picture, each with the mask of what is to be seen of it."""

import numpy as np
import pytest

import training.augment
from tests.training.pictures import write_data_folder
from training.augment import Sampler
from training.crowds import crowd, cut_out, disc, four_in_one, place
from training.data import list_jobs, open_cache, write_cache

SIDE = 96
GREY = np.full((SIDE, SIDE, 3), 128, np.float32)
BAR = np.full((10, 20, 3), 250, np.float32), np.ones((10, 20), np.float32)


def extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(mask > 0.5)
    return rows.min(), rows.max() + 1, columns.min(), columns.max() + 1


def test_a_cut_out_is_the_part_that_holds_the_object():
    rgb, mask = np.arange(48, dtype=np.uint8).reshape(4, 4, 3), np.zeros((4, 4), np.uint8)
    mask[1:3, 2] = 1
    part, alpha = cut_out(rgb, mask)
    assert np.array_equal(part, rgb[1:3, 2:3]) and np.array_equal(alpha, np.ones((2, 1)))


@pytest.mark.parametrize("seed", range(4))
def test_a_disc_is_round_or_square_and_has_a_pictures_texture(seed):
    rgb, alpha = disc(
        np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8), np.random.default_rng(seed)
    )
    assert (
        rgb.shape[:2] == alpha.shape
        and 0.7 < alpha.mean() <= 1
        and alpha[alpha.shape[0] // 2, alpha.shape[1] // 2] == 1
    )
    assert rgb.min() >= 0 and rgb.max() <= 255 and rgb.std() > 10


@pytest.mark.parametrize("size", [0.4, 1.0, 2.0])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_placed_object_has_its_middle_and_size(size, mirrored):
    _, cover = place(*BAR, SIDE, (48, 40), size, 0.0, mirrored)
    top, bottom, left, right = extent(cover)
    assert ((top + bottom) / 2, (left + right) / 2) == pytest.approx((40, 48), abs=2)
    assert (bottom - top, right - left) == pytest.approx((10 * size, 20 * size), abs=1.5)


def test_a_quarter_turn_exchanges_height_and_width():
    top, bottom, left, right = extent(place(*BAR, SIDE, (48, 48), 2.0, np.pi / 2, False)[1])
    assert (bottom - top, right - left) == pytest.approx((40, 20), abs=1.5)


@pytest.mark.parametrize("seed", range(6))
def test_a_crowds_masks_share_out_what_was_put_on_the_ground(seed):
    image, masks = crowd(GREY, [BAR], np.random.default_rng(seed))
    together = np.sum(masks, axis=0)
    assert 2 <= len(masks) <= 49 and together.max() <= 1 + 1e-4
    changed = np.abs(image - GREY).max(-1) > 1
    assert (changed == (together > 0.02)).mean() > 0.99


def test_four_pictures_keep_their_places():
    quarters = [(np.full((4, 4, 3), index, np.float32), [np.full((4, 4), 1.0, np.float32)]) for index in range(4)]
    image, masks = four_in_one(quarters)
    assert image.shape == (8, 8, 3) and len(masks) == 4
    for index, mask in enumerate(masks):
        assert mask.sum() == 16 and (image[mask > 0] == index).all()


@pytest.mark.parametrize(("four", "crowded"), [(1.0, 0.0), (0.0, 1.0)], ids=["four", "crowd"])
def test_samples_of_either_kind_have_prompts_on_things_large_enough(tmp_path, monkeypatch, four, crowded):
    root = write_data_folder(tmp_path / "data", [("coco", "train")] * 3)
    write_cache(list_jobs(root), root / "cache", processes=1)
    monkeypatch.setattr(training.augment, "FOUR_PROBABILITY", four)
    monkeypatch.setattr(training.augment, "CROWD_PROBABILITY", crowded)
    sampler = Sampler(open_cache(root / "cache"), 0)
    for _ in range(3):
        sample = sampler.draw(SIDE, 6, clicks=3)
        assert sample.image.shape == (SIDE, SIDE, 3) and sample.masks.shape == (6, SIDE, SIDE)
        assert len(sample.clicks[1]) == 3 and len(sample.boxes[1]) == 3
        assert all((mask > 0.5).sum() >= 12 for mask in sample.masks)
        for (position,), mask in zip(sample.clicks[0], sample.masks, strict=False):
            column, row = (position * SIDE).astype(int)
            assert mask[row, column] > 0.5
        wide = sampler.draw(SIDE, 6, clicks=2, wide=True)
        assert (
            wide.clicks[0].shape == (2, 1, 2)
            and wide.boxes[0].shape == (4, 3, 2)
            and set(wide.boxes[1][:, 2]) <= {0, -1}
        )
