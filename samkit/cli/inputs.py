"""What a person types, as the values that experiments take."""

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from samkit.errors import BadInput, ParamsError, PromptError

SAMPLE_PREFIX = "sample:"
INPUT_OPTIONS = {
    "image": ("--image",),
    "image_b": ("--image-b",),
    "prompts": ("--point", "--box", "--prompts"),
    "video": ("--video",),
    "priors": ("--mask",),
    "bank": ("--bank",),
}
"""Field of `Inputs` -> options that fill it."""


def check_taken(experiment, given: Mapping[str, object]) -> None:
    """BadInput for an input that the experiment would leave unread. given: option -> what was written for it, None or
    an empty list where nothing was.
    """
    from samkit.experiments.registry import experiments_taking

    for field, options in INPUT_OPTIONS.items():
        option = next((option for option in options if given[option] not in (None, [])), None)
        if option is None or field in experiment.TAKES:
            continue
        own = [option for taken in experiment.TAKES for option in INPUT_OPTIONS[taken]]
        takes = f"takes {_listed(own)}, but" if own else "looks at the model alone and takes"
        raise BadInput(f"{experiment.NAME} {takes} no {option}, which is for {_listed(experiments_taking(field))}.")


def read_image(text: str):
    """The Picture of `--image`: a path, `sample:NAME`, or FILM#12 for a frame of a film, FILM being what `--video`
    takes.
    """
    from samkit.media.pictures import read_picture
    from samkit.media.samples import load_sample, sample_names

    frame = re.fullmatch(r"(.+)#(\d{1,9})", text)
    if frame and not os.path.exists(text):
        with read_film(frame[1]) as film:
            return film.picture(int(frame[2]))
    if not text.startswith(SAMPLE_PREFIX):
        return read_picture(text)
    name = text.removeprefix(SAMPLE_PREFIX)
    near = difflib.get_close_matches(name, sample_names(), n=2, cutoff=0.7)
    if name not in sample_names() and near:
        raise BadInput(f'There is no sample picture "{name}": did you mean {" or ".join(near)}?')
    return load_sample(name)


def read_film(text: str):
    """The Video of `--video`: a file, a folder of frames, or `sample:NAME`."""
    from samkit.media.sample_videos import load_sample_video
    from samkit.media.video import open_video

    return load_sample_video(text.removeprefix(SAMPLE_PREFIX)) if text.startswith(SAMPLE_PREFIX) else open_video(text)


def read_inputs(
    image: str | None,
    image_b: str | None,
    prompts,
    video: str | None,
    bank: Path | None,
    mask: Path | None,
    takes_picture: bool = True,
):
    """The Inputs of a run. Without a picture, prompts or mask are on the film's first frame; a bank or a mask needs a
    film.

    takes_picture: off for an experiment on a model alone
    """
    from samkit.experiments.result import Inputs, Prior
    from samkit.media.drawing import mask_from_png

    if not takes_picture:
        return Inputs()
    film = read_film(video) if video else None
    if image is None and film is None:
        raise BadInput("There is no picture: give one with --image, a file or sample:chelsea.")
    memories = None
    if bank is not None:
        from samkit.models.memory_bank import MemoryBank

        if film is None:
            raise BadInput("A memory bank is for following an object through a film: give one with --video too.")
        memories = MemoryBank.load(bank)
    if mask is not None and film is None:
        raise BadInput("A mask is what a film's object is remembered by: give a film with --video too.")
    if mask is not None and not prompts.is_empty:
        raise BadInput("A mask is what is remembered in place of prompts: give --mask or prompts, not both.")
    if film is not None and image is not None and mask is None and prompts.is_empty:
        raise BadInput(
            "A picture beside a film is what is remembered: say what on it with --point, --box, --prompts or "
            "--mask, or leave --image out."
        )
    picture = read_image(image) if image is not None else film.picture(0)
    second = read_image(image_b) if image_b else None
    place = None if image is not None else 0
    priors = ()
    if mask is not None:
        priors = (Prior(picture, mask=mask_from_png(mask), film_frame=place),)
    elif film is not None and image is None and not prompts.is_empty:
        priors = (Prior(picture, prompts, film_frame=place),)
    return Inputs(picture, prompts, second, video=film, priors=priors, bank=memories)


def read_prompts(points: list[str], boxes: list[str], file: Path | None):
    """The Prompts of `--point x,y[,label]`, `--box x1,y1,x2,y2` and `--prompts FILE.json`, all of them together."""
    from samkit.prompts import Prompts

    prompts = Prompts()
    if file is not None:
        try:
            prompts = Prompts.from_json(file.read_bytes())
        except OSError as error:
            raise PromptError(f"The prompts file {file} can't be read ({error.strerror}): check the path.") from error
    rows = [_numbers(text, "--point", "x,y or x,y,label", (2, 3)) for text in points]
    more_points = tuple((row[0], row[1], row[2] if len(row) == 3 else 1) for row in rows)
    more_boxes = tuple(_numbers(text, "--box", "x1,y1,x2,y2", (4,)) for text in boxes)
    return Prompts((*prompts.points, *more_points), (*prompts.boxes, *more_boxes))


def read_settings(settings: list[str]) -> dict:
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
    """BadInput unless `out` is an empty folder or can become one."""
    if out.is_dir() and any(out.iterdir()):
        raise BadInput(f"The folder {out} is not empty: give --out a new or empty one, so that nothing is overwritten.")
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file: give --out a new or empty folder.")


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


def _listed(words: Sequence[str]) -> str:
    """One or more words as a person would list them."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
