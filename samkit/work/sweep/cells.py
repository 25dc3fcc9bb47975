"""The cells of a sweep: each case with each model, prompt, combination of parameters and repeat; and the order in which
nothing is encoded twice.
"""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from samkit.errors import BadInput, ParamsError
from samkit.experiments.params import build_params
from samkit.experiments.registry import find_experiment
from samkit.prompts import Prompts
from samkit.work.spec import PriorSpec, Ref, RunSpec
from samkit.work.sweep.case import Case
from samkit.work.sweep.grid import combinations, count_combinations
from samkit.work.sweep.spec import PromptRule, SweepSpec

MAX_CELLS = 1_000_000
REFS, OTHERS = ("picture", "truth", "film", "second", "second_truth"), ("frame", "frame_masks", "number", "group")
"""Of a case."""
CHAIN = 16
"""Pairs of a chain that one worker computes; a picture where it is cut is encoded once more."""


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    prompts: None where they follow from the truth, by `rule`
    params:  as they were written; what is left out has the experiment's default
    """

    experiment: str
    case: Case
    model: str
    rule: PromptRule
    prompts: Prompts | None
    params: dict[str, Any] = field(hash=False)
    repeat: int
    device: str
    dtype: str
    seed: int

    @cached_property
    def id(self) -> str:
        """16 hex digits that follow from what is computed: the same in every sweep that asks for the same."""
        case = self.case
        content: dict[str, Any] = {
            "experiment": self.experiment,
            "picture": case.picture and case.picture.identity,
            "truth": case.truth and case.truth.identity,
            "model": self.model,
            "prompts": self.rule.model_dump(mode="json", exclude_defaults=True, exclude={"loaded", "file"}),
            "params": self.params,
            "device": self.device,
            "dtype": self.dtype,
        }
        if case.film is not None:
            masks = {"masks": case.frame_masks, "number": case.number}
            content["film"] = {**case.film.identity, "frame": case.frame, **masks}
        if case.second is not None:
            content["second"] = {**case.second.identity, "truth": case.second_truth and case.second_truth.identity}
        if self.prompts is not None:
            content["prompts"] = self.prompts.to_dict()
        if self.rule.is_random:
            content |= {"repeat": self.repeat, "seed": self.seed}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def run_spec(self, prompts: Prompts, threads: int | None = None, mask: dict[str, Any] | None = None) -> RunSpec:
        """The run by itself, with the prompts that were found for it. mask: of the marked frame of a film, as COCO RLE,
        in place of prompts
        """
        takes, case = find_experiment(self.experiment).TAKES, self.case
        params: dict[str, Any] = self.params
        priors: tuple[PriorSpec, ...] = ()
        if case.film is not None and case.picture is not None:
            prior = PriorSpec(case.picture, prompts, params.get("mask_index"), mask, case.frame)
            params, priors = ({"start": case.frame} if case.frame else {}) | params, (prior,)
        return RunSpec(
            self.experiment,
            Ref(self.model),
            params=params,
            prompts=prompts if "prompts" in takes else Prompts(),
            image=case.picture,
            image_b=case.second,
            video=case.film,
            priors=priors,
            truth=case.truth if "truth" in takes else None,
            truth_b=case.second_truth if "truth_b" in takes else None,
            device=self.device,
            dtype=self.dtype,
            threads=threads,
        )

    @property
    def marks_second(self) -> bool:
        """Whether the prompts lie on the second picture of a pair."""
        return self.case.second is not None and self.params.get("prompt_on") == "b"

    @property
    def marked_picture(self) -> Ref | None:
        """The picture that the prompts lie on."""
        return self.case.second if self.marks_second else self.case.picture

    @property
    def marked_truth(self) -> Ref | None:
        """The right mask on the picture that the prompts lie on."""
        return self.case.second_truth if self.marks_second else self.case.truth

    @property
    def judged(self) -> tuple[Ref | None, Ref | None]:
        """The picture that the chosen mask lies on, and the right mask there: of a pair in which the object itself is
        found again, the picture without prompts.
        """
        case, found = self.case, "truth_b" in find_experiment(self.experiment).TAKES
        on_second = case.second is not None and found and not self.marks_second
        return (case.second, case.second_truth) if on_second else (case.picture, case.truth)


@dataclass(frozen=True)
class Group:
    """Cells that may share an encoding; one worker computes them all, one after the other."""

    cells: tuple[Cell, ...]


def make_cells(spec: SweepSpec, cases: Iterable[Case]) -> list[Cell]:
    """All cells, each once. Raises BadInput for prompts that a case can't have, for parameters that don't go together,
    and for too many.
    """
    experiment = find_experiment(spec.experiment)
    cases = list(cases)
    repeats = sum(spec.repeats if rule.is_random else 1 for rule in spec.prompts)
    count = count_combinations(spec.params, spec.zip) * len(cases) * len(spec.models) * repeats
    if count > MAX_CELLS:
        raise BadInput(f"This sweep has {count:,} cells; at most {MAX_CELLS:,} are run at once: take less.")
    params = list(combinations(spec.params, spec.zip))
    for values in params:
        try:
            build_params(experiment.Params, values)
        except ParamsError as error:
            raise ParamsError(f"The parameters {json.dumps(values)} don't go together: {error}") from error
    takes_prompts = "prompts" in experiment.TAKES
    rules = spec.prompts if takes_prompts else (PromptRule(),)
    rules_and_files = [(rule, _loaded(rule)) for rule in rules]
    cells = {}
    for model, case, (rule, written) in itertools.product(spec.models, cases, rules_and_files):
        prompts = _prompts(rule, case, written) if takes_prompts else Prompts()
        for values, repeat in itertools.product(params, range(spec.repeats if rule.is_random else 1)):
            cell = Cell(experiment.NAME, case, model, rule, prompts, values, repeat, spec.device, spec.dtype, spec.seed)
            cells[cell.id] = cell
    return list(cells.values())


def in_groups(cells: Iterable[Cell]) -> Iterator[Group]:
    """The cells in the order in which they are best computed: model by model, so that each is loaded once, and picture
    by picture, so that what is shared is still at hand.
    """
    ordered: dict[tuple[Any, ...], list[Cell]] = {}
    models: dict[str, int] = {}
    cells = list(cells)
    chains = _chains(cells)
    for cell in cells:
        _, picture, side = sharing(cell)[:3]
        key = (models.setdefault(cell.model, len(models)), chains.get(picture, picture), side)
        ordered.setdefault(key, []).append(cell)
    for key in sorted(ordered, key=lambda key: key[0]):
        # Pairs have no windows of their own, and stay in order: the second picture of one is the first of the next.
        yield Group(tuple(sorted(ordered[key], key=_windows)))


def _windows(cell: Cell) -> tuple[Any, ...]:
    """By which cells of a group are ordered: the model's own windows first, then from the smallest ones on."""
    windows = sharing(cell)[3]
    return (windows[0], windows[1] or "") if windows else ()


def _chains(cells: Iterable[Cell]) -> dict[str, str]:
    """picture -> the first picture of its chain: of pairs that share pictures, the first one's second picture the
    second one's first, and so on. A long chain is cut, so that several workers have something to do.
    """
    links: dict[str, str] = {}
    for cell in cells:
        if cell.case.second is not None and cell.case.picture is not None:
            links.setdefault(cell.case.picture.ref, cell.case.second.ref)
    seconds = set(links.values())
    chains: dict[str, str] = {}
    for first in (*(ref for ref in links if ref not in seconds), *links):
        start, at, length = first, first, 0
        while at in links and at not in chains:
            if length and length % CHAIN == 0:
                start = at
            chains[at] = start
            at, length = links[at], length + 1
    return chains


def sharing(cell: Cell) -> tuple[Any, ...]:
    """(model, picture or film, side and fit, windows and how they are read, None for the model's own): what an encoding
    follows from. Cells that agree in all share it.
    """
    what = cell.case.film or cell.case.picture
    picture = what.ref if what is not None else ""
    params = cell.params
    input_side = (params.get("side"), params.get("fit"), params.get("input_scale"))
    windows = params.get("window_sizes")
    return cell.model, picture, input_side, windows and (tuple(windows), params.get("window_reading"))


def _prompts(rule: PromptRule, case: Case, written: Prompts | Mapping[str, Prompts] | None) -> Prompts | None:
    if rule.truth is not None:
        if case.truth is None and case.second_truth is None:
            raise BadInput(f"{case.name} has no true mask for prompts from the truth: add masks: to its source.")
        return None
    if isinstance(written, Prompts):
        return written
    if written is not None:
        names = (case.picture.name, Path(case.picture.ref).name) if case.picture else ()
        found = next((written[name] for name in names if name in written), None)
        if found is None:
            raise BadInput(f"There are no prompts for {case.name} in {rule.label}: add them under the picture's name.")
        return found
    if rule.points or rule.boxes:
        return Prompts(rule.points, rule.boxes)
    if rule.given and case.given.is_empty:
        raise BadInput(
            f"{case.name} brings no prompts along: say which with prompts:, such as none, or truth: box where it has a "
            "mask."
        )
    return case.given if rule.given else Prompts()


def _loaded(rule: PromptRule) -> Prompts | dict[str, Prompts] | None:
    """The prompts of the rule's file: for all pictures, or for each by its name."""
    if rule.loaded is None:
        return None
    if rule.loaded.keys() & {"points", "boxes", "fg_points", "bg_points"}:
        return Prompts.from_dict(rule.loaded)
    return {name: Prompts.from_dict(prompts) for name, prompts in rule.loaded.items()}


def cell_row(cell: Cell) -> dict[str, Any]:
    """What a table says of a cell before it is computed."""
    return {
        "cell": cell.id,
        "model": cell.model,
        "picture": cell.case.where,
        "case": cell.case.name,
        "prompts": cell.rule.label,
        "repeat": cell.repeat,
        **({"group": cell.case.group} if cell.case.group else {}),
        **{f"param.{name}": value for name, value in cell.params.items()},
    }


def case_dict(case: Case) -> dict[str, Any]:
    """A case as JSON values."""
    return asdict(case) | {"given": case.given.to_dict()}


def case_from(values: Mapping[str, Any]) -> Case:
    """What `case_dict` gave."""
    refs: dict[str, Any] = {name: Ref(**values[name]) for name in REFS if values.get(name)}
    others: dict[str, Any] = {name: values[name] for name in OTHERS if name in values}
    given = Prompts.from_dict(values["given"])
    return Case(values["name"], refs.pop("picture", None), given=given, **refs, **others)
