"""Kept runs that would take minutes to be made again."""

from dataclasses import replace
from pathlib import Path

import samkit
from samkit.experiments.inputs import Inputs
from samkit.experiments.params import build_params
from samkit.experiments.registry import find_experiment
from samkit.media.samples import load_sample
from samkit.prompts import Prompts
from samkit.tracking.store.keep import keep_run
from samkit.work.execute import compute, spec_of, write
from samkit.work.lab import Lab
from samkit.work.sources import Sources

SIDE = 6144
"""At which nano-sam2 encodes for some minutes."""
PROMPTS = Prompts([(0.46, 0.3, 1)])


def keep_large_run(folder: Path) -> str:
    """Keep a run of mask stability that says it was made at `SIDE`, in the store that the environment names; its id.
    folder: an empty one.
    """
    model, picture = samkit.load_model("nano-sam2", device="cpu"), load_sample("coffee")
    params = build_params(find_experiment("mask-stability").Params, {"side": 128})
    spec = spec_of("mask-stability", "nano-sam2", model, Inputs(picture, PROMPTS), params)
    lab = Lab(sources=Sources(pictures=[picture], load_model=lambda *_: model))
    made = compute(spec, lab)
    large = replace(made.result, params=params.model_copy(update={"side": SIDE}))
    run = keep_run(write(replace(made, result=large), folder / "run", name="a large side")).run
    assert run is not None
    return run.run_id
