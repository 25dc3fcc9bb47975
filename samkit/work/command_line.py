"""A spec as the command that makes the same run; `samkit.cli` reads it back."""

import json
import shlex
from typing import Any

from samkit.experiments.params import build_params, parse_value
from samkit.experiments.registry import find_experiment
from samkit.work.sources import BANK_FILE, frame_text
from samkit.work.spec import PriorSpec, RunSpec

OUT_FOLDER = "run"
MAX_MASK_CHARACTERS = 4_000
"""Of a mask written out in a command. A shell takes more, a person does not."""


def command_line(spec: RunSpec) -> str:
    """The command for a shell. It has no way to say threads, attempt and names.

    Memories of a film that no options can say (several of them, or a mask that is too long to be written out) are in
    the memory bank that the run writes, so the command takes that file in their place.
    """
    experiment = find_experiment(spec.experiment)
    words = ["python", "-m", "samkit", "run", experiment.NAME, "--model", spec.model.ref]
    words += _film_words(spec) if spec.video is not None else _picture_words(spec, experiment.TAKES)
    words += _settings(spec)
    words += ["--device", spec.device] if spec.device != "auto" else []
    words += ["--dtype", spec.dtype] if spec.dtype != "float32" and "image" in experiment.TAKES else []
    return shlex.join([*words, "--out", OUT_FOLDER])


def _picture_words(spec: RunSpec, taken: tuple[str, ...]) -> list[str]:
    """Pictures and prompts, as far as the experiment takes them."""
    words = ["--image", spec.image.ref] if spec.image is not None and "image" in taken else []
    words += ["--image-b", spec.image_b.ref] if spec.image_b is not None and "image_b" in taken else []
    return words + (_prompt_words(spec) if "prompts" in taken else [])


def _film_words(spec: RunSpec) -> list[str]:
    """The film and what is remembered before it begins."""
    assert spec.video is not None
    words = ["--video", spec.video.ref]
    memory = _memory_words(spec)
    if memory is None:
        return [*words, "--bank", BANK_FILE]
    return words + memory + (["--bank", spec.bank.ref] if spec.bank is not None else [])


def _memory_words(spec: RunSpec) -> list[str] | None:
    """What marks the one picture that is remembered; None where options can't say it."""
    if not spec.priors:
        marked = spec.image is not None and not spec.prompts.is_empty
        return ["--image", spec.image.ref, *_prompt_words(spec)] if spec.image and marked else []
    prior = spec.priors[0]
    if len(spec.priors) > 1 or prior.mask_index is not None or prior.picture != spec.image:
        return None
    if _is_first_frame(prior, spec):
        image = []
    elif prior.film_frame is None and prior.mask is not None:
        image = ["--image", prior.picture.ref]
    else:
        return None
    if prior.mask is None:
        return image + _prompt_words(spec) if prior.prompts == spec.prompts else None
    mask = json.dumps(prior.mask)
    sayable = spec.prompts.is_empty and prior.prompts.is_empty and len(mask) <= MAX_MASK_CHARACTERS
    return [*image, "--mask", mask] if sayable else None


def _is_first_frame(prior: PriorSpec, spec: RunSpec) -> bool:
    return prior.film_frame == 0 and spec.video is not None and prior.picture.ref == frame_text(spec.video.ref, 0)


def _prompt_words(spec: RunSpec) -> list[str]:
    words = []
    for x, y, label in spec.prompts.points:
        words += ["--point", f"{x},{y},{label}"]
    for box in spec.prompts.boxes:
        words += ["--box", ",".join(map(str, box))]
    return words


def _settings(spec: RunSpec) -> list[str]:
    """`--set name=value` for each parameter that is not as it would be anyway."""
    params_class = find_experiment(spec.experiment).Params
    defaults = params_class().model_dump(mode="json")
    words = []
    for name, value in build_params(params_class, spec.params).model_dump(mode="json").items():
        if value != defaults[name]:
            words += ["--set", f"{name}={_written(value)}"]
    return words


def _written(value: Any) -> str:
    """The text that `parse_value` reads as that value."""
    if value is None:
        return "none"
    if isinstance(value, str) and parse_value(value) == value:
        return value
    return json.dumps(value)
