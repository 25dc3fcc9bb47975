"""A sweep that is being thought of: its spec, the files that go along, and what it will take. Pure: no Streamlit."""

import io
import json
import os
import re
import secrets
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samkit.errors import BadInput, StoreError
from samkit.media.given_masks import Truth
from samkit.media.pictures import Picture, array_to_png
from samkit.media.samples import SAMPLES
from samkit.prompts import Prompts
from samkit.ui.bench.sweeping.handed_over import HandedOver
from samkit.ui.state.sweeps import INPUTS
from samkit.work.sources import SAMPLE_PREFIX, picture_ref
from samkit.work.spec import Ref
from samkit.work.sweep.cases import Case, all_cases, find_cases
from samkit.work.sweep.cells import Cell, in_groups, make_cells, sharing
from samkit.work.sweep.results import sweeps_folder
from samkit.work.sweep.spec import Keep, PictureSource, PromptRule, SweepSpec, with_folder
from samkit.work.sweep.spec_sources import MAX_NAME, PairRow, PairSource
from samkit.work.sweep.spec_text import spec_text

MASKS, PROMPTS_FILE, SPEC_FILE = "masks", "prompts.json", "sweep.yaml"
AS_GIVEN, ON_ALL, NO_PROMPTS = "as they are", "the page's, on every picture", "none"
"""Prompts that need no true mask: each picture's own; those on the page at the same place on every picture."""
TRUE_BOX = "true box"
TRUTH_RULES: dict[str, PromptRule] = {
    TRUE_BOX: PromptRule(truth="box"),
    "true box, moved by 5 %": PromptRule(truth="box", jitter=5),
    "innermost pixel": PromptRule(truth="inside"),
    "innermost pixel, moved by 2 %": PromptRule(truth="inside", jitter=2),
    "3 correcting clicks": PromptRule(truth="clicks", count=3),
}
"""Prompts that follow from a true mask, by what they are called."""
HOW_TO_GIVE_TRUTH = (
    "for the picture on the page under Truth, below the picture; for pictures of your own as files of the same names, "
    "such as cat.png for cat.jpg."
)


@dataclass(frozen=True)
class AtHand:
    """The picture on the page, with what was marked on it."""

    picture: Picture
    prompts: Prompts
    truth: Truth | None = None

    @property
    def sample(self) -> str:
        """The name by which samples have it; "" where it is none, or has a truth of its own here."""
        ref = picture_ref(self.picture).ref
        return ref.removeprefix(SAMPLE_PREFIX) if ref.startswith(SAMPLE_PREFIX) and self.truth is None else ""

    @property
    def file(self) -> str:
        """The name of its file in the sweep, which is a PNG whatever the picture came in."""
        stem = re.sub(r"\.\w{2,5}$", "", self.picture.name)
        return f"{re.sub(r'[^A-Za-z0-9._-]+', '-', stem).strip('.-')[:80] or 'picture'}.png"


@dataclass(frozen=True)
class Choices:
    """What was chosen. at_hand: None where the picture on the page is left out, or the experiment takes none;
    second: the other picture of a pair; page_prompts: for `ON_ALL`, also where the page's picture is left out

    params: of the spec; prompts: names of `TRUTH_RULES`, `AS_GIVEN`, `ON_ALL` and `NO_PROMPTS`; source: pictures on
    this machine's disk
    """

    experiment: str
    models: tuple[str, ...]
    params: Mapping[str, Any]
    at_hand: AtHand | None = None
    second: AtHand | None = None
    samples: tuple[str, ...] = ()
    source: PictureSource | None = None
    prompts: tuple[str, ...] = (AS_GIVEN,)
    takes_prompts: bool = True
    repeats: int = 1
    keep: Keep = "masks"
    name: str = ""
    device: str = "auto"
    dtype: Any = "float32"
    threads: int | None = None
    page_prompts: Prompts = Prompts()
    handed: HandedOver | None = None


@dataclass(frozen=True)
class Draft:
    """spec: with paths that go from its own folder; files: what lies there, by name; linked: large files that lie there
    too, by name where each is now; cases: as they will be found
    """

    spec: SweepSpec
    files: Mapping[str, bytes] = field(default_factory=dict)
    cases: tuple[Case, ...] = ()
    linked: Mapping[str, Path] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The spec as YAML."""
        return spec_text(self.spec)

    def zipped(self) -> bytes:
        """The spec and its files."""
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr(SPEC_FILE, self.text)
            for name, data in self.files.items():
                archive.writestr(name, data)
            for name, file in self.linked.items():
                archive.write(file, name, zipfile.ZIP_STORED)
        return out.getvalue()

    def placed(self) -> tuple[SweepSpec, list[Case]]:
        """(the spec with its files where it finds them, its cases). Raises StoreError where they can't be written."""
        if not self.files and not self.linked:
            spec = with_folder(self.spec, Path.cwd())
            return spec, all_cases(spec)
        folder = sweeps_folder() / f"{INPUTS}{secrets.token_hex(8)}"
        try:
            for name, data in self.files.items():
                place = folder / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
            for name, file in self.linked.items():
                _link(file, folder / name)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise StoreError(f"The sweep's files can't be written ({error.strerror or error}).") from error
        spec = with_folder(self.spec, folder)
        return spec, all_cases(spec)


def _link(file: Path, place: Path) -> None:
    """Under another name, where it stays when it is removed elsewhere; takes no room where the disk has links."""
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, place)
    except OSError:
        shutil.copyfile(file, place)


def make_draft(choices: Choices, others: Sequence[Case] = ()) -> Draft:
    """others: the cases of `choices.source`, which whoever asks has found. Raises BadInput where something is missing
    or does not go together.
    """
    rules = _rules(choices)
    truth_only = all(rule.truth is not None for rule in rules)
    pairs: list[PairSource] = []
    if choices.second is not None:
        sources: list[PictureSource] = []
        pair, files, cases = _pair(choices)
        pairs.append(pair)
    else:
        sources, files, cases = _pictures(choices, "each" if truth_only else "together")
    if choices.source is not None:
        sources.append(choices.source)
        cases += others
    if choices.handed is not None:
        sources.append(choices.handed.source)
        cases += choices.handed.cases
    if choices.takes_prompts and AS_GIVEN in choices.prompts:
        rule, more = _given_rule(choices)
        rules = [rule, *rules[1:]]
        files |= more
    _check_prompts(rules, cases, not choices.page_prompts.is_empty)
    spec = spec_of_choices(choices, rules, pictures=list(sources), pairs=pairs)
    return Draft(spec, files, tuple(cases), choices.handed.files if choices.handed is not None else {})


def spec_of_choices(choices: Choices, rules: Sequence[PromptRule], **sources: Any) -> SweepSpec:
    """The sweep that was chosen. sources: `pictures`, `pairs` or `films`, as a spec has them"""
    return SweepSpec(
        name=choices.name,
        experiment=choices.experiment,
        models=choices.models,
        prompts=list(rules),  # type: ignore[arg-type]  # as a text gives them
        params=dict(choices.params),
        repeats=choices.repeats if any(rule.is_random for rule in rules) else 1,
        device=choices.device,
        dtype=choices.dtype,
        threads=choices.threads,
        keep=choices.keep,
        **sources,
    )


def _check_prompts(rules: Sequence[PromptRule], cases: Sequence[Case], marked: bool) -> None:
    """marked: whether there are prompts on the page"""
    on_all = ("Choose" if marked else "Mark something on the page, then choose") + f" “{ON_ALL}” under Prompts"
    for case in cases:
        if case.truth is None and any(rule.truth is not None for rule in rules):
            raise BadInput(
                f"{case.name} has no true mask, from which the chosen prompts follow. {on_all}; or leave "
                f"the picture out; or give it a true mask: {HOW_TO_GIVE_TRUTH}"
            )
        known = [rule.loaded or {} for rule in rules if rule.given or rule.file is not None]
        name = case.picture.name if case.picture is not None else ""
        if any(name not in prompts for prompts in known) and case.given.is_empty:
            other = "choose the true box" if case.truth is not None else f"“{NO_PROMPTS}”; or give it a true mask"
            raise BadInput(f"{case.name} brings no prompts along. {on_all}, or {other}; or leave the picture out.")


def _rules(choices: Choices) -> list[PromptRule]:
    if not choices.takes_prompts:
        return [PromptRule()]
    if not choices.prompts:
        raise BadInput("Choose at least one kind of prompts.")
    named = [_named_rule(name, choices.page_prompts) for name in choices.prompts if name != AS_GIVEN]
    return [PromptRule(given=True), *named] if AS_GIVEN in choices.prompts else named


def _named_rule(name: str, on_page: Prompts) -> PromptRule:
    if name == ON_ALL:
        return PromptRule(points=on_page.points, boxes=on_page.boxes)
    return PromptRule() if name == NO_PROMPTS else TRUTH_RULES[name]


def _pictures(choices: Choices, objects: Any) -> tuple[list[PictureSource], dict[str, bytes], list[Case]]:
    sources: list[PictureSource] = []
    files: dict[str, bytes] = {}
    cases: list[Case] = []
    at_hand, samples = choices.at_hand, list(choices.samples)
    if at_hand is not None and at_hand.sample:
        samples = list(dict.fromkeys([at_hand.sample, *samples]))
    elif at_hand is not None:
        name = at_hand.file
        files[name] = array_to_png(at_hand.picture.rgb)
        truth = None
        if at_hand.truth is not None:
            files[f"{MASKS}/{name}"] = at_hand.truth.file()
            truth = Ref(f"{MASKS}/{name}")
        masks = MASKS if truth else None
        called = at_hand.picture.name[:MAX_NAME]
        sources.append(PictureSource(files=(name,), masks=masks, called=called, objects="together"))
        cases.append(Case(called, Ref(name, name=called), truth))
    if samples:
        source = PictureSource(samples=tuple(samples), objects=objects)
        sources.append(source)
        cases += find_cases((source,), 0)
    return sources, files, cases


def _pair(choices: Choices) -> tuple[PairSource, dict[str, bytes], list[Case]]:
    """The two pictures on the page, with the true masks that they have."""
    assert choices.at_hand is not None and choices.second is not None
    sides = {"first": choices.at_hand, "second": choices.second}
    files: dict[str, bytes] = {}
    texts: list[str] = []
    masks: list[str | None] = []
    for folder, side in sides.items():
        place = f"{folder}/{side.file}"
        mask = f"{MASKS}/{folder}.png" if side.truth is not None else None
        masks.append(mask)
        if mask is not None and side.truth is not None:
            files[mask] = side.truth.file()
        if not side.sample:
            files[place] = array_to_png(side.picture.rgb)
        texts.append(f"{SAMPLE_PREFIX}{side.sample}" if side.sample else place)
    if choices.at_hand.prompts.is_empty and AS_GIVEN in choices.prompts:
        raise BadInput("Mark the object on the page first, or choose prompts that follow from its true mask.")
    called = (choices.at_hand.picture.name[:MAX_NAME], choices.second.picture.name[:MAX_NAME])
    given = (masks[0], masks[1]) if any(masks) else None
    row = PairRow(first=texts[0], second=texts[1], masks=given, called=called)
    source = PairSource(rows=(row,))
    truths = [Ref(mask) if mask else None for mask in masks]
    first, second = map(Ref, texts, (None, None), called)
    case = Case(" -> ".join(called), first, truths[0], second=second, second_truth=truths[1])
    return source, files, [case]


def _given_rule(choices: Choices) -> tuple[PromptRule, dict[str, bytes]]:
    """The prompts that pictures have: (the rule, the file that it reads)."""
    at_hand = choices.at_hand
    if at_hand is None:
        return PromptRule(given=True), {}
    prompts = at_hand.prompts
    alone = choices.source is None and choices.handed is None
    if not choices.samples and alone:
        return PromptRule(points=prompts.points, boxes=prompts.boxes), {}
    own = SAMPLES.get(at_hand.sample)
    if own is not None and own.prompts == prompts and alone:
        return PromptRule(given=True), {}
    by_name = {name: SAMPLES[name].prompts.to_dict() for name in choices.samples if name in SAMPLES}
    by_name[at_hand.sample or at_hand.picture.name[:MAX_NAME]] = prompts.to_dict()
    return PromptRule(file=PROMPTS_FILE, loaded=by_name), {PROMPTS_FILE: json.dumps(by_name).encode()}


@dataclass(frozen=True)
class Price:
    """What a sweep will take. seconds: None where nothing is known of how long a cell takes"""

    cells: int
    encodings: int
    seconds: float | None


@dataclass(frozen=True)
class Pace:
    """How long the run on the page took. encode_ms: at that side, in pixels; other_ms: all else, and all of a film"""

    encode_ms: float
    other_ms: float
    side: int


def price(draft: Draft, pace: Pace | None, workers: int) -> Price:
    """Raises BadInput where no cell can be made. The time follows from the run on the page, and assumes that encoding
    takes as long as its side squared says.
    """
    cells = make_cells(draft.spec, draft.cases)
    keys = {key: cell.params.get("side") for cell in cells for key in _encodings(cell)}
    if pace is None:
        return Price(len(cells), len(keys), None)
    encoding = sum(pace.encode_ms * ((side or pace.side) / pace.side) ** 2 for side in keys.values())
    at_once = min(workers, sum(1 for _ in in_groups(cells)))
    return Price(len(cells), len(keys), (encoding + len(cells) * pace.other_ms) / 1000 / max(1, at_once))


def _encodings(cell: Cell) -> list[str]:
    if cell.case.picture is None or cell.case.film is not None:
        # Of a film its frames are encoded, of which nobody knows yet how many these are.
        return []
    *shared, windows = sharing(cell)
    if cell.case.second is not None:
        return [repr((*shared, windows)), repr((shared[0], cell.case.second.ref, *shared[2:], windows))]
    # window-size compares with the model's own windows, which it encodes too.
    both = [windows, None] if cell.experiment == "window-size" else [windows]
    return [repr((*shared, each)) for each in both]
