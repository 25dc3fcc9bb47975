"""COCO run-length encoding: any mask comes back, and a damaged one ends in a sentence."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from samkit.errors import PictureError
from samkit.media.rle import mask_to_rle, rle_to_mask

some_masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40))


@given(some_masks)
def test_round_trip_through_json(mask):
    rle = json.loads(json.dumps(mask_to_rle(mask)))
    assert np.array_equal(rle_to_mask(rle), mask)
    assert np.array_equal(rle_to_mask({**rle, "counts": rle["counts"].encode()}), mask)
    assert coco.area({**rle, "counts": rle["counts"].encode()}) == mask.sum()


def test_long_runs():
    mask = np.zeros((3000, 2000), bool)
    mask[:, 700:1900] = True
    mask[::7, ::5] ^= True
    assert np.array_equal(rle_to_mask(mask_to_rle(mask)), mask)


BAD = [
    ({}, "is not a COCO mask"),
    ({"size": [2, 2]}, "is not a COCO mask"),
    ({"size": [2, 2], "counts": [1, 3]}, "is not a COCO mask"),
    ({"size": [2, 2], "counts": "é"}, "is not a COCO mask"),
    ({"size": 4, "counts": "04"}, "is not a COCO mask"),
    ({"size": [2], "counts": "04"}, "is not a COCO mask"),
    ({"size": [float("inf"), 2], "counts": "04"}, "is not a COCO mask"),
    ({"size": [0, 2], "counts": ""}, "between 1 and"),
    ({"size": [10**6, 10**6], "counts": "04"}, "between 1 and"),
    ({"size": [2, 2], "counts": "05"}, "do not add up"),
    ({"size": [2, 2], "counts": "03"}, "do not add up"),
    ({"size": [2, 2], "counts": ""}, "do not add up"),
    ({"size": [2, 2], "counts": "0!"}, "no run-length encoding has"),
    ({"size": [2, 2], "counts": "oooooooo"}, "no run-length encoding has"),
    ({"size": [2, 2], "counts": "0o"}, "middle of a number"),
    ({"size": [2, 2], "counts": "O5"}, "negative length"),
]


@pytest.mark.parametrize(("rle", "sentence"), BAD)
def test_bad_rle_gets_a_sentence(rle, sentence):
    with pytest.raises(PictureError, match=sentence):
        rle_to_mask(rle)


@given(some_masks, st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30))
def test_any_counts_end_in_a_mask_or_a_sentence(mask, counts):
    try:
        assert rle_to_mask({"size": list(mask.shape), "counts": counts}).shape == mask.shape
    except PictureError as error:
        assert str(error).endswith(".")
