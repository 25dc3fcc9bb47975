"""A visitor's work as a JSON document: what is on the table, pictures and films by their content.

A document may have been damaged or written by anybody who can reach the folder, so it is checked whole, and nothing in
it is a path that would be opened: files are found by their SHA-256 alone.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from samkit.errors import BadInput, SamkitError
from samkit.experiments.steering import NOT_STEERED, Correction, Steering
from samkit.prompts import Prompts
from samkit.work.kept.plain_values import MAX_ENTRIES, from_plain
from samkit.work.sources import SAMPLE_PREFIX
from samkit.work.spec import CheckedPrompts, HintSpec, PriorSpec, Ref

VERSION: Literal[1] = 1
MAX_DOCUMENT_BYTES = 8 * 2**20
MAX_MEMORIES = 200
FILM_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
SUFFIXES = {"picture": ".png", "bank": ".safetensors", "hint_mask": ".png", "hint_logits": ".npy", "truth": ".png"}
SHA256 = re.compile(r"[0-9a-f]{64}")
_STRICT = ConfigDict(extra="forbid", strict=True)

Kind = Literal["picture", "film", "bank", "hint_mask", "hint_logits", "truth"]


def _by_content(ref: Ref) -> Ref:
    """A reference that says what it refers to by its content."""
    if ref.sha256 is None or not SHA256.fullmatch(ref.sha256):
        raise ValueError("a reference without the SHA-256 of its content")
    if len(ref.ref) > 1_000 or len(ref.name) > 1_000:
        raise ValueError("a reference that is too long")
    return ref


def _hint_by_content(hint: HintSpec) -> HintSpec:
    _by_content(hint.file)
    return hint


def _prior_by_content(prior: PriorSpec) -> PriorSpec:
    _by_content(prior.picture)
    if prior.mask_hint is not None:
        _hint_by_content(prior.mask_hint)
    return prior


Word = Annotated[str, Field(max_length=200)]
Text = Annotated[str, Field(max_length=1_000)]
ContentRef = Annotated[Ref, AfterValidator(_by_content)]
Share = Annotated[float, Field(gt=0, le=1)]
Values = Annotated[dict[str, Any], Field(max_length=MAX_ENTRIES)]
Pages = Annotated[dict[Word, Values], Field(max_length=50)]


@dataclass(frozen=True)
class HintEntry:
    """A mask hint. share: (height, width) of the model's input that the picture covers in its logits; None where they
    fit any.
    """

    __pydantic_config__ = _STRICT

    hint: Annotated[HintSpec, AfterValidator(_hint_by_content)]
    share: Annotated[tuple[Share, Share] | None, Field(default=None)] = None


MAX_STEPS = 100
"""That can be undone, or done again."""


@dataclass(frozen=True)
class Step:
    """Marks that can be gone back to. hinted: whether they have the hint that lies on the picture"""

    __pydantic_config__ = _STRICT

    prompts: CheckedPrompts = Prompts()
    hinted: bool = False


@dataclass(frozen=True)
class FilmStep:
    """Marks of an object on a frame that can be gone back to. made: what it is corrected by there"""

    __pydantic_config__ = _STRICT

    frame: Annotated[int, Field(ge=0)]
    object: Annotated[int, Field(ge=0)]
    prompts: CheckedPrompts = Prompts()
    made: Correction | None = None


Steps = Annotated[tuple[Step, ...], Field(max_length=MAX_STEPS)]
FilmSteps = Annotated[tuple[FilmStep, ...], Field(max_length=MAX_STEPS)]


@dataclass(frozen=True)
class SideEntry:
    """A picture, the prompts on it, and the masks that came along with it. history, undone: as in `Side`"""

    __pydantic_config__ = _STRICT

    picture: ContentRef
    prompts: CheckedPrompts = Prompts()
    hint: HintEntry | None = None
    truth: ContentRef | None = None
    history: Steps = ()
    undone: Steps = ()


@dataclass(frozen=True)
class MemoryEntry:
    """A recorded memory and the small picture that stands for it."""

    __pydantic_config__ = _STRICT

    prior: Annotated[PriorSpec, AfterValidator(_prior_by_content)]
    thumbnail: ContentRef


MAX_MARKS = 200
"""On frames of a film, that are no corrections yet."""


@dataclass(frozen=True)
class FilmEntry:
    """bank: memories from a file, of the first object; steering: the objects, and what was corrected; run: whether the
    film was segmented; marks, frame, object, history, undone: as in `FilmWork`
    """

    __pydantic_config__ = _STRICT

    film: ContentRef
    memories: Annotated[tuple[MemoryEntry, ...], Field(max_length=MAX_MEMORIES)] = ()
    bank: ContentRef | None = None
    steering: Steering = NOT_STEERED
    run: bool = False
    marks: Annotated[tuple[Correction, ...], Field(max_length=MAX_MARKS)] = ()
    frame: Annotated[int, Field(ge=0)] = 0
    object: Annotated[int, Field(ge=0)] = 0
    history: FilmSteps = ()
    undone: FilmSteps = ()


@dataclass(frozen=True)
class WorkDocument:
    """
    page:          name of the experiment whose page was shown last
    model:         how the model is opened
    second:        the second picture of the pair; None where no page with two was visited
    params:        page -> what its knobs stand at; shared_params: those of all pages; opened: page -> the whole
                   parameters of the run that was opened there. As `plain_values` writes them
    restored_run:  id of the kept run whose link was followed last
    owner:         tells the browser that goes on with the work from others, which get a copy
    left_out:      what there was no room for, for a person
    """

    __pydantic_config__ = _STRICT

    page: Word
    model: Text
    device: Literal["auto", "cpu", "cuda", "mps"]
    dtype: Literal["float32", "bfloat16", "float16"]
    tool: Word
    first: SideEntry
    second: SideEntry | None = None
    film: FilmEntry | None = None
    params: Pages = field(default_factory=dict, hash=False)
    shared_params: Values = field(default_factory=dict, hash=False)
    opened: Pages = field(default_factory=dict, hash=False)
    restored_run: Word | None = None
    owner: Word = ""
    left_out: Annotated[tuple[Text, ...], Field(max_length=MAX_MEMORIES + 10)] = ()
    version: Literal[1] = VERSION

    def to_json(self) -> bytes:
        return _encoded(self)

    @classmethod
    def from_json(cls, content: bytes) -> "WorkDocument":
        """Raises BadInput for what `to_json` did not write."""
        if len(content) > MAX_DOCUMENT_BYTES:
            raise BadInput("The kept work can't be read: its document is too large.")
        try:
            document = _ADAPTER.validate_json(content)
            for values in (*document.params.values(), *document.opened.values(), document.shared_params):
                from_plain(values)
            return document
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            place = ".".join(str(part) for part in first["loc"])[:100]
            raise BadInput(f"The kept work can't be read: {place or 'it'} is wrong ({first['msg'][:200]}).") from None
        except (SamkitError, ValueError, RecursionError) as error:
            raise BadInput(f"The kept work can't be read ({str(error)[:200]}).") from None

    def files(self) -> set[str]:
        """The names of all content files that belong to it."""
        return {file_name(kind, ref) for kind, ref in self._refs() if is_stored(ref)}

    def _refs(self) -> Iterator[tuple[Kind, Ref]]:
        for side in (self.first, self.second):
            if side is not None:
                yield "picture", side.picture
                if side.hint is not None:
                    yield hint_file_kind(side.hint.hint), side.hint.hint.file
                if side.truth is not None:
                    yield "truth", side.truth
        if self.film is not None:
            yield "film", self.film.film
            for memory in self.film.memories:
                yield "picture", memory.prior.picture
                yield "picture", memory.thumbnail
                if memory.prior.mask_hint is not None:
                    yield hint_file_kind(memory.prior.mask_hint), memory.prior.mask_hint.file
            if self.film.bank is not None:
                yield "bank", self.film.bank


_ADAPTER = TypeAdapter(WorkDocument)


def hint_file_kind(hint: HintSpec) -> Kind:
    """The kind of its content file."""
    return "hint_mask" if hint.kind == "mask" else "hint_logits"


def is_stored(ref: Ref) -> bool:
    """Whether what it refers to lies in a file; samples are made anew."""
    return not ref.ref.startswith(SAMPLE_PREFIX)


def file_name(kind: Kind, ref: Ref) -> str:
    """The name of a content file, of which nothing is anybody's word: the SHA-256 is hex digits, the suffix one of a
    few. Raises BadInput for another SHA-256.
    """
    if ref.sha256 is None or not SHA256.fullmatch(ref.sha256):
        raise BadInput("A kept file must be named by its SHA-256.")
    if kind == "film":
        suffix = PurePath(ref.name).suffix.lower()
        return ref.sha256 + (suffix if suffix in FILM_SUFFIXES else ".mp4")
    return ref.sha256 + SUFFIXES[kind]


def json_bytes(part: Any) -> int:
    """How long a part of a document is, written out."""
    return len(_encoded(part))


def _encoded(part: Any) -> bytes:
    return json.dumps(_json(part), separators=(",", ":"), allow_nan=False).encode()


def _json(value: Any) -> Any:
    if isinstance(value, Prompts):
        return value.to_dict()
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _json(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple | list):
        return [_json(each) for each in value]
    return value
