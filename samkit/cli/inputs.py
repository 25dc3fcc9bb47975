"""What a person types, as the spec of a run."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samkit.errors import BadInput, ParamsError, PromptError
from samkit.files import read_small
from samkit.words import listed

if TYPE_CHECKING:
    from samkit.experiments.registry import Experiment
    from samkit.experiments.steering import Steering
    from samkit.prompts import Prompts
    from samkit.work.spec import PriorSpec, Ref, RunSpec

INPUT_OPTIONS = {
    "image": ("--image",),
    "image_b": ("--image-b",),
    "prompts": ("--point", "--box", "--prompts"),
    "video": ("--video", "--video-side"),
    "priors": ("--mask",),
    "bank": ("--bank",),
    "banks": ("--bank",),
    "mask_hint": ("--mask",),
    "truth": ("--truth",),
    "truth_b": ("--truth-b",),
    "steering": ("--steering",),
}
"""Field of `Inputs` -> options that fill it. A mask is a memory for a film, and a hint on a picture."""

MAX_JSON_BYTES = 4 * 2**20
"""Of a file of prompts or of steering."""
NO_BANK = "none"
"""What stands in place of a memory bank for an object that begins without one."""

Written = Mapping[str, Any]
"""Input option -> what was written for it; None or an empty list where nothing was."""


def read_spec(
    experiment: str, model: str, settings: Sequence[str], written: Written, device: str, dtype: str
) -> "RunSpec":
    """The run that the options ask for. Nothing is opened yet but the files of prompts and of a mask.

    settings: texts `name=value`. Raises BadInput for what the experiment does not take, and for options that don't go
    together.
    """
    from samkit.experiments.params import build_params
    from samkit.experiments.registry import find_experiment
    from samkit.work.spec import Ref, RunSpec

    module = find_experiment(experiment)
    params = build_params(module.Params, read_settings(settings))
    check_taken(module, written)
    if written["--mask"] is not None and not written["--video"] and "mask_hint" not in module.TAKES:
        raise BadInput("A mask marks the object to follow through a film: give a film with --video too.")
    takes_picture = "image" in module.TAKES
    if dtype != "float32" and not takes_picture:
        raise BadInput(f"{module.NAME} uses only the model and runs no image encoder: leave --dtype out.")
    return RunSpec(
        module.NAME,
        Ref(model),
        params.model_dump(mode="json"),
        device=device,
        dtype=dtype,
        **(_read_inputs(written) if takes_picture else {}),
        **(_read_given(written) if "mask_hint" in module.TAKES else {}),
    )


def check_taken(experiment: "Experiment", written: Written) -> None:
    """BadInput for an input that the experiment would leave unread."""
    from samkit.experiments.registry import experiments_taking

    def _experiments_with(option: str) -> list[str]:
        fields = [field for field, options in INPUT_OPTIONS.items() if option in options]
        return list(dict.fromkeys(name for field in fields for name in experiments_taking(field)))

    for options in INPUT_OPTIONS.values():
        option = next((option for option in options if written[option] not in (None, [])), None)
        if option is None or any(option in INPUT_OPTIONS[taken] for taken in experiment.TAKES):
            continue
        own = list(dict.fromkeys(option for taken in experiment.TAKES for option in INPUT_OPTIONS[taken]))
        takes = f"takes {listed(own)}, but" if own else "uses only the model and takes"
        raise BadInput(f"{experiment.NAME} {takes} no {option}, which is for {listed(_experiments_with(option))}.")


def _read_inputs(written: Written) -> dict[str, Any]:
    """The fields of a spec that refer to its inputs. Without a picture, prompts or mask are on the film's first
    frame; a bank or a mask needs a film.
    """
    from samkit.work.sources import frame_in, frame_text, side_of
    from samkit.work.spec import Ref

    image = written["--image"]
    film = Ref(written["--video"], side=written["--video-side"]) if written["--video"] else None
    prompts = read_prompts(written["--point"] or [], written["--box"] or [], written["--prompts"])
    _check_together(written, marked=not prompts.is_empty)
    if film is None:
        picture = Ref(image)
    else:
        text = image if image is not None else frame_text(film.ref, 0)
        picture = Ref(text, side=side_of(text, film))
    return {
        "image": picture,
        "image_b": Ref(written["--image-b"]) if written["--image-b"] else None,
        "prompts": prompts,
        "video": film,
        "priors": _read_priors(written, picture, prompts, frame_in(picture.ref, film)) if film else (),
        **_read_banks(written["--bank"] or [], read_steering(written["--steering"])),
    }


def _read_given(written: Written) -> dict[str, Any]:
    """The fields of a spec that refer to masks which come with the pictures."""
    from samkit.work.sources import Sources
    from samkit.work.spec import HintSpec, Ref

    fields: dict[str, Any] = {
        field: Ref(written[option])
        for field, option in (("truth", "--truth"), ("truth_b", "--truth-b"))
        if written[option] is not None
    }
    if written["--mask"] is not None:
        file = Ref(written["--mask"])
        fields["mask_hint"] = HintSpec(Sources().hint_kind(file), file)
    return fields


def read_steering(file: Path | None) -> "Steering":
    """What `--steering` names; one object and no hand on the run without it."""
    from samkit.experiments.steering import NOT_STEERED, Steering

    if file is None:
        return NOT_STEERED
    return Steering.from_json(read_small(file, MAX_JSON_BYTES, "The steering file"), str(file))


def _read_banks(files: Sequence[str], steering: "Steering") -> dict[str, Any]:
    """Memory banks by object, "none" for one that has none. Without a steering that names them there are as many
    objects as banks.
    """
    from samkit.experiments.steering import FilmObject
    from samkit.work.spec import Ref

    refs = [Ref(file) if file != NO_BANK else None for file in files]
    if len(refs) > steering.count:
        steering = replace(steering, objects=(*steering.objects, *[FilmObject()] * (len(refs) - len(steering.objects))))
    first, *others = refs or [None]
    return {"bank": first, "banks": tuple(others), "steering": steering}


def _check_together(written: Written, marked: bool) -> None:
    """BadInput for options that don't go together. marked: whether there are prompts."""
    image, film, mask = written["--image"], written["--video"], written["--mask"]
    if image is None and not film:
        raise BadInput("There is no picture: give one with --image, a file or sample:chelsea.")
    side = written["--video-side"]
    if side is not None and not film:
        raise BadInput("--video-side is how large a film's frames are read: give a film with --video too.")
    if side is not None and (side < 2 or side % 2):
        raise BadInput(f"--video-side takes an even number of pixels from 2 up, not {side}.")
    if written["--bank"] and not film:
        raise BadInput("A memory bank is for following an object through a film: give a film with --video too.")
    if written["--steering"] is not None and not film:
        raise BadInput("Steering says how a film runs: give a film with --video too.")
    if mask is not None and film and marked:
        raise BadInput("A mask takes the place of prompts: give --mask or prompts, not both.")
    if film and image is not None and mask is None and not marked:
        raise BadInput(
            "The object to follow must be marked on the picture: give --point, --box, --prompts or --mask, or leave "
            "--image out."
        )


def _read_priors(
    written: Written, picture: "Ref", prompts: "Prompts", film_frame: int | None
) -> tuple["PriorSpec", ...]:
    """What is remembered before a film begins, where it is more than prompts on a picture of its own. film_frame: which
    frame of the film the picture is
    """
    from samkit.work.spec import PriorSpec

    if written["--mask"] is not None:
        return (PriorSpec(picture, mask=read_mask(written["--mask"]), film_frame=film_frame),)
    if film_frame is not None and not prompts.is_empty:
        return (PriorSpec(picture, prompts, film_frame=film_frame),)
    return ()


def read_mask(text: str) -> dict[str, Any]:
    """The mask of `--mask` as COCO run-length encoding: read from a black and white PNG, or written out as that."""
    from samkit.media.drawing import mask_from_png
    from samkit.media.rle import mask_to_rle, rle_to_mask

    if not text.lstrip().startswith("{"):
        return mask_to_rle(mask_from_png(Path(text)))
    try:
        rle = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(
            f"--mask takes a PNG file, or a mask as COCO RLE in JSON, and this is not JSON: {error}."
        ) from error
    rle_to_mask(rle)
    return rle


def read_prompts(points: Sequence[str], boxes: Sequence[str], file: Path | None) -> "Prompts":
    """The Prompts of `--point x,y[,label]`, `--box x1,y1,x2,y2` and `--prompts FILE.json`, all of them together."""
    from samkit.prompts import FOREGROUND, Prompts

    prompts = Prompts()
    if file is not None:
        prompts = Prompts.from_json(read_small(file, MAX_JSON_BYTES, "The prompts file"))
    more_points = [_numbers(text, "--point", "x,y or x,y,label", (2, 3)) for text in points]
    more_boxes = [_numbers(text, "--box", "x1,y1,x2,y2", (4,)) for text in boxes]
    return Prompts.from_dict(
        {
            "points": [*prompts.points, *((*row, FOREGROUND)[:3] for row in more_points)],
            "boxes": [*prompts.boxes, *more_boxes],
        }
    )


def read_settings(settings: Sequence[str]) -> dict[str, Any]:
    """`--set name=value` as a dict of values. ParamsError for a text without `=` and for a name given twice."""
    from samkit.experiments.params import parse_value

    values = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ParamsError(f'--set takes name=value, not "{text:.60}".')
        if name.strip() in values:
            raise ParamsError(f'--set gives "{name.strip()}" twice: give it once.')
        values[name.strip()] = parse_value(value)
    return values


def check_out_folder(out: Path) -> None:
    """BadInput unless `out` is an empty folder or can become one, which is tried: nothing is computed for a place that
    takes nothing.
    """
    if out.is_dir() and any(out.iterdir()):
        raise BadInput(f"The folder {out} is not empty: give --out a new or empty one, so that nothing is overwritten.")
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file: give --out a new or empty folder.")
    above = next(folder for folder in out.absolute().parents if folder.exists())
    # Of the length of the folder that a run is written in first, which then takes its place.
    attempt = above / f".{out.name}.{uuid.uuid4().hex[:8]}.part"
    try:
        attempt.mkdir()
        attempt.rmdir()
    except OSError as error:
        raise BadInput(
            f"The folder {out} can't be made in {above} ({error.strerror}): give --out another place."
        ) from error


def make_parents(out: Path) -> None:
    """Make the folders above `out`; BadInput where they can't be made."""
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"The folder {out.absolute().parent} can't be made ({error.strerror}): give --out another place."
        ) from error


def _numbers(text: str, option: str, layout: str, lengths: tuple[int, ...]) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) not in lengths:
        raise PromptError(f'{option} takes {layout} as numbers from 0 to 1, not "{text:.60}".')
    return values
