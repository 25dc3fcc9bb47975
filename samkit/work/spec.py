"""One run as data: all that it needs, by reference. It pickles, it is JSON, and its id follows from it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from samkit.errors import BadInput
from samkit.experiments.steering import NOT_STEERED, CheckedPrompts, Steering
from samkit.media.given_masks import HintKind
from samkit.prompts import Prompts

_STRICT = ConfigDict(extra="forbid", strict=True)
"""Of every class here, for `RunSpec.from_dict`."""


@dataclass(frozen=True)
class Ref:
    """A model, picture, film or memory bank that a run takes, by reference.

    ref:    how it is opened: a catalogue name or a path; `sample:coffee` for a picture or film that comes with samkit;
            `film.mp4#12` or `sample:coin#12` for a frame of a film; of what a visitor uploaded, its file's name
    sha256: of its content: a checkpoint's or a film's file, a picture's pixels, a bank's memories; None where nobody
            has looked at it yet
    name:   what a person knows it by; "" for the name that it brings along
    side:   of a film and of a frame of one: the longest side that frames are shrunk to while they are decoded, in
            pixels; None where they are as large as they are stored
    """

    __pydantic_config__ = _STRICT

    ref: str
    sha256: str | None = None
    name: str = ""
    side: int | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What it refers to: the content where that is known, else the text with the side."""
        return {"sha256": self.sha256} if self.sha256 else {"ref": self.ref} | self.shrunk

    @property
    def shrunk(self) -> dict[str, int]:
        """The side as a JSON entry; none where nothing is shrunk."""
        return {} if self.side is None else {"side": self.side}


@dataclass(frozen=True)
class HintSpec:
    """A mask hint that a run takes; as `samkit.media.given_masks.MaskHint`.

    kind: whether the file holds a mask over the picture, or logits over the model's input
    file: a path, `FILE#3` for object 3 of a file of several, or a mask written out as COCO RLE in JSON
    """

    __pydantic_config__ = _STRICT

    kind: HintKind
    file: Ref

    @property
    def identity(self) -> dict[str, Any]:
        """What counts for the run's id, as JSON values."""
        return {"kind": self.kind} | self.file.identity


@dataclass(frozen=True)
class PriorSpec:
    """A picture with an object marked on it, to be remembered; as `samkit.experiments.inputs.Prior`.

    mask: COCO run-length encoding, `{"size": [H, W], "counts": str}`, in the picture's pixels
    """

    __pydantic_config__ = _STRICT

    picture: Ref
    prompts: CheckedPrompts = Prompts()
    mask_index: int | None = None
    mask: dict[str, Any] | None = field(default=None, hash=False)
    film_frame: int | None = None
    mask_hint: HintSpec | None = None
    object: int = 0

    @property
    def identity(self) -> dict[str, Any]:
        """What counts for the run's id, as JSON values."""
        hint = {"mask_hint": self.mask_hint.identity} if self.mask_hint is not None else {}
        return _plain(self) | {"picture": self.picture.identity} | hint


@dataclass(frozen=True)
class RunSpec:
    """All that one run needs.

    truth, truth_b: masks of the first and of the second picture, in files as those of a `HintSpec`
    params:  of the experiment, JSON values by name; those left out have the experiment's defaults. Nobody may change
             them
    device:  as it is asked for: "auto", "cpu", "cuda" or "mps"
    dtype:   of the image encoder: "float32", "bfloat16" or "float16"
    threads: how many torch computes with; None: as many as it uses anyway
    attempt: tells two runs of the same content apart. A retry carries the same one, and is kept once; whoever wants the
             same run once more gives it another one

    Two specs ask for one run where their `id` is the same. What counts for it: experiment, params, prompts, dtype,
    attempt, the device as it is asked for (a retry on a machine with another one is still the same run), and every
    reference by its content or, where nobody has looked at it yet, by its text; of a film also the side that it is
    shrunk to, for its SHA-256 is the file's. What does not count: names, the text of
    a reference whose SHA-256 is known, names and colours of objects, and threads.
    """

    __pydantic_config__ = _STRICT

    experiment: str
    model: Ref
    params: dict[str, Any] = field(default_factory=dict, hash=False)
    prompts: CheckedPrompts = Prompts()
    image: Ref | None = None
    image_b: Ref | None = None
    video: Ref | None = None
    priors: tuple[PriorSpec, ...] = ()
    bank: Ref | None = None
    mask_hint: HintSpec | None = None
    truth: Ref | None = None
    truth_b: Ref | None = None
    banks: tuple[Ref | None, ...] = ()
    steering: Steering = NOT_STEERED
    device: str = "auto"
    dtype: str = "float32"
    threads: int | None = None
    attempt: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", _json_params(self.params))

    @property
    def id(self) -> str:
        """32 hex digits that follow from what is to be run."""
        content = _plain(self)
        content.pop("threads", None)
        for name in ("model", "image", "image_b", "video", "bank", "mask_hint", "truth", "truth_b"):
            ref: Ref | HintSpec | None = getattr(self, name)
            if ref is not None:
                content[name] = ref.identity
        if self.video is not None:
            content["video"] = self.video.identity | self.video.shrunk
        if self.banks:
            content["banks"] = [ref.identity if ref is not None else None for ref in self.banks]
        if self.steering.objects:
            content["steering"]["objects"] = len(self.steering.objects)
        if self.priors:
            content["priors"] = [prior.identity for prior in self.priors]
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()

    @property
    def content_key(self) -> str:
        """All that the spec says, names and threads too: by this a lab recalls what came out of it."""
        return json.dumps(self.to_dict(), sort_keys=True)

    def to_dict(self) -> dict[str, Any]:
        """JSON values; entries that are as they would be anyway are left out."""
        return _plain(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RunSpec":
        """What `to_dict` gave. Raises BadInput for an entry that is unknown, missing or not what it should be."""
        try:
            return _ADAPTER.validate_json(json.dumps(values))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            entry = ".".join(str(part) for part in first["loc"])
            place = f"its entry {entry[:200]!r}" if entry else "it"
            raise BadInput(f"This does not describe a run: {place} is wrong ({first['msg'][:200]}).") from None
        except (TypeError, ValueError, RecursionError) as error:
            raise BadInput(f"This does not describe a run: JSON can't hold it ({str(error)[:200]}).") from None


_ADAPTER = TypeAdapter(RunSpec)


def _plain(value: Any) -> Any:
    """The JSON values of a spec or a part of it, without what equals its default."""
    if isinstance(value, Prompts):
        return value.to_dict()
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if not is_dataclass(value):
        return value
    values = {each.name: (getattr(value, each.name), each.default) for each in fields(value)}
    return {name: _plain(present) for name, (present, default) in values.items() if present != default}


def _json_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the parameters as JSON would bring them back. Raises BadInput for values that JSON can't hold."""
    try:
        return json.loads(json.dumps(dict(params), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"These parameters can't be written down ({str(error)[:200]}).") from None
