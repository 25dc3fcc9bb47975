"""A tiny model, tiny pictures with masks, and a spec of a sweep over them."""

from pathlib import Path

import numpy as np
from PIL import Image

from samkit.work.sweep.cases import all_cases
from samkit.work.sweep.results import SweepFolder, new_sweep
from samkit.work.sweep.spec import SweepSpec, spec_from_text, with_folder
from tests.random_models import SMALL_SAM1, SMALL_SAM2, save_random_model

SPEC = """
experiment: mask-stability
models: tiny.safetensors
pictures: {files: photos/*.png, masks: masks}
prompts: [{truth: box}, {truth: inside}]
params: {mask_index: [null, 0]}
device: cpu
threads: 1
"""
CELLS = 2 * 3 * 2
"""Prompts x objects x values of mask_index."""
MANY = SPEC.replace("prompts:", "repeats: 6\nprompts:").replace("{truth: inside}", "{truth: points, count: 2}")


FILM = """
experiment: video-priors
models: tiny.safetensors
films: {davis: davis}
prompts: [{truth: box}, {truth: mask}]
params: {max_frames: [0, 6]}
device: cpu
threads: 1
"""
PAIRS = """
experiment: cross-image
models: tiny.safetensors
pairs: {files: davis/JPEGImages/*/*.png, masks: davis/Annotations}
prompts: {truth: box}
params: {prompt_on: [a, b]}
device: cpu
threads: 1
"""
FRAMES = 5
"""Of the film that is FILM's, and PAIRS' pictures."""
HELD = """
import sys, time
from samkit.cli import main
from samkit.work.sweep.results import OutcomeFile

add, added = OutcomeFile.add, []

def add_and_hold(self, outcome):
    add(self, outcome)
    added.append(outcome.cell)
    if len(added) == 20:
        print("Held.", file=sys.stderr, flush=True)
        time.sleep(600)

OutcomeFile.add = add_and_hold
main()
"""
"""`python -c HELD sweep ...` is `python -m samkit sweep ...` that stands still, and says so, once twenty outcomes are
written: however slow the test is that ends it, the sweep is not done by then."""


def make_files(folder: Path) -> Path:
    """Two pictures with three objects in all, and a model, in `folder`."""
    chance = np.random.default_rng(0)
    for name in ("photos", "masks"):
        (folder / name).mkdir()
    for number, objects in enumerate((1, 2)):
        picture = chance.integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / "photos" / f"{number}.png")
        mask = np.zeros((40, 60), np.uint8)
        mask[5:35, 4:30] = 1
        if objects == 2:
            mask[10:30, 35:55] = 2
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
    save_random_model(folder / "tiny.safetensors", SMALL_SAM1)
    return folder


def spec(folder: Path, text: str = SPEC) -> SweepSpec:
    return with_folder(spec_from_text(text), folder)


def sweep(folder: Path, text: str = SPEC) -> SweepFolder:
    made = spec(folder, text)
    return new_sweep(made, all_cases(made))


def make_films(folder: Path) -> Path:
    """A film of five frames with two objects, the second of which is gone at its end; as DAVIS has them."""
    chance = np.random.default_rng(0)
    for kind in ("JPEGImages", "Annotations"):
        (folder / "davis" / kind / "bear").mkdir(parents=True)
    for frame in range(FRAMES):
        picture = chance.integers(0, 256, (40, 60, 3), dtype=np.uint8)
        mask = np.zeros((40, 60), np.uint8)
        mask[5:35, 4 + frame : 30 + frame] = 1
        if frame < 3:
            mask[10:30, 40:55] = 2
        Image.fromarray(picture).save(folder / "davis" / "JPEGImages" / "bear" / f"{frame:05}.png")
        Image.fromarray(mask).save(folder / "davis" / "Annotations" / "bear" / f"{frame:05}.png")
    save_random_model(folder / "tiny.safetensors", SMALL_SAM2)
    return folder
