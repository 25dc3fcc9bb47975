"""A film's run in tests: pictures to remember, and a model that follows something."""

from pathlib import Path

import numpy as np

import samkit
from samkit.experiments.film.params import Params
from samkit.experiments.inputs import Inputs
from samkit.experiments.video_priors import run
from samkit.media.film import masks_from_json
from samkit.media.films import Video
from samkit.media.pictures import Picture
from samkit.models.sam import SamModel
from samkit.prompts import Prompts
from samkit.work.lab import Lab
from tests.random_models import SMALL_SAM2, save_random_model

_RNG = np.random.default_rng(0)
PICTURE = Picture.from_array(_RNG.integers(0, 256, (90, 140, 3), dtype=np.uint8), "a.png")
OTHER = Picture.from_array(_RNG.integers(0, 256, (60, 60, 3), dtype=np.uint8), "b.png")
CLICK = Prompts(points=[(0.4, 0.6, 1)])


def following_model(folder: Path, film: Video) -> SamModel:
    """Random, of a seed that judges the object present on all frames, so that masks are not empty."""
    for seed in range(60):
        loaded = samkit.load_model(save_random_model(folder / f"{seed}.safetensors", SMALL_SAM2, seed), device="cpu")
        result = run(loaded, Inputs(PICTURE, CLICK, video=film), Params(), Lab())
        if min(row["object_score"] for row in result.tables["frames"]) > 0 and all(
            mask.any() for mask in masks_from_json(result.files["masks.json"]).values()
        ):
            return loaded
    raise AssertionError("no seed follows anything")
