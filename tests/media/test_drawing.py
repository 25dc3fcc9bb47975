"""Masks survive as PNG files, and drawing leaves the picture that was given as it is."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from samkit.errors import PictureError
from samkit.media.drawing import cut_out, mask_from_png, mask_to_png, overlay

some_masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20))


@given(some_masks)
def test_png_round_trip(mask):
    png = mask_to_png(mask)
    assert np.array_equal(mask_from_png(png), mask)
    image = Image.open(io.BytesIO(png))
    assert (image.format, image.mode) == ("PNG", "L")
    assert np.array_equal(np.asarray(image), mask * np.uint8(255))


def test_pictures_that_are_no_masks(tmp_path):
    grey = tmp_path / "grey.png"
    Image.new("L", (4, 4), 128).save(grey)
    red = tmp_path / "red.png"
    Image.new("RGB", (4, 4), "red").save(red)
    for path in (grey, red):
        with pytest.raises(PictureError, match=f"{path.name} is not a mask"):
            mask_from_png(path)
    with pytest.raises(PictureError, match="is empty"):
        mask_from_png(b"")


@given(some_masks, st.floats(0, 1))
def test_overlay_colours_the_mask_alone(mask, alpha):
    rgb = np.full((*mask.shape, 3), 100, np.uint8)
    drawn = overlay(rgb, mask, (255, 0, 0), alpha, contour=False)
    assert (rgb == 100).all()
    assert np.array_equal(drawn[~mask], rgb[~mask])
    assert (
        np.abs(drawn[mask] - np.array([100 + 155 * alpha, 100 - 100 * alpha, 100 - 100 * alpha])) <= 0.5 + 1e-9
    ).all()


def test_overlay_draws_the_outline():
    rgb = np.zeros((40, 40, 3), np.uint8)
    mask = np.zeros((40, 40), bool)
    mask[10:30, 10:30] = True
    drawn = overlay(rgb, mask, (0, 200, 0), alpha=0.0)
    assert (drawn[10, 10:30] == (0, 200, 0)).all()
    assert (drawn[15:25, 15:25] == 0).all() and (drawn[:10] == 0).all()


@given(some_masks)
def test_cut_out(mask):
    rgb = np.random.default_rng(0).integers(0, 256, (*mask.shape, 3)).astype(np.uint8)
    rgba = cut_out(rgb, mask)
    assert np.array_equal(rgba[..., 3] == 255, mask)
    assert np.array_equal(rgba[mask, :3], rgb[mask])
    assert not rgba[~mask].any()


@pytest.mark.parametrize("draw", [overlay, cut_out])
def test_other_shapes_are_refused(draw):
    with pytest.raises(ValueError, match="can't be drawn"):
        draw(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), bool))
