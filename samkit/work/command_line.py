"""A spec as the command that makes the same run; `samkit.cli` reads it back."""

import json
import shlex
from typing import Any

from samkit.experiments.params import build_params, parse_value
from samkit.experiments.registry import find_experiment
from samkit.work.sources import BANK_FILE, frame_text
from samkit.work.spec import PriorSpec, Ref, RunSpec

OUT_FOLDER = "run"
MAX_MASK_CHARACTERS = 4_000
"""Of a mask written out in a command. A shell takes more, a person does not."""


def command_line(spec: RunSpec) -> str:
    """The command for a shell. It leaves out threads, attempt and names, for which there are no options.

    Memories of a film that no options can express (several of them, or a mask that is too long to be written out) are
    in the memory bank that the run writes, so the command takes that file in their place.
    """
    experiment = find_experiment(spec.experiment)
    words = ["python", "-m", "samkit", "run", experiment.NAME, "--model", spec.model.ref]
    if spec.video is not None and "video" in experiment.TAKES:
        words += ["--video", spec.video.ref, *_memory_words(spec, spec.video)]
    else:
        words += _picture_words(spec, experiment.TAKES)
    words += _settings(spec)
    words += ["--device", spec.device] if spec.device != "auto" else []
    words += ["--dtype", spec.dtype] if spec.dtype != "float32" and "image" in experiment.TAKES else []
    return shlex.join([*words, "--out", OUT_FOLDER])


def _picture_words(spec: RunSpec, taken: tuple[str, ...]) -> list[str]:
    """Pictures and prompts, as far as the experiment takes them."""
    words = ["--image", spec.image.ref] if spec.image is not None and "image" in taken else []
    words += ["--image-b", spec.image_b.ref] if spec.image_b is not None and "image_b" in taken else []
    return words + (_prompt_words(spec) if "prompts" in taken else [])


def _memory_words(spec: RunSpec, video: Ref) -> list[str]:
    """What is remembered before the film begins."""
    marked = _marked_picture_words(spec, video)
    if marked is None:
        return ["--bank", BANK_FILE]
    return marked + (["--bank", spec.bank.ref] if spec.bank is not None else [])


def _marked_picture_words(spec: RunSpec, video: Ref) -> list[str] | None:
    """The picture that is remembered and what marks it; None where options can't express it."""
    if not spec.priors:
        if spec.image is None or spec.prompts.is_empty:
            return []
        return ["--image", spec.image.ref, *_prompt_words(spec)]
    prior = spec.priors[0]
    if len(spec.priors) > 1 or not _is_of_the_run(prior, spec):
        return None
    from_film = prior.film_frame == 0 and prior.picture.ref == frame_text(video.ref, 0)
    image = [] if from_film else ["--image", prior.picture.ref]
    if prior.mask is None:
        return _prompt_words(spec) if from_film else None
    mask = json.dumps(prior.mask)
    expressible = (from_film or prior.film_frame is None) and len(mask) <= MAX_MASK_CHARACTERS
    return [*image, "--mask", mask] if expressible and spec.prompts.is_empty else None


def _is_of_the_run(prior: PriorSpec, spec: RunSpec) -> bool:
    """Whether the prior is the run's picture with its prompts, and leaves the choice of the mask to the run."""
    return prior.picture == spec.image and prior.prompts == spec.prompts and prior.mask_index is None


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
