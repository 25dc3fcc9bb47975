"""What run.json says. A record may come from anybody, and stores, pages and replays rely on it, so it is checked whole
and parsed once, into a type.
"""

import copy
import json
import math
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    InstanceOf,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from samkit.errors import BadInput, PromptError
from samkit.experiments.result import Better, Fact, Ground, Metric
from samkit.files import opened_regular
from samkit.media.given_masks import HintKind
from samkit.prompts import Prompts
from samkit.tracking.bundle.dates import created_ms
from samkit.tracking.bundle.older import in_words_of_today
from samkit.tracking.bundle.schema_1 import upgraded

SCHEMA = 2
READABLE_SCHEMAS = (1, 2)
RUN_JSON = "run.json"
MAX_JSON_BYTES = {
    RUN_JSON: 4 * 2**20,
    "inputs/prompts.json": 2**20,
    "inputs/priors.json": 4 * 2**20,
    "inputs/steering.json": 4 * 2**20,
    "outputs/tables.json": 32 * 2**20,
}
"""Files that are read whole when a run is opened -> the most that is read of them."""
MAX_DEPTH = 20
MAX_KEY_CHARACTERS, MAX_TAG_CHARACTERS = 250, 8_000
"""MLflow's own limits."""
MAX_FACTS, MAX_FACT_KEY_CHARACTERS, MAX_FACT_CHARACTERS = 100, 200, 4_000
"""Facts are tags in the store."""
PICTURE_FILES = {
    "picture": "inputs/image.png",
    "picture_b": "inputs/image_b.png",
    "truth": "inputs/truth.png",
    "truth_b": "inputs/truth_b.png",
}
"""Entries of run.json -> where in the run their picture or mask lies."""
HINT_FILES: dict[HintKind, str] = {"mask": "inputs/mask_hint.png", "logits": "inputs/mask_hint.npy"}
"""Kind of a mask hint -> where in the run it lies."""
KEPT_FILM = re.compile(r"inputs/video\.\w+")
"""Where a film lies that is kept with its run."""
_KEY = re.compile(r"[/\w.\- ]+")
_PLACE = re.compile(r"[\w.\-+,()\[\]=@~!' /]+")


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
    # What MLflow and web servers take for something else than a name, such as # and %2e, could be kept and never read.
    if (
        leads_elsewhere(relative)
        or not _PLACE.fullmatch(relative)
        or posixpath.normpath(relative) != relative
        or not relative.startswith(("inputs/", "outputs/"))
    ):
        raise ValueError(f"{relative[:100]!r} is not a path in a run")
    return relative


def _prompts(entry: object) -> object:
    if not isinstance(entry, dict):
        return entry
    try:
        return Prompts.from_dict(entry)
    except PromptError as error:
        raise ValueError(str(error)) from None


Key = Annotated[str, Field(max_length=MAX_KEY_CHARACTERS), AfterValidator(_key)]
FactKey = Annotated[str, Field(max_length=MAX_FACT_KEY_CHARACTERS), AfterValidator(_key)]
TagKey = Annotated[str, Field(max_length=MAX_KEY_CHARACTERS), AfterValidator(_tag_key)]
Word = Annotated[str, Field(max_length=200)]
Text = Annotated[str, Field(max_length=4_000)]
Place = Annotated[str, Field(max_length=1_000), AfterValidator(_inside)]
Pixels = Annotated[int, Field(ge=1, le=1_000_000)]


class _Entry(BaseModel):
    """Values of exactly these kinds. A later version of samkit may write more entries, which are passed over here."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", protected_namespaces=())


class ModelEntry(_Entry):
    """ref:         catalogue name or path that the model was loaded by
    sha256:      of all that the model was made of; file_sha256: of its checkpoint file, where that is not the same
    changes:     what was done to the file's weights, a sentence each
    native_side, window_sizes: what others than the file said of it, in pixels and in tokens
    """

    name: Text
    sha256: Word
    family: Word = ""
    version: Word = ""
    ref: Text | None = None
    file_sha256: Word | None = None
    changes: Annotated[list[Text], Field(max_length=50)] = []
    native_side: Annotated[int, Field(ge=1, le=100_000)] | None = None
    window_sizes: Annotated[list[Annotated[int, Field(ge=1, le=1_000)]], Field(max_length=16)] | None = None


class PictureEntry(_Entry):
    """width, height: in pixels; ref: `sample:NAME`, `sample:FILM#FRAME` or path that the picture was read from."""

    name: Text
    sha256: Word
    width: Pixels | None = None
    height: Pixels | None = None
    ref: Text | None = None


class HintEntry(_Entry):
    """A mask hint. kind: `samkit.media.given_masks.HintKind`; ref: as a picture's, FILE#NUMBER, or COCO RLE in JSON."""

    kind: HintKind
    name: Text
    sha256: Word
    ref: Text | None = None

    @property
    def file(self) -> str:
        """Where in the run it lies."""
        return HINT_FILES[self.kind]


class FilmEntry(_Entry):
    """width, height: of a frame as the run had it, in pixels

    place: `sample:NAME`, a file of the run (`KEPT_FILM`), or where a film lay that was too large to be kept with the
    run
    """

    name: Text
    sha256: Word
    width: Pixels
    height: Pixels
    place: Text
    frames: Annotated[int, Field(ge=1)] | None = None
    fps: FiniteFloat | None = None
    ref: Text | None = None


class MaskEntry(_Entry):
    """What a mask lies on; see `samkit.experiments.result.Mask`."""

    on: Ground
    index: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class FileEntry(_Entry):
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]


class _MetricEntry(_Entry):
    value: FiniteFloat
    better: Better | None = None
    key: bool = False


def _metric(entry: object) -> Metric:
    checked = _MetricEntry.model_validate(entry)
    return Metric(checked.value, checked.better, checked.key)


def _fact(value: object) -> object:
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError("it has more digits than a store can hold")
    if isinstance(value, str) and len(value) > MAX_FACT_CHARACTERS:
        raise ValueError(f"it has more than {MAX_FACT_CHARACTERS} characters")
    return value


class RunRecord(_Entry):
    """run.json, checked. `params` are as the experiment's `Params` takes them; `timings` are in milliseconds."""

    run_uuid: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    created: Annotated[Word, AfterValidator(_created)]
    samkit: Word
    experiment: Annotated[str, Field(max_length=100, pattern=r"^[a-z0-9][a-z0-9-]*$")]
    name: Text
    note: str
    model: ModelEntry
    device: Word
    dtype: Word
    threads: Annotated[int, Field(ge=1)] | None = None
    picture: PictureEntry | None = None
    picture_b: PictureEntry | None = None
    mask_hint: HintEntry | None = None
    truth: PictureEntry | None = None
    truth_b: PictureEntry | None = None
    video: FilmEntry | None = None
    prompts: Annotated[InstanceOf[Prompts], BeforeValidator(_prompts)]
    params: dict[Key, Any]
    metrics: dict[Key, Annotated[InstanceOf[Metric], BeforeValidator(_metric)]]
    facts: Annotated[dict[FactKey, Annotated[Fact, AfterValidator(_fact)]], Field(max_length=MAX_FACTS)] = {}
    timings: dict[Key, FiniteFloat]
    git_commit: Word | None = None
    platform: Word | None = None
    python: Word | None = None
    torch: Word | None = None
    numpy: Word | None = None
    opencv: Word | None = None
    scikit_image: Word | None = None
    tags: dict[TagKey, Annotated[str, Field(max_length=MAX_TAG_CHARACTERS)]] = {}
    masks: dict[str, MaskEntry]
    files: dict[Place, FileEntry]
    _document: dict[str, Any] = PrivateAttr(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _none_is_left_out(cls, document: dict) -> dict:
        for key in ("picture", "picture_b", "video", "mask_hint", "truth", "truth_b", "tags", "threads", "facts"):
            if key in document and document[key] is None:
                raise ValueError(f"{key} is empty")
        return document

    @property
    def schema_number(self) -> int:
        """The schema that run.json is written in."""
        return self._document.get("schema", SCHEMA)

    @property
    def first_picture(self) -> PictureEntry | None:
        """The picture that the run was made on. Of a film's run that remembered none the picture has no part in it, and
        only lay on the page.
        """
        at_hand = self.video is not None and self.prompts.is_empty and "inputs/prior_0.png" not in self.files
        return None if at_hand else self.picture

    @property
    def source_name(self) -> str:
        """The name of the film or the picture that the run was made on; "" where it took none."""
        entry = self.video or self.picture
        return entry.name if entry else ""

    def to_dict(self) -> dict[str, Any]:
        """run.json as it is written, in its own schema and with entries that this version does not know."""
        return copy.deepcopy(self._document)

    def relabelled(self, name: str, note: str, tags: Mapping[str, str]) -> "RunRecord":
        """The same run under another name, with another note and other tags."""
        changes: dict[str, Any] = {"name": name, "note": note}
        if tags or "tags" in self._document:
            changes["tags"] = dict(tags)
        record = self.model_copy(update=changes)
        record._document = self._document | changes
        return record


def parse_record(document: Any, what: str = "The run") -> RunRecord:
    """run.json's content as a record. Raises BadInput for a document of a schema that can't be read, and for one that
    no store could hold.

    what: how the error calls the run
    """
    if not isinstance(document, dict) or "schema" not in document or "files" not in document:
        raise BadInput(f"{what} is not a kept run: its run.json has no schema and no files.")
    schema = document["schema"]
    if type(schema) is not int or schema not in READABLE_SCHEMAS:
        raise BadInput(
            f"{what} was written by another version of samkit (schema {str(schema)[:20]}, this one reads "
            f"{' and '.join(map(str, READABLE_SCHEMAS))})."
        )
    try:
        record = RunRecord.model_validate(in_words_of_today(upgraded(document) if schema == 1 else document))
    except ValidationError as error:
        raise _damaged(what, _first_problem(error)) from None
    problem = _unstorable_entry(document) or _contradiction(record)
    if problem:
        raise _damaged(what, problem)
    record._document = document
    return record


def read_record(folder: Path) -> RunRecord:
    """The record of a run's folder, without a look at its other files. Raises BadInput where it is damaged
    or missing.
    """
    try:
        document = read_json(folder / RUN_JSON, MAX_JSON_BYTES[RUN_JSON])
    except FileNotFoundError:
        raise BadInput(f"{folder} is not a kept run: it has no run.json.") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{folder} is not a kept run: its run.json can't be read ({error}).") from None
    return parse_record(document, f"The run in {folder}")


def _damaged(what: str, problem: str) -> BadInput:
    return BadInput(f"{what} is damaged: {problem}.")


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    key = first["loc"][0] if first["loc"] else first["msg"].removeprefix("Value error, ").split()[0]
    where = ".".join(str(part)[:60] for part in first["loc"][1:])
    reason = first["msg"].removeprefix("Value error, ")[:200]
    details = f"{where}: {reason}" if where else reason
    return f"{str(key)!r} in its run.json is missing or invalid ({details})"


def _unstorable_entry(document: dict) -> str | None:
    for key, values in document.items():
        problem = _problem(values)
        if problem:
            return f"{str(key)[:60]!r} in its run.json {problem}"
    return None


def _contradiction(record: RunRecord) -> str | None:
    """Which entry does not match the files that the record names; None where all do."""
    if "inputs/prompts.json" not in record.files:
        return "'files' in its run.json names no inputs/prompts.json"
    if any(f"outputs/{mask}.png" not in record.files for mask in record.masks):
        return "'masks' in its run.json is missing or invalid: a mask has no file"
    # A picture has an entry and a file, or neither; so has a mask that was given with it.
    for key, file in PICTURE_FILES.items():
        if (getattr(record, key) is None) == (file in record.files):
            return f"{key!r} in its run.json is missing or invalid: it does not match {file}"
    for kind, file in HINT_FILES.items():
        if (record.mask_hint is not None and record.mask_hint.kind == kind) != (file in record.files):
            return f"'mask_hint' in its run.json is missing or invalid: it does not match {file}"
    if (record.truth and not record.picture) or (record.truth_b and not record.picture_b):
        return "'truth' in its run.json is missing or invalid: it has no picture"
    if record.mask_hint and not record.picture:
        return "'mask_hint' in its run.json is missing or invalid: it has no picture"
    if record.video is not None:
        place = record.video.place
        if place.startswith("inputs") and not (KEPT_FILM.fullmatch(place) and place in record.files):
            return "'video' in its run.json is missing or invalid: its place is not a film of the run"
        if "inputs/priors.json" not in record.files:
            return "'files' in its run.json names no inputs/priors.json"
    return None


def read_json(file: Path, limit: int) -> Any:
    """The content of a JSON file. Raises ValueError where it is not JSON or is larger than `limit` bytes, and OSError
    where it can't be read.
    """
    with opened_regular(file) as (opened, size):
        if size > limit:
            raise ValueError(f"it has {size} bytes, more than the {limit} that are read")
        written = opened.read(size)
    try:
        content = json.loads(written)
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


def _problem(value: Any, depth: int = 0) -> str | None:
    """Why no store or file could hold the value: numbers that are not finite, characters that are not text, or nesting
    without end. None where all could.
    """
    if depth > MAX_DEPTH:
        return "is nested too deeply"
    if isinstance(value, float):
        return None if math.isfinite(value) else "holds a number that is not finite"
    if isinstance(value, str):
        broken = "\0" in value or any("\ud800" <= character <= "\udfff" for character in value if character > "\ud7ff")
        return "holds a character that is not text" if broken else None
    if isinstance(value, dict):
        return next(
            (problem for pair in value.items() for each in pair if (problem := _problem(each, depth + 1))), None
        )
    if isinstance(value, list):
        return next((problem for each in value if (problem := _problem(each, depth + 1))), None)
    return None
