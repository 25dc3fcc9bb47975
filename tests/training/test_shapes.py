"""Generated pictures, and curves drawn from a run's log."""

import argparse
from xml.etree import ElementTree

import numpy as np
import pytest

from training.augment import Sampler
from training.curves import draw, read_log, smooth
from training.data import CACHE_SIDE, open_cache
from training.shapes import picture, write_shapes

LOG = """1.0 min, step 40, 1000 pictures, side 96, rate 1.0e-03: loss 3.000, \
IoU of the single mask 0.100, of the best of three 0.200
2.0 min, step 80, 2000 pictures, side 96, 4 frames, rate 1.0e-03: loss 2.000, \
IoU of the single mask 0.300, of the best of three 0.400
not a line of a log
"""


def test_a_picture_is_made_from_its_number_alone():
    (a, first), (b, second) = picture(5, 96), picture(5, 96)
    assert np.array_equal(a, b) and all(np.array_equal(x, y) for x, y in zip(first, second, strict=True))
    assert not np.array_equal(a, picture(6, 96)[0])


@pytest.mark.parametrize("number", range(8))
def test_masks_are_of_what_is_to_be_seen(number):
    rgb, masks = picture(number, 96)
    assert rgb.shape == (96, 96, 3) and rgb.dtype == np.uint8 and 1 <= len(masks) <= 6
    assert all(mask.shape == (96, 96) and mask.mean() >= 0.004 for mask in masks)
    assert not any((a & b).any() for index, a in enumerate(masks) for b in masks[:index])


def test_shapes_are_a_cache_that_training_draws_from(tmp_path):
    write_shapes(tmp_path, 3)
    cache = open_cache(tmp_path)
    assert cache.images.shape == (3, CACHE_SIDE, CACHE_SIDE, 3) and cache.sources == ("shapes",) * 3
    _, masks = picture(1)
    assert cache.mask_count(1) == len(masks) and np.array_equal(cache.mask(1, 0).astype(bool), masks[0])
    sample = Sampler(cache, 0).draw(64, 2)
    assert sample.image.shape == (64, 64, 3) and sample.masks.shape == (2, 64, 64)


def test_a_log_becomes_curves(tmp_path, monkeypatch):
    (tmp_path / "log0.txt").write_text(LOG)
    points = read_log(tmp_path / "log0.txt")
    assert [(point.pictures, point.side) for point in points] == [(1000, 96), (2000, 96)]
    assert points[1].figures == {"loss": 2.0, "IoU of the single mask": 0.3, "of the best of three": 0.4}
    root = ElementTree.fromstring(draw([points, points], ["first", "second"]))
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 6
    ends = [float(line.get("points").split()[-1].split(",")[0]) for line in lines[:2]]
    assert ends[0] == pytest.approx((46 + 760) / 2, abs=1) and ends[1] == pytest.approx(760, abs=1)


def test_smoothing_follows_and_keeps_a_level():
    assert smooth([2.0, 2.0, 2.0]) == [2.0, 2.0, 2.0] and 0 < smooth([0.0, 1.0])[1] < 1


def test_the_command_writes_the_picture(tmp_path, monkeypatch):
    from training import curves

    (tmp_path / "run").mkdir()
    (tmp_path / "run/log0.txt").write_text(LOG)
    monkeypatch.setattr(
        argparse.ArgumentParser,
        "parse_args",
        lambda self: argparse.Namespace(output=tmp_path / "c.svg", runs=[tmp_path / "run"]),
    )
    curves.main()
    assert "run</text>" in (tmp_path / "c.svg").read_text()
