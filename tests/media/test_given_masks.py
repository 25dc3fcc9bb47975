"""Masks that a person brings along: what a file says, and what becomes of it on a picture."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from samkit.errors import PictureError
from samkit.media.given_masks import MaskHint, Truth, read_hint, read_truth
from samkit.media.mask_files import mask_png, read_mask_file

NUMBERS = np.zeros((20, 30), np.uint8)
NUMBERS[2:8, 3:9], NUMBERS[10:18, 12:25], NUMBERS[0] = 1, 7, 255
masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40))


def saved(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    file = BytesIO()
    np.save(file, array)
    return file.getvalue()


@given(masks, st.booleans())
def test_a_mask_comes_back_from_its_file(mask, with_ignored):
    ignore = np.roll(mask, 1, axis=0) & ~mask if with_ignored else None
    truth = read_truth(Truth(mask, ignore).file())
    assert truth.sha256 == Truth(mask, ignore).sha256 and np.array_equal(truth.mask, mask)
    if mask.any():
        assert read_hint(MaskHint(mask).file()).sha256 == MaskHint(mask).sha256


@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=20), elements=st.floats(-32, 32, width=32)))
def test_logits_come_back_from_their_file(logits):
    hint = read_hint(MaskHint(logits).file())
    assert hint.kind == "logits" and hint.sha256 == MaskHint(logits).sha256 and np.array_equal(hint.values, logits)


def palette(numbers: np.ndarray) -> Image.Image:
    image = Image.fromarray(numbers)
    image.putpalette([(37 * i) % 256 for i in range(768)])
    return image


@pytest.mark.parametrize(
    "file",
    [saved(palette(NUMBERS)), saved(Image.fromarray(NUMBERS)), npy(NUMBERS.astype(np.int64)), npy(NUMBERS[None])],
    ids=["palette", "greyscale", "npy", "npy of one"],
)
def test_numbers_are_objects_and_255_does_not_count(file):
    read = read_mask_file(file, "numbers")
    assert read.objects == (1, 7) and np.array_equal(read.ignore, NUMBERS == 255) and not read.soft
    assert np.array_equal(read.mask(), (NUMBERS == 1) | (NUMBERS == 7)) and np.array_equal(read.mask(7), NUMBERS == 7)
    assert read_truth(file, "numbers", 7).name == "numbers#7"
    with pytest.raises(PictureError, match="holds no object 3: it holds 1 and 7"):
        read.mask(3)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "npy"])
def test_black_and_white_is_one_object(kind):
    white = np.where(NUMBERS == 7, np.uint8(255), np.uint8(0))
    file = npy(NUMBERS == 7) if kind == "npy" else saved(Image.fromarray(white).convert("RGB"), kind, lossless=True)
    read = read_mask_file(file)
    assert read.objects == (1,) and read.ignore is None and np.array_equal(read.mask(), NUMBERS == 7)


def test_soft_masks_are_cut_at_half_and_what_is_opaque_is_the_object():
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (5, 1))
    assert np.array_equal(read_mask_file(saved(Image.fromarray(ramp))).mask(), ramp >= 128)
    cut = np.zeros((20, 30, 4), np.uint8)
    cut[NUMBERS == 7] = (90, 10, 200, 255)
    assert np.array_equal(read_mask_file(saved(Image.fromarray(cut))).mask(), NUMBERS == 7)


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (saved(Image.fromarray(np.dstack([NUMBERS, NUMBERS * 0, NUMBERS]))), "a picture in colours, not a mask"),
        (npy(np.zeros((3, 4, 5), bool)), r"an array of the shape \[3, 4, 5\]"),
        (npy(np.zeros((3, 4), np.float64)), "holds fractions, not a mask"),
        (npy(np.array([["a"]])), "not numbers"),
        (npy(np.full((3, 4), -1)), "numbers that no object can have"),
        (npy(np.zeros((300, 400), bool))[:-500], "numpy can't read it"),
        (b"\x93NUMPY\x01\x00\xff\xff", "numpy can't read it"),
        (b"nothing", "not a picture that can be read"),
    ],
)
def test_what_is_no_mask_is_a_sentence(file, sentence):
    with pytest.raises(PictureError, match=sentence):
        read_truth(file, "the file")


def test_an_array_of_objects_runs_nothing():
    with pytest.raises(PictureError):
        read_hint(npy(np.array([[print]], dtype=object)))


def test_an_empty_hint_and_logits_that_are_no_numbers_are_refused():
    with pytest.raises(PictureError, match="at least one pixel"):
        read_hint(mask_png(np.zeros((4, 4), bool)))
    with pytest.raises(PictureError, match="not finite"):
        MaskHint(np.full((4, 4), np.nan, np.float32))


def test_a_mask_of_the_pictures_proportions_is_brought_to_its_size():
    large = np.kron(NUMBERS == 7, np.ones((3, 3), bool))
    truth = Truth(large, np.kron(NUMBERS == 255, np.ones((3, 3), bool)), "truth.png").fitted((20, 30))
    assert np.array_equal(truth.mask, NUMBERS == 7) and np.array_equal(truth.ignore, NUMBERS == 255)
    assert Truth(large).fitted((61, 90)).mask.shape == (61, 90)
    with pytest.raises(PictureError, match="truth.png has 30 x 20 pixels, the picture 20 x 30"):
        Truth(NUMBERS == 7, None, "truth.png").fitted((30, 20))


def test_ignored_pixels_change_no_iou():
    truth = Truth(NUMBERS == 7, NUMBERS == 255)
    assert truth.iou(NUMBERS == 7) == truth.iou((NUMBERS == 7) | (NUMBERS == 255)) == 1.0
    assert Truth(NUMBERS == 7).iou((NUMBERS == 7) | (NUMBERS == 255)) < 1.0
