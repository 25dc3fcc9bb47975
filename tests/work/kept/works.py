"""Works to keep, made from samples and noise."""

import numpy as np

from samkit.experiments.inputs import Prior
from samkit.media.pictures import Picture
from samkit.media.sample_videos import load_sample_video
from samkit.media.samples import load_sample
from samkit.prompts import Prompts
from samkit.work.kept.value import FilmWork, Memory, Side, Work

PROMPTS = Prompts([(0.25, 0.5, 1), (0.1, 0.2, 0)], [(0.1, 0.1, 0.6, 0.7)])


def noise(seed: int, side: int = 64, name: str = "upload.jpg") -> Picture:
    """A picture that no compression makes smaller: 3 * side * side bytes."""
    return Picture(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8), name)


def a_work(picture: Picture | None = None, **more) -> Work:
    values = {
        "page": "mask-stability",
        "model": "nano-sam2",
        "device": "cpu",
        "dtype": "float32",
        "tool": "box",
        "first": Side(picture or load_sample("coffee"), PROMPTS),
        "params": {"mask-stability": {"thresholds": (-2.0, 4.5), "mask_index": None, "view": "Logits", "on": True}},
        "shared_params": {"colormap": "magma"},
    }
    return Work(**(values | more))


def a_film(*pictures: Picture) -> FilmWork:
    """The sample film with a memory of each picture, marked by a mask."""
    memories = []
    for picture in pictures:
        mask = np.zeros(picture.size, bool)
        mask[: picture.height // 2] = True
        memories.append(Memory(Prior(picture, mask=mask), picture.rgb[:8, :8]))
    return FilmWork(load_sample_video("coin"), tuple(memories))
