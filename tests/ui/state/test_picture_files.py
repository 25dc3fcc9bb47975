"""Pictures as files for the browser."""

import gc
import weakref

import cv2
import numpy as np
import pytest

from samkit.media.pictures import Picture
from samkit.ui.state import picture_files
from samkit.ui.state.picture_files import picture_jpeg


@pytest.fixture(autouse=True)
def empty():
    picture_files._files.clear()
    yield
    picture_files._files.clear()


def noise(height: int, width: int, seed: int = 0) -> Picture:
    return Picture(np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8), f"noise {seed}")


@pytest.mark.parametrize(("shape", "shown"), [((40, 60), (40, 60)), ((600, 300), (100, 50)), ((1, 3000), (1, 100))])
def test_a_large_picture_is_made_smaller_and_a_small_one_is_left(shape, shown):
    decoded = cv2.imdecode(np.frombuffer(picture_jpeg(noise(*shape), 100), np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape[:2] == shown


def test_it_is_encoded_once_and_no_picture_is_held():
    picture = noise(50, 50)
    first = picture_jpeg(picture, 100)
    assert picture_jpeg(picture, 100) is first
    gone = weakref.ref(picture)
    del picture
    gc.collect()
    assert gone() is None
