"""What run.json may say. A record may come from anybody, and stores, pages and replays rely on it, so one model says
all of it before anything is done.
"""

import json
import math
import posixpath
import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from samkit.errors import BadInput, PromptError
from samkit.prompts import Prompts
from samkit.tracking.bundle.dates import created_ms

SCHEMA = 1
MAX_JSON_BYTES = {
    "run.json": 4 * 2**20,
    "inputs/prompts.json": 2**20,
    "inputs/priors.json": 4 * 2**20,
    "outputs/tables.json": 32 * 2**20,
}
"""Files that are read whole when a run is opened -> the most that is read of them."""
MAX_DEPTH = 20
MAX_KEY_CHARACTERS, MAX_TAG_CHARACTERS = 250, 8_000
"""MLflow's own limits."""
KEPT_FILM = re.compile(r"inputs/video\.\w+")
"""Where a film lies that is kept with its run."""
_KEY = re.compile(r"[/\w.\- ]+")


def _key(name: str) -> str:
    """A parameter's or a metric's name that MLflow takes on every system."""
    norm = posixpath.normpath(name)
    if not _KEY.fullmatch(name) or norm != name or norm == "." or norm.startswith(("..", "/")):
        raise ValueError(f"{name[:60]!r} can't be a name")
    return name


def _tag_key(name: str) -> str:
    return _key(name.replace(":", "_")) and name


def _created(text: str) -> str:
    created_ms(text)
    return text


def leads_elsewhere(relative: str) -> bool:
    """Whether a path inside a run or a zip file would leave it."""
    place = PurePosixPath(relative)
    return place.is_absolute() or ".." in place.parts or "\\" in relative


def _inside(relative: str) -> str:
    if (
        leads_elsewhere(relative)
        or posixpath.normpath(relative) != relative
        or not relative.startswith(("inputs/", "outputs/"))
    ):
        raise ValueError(f"{relative[:100]!r} is no path in a run")
    return relative


def _prompts(told: dict) -> dict:
    try:
        Prompts.from_dict(told)
    except PromptError as error:
        raise ValueError(str(error)) from None
    return told


Key = Annotated[str, Field(max_length=MAX_KEY_CHARACTERS), AfterValidator(_key)]
TagKey = Annotated[str, Field(max_length=MAX_KEY_CHARACTERS), AfterValidator(_tag_key)]
Word = Annotated[str, Field(max_length=200)]
Text = Annotated[str, Field(max_length=4_000)]
Place = Annotated[str, Field(max_length=1_000), AfterValidator(_inside)]
Pixels = Annotated[int, Field(ge=1, le=1_000_000)]


class _Told(BaseModel):
    """Values of exactly these kinds; a later version of samkit may tell more."""

    model_config = ConfigDict(strict=True, extra="allow", protected_namespaces=())


class ToldModel(_Told):
    name: Text
    sha256: Word


class ToldPicture(_Told):
    name: Text
    sha256: Word


class ToldFilm(_Told):
    """place: `sample:NAME`, a file of the run (`KEPT_FILM`), or where a film lay that was too large to be kept with the
    run.
    """

    name: Text
    sha256: Word
    height: Pixels
    width: Pixels
    place: Text


class ToldFile(_Told):
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]


class RunRecord(_Told):
    """run.json, but for its `schema`."""

    run_uuid: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    created: Annotated[Word, AfterValidator(_created)]
    samkit: Word
    experiment: Annotated[str, Field(max_length=100, pattern=r"^[a-z0-9][a-z0-9-]*$")]
    name: Text
    note: str
    model: ToldModel
    device: Word
    dtype: Word
    threads: Annotated[int, Field(ge=1)] = 1
    picture: ToldPicture | None = None
    picture_b: ToldPicture | None = None
    video: ToldFilm | None = None
    prompts: Annotated[dict, AfterValidator(_prompts)]
    params: dict[Key, Any]
    metrics: dict[Key, FiniteFloat]
    timings: dict[Key, FiniteFloat]
    git_commit: Word | None = None
    tags: dict[TagKey, Annotated[str, Field(max_length=MAX_TAG_CHARACTERS)]] = {}
    masks: list[str]
    files: dict[Place, ToldFile]

    @model_validator(mode="before")
    @classmethod
    def _none_is_left_out(cls, told: dict) -> dict:
        for key in ("picture", "picture_b", "video", "tags"):
            if key in told and told[key] is None:
                raise ValueError(f"{key} is empty")
        return told


def check_record(record: dict) -> str | None:
    """What is wrong with run.json's content, in a few words that begin with its entry; None where nothing is."""
    try:
        told = RunRecord.model_validate(record)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        key = first["loc"][0] if first["loc"] else first["msg"].removeprefix("Value error, ").split()[0]
        return f"{str(key)!r} in its run.json is missing or not what it should be ({_details(first)})"
    for key, values in record.items():
        problem = _problem(values)
        if problem:
            return f"{key[:60]!r} in its run.json {problem}"
    if "inputs/prompts.json" not in told.files:
        return "'files' in its run.json names no inputs/prompts.json"
    if any(f"outputs/{mask}.png" not in told.files for mask in told.masks):
        return "'masks' in its run.json is missing or not what it should be: a mask has no file"
    # A picture is told of and kept, or neither.
    for key, file in (("picture", "inputs/image.png"), ("picture_b", "inputs/image_b.png")):
        if (getattr(told, key) is None) == (file in told.files):
            return f"{key!r} in its run.json is missing or not what it should be: it does not fit {file}"
    if told.video is not None:
        place = told.video.place
        if place.startswith("inputs") and not (KEPT_FILM.fullmatch(place) and place in told.files):
            return "'video' in its run.json is missing or not what it should be: its place is none in the run"
        if "inputs/priors.json" not in told.files:
            return "'files' in its run.json names no inputs/priors.json"
    return None


def read_json(file: Path, limit: int) -> Any:
    """The content of a JSON file. Raises ValueError for what is none, or is larger than `limit` bytes, and OSError
    where it can't be read.
    """
    size = file.stat().st_size
    if size > limit:
        raise ValueError(f"it has {size} bytes, more than the {limit} that are read")
    try:
        content = json.loads(file.read_bytes())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    problem = _problem(content)
    if problem:
        raise ValueError(f"it {problem}")
    return content


def read_small_json(file: Path, relative: str) -> Any:
    """A file of a run that `MAX_JSON_BYTES` bounds. Raises BadInput with a sentence that names it."""
    try:
        return read_json(file, MAX_JSON_BYTES[relative])
    except (OSError, ValueError) as error:
        raise BadInput(
            f"The run's {relative} can't be read ({error}): export the run again where it was made."
        ) from None


def _details(error: dict) -> str:
    where = ".".join(str(part)[:60] for part in error["loc"][1:])
    said = error["msg"].removeprefix("Value error, ")[:200]
    return f"{where}: {said}" if where else said


def _problem(value: Any, depth: int = 0) -> str | None:
    """What no store or file could hold: numbers that are none, signs that are none, and nesting without end."""
    if depth > MAX_DEPTH:
        return "is nested too deeply"
    if isinstance(value, float):
        return None if math.isfinite(value) else "holds a number that is not finite"
    if isinstance(value, str):
        return (
            "holds a sign that is none"
            if "\0" in value or any("\ud800" <= sign <= "\udfff" for sign in value if sign > "\ud7ff")
            else None
        )
    if isinstance(value, dict):
        return next(
            (problem for pair in value.items() for each in pair if (problem := _problem(each, depth + 1))), None
        )
    if isinstance(value, list):
        return next((problem for each in value if (problem := _problem(each, depth + 1))), None)
    return None
