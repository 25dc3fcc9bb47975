"""Sample pictures that come with scikit-image's wheel: there is always something to try, offline, and nothing is copied
or downloaded.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from weakref import WeakValueDictionary

import cv2
import numpy as np

from samkit.errors import PictureError
from samkit.media.pictures import Picture, read_picture
from samkit.prompts import Box, Point, Prompts


@dataclass(frozen=True)
class Sample:
    """A sample picture: its name, its file in scikit-image's data folder, a title for people, and a first prompt that
    lies on something.
    """

    name: str
    file: str
    title: str
    prompts: Prompts


def _sample(file: str, title: str, points: Sequence[Point] = (), boxes: Sequence[Box] = ()) -> Sample:
    return Sample(Path(file).stem, file, title, Prompts(points, boxes))


_TABLE = (
    _sample("coffee.png", "Coffee: cup, saucer and spoon", points=[(0.46, 0.3, 1)], boxes=[(0.28, 0.03, 0.72, 0.61)]),
    _sample("chelsea.png", "Chelsea the cat", points=[(0.385, 0.385, 1)]),
    _sample("astronaut.png", "Astronaut Eileen Collins", points=[(0.2, 0.62, 1), (0.62, 0.56, 1), (0.83, 0.84, 0)]),
    _sample("coins.png", "Greek coins from Pompeii", points=[(0.875, 0.145, 1)]),
    _sample("rocket.jpg", "Rocket on its launch pad", boxes=[(0.47, 0.3, 0.545, 0.99)]),
    _sample("motorcycle_left.png", "Motorcycle in a garage", points=[(0.36, 0.5, 1)], boxes=[(0.01, 0.24, 0.94, 0.92)]),
    _sample(
        "motorcycle_right.png", "The motorcycle, from a hand's breadth to the right", boxes=[(0.01, 0.24, 0.9, 0.92)]
    ),
    _sample("hubble_deep_field.jpg", "Hubble extreme deep field", points=[(0.727, 0.543, 1)]),
    _sample("camera.png", "Man with a camera", points=[(0.25, 0.5, 1)]),
    _sample("retina.jpg", "Retina", points=[(0.155, 0.465, 1)]),
    _sample("ihc.png", "Colon tissue, stained", points=[(0.62, 0.74, 1)]),
    _sample("cell.png", "A cell", points=[(0.78, 0.57, 1)]),
    _sample("horse.png", "Horse silhouette", points=[(0.45, 0.42, 1)]),
    _sample("moon.png", "Surface of the moon", points=[(0.24, 0.17, 1)]),
)

SAMPLES: dict[str, Sample] = {sample.name: sample for sample in _TABLE}

COINS_PX = (
    (22, 35, 67, 74), (81, 39, 120, 74), (132, 28, 179, 74), (192, 30, 240, 73), (255, 34, 297, 72), (305, 16, 365, 72),
    (25, 104, 67, 145), (84, 108, 122, 145), (134, 110, 173, 145), (186, 105, 226, 144), (245, 95, 296, 144),
    (317, 106, 356, 145), (26, 179, 63, 217), (80, 175, 124, 217), (135, 179, 174, 217), (189, 170, 237, 217),
    (251, 172, 297, 217), (315, 156, 380, 218), (18, 233, 75, 288), (93, 245, 136, 287), (144, 236, 201, 288),
    (220, 240, 269, 288), (276, 239, 326, 289), (336, 248, 382, 289),
)  # fmt: skip
"""The sample's coins, row by row: x1, y1, x2, y2 in pixels, looked over by hand."""


@dataclass(frozen=True)
class KnownObjects:
    """Many of a kind in a sample picture. kind: the word for them; boxes: around each, as shares of the picture; each
    thing fills its box as an ellipse does.
    """

    kind: str
    boxes: tuple[Box, ...]


_COINS_SIZE = (384, 303)
SAMPLE_OBJECTS = {
    "coins": KnownObjects(
        "coins",
        tuple(
            (x1 / _COINS_SIZE[0], y1 / _COINS_SIZE[1], x2 / _COINS_SIZE[0], y2 / _COINS_SIZE[1])
            for x1, y1, x2, y2 in COINS_PX
        ),
    )
}
"""Where a sample shows many of a kind: all of them."""


@dataclass(frozen=True)
class Variant:
    """A sample seen otherwise. crop: (x1, y1, x2, y2) as shares of it; light: what brightness is multiplied by."""

    sample: str
    crop: tuple[float, float, float, float]
    mirrored: bool
    light: float


VARIANTS: Mapping[str, Variant] = {
    "coffee-mirrored": Variant("coffee", (0.1, 0.0, 1.0, 0.9), True, 0.8),
    "chelsea-closer": Variant("chelsea", (0.12, 0.0, 0.88, 0.95), True, 1.0),
    "coins-lower": Variant("coins", (0.0, 0.45, 1.0, 1.0), False, 1.0),
}


@dataclass(frozen=True)
class SamplePair:
    """Two pictures that show the same thing, by the names that `load_sample` takes, and prompts on the first."""

    title: str
    first: str
    second: str
    prompts: Prompts


SAMPLE_PAIRS = (
    SamplePair("Coffee, mirrored and darker", "coffee", "coffee-mirrored", SAMPLES["coffee"].prompts),
    SamplePair("The cat, mirrored and closer", "chelsea", "chelsea-closer", Prompts(boxes=[(0.01, 0.01, 0.99, 0.99)])),
    SamplePair(
        "A motorcycle, left and right", "motorcycle_left", "motorcycle_right", SAMPLES["motorcycle_left"].prompts
    ),
    SamplePair("One coin, and other coins", "coins", "coins-lower", SAMPLES["coins"].prompts),
)


def sample_names() -> tuple[str, ...]:
    """Names of the samples whose files the installed scikit-image has, the best to begin with first."""
    return tuple(name for name, sample in SAMPLES.items() if _path(sample).is_file())


_KEPT = 3
"""Samples that stay when nobody uses them: all of them together are 20 MB."""
_used: "WeakValueDictionary[str, Picture]" = WeakValueDictionary()
_latest: deque[Picture] = deque(maxlen=_KEPT)


def load_sample(name: str) -> Picture:
    """The sample picture or variant `name`: the same one for all, as long as somebody uses it."""
    picture = _used.get(name)
    if picture is None:
        picture = _used[name] = _read_sample(name)
    if not any(each is picture for each in tuple(_latest)):
        _latest.append(picture)
    return picture


def _read_sample(name: str) -> Picture:
    if name in VARIANTS:
        return _vary(load_sample(VARIANTS[name].sample), VARIANTS[name], name)
    if name not in SAMPLES:
        raise PictureError(f"There is no sample picture {name!r:.60}. There are: {', '.join(SAMPLES)}.")
    path = _path(SAMPLES[name])
    if not path.is_file():
        raise PictureError(
            f"The sample picture {name} is not in the installed scikit-image. Install it with `pip install "
            "scikit-image`, or take another picture."
        )
    return read_picture(path, name)


def known_objects(picture: Picture) -> KnownObjects | None:
    """The things of a kind that the sample picture shows; None for any other picture."""
    return next(
        (known for name, known in SAMPLE_OBJECTS.items() if name == picture.name and load_sample(name) == picture), None
    )


def mirrored(picture: Picture) -> Picture:
    """The picture with left and right exchanged."""
    return Picture.from_array(picture.rgb[:, ::-1], f"{picture.name} mirrored")


def _vary(picture: Picture, variant: Variant, name: str) -> Picture:
    x1, y1, x2, y2 = np.rint(np.array(variant.crop) * np.tile((picture.width, picture.height), 2)).astype(int)
    rgb = picture.rgb[y1:y2, x1:x2]
    rgb = rgb[:, ::-1] if variant.mirrored else rgb
    return Picture.from_array(cv2.convertScaleAbs(np.ascontiguousarray(rgb), alpha=variant.light), name)


@cache
def _data_folder() -> Path:
    # The package is looked up but not imported: importing it would load scipy, and its own reader may ask the network.
    spec = find_spec("skimage")
    folders = spec.submodule_search_locations if spec else None
    return Path(folders[0], "data") if folders else Path("scikit-image is not installed")


def _path(sample: Sample) -> Path:
    return _data_folder() / sample.file
