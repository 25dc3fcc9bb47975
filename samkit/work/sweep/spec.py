"""A sweep as one YAML file: what is swept over what, by hand in a few lines, and every mistake with its line."""

import json
from contextlib import suppress
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, model_validator

from samkit.errors import BadInput, CheckpointError, SamkitError
from samkit.experiments.params import build_params
from samkit.experiments.registry import find_experiment
from samkit.files import read_small
from samkit.media.sample_videos import SAMPLE_VIDEOS
from samkit.media.samples import sample_names
from samkit.models.files.catalogue import find_entry, resolve_model
from samkit.models.files.reference import split_reference
from samkit.words import listed, nearest
from samkit.work.sources import FRAME_REF, SAMPLE_PREFIX
from samkit.work.sweep.grid import values_of
from samkit.work.sweep.spec_sources import FilmSource, PairRow, PairSource, Part, PictureSource, Texts, as_tuple
from samkit.work.sweep.yaml_lines import Lines, read_yaml

MAX_SPEC_BYTES, MAX_PROMPT_FILE = 2**20, 64 * 2**20
Keep = Literal["metrics", "masks", "all"]
FromTruth = Literal["box", "inside", "points", "clicks", "mask"]
PartT = TypeVar("PartT", bound=Part)
PATHS = ("masks", "coco", "images", "davis")
"""Of sources: settings that name one file or folder."""
MAX_BESIDE = 1_000
"""Names in a folder among which a near one is looked for."""
CHECKPOINTS = (".pt", ".pth", ".safetensors")
"""A model whose name ends so is a path."""
DEVICES = r"^(auto|(cpu|cuda|mps)(:[0-9]{1,3})?)$"
RANDOM = ("points",)
"""Prompts that are drawn by chance, whether or not they are moved."""


class PromptRule(Part):
    """What marks the object.

    given:  the sample's own prompts, or the points and boxes written here
    file:   a JSON file of prompts for all pictures, or of prompts by the picture's file name; loaded: what is in it,
            so that a sweep needs the file no more
    truth:  from the true mask: its tight box; its innermost pixel; `count` random pixels; `count` clicks, each where
            the mask so far is most wrong; or, for a film, the mask itself
    jitter: how far prompts from the truth are moved by chance, as a standard deviation in per cent: a box's edges of
            its own width and height, a point of the picture's longer side
    """

    given: bool = False
    points: tuple[tuple[float, float, int], ...] = ()
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    file: str | None = None
    loaded: dict[str, Any] | None = Field(default=None, repr=False)
    truth: FromTruth | None = None
    count: int = Field(default=1, ge=1, le=64)
    jitter: float = Field(default=0.0, ge=0, le=100, allow_inf_nan=False)

    @model_validator(mode="after")
    def _fits(self) -> "PromptRule":
        kinds = [bool(self.given or self.points or self.boxes), self.file is not None, self.truth is not None]
        if sum(kinds) > 1:
            raise ValueError("give prompts, a file of them, or truth, not several")
        if self.jitter and self.truth not in ("box", "inside"):
            raise ValueError("jitter moves a box or the innermost pixel: give truth: box or truth: inside")
        if self.count > 1 and self.truth not in ("points", "clicks"):
            raise ValueError("count is how many points or clicks: give truth: points or truth: clicks")
        return self

    @property
    def is_random(self) -> bool:
        """Whether another repeat gives other prompts."""
        return self.truth in RANDOM or self.jitter > 0

    @property
    def label(self) -> str:
        """A short name for tables, such as "box, moved by 5 %"."""
        if self.truth is not None:
            counted = f"{self.count} {self.truth}" if self.truth in ("points", "clicks") else self.truth
            return counted + (f", moved by {self.jitter:g} %" if self.jitter else "")
        if self.file is not None:
            return Path(self.file).name
        if self.points or self.boxes:
            points, boxes = len(self.points), len(self.boxes)
            texts = [f"{points} point{'s' if points > 1 else ''}"] if points else []
            return " and ".join([*texts, *([f"{boxes} box{'es' if boxes > 1 else ''}"] if boxes else [])])
        return "given" if self.given else "none"


def _as_rule(value: Any) -> Any:
    if value is None or value == "none":
        return {}
    if isinstance(value, str) and value != "given":
        raise ValueError(f"a prompt in one word is none or given; others are written {{truth: box}}, not {value:.60}")
    return {"given": True} if value == "given" else value


def _as_rules(value: Any) -> Any:
    return [_as_rule(each) for each in (value if isinstance(value, list) else [value])]


def _as_sources(value: Any) -> Any:
    return [{"samples": each} if isinstance(each, str) else each for each in as_tuple(value)]


class SweepSpec(Part):
    """All that a sweep is.

    pictures, films, pairs: what the experiment takes; none of them for an experiment on a model alone
    prompts:  several are swept over
    params:   of the experiment; a list is swept over, and lists of several parameters are combined in every way. A
              range is written {from: 256, to: 1024, step: 256}
    zip:      groups of parameters whose lists go along together, of one length each
    repeats:  how often prompts that are drawn by chance are drawn anew
    device:   auto, cpu, cuda or mps, as for a single run
    threads:  that torch computes with in each worker; empty: all cores, divided among the workers
    keep:     of each cell its metrics, also its chosen mask, or the whole run as a folder
    """

    name: str = ""
    experiment: str
    models: Texts = Field(min_length=1)
    pictures: Annotated[tuple[PictureSource, ...], BeforeValidator(_as_sources)] = ()
    films: Annotated[tuple[FilmSource, ...], BeforeValidator(_as_sources)] = ()
    pairs: Annotated[tuple[PairSource, ...], BeforeValidator(as_tuple)] = ()
    prompts: Annotated[tuple[PromptRule, ...], BeforeValidator(_as_rules)] = (PromptRule(given=True),)
    params: dict[str, Any] = Field(default_factory=dict)
    zip: Annotated[tuple[dict[str, Any], ...], BeforeValidator(as_tuple)] = ()
    repeats: int = Field(default=1, ge=1, le=10_000)
    device: str = Field(default="auto", pattern=DEVICES)
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    threads: int | None = Field(default=None, ge=1, le=1024)
    seed: int = Field(default=0, ge=0)
    keep: Keep = "metrics"


PARTS: dict[str, type[BaseModel]] = {
    "pictures": PictureSource,
    "films": FilmSource,
    "pairs": PairSource,
    "prompts": PromptRule,
}
KINDS = {
    "pictures": "with samples or files",
    "films": "with samples, files or davis",
    "pairs": "with rows or files",
}
"""What experiments are run on, as a spec names it, and how each is given."""


def kinds_taken(takes: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Which of `KINDS` an experiment can be swept over, by what it takes."""
    if "video" in takes:
        return ("films",)
    if "image_b" in takes:
        # The only one to which the second picture is something beside the first.
        return ("pictures", "pairs") if name == "semantic-similarity" else ("pairs",)
    return ("pictures",) if "image" in takes else ()


def read_spec(path: Path) -> SweepSpec:
    """The spec in a YAML file. Paths in it go from the file's own folder, and are absolute in what is given back.
    Raises BadInput with the line.
    """
    data = read_small(path, MAX_SPEC_BYTES, "The spec")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"The spec {path} is not a text in UTF-8: save it as one.") from error
    spec = with_folder(spec_from_text(text), path.absolute().parent)
    check_names(spec, read_yaml(text)[1])
    return spec


def spec_from_text(text: str) -> SweepSpec:
    """The spec that a YAML text says. Raises BadInput with the line for an unknown name and a wrong value."""
    values, lines = read_yaml(text)
    if not isinstance(values, dict):
        raise BadInput("A sweep is written as names and values, beginning with experiment: and models:.")
    try:
        spec = SweepSpec(**{str(name): value for name, value in values.items()})
    except ValidationError as error:
        raise _wrong(error, values, lines) from None
    check_spec(spec, lines)
    return spec


def check_spec(spec: SweepSpec, lines: Lines) -> None:
    """Raises BadInput with the line where experiment, prompts and parameters don't go together."""
    try:
        experiment = find_experiment(spec.experiment)
    except BadInput as error:
        raise lines.wrong(("experiment",), str(error)) from None
    taken = experiment.TAKES
    _check_kinds(spec, kinds_taken(taken, experiment.NAME), lines)
    for index, rule in enumerate(spec.prompts):
        if rule.label not in ("none", "given") and "prompts" not in taken:
            raise lines.wrong(("prompts", index), f"{experiment.NAME} takes no prompts: leave them out.")
        if rule.label == "none" and not spec.pictures and "prompts" in taken:
            raise lines.wrong(("prompts", index), "without a prompt there is nothing to follow: give truth: box.")
        if rule.truth == "mask" and "priors" not in taken:
            raise lines.wrong(("prompts", index), f"{experiment.NAME} takes no mask as a prompt; films do.")
    if spec.repeats > 1 and not any(rule.is_random for rule in spec.prompts):
        raise lines.wrong(
            ("repeats",), "a repeat draws prompts anew, and these are the same each time: give jitter or truth: points."
        )
    _check_params(spec, experiment.Params, lines)


def check_names(spec: SweepSpec, lines: Lines) -> None:
    """Raises BadInput with the line for a model or a sample that nobody has. spec: with its paths absolute"""
    for index, model in enumerate(spec.models):
        try:
            _check_model(model)
        except CheckpointError as error:
            raise lines.wrong(("models", index), str(error)) from None
    pictures = [each.samples for each in spec.pictures]
    films = [each.samples for each in spec.films]
    for kind, written, known in (("pictures", pictures, sample_names()), ("films", films, [*SAMPLE_VIDEOS])):
        for index, names in enumerate(written):
            for at, name in enumerate(names):
                frame = FRAME_REF.fullmatch(name) if kind == "pictures" else None
                if name not in known and (frame is None or frame[1] not in SAMPLE_VIDEOS):
                    sentence = f"there is no sample {kind[:-1]} {name:.60}: {nearest(name, known)}"
                    raise lines.wrong((kind, index, "samples", at), sentence)

    for kind, sources in (("pictures", spec.pictures), ("films", spec.films), ("pairs", spec.pairs)):
        for index, source in enumerate(sources):
            for name in PATHS:
                place = getattr(source, name, None)
                if place and (sentence := _missing_place(Path(place))):
                    raise lines.wrong((kind, index, name), sentence)


def _missing_place(place: Path) -> str:
    """A sentence where nothing is there; "" also where nobody may look."""
    with suppress(OSError, ValueError):
        if place.exists():
            return ""
        beside = [each.name for each in islice(place.parent.iterdir(), MAX_BESIDE)] if place.parent.is_dir() else []
        near = get_close_matches(place.name, beside, n=1)
        known = f"did you mean {near[0]}?" if near else "check the path, which goes from the spec's own folder."
        return f"there is nothing at {place!s:.300}: {known}"
    return ""


def _check_model(model: str) -> None:
    """A model of the catalogue that is not downloaded yet may be on the machine that computes."""
    try:
        find_entry(split_reference(model)[0])
    except CheckpointError:
        resolve_model(model)


def _check_kinds(spec: SweepSpec, kinds: tuple[str, ...], lines: Lines) -> None:
    for kind in KINDS:
        if getattr(spec, kind) and kind not in kinds:
            wanted = f"runs on {kinds[0]}: give these" if kinds else "looks at the model alone"
            raise lines.wrong((kind,), f"{spec.experiment} {wanted}; leave {kind}: out.")
    if kinds and not any(getattr(spec, kind) for kind in kinds):
        sentence = f"{spec.experiment} needs {kinds[0]}: add {kinds[0]}: {KINDS[kinds[0]]}."
        raise lines.wrong(("experiment",), sentence)


def _check_params(spec: SweepSpec, params_class: type[Any], lines: Lines) -> None:
    """Every value by itself; what does not go together is found when the cells are made."""
    seen: set[str] = set()
    groups = [(("params",), spec.params), *((("zip", index), group) for index, group in enumerate(spec.zip))]
    for place, group in groups:
        lengths = set()
        for name, written in group.items():
            if name not in params_class.model_fields:
                near = nearest(name, params_class.model_fields)
                raise lines.wrong((*place, name), f"there is no parameter {name:.60}; {near}")
            if name in seen:
                raise lines.wrong((*place, name), f"{name} is swept twice: give it once.")
            seen.add(name)
            try:
                values = values_of(written)
                for value in values:
                    build_params(params_class, {name: value})
            except SamkitError as error:
                sentence = str(error)
                if isinstance(written, list):
                    sentence += (
                        " A list is swept over; a value that is itself a list stands in a second pair of brackets."
                    )
                raise lines.wrong((*place, name), sentence) from None
            lengths.add(len(values))
        if place[0] == "zip" and len(lengths) > 1:
            counts = listed([str(length) for length in sorted(lengths)])
            raise lines.wrong(place, f"the lists of a zip group go along together, and these have {counts} values.")


def with_folder(spec: SweepSpec, folder: Path) -> SweepSpec:
    """The spec with its paths made absolute from `folder`. A model is a path where it ends as a checkpoint does."""

    def placed(text: str | None) -> str | None:
        return None if text is None else str(folder / Path(text).expanduser())

    def placed_source(source: PartT) -> PartT:
        update: dict[str, Any] = {
            name: placed(getattr(source, name)) for name in PATHS if name in type(source).model_fields
        }
        if "files" in type(source).model_fields:
            update["files"] = tuple(str(placed(text)) for text in source.files)  # type: ignore[attr-defined]
        return source.model_copy(update=update)

    def placed_row(row: PairRow) -> PairRow:
        first, second = (
            text if text.startswith(SAMPLE_PREFIX) else str(placed(text)) for text in (row.first, row.second)
        )
        masks = None if row.masks is None else (placed(row.masks[0]), placed(row.masks[1]))
        return PairRow(first=first, second=second, masks=masks, called=row.called)

    pictures, films = (tuple(map(placed_source, sources)) for sources in (spec.pictures, spec.films))
    pairs = tuple(
        source.model_copy(update={"rows": tuple(map(placed_row, source.rows))})
        for source in map(placed_source, spec.pairs)
    )
    prompts = tuple(
        rule if rule.file is None else rule.model_copy(update={"loaded": _json_file(folder / rule.file)})
        for rule in spec.prompts
    )
    models = tuple(str(placed(model)) if model.endswith(CHECKPOINTS) else model for model in spec.models)
    return spec.model_copy(
        update={"pictures": pictures, "films": films, "pairs": pairs, "prompts": prompts, "models": models}
    )


def _json_file(path: Path) -> dict[str, Any]:
    data = read_small(path, MAX_PROMPT_FILE, "The prompts file")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"The prompts file {path} is not JSON ({error}).") from error
    if not isinstance(document, dict):
        raise BadInput(f"The prompts file {path} must hold an object: prompts, or prompts by the picture's name.")
    return document


def _wrong(error: ValidationError, values: dict[str, Any], lines: Lines) -> BadInput:
    """The first mistake as a sentence with its line."""
    # Of a name that was mistyped both are said, that it is unknown and that the right one is missing.
    first = min(error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden")
    # What may be written as one or as a list has a place of its own only in the list.
    place = [part for part in first["loc"] if isinstance(part, str | int)]
    written = tuple(
        part
        for at, part in enumerate(place)
        if not (at == 1 and part == 0 and not isinstance(values.get(str(place[0])), list))
    )
    name = str(place[-1]) if place else ""
    if first["type"] == "extra_forbidden":
        known = PARTS.get(str(place[0]), SweepSpec) if len(place) > 1 else SweepSpec
        return lines.wrong(written, f"there is no setting {name:.60}; {nearest(name, known.model_fields)}")
    if first["type"] == "string_pattern_mismatch" and name == "device":
        return lines.wrong(written, f"there is no device {first['input']!s:.60}: give auto, cpu, cuda or mps.")
    if first["type"] == "missing":
        return lines.wrong(written[:-1], f"{name} is missing: add {name}: to the spec.")
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input ").rstrip(".")
    return lines.wrong(written, f"{' '.join(map(str, written)) or 'the spec'}: {message}.")
