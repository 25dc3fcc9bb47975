"""Sample pictures that come with scikit-image's wheel: there is always something to try, offline, and nothing is copied or downloaded."""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from samkit.errors import PictureError
from samkit.media.pictures import Picture, read_picture
from samkit.models.prompts import Prompts


@dataclass(frozen=True)
class Sample:
    """A sample picture: its name, its file in scikit-image's data folder, a title for people, and a first prompt that lies on something."""

    name: str
    file: str
    title: str
    prompts: Prompts


def _sample(file: str, title: str, points=(), boxes=()) -> Sample:
    return Sample(Path(file).stem, file, title, Prompts(points, boxes))


_TABLE = (
    _sample("coffee.png", "Coffee: cup, saucer and spoon", points=[(0.46, 0.3, 1)], boxes=[(0.28, 0.03, 0.72, 0.61)]),
    _sample("chelsea.png", "Chelsea the cat", points=[(0.385, 0.385, 1)]),
    _sample("astronaut.png", "Astronaut Eileen Collins", points=[(0.2, 0.62, 1), (0.62, 0.56, 1), (0.83, 0.84, 0)]),
    _sample("coins.png", "Greek coins from Pompeii", points=[(0.875, 0.145, 1)]),
    _sample("rocket.jpg", "Rocket on its launch pad", boxes=[(0.47, 0.3, 0.545, 0.99)]),
    _sample("motorcycle_left.png", "Motorcycle in a garage", points=[(0.36, 0.5, 1)], boxes=[(0.01, 0.24, 0.94, 0.92)]),
    _sample("hubble_deep_field.jpg", "Hubble extreme deep field", points=[(0.727, 0.543, 1)]),
    _sample("camera.png", "Man with a camera", points=[(0.25, 0.5, 1)]),
    _sample("retina.jpg", "Retina", points=[(0.155, 0.465, 1)]),
    _sample("ihc.png", "Colon tissue, stained", points=[(0.62, 0.74, 1)]),
    _sample("cell.png", "A cell", points=[(0.78, 0.57, 1)]),
    _sample("horse.png", "Horse silhouette", points=[(0.45, 0.42, 1)]),
    _sample("moon.png", "Surface of the moon", points=[(0.24, 0.17, 1)]),
)

SAMPLES: dict[str, Sample] = {sample.name: sample for sample in _TABLE}


def sample_names() -> tuple[str, ...]:
    """Names of the samples whose files the installed scikit-image has, the best to begin with first."""
    return tuple(name for name, sample in SAMPLES.items() if _path(sample).is_file())


@cache
def load_sample(name: str) -> Picture:
    """The sample picture `name`, read once and kept: all of them together are 17 MB."""
    if name not in SAMPLES:
        raise PictureError(f"There is no sample picture {name!r:.60}. There are: {', '.join(SAMPLES)}.")
    path = _path(SAMPLES[name])
    if not path.is_file():
        raise PictureError(
            f"The sample picture {name} is not in the installed scikit-image. Install it with `pip install scikit-image`, or take another picture."
        )
    return read_picture(path, name)


@cache
def _data_folder() -> Path:
    # The package is found but not imported: importing it would load scipy, and its own reader may ask the network.
    spec = find_spec("skimage")
    return Path(spec.submodule_search_locations[0], "data") if spec else Path("scikit-image is not installed")


def _path(sample: Sample) -> Path:
    return _data_folder() / sample.file
