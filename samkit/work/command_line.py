"""A spec as the command that makes the same run; `samkit.cli` reads it back."""

import json
import shlex
from dataclasses import replace
from typing import Any

from samkit.experiments.params import build_params, parse_value
from samkit.experiments.registry import find_experiment
from samkit.experiments.steering import NOT_STEERED, STEERING_FILE
from samkit.work.sources import BANK_FILE, bank_file, frame_in, side_of
from samkit.work.spec import PriorSpec, Ref, RunSpec

OUT_FOLDER = "run"
STEERING_WORDS = ["--steering", STEERING_FILE]
MAX_MASK_CHARACTERS = 4_000
"""Of a mask written out in a command. A shell takes more, a person does not."""


def command_line(spec: RunSpec) -> str:
    """The command for a shell. It leaves out threads, attempt and names, for which there are no options.

    Memories of a film that no options can express are in the memory bank that the run gives, so the command takes that
    file in their place: see `takes_bank_file`.
    """
    spec = _as_typed(spec)
    experiment = find_experiment(spec.experiment)
    words = ["python", "-m", "samkit", "run", experiment.NAME, "--model", spec.model.ref]
    if spec.video is not None and "video" in experiment.TAKES:
        side = ["--video-side", str(spec.video.side)] if spec.video.side is not None else []
        words += ["--video", spec.video.ref, *side, *_memory_words(spec, spec.video)]
        words += STEERING_WORDS if takes_steering_file(spec) else []
    else:
        words += _picture_words(spec, experiment.TAKES)
    words += _settings(spec)
    words += ["--device", spec.device] if spec.device != "auto" else []
    words += ["--dtype", spec.dtype] if spec.dtype != "float32" and "image" in experiment.TAKES else []
    return shlex.join([*words, "--out", OUT_FOLDER])


def takes_bank_file(spec: RunSpec) -> bool:
    """Whether the command reads `BANK_FILE`, the memory bank that the run gives, and those of further objects. It does
    where options can't express what is remembered: several pictures, a mask that is too long to be written out, a
    page's bank.
    """
    spec = _as_typed(spec)
    files = _from_bank_files(spec)
    return spec.video is not None and bool(files) and _memory_words(spec, spec.video) == files


def takes_steering_file(spec: RunSpec) -> bool:
    """Whether the command reads `STEERING_FILE`, which the run gives: where several objects are followed, or something
    was corrected or switched.
    """
    return spec.video is not None and spec.steering != NOT_STEERED


def _from_bank_files(spec: RunSpec) -> list[str]:
    """The banks that the run gives, one for each object that has memories before the film begins."""
    begun = {prior.object for prior in spec.priors} or ({0} if not spec.prompts.is_empty else set())
    begun |= {number for number, ref in enumerate((spec.bank, *spec.banks)) if ref is not None}
    files = [bank_file(number) if number in begun else "none" for number in range(max(begun, default=-1) + 1)]
    return [word for file in files for word in ("--bank", file)]


def _as_typed(spec: RunSpec) -> RunSpec:
    """The same run as options make it: one marked picture from elsewhere is the run's picture with its prompts, and
    which of its masks is meant is a parameter.
    """
    if spec.video is None or len(spec.priors) != 1 or spec.prompts.is_empty:
        return spec
    prior = spec.priors[0]
    own = prior.picture == spec.image and prior.prompts == spec.prompts
    given = prior.mask is not None or prior.mask_hint is not None
    if not own or prior.object or given or prior.film_frame is not None:
        return spec
    return replace(spec, priors=(), params=spec.params | {"mask_index": prior.mask_index})


def _picture_words(spec: RunSpec, taken: tuple[str, ...]) -> list[str]:
    """Pictures, prompts and the masks that came with them, as far as the experiment takes them."""
    words = ["--image", spec.image.ref] if spec.image is not None and "image" in taken else []
    words += ["--image-b", spec.image_b.ref] if spec.image_b is not None and "image_b" in taken else []
    words += _prompt_words(spec) if "prompts" in taken else []
    words += ["--mask", spec.mask_hint.file.ref] if spec.mask_hint is not None and "mask_hint" in taken else []
    words += ["--truth", spec.truth.ref] if spec.truth is not None and "truth" in taken else []
    return words + (["--truth-b", spec.truth_b.ref] if spec.truth_b is not None and "truth_b" in taken else [])


def _memory_words(spec: RunSpec, video: Ref) -> list[str]:
    """What is remembered before the film begins."""
    marked = _marked_picture_words(spec, video)
    # A page knows a bank by no other name than that of the run's, which holds both.
    if marked is None or any(spec.banks) or (spec.bank is not None and spec.bank.ref == BANK_FILE):
        return _from_bank_files(spec)
    return marked + (["--bank", spec.bank.ref] if spec.bank is not None else [])


def _marked_picture_words(spec: RunSpec, video: Ref) -> list[str] | None:
    """The picture that is remembered and what marks it; None where options can't express it."""
    if not spec.priors and (spec.image is None or spec.prompts.is_empty):
        return []
    if spec.image is not None and spec.image.side != side_of(spec.image.ref, video):
        return None
    if not spec.priors and spec.image is not None:
        if frame_in(spec.image.ref, video) is not None:
            return None
        return ["--image", spec.image.ref, *_prompt_words(spec)]
    prior = spec.priors[0]
    several = prior.object or len(spec.priors) > 1
    if several or prior.mask_hint is not None or not _is_of_the_run(prior, spec):
        return None
    if prior.film_frame != frame_in(prior.picture.ref, video):
        return None
    image = [] if prior.film_frame == 0 else ["--image", prior.picture.ref]
    if prior.mask is None:
        return [*image, *_prompt_words(spec)] if prior.film_frame is not None else None
    mask = json.dumps(prior.mask)
    expressible = len(mask) <= MAX_MASK_CHARACTERS and spec.prompts.is_empty
    return [*image, "--mask", mask] if expressible else None


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
    values = build_params(params_class, spec.params).model_dump(mode="json")
    defaults = params_class().model_dump(mode="json")
    given = {name for name, value in values.items() if value != defaults[name]}
    # What is given may change the default of another one.
    defaults = build_params(params_class, {name: values[name] for name in given}).model_dump(mode="json")
    given |= {name for name, value in values.items() if value != defaults[name]}
    return [word for name in values if name in given for word in ("--set", f"{name}={_written(values[name])}")]


def _written(value: Any) -> str:
    """The text that `parse_value` reads as that value."""
    if value is None:
        return "none"
    if isinstance(value, str) and parse_value(value) == value:
        return value
    return json.dumps(value)
