"""What one only looks at differently runs no model, in any experiment; neither does going back to earlier values.

The models' steps are counted. A lab whose encodings are all too large to keep shows that what is looked at needs no
encoding again either.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import samkit
from samkit.experiments.inputs import Inputs
from samkit.experiments.registry import NAMES, find_experiment
from samkit.experiments.result import Result
from samkit.media.pictures import Picture
from samkit.media.video import open_video
from samkit.prompts import Prompts
from samkit.work.lab import Lab
from samkit.work.memory import Memory
from tests.media.films import moving_frames, write_film_file
from tests.random_models import SMALL_SAM2, save_random_model

RNG = np.random.default_rng(0)
A = Picture.from_array(RNG.integers(0, 256, (90, 140, 3), dtype=np.uint8), "a.png")
B = Picture.from_array(RNG.integers(0, 256, (120, 80, 3), dtype=np.uint8), "b.png")
CLICK = Prompts(points=[(0.4, 0.6, 1)])


@dataclass(frozen=True)
class Case:
    """base: parameters that make an experiment work hard; looks: changes that only show it differently; tokens: such
    changes that need tokens of an encoding, which is there; works: changes that are work, and from which one comes back
    """

    base: dict[str, Any]
    looks: list[dict[str, Any]]
    tokens: list[dict[str, Any]] = field(default_factory=list)
    works: list[dict[str, Any]] = field(default_factory=list)


CASES = {
    "mask-stability": Case(
        {"jitter_copies": 4, "input_scale": 0.5},
        [
            {"lower_threshold": -2.0, "upper_threshold": 1.0},
            {"colormap": "magma"},
            {"mask_index": 0},
            {"mask_index": 3, "jitter_copies": 2},
            {"stability_offset": 0.5},
            {"max_delta": 3.0},
            {"refine_edges": True},
            {"jitter_copies": 0},
            {"input_scale": 1.0, "jitter_copies": 0},
        ],
        works=[
            {"jitter_copies": 6},
            {"jitter_percent": 3.0},
            {"jitter_px": 9.0},
            {"seed": 1},
            {"side": 64},
            {"input_scale": 0.3},
        ],
    ),
    "cross-image": Case(
        {"jitter_copies": 3, "repeats": 2, "point_and_box": True},
        [
            {"threshold": 0.3, "point_and_box": False},
            {"tracked_index": 0},
            {"stability_offset": 0.5},
            {"colormap": "magma"},
            {"refine_edges": True},
            {"repeats": 0},
            {"jitter_copies": 2},
            {"point_and_box": False},
        ],
        works=[{"mask_index": 0}, {"repeats": 3}, {"prompt_on": "b"}, {"jitter_copies": 4}, {"seed": 1}],
    ),
    "block-norms": Case(
        {},
        [{"outlier_factor": 1.2}, {"colormap": "magma"}, {"block": 0}, {"channel": 2}],
        [{"block": 1, "channel": 3}, {"block": 0, "channel": 1}],
        [{"side": 64}, {"fit": "aspect"}],
    ),
    "semantic-similarity": Case(
        {"mirrored": True, "zoom": True, "find_objects": True, "threshold": 0.5},
        [
            {"range_low": -0.5, "range_high": 0.5},
            {"own_range": False},
            {"colormap": "magma"},
            {"threshold": 0.3, "find_objects": False},
            {"min_area": 0.3},
        ],
        [
            {"prototypes": 3, "find_objects": False},
            {"features": "raw", "level": 1, "find_objects": False},
            {"zoom": False, "mask_index": 0, "find_objects": False},
        ],
        [{"side": 64}, {"fit": "aspect"}],
    ),
    "window-size": Case(
        {"window_sizes": (8, 4, 4, 4), "repeats": 2, "sweep_stage": 4, "sweep_sizes": (2, 4)},
        [
            {"colormap": "magma"},
            {"mask_index": 0},
            {"refine_edges": True},
            {"sweep_sizes": ()},
            {"sweep_sizes": (4,)},
            {"repeats": 1, "sweep_sizes": ()},
        ],
        [{"window_sizes": None}],
        [{"window_sizes": (8, 4, 4, 8)}, {"repeats": 4}, {"sweep_sizes": (2, 4, 8)}],
    ),
    "position-encoding": Case(
        {"height": 20},
        [{"channel": 3}, {"row": 0, "column": 0}, {"colormap": "magma"}],
        works=[{"height": 10}, {"window_tiling": False}],
    ),
    "fine-tuning": Case(
        {},
        [{"colormap": "magma"}, {"mask_index": 0}, {"refine_edges": True}],
        works=[{"side": 64}, {"fit": "aspect"}],
    ),
    "video-priors": Case({"count": 3}, [{}], works=[{"start": 2}, {"remember": False}, {"refine_edges": True}]),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Of a seed whose masks are empty on none of the pictures."""
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    return samkit.load_model(save_random_model(path, SMALL_SAM2, seed=3), device="cpu")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """What each experiment takes of everything there is."""
    film = open_video(write_film_file(tmp_path_factory.mktemp("film") / "moving.mp4", moving_frames(6)))
    everything = {"image": A, "image_b": B, "prompts": CLICK, "video": film}
    return {
        name: Inputs(**{key: value for key, value in everything.items() if key in find_experiment(name).TAKES})
        for name in NAMES
    }


@pytest.fixture
def ask(model, inputs):
    """Runs an experiment with changed parameters, in a lab."""

    def run(name: str, changes: dict[str, Any], lab: Lab) -> Result:
        experiment = find_experiment(name)
        return experiment.run(model, inputs[name], experiment.Params(**CASES[name].base | changes), lab)

    return run


def same(first: Result, second: Result) -> bool:
    """Whether two results are the same to the last bit, times included where they were measured once."""
    return (
        first.metrics == second.metrics
        and first.facts == second.facts
        and all(np.array_equal(mask.pixels, second.masks[name].pixels) for name, mask in first.masks.items())
        and all(np.array_equal(values, second.arrays[name], equal_nan=True) for name, values in first.arrays.items())
        and all(np.array_equal(pixels, second.images[name]) for name, pixels in first.images.items())
        and dict(first.tables) == dict(second.tables)
    )


def test_every_experiment_is_looked_at():
    assert set(CASES) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("encodings_bytes", [2**30, 1])
def test_another_look_runs_no_model(ask, calls, name, encodings_bytes):
    lab, case = Lab(encodings=Memory(encodings_bytes)), CASES[name]
    ask(name, {}, lab)
    if name == "block-norms":
        ask(name, {"block": 0, "channel": 0}, lab)
    assert calls.taken()
    for look in case.looks + (case.tokens if encodings_bytes > 1 else []):
        ask(name, look, lab)
        assert not calls.taken(), look


@pytest.mark.parametrize("name", NAMES)
def test_going_back_runs_no_model_and_gives_the_same(ask, calls, name):
    lab, case = Lab(), CASES[name]
    first = ask(name, {}, lab)
    for work in case.works:
        calls.clear()
        changed = ask(name, work, lab)
        assert calls.taken(), f"{work} is work"
        assert same(ask(name, {}, lab), first) and not calls.taken()
        assert same(ask(name, work, lab), changed) and not calls.taken()


@pytest.mark.parametrize("name", NAMES)
def test_a_lab_changes_nothing(ask, name):
    """What was remembered on the way gives the very result that a lab without any memory gives."""
    lab, case = Lab(), CASES[name]
    for change in ({}, *case.looks, *case.tokens):
        remembered = ask(name, change, lab)
    fresh = ask(name, change, Lab(Memory(0), Memory(0)))
    assert fresh.facts == remembered.facts and fresh.metrics == remembered.metrics
    assert all(np.array_equal(mask.pixels, fresh.masks[key].pixels) for key, mask in remembered.masks.items())
    assert set(fresh.masks) == set(remembered.masks) and set(fresh.tables) == set(remembered.tables)
