"""One cell after the other, in a process that holds the model and what the last pictures left behind. Every engine has
its workers do this.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from samkit.errors import BadInput, Cancelled, SamkitError
from samkit.machine import refused_by_machine
from samkit.media.given_masks import Truth
from samkit.media.mask_files import mask_png
from samkit.media.pictures import Picture
from samkit.models.threads import own_threads
from samkit.prompts import Prompts
from samkit.work.execute import Computed, compute, write
from samkit.work.lab import ENCODINGS_BYTES, PARTS_BYTES, Lab
from samkit.work.memory import Memory
from samkit.work.sources import Sources
from samkit.work.spec import Ref
from samkit.work.sweep.cells import Cell
from samkit.work.sweep.judged import judged, truth_facts
from samkit.work.sweep.marks import draw, prompts_from_truth
from samkit.work.sweep.results import Outcome
from samkit.work.sweep.spec import Keep

if TYPE_CHECKING:
    from samkit.models.sam import SamModel

T = TypeVar("T")
KEPT_INPUTS = 8
"""Pictures, and truths, that stay open: a group's are one picture's."""


@dataclass(frozen=True)
class WorkerSettings:
    """What every worker of a sweep is told, and all that it needs beside its cells.

    folder: the sweep's, where masks and runs are kept; threads: that torch computes with
    """

    folder: str
    keep: Keep
    threads: int


class CountingMemory(Memory):
    """Knows what it had to make. made: the keys, since somebody last emptied the list"""

    def __init__(self, limit_bytes: int):
        super().__init__(limit_bytes)
        self.made: list[str] = []

    def get(self, key: str, make: Callable[[], T], user: str | None = None) -> T:
        def counted() -> T:
            value = make()
            self.made.append(key)
            return value

        return super().get(key, counted, user)


Place = Callable[[str], str]
"""Where a file or folder lies on this machine that a cell names by its path where the sweep was started; other texts,
such as a model's name, are given back as they are. Raises BadInput for one that could not be read there.
"""


def same_place(path: str) -> str:
    """On the machine where the sweep was started."""
    return path


class _CellSources(Sources):
    """Opens each picture, truth and model once for all cells that follow each other."""

    def __init__(self, place: Place) -> None:
        super().__init__(load_model=self._load_once)
        self._place = place
        self._pictures_open: dict[Ref, Picture] = {}
        self._truths_open: dict[tuple[Ref, str], Truth] = {}
        self._model: tuple[tuple[str, str, str], SamModel] | None = None

    def picture(self, ref: Ref) -> Picture:
        return _kept(self._pictures_open, ref, lambda: super(_CellSources, self).picture(ref))

    def truth(self, ref: Ref, picture: Picture) -> Truth:
        key = ref, picture.sha256
        return _kept(self._truths_open, key, lambda: super(_CellSources, self).truth(ref, picture))

    def _path(self, ref: Ref) -> Path:
        return super()._path(replace(ref, ref=self._place(ref.ref)))

    def _load_once(self, ref: str, device: str, dtype: str) -> "SamModel":
        from samkit.work.sources import load_from_disk

        key = ref, device, dtype
        if self._model is None or self._model[0] != key:
            # The last one goes before the next one comes: two may be more than the memory holds.
            self._model = None
            self._model = key, load_from_disk(self._place(ref), device, dtype)
        return self._model[1]


K = TypeVar("K")


def _kept(memory: dict[K, T], key: K, make: Callable[[], T]) -> T:
    """The value of the last few, or a new one in place of the oldest."""
    if key not in memory:
        value = make()
        while len(memory) >= KEPT_INPUTS:
            del memory[next(iter(memory))]
        memory[key] = value
    return memory[key]


class CellComputer:
    """Computes cells. A cell that can't be computed has an outcome too: failed, with a sentence.

    place: where files lie, for a worker on another machine
    """

    def __init__(self, settings: WorkerSettings, place: Place = same_place):
        self._settings = settings
        self._sources = _CellSources(place)
        self._encodings = CountingMemory(ENCODINGS_BYTES)
        self._parts = Memory(PARTS_BYTES)
        self._lab = Lab(self._encodings, self._parts, sources=self._sources)

    def outcome(self, cell: Cell) -> Outcome:
        """Raises only what ends the process."""
        self._encodings.made.clear()
        start = time.perf_counter()
        try:
            with own_threads(self._settings.threads):
                done = self._done(cell)
        except Cancelled:
            raise
        except Exception as error:
            reason = reason_of(error)
            return Outcome(cell.id, "failed", reason, encoded=self._made(), seconds=time.perf_counter() - start)
        return done(time.perf_counter() - start)

    def computed(self, cell: Cell) -> tuple[Computed, Truth | None]:
        """The cell's run, with the prompts that it was found to have, and the truth on its picture."""
        picture = self._sources.picture(cell.case.picture) if cell.case.picture is not None else None
        truth = None
        if cell.case.truth is not None and picture is not None:
            truth = self._sources.truth(cell.case.truth, picture)
        return compute(cell.run_spec(self._prompts(cell, truth), self._settings.threads), self._lab), truth

    def forget_parts(self) -> None:
        """Of what was computed keep encodings alone."""
        self._parts.clear()

    def forget_all(self) -> None:
        """Compute everything anew."""
        self._parts.clear()
        self._encodings.clear()

    def _done(self, cell: Cell) -> Callable[[float], Outcome]:
        run, truth = self.computed(cell)
        metrics = judged(run.result, truth)
        self._keep(cell, run)
        return lambda seconds: Outcome(
            cell.id,
            "done",
            run=run.spec.id,
            metrics=metrics,
            facts={**run.result.facts, **truth_facts(truth), "threads": run.result.threads},
            timings=dict(run.result.timings),
            prompts=run.spec.prompts.to_dict(),
            encoded=self._made(),
            seconds=seconds,
        )

    def _prompts(self, cell: Cell, truth: Truth | None) -> Prompts:
        if cell.prompts is not None:
            return cell.prompts
        if truth is None:
            raise BadInput(f"{cell.case.name} has no true mask for prompts from the truth.")

        def segment(prompts: Prompts) -> np.ndarray:
            run = compute(cell.run_spec(prompts, self._settings.threads), self._lab)
            if "mask_chosen" not in run.result.masks:
                raise BadInput(f"{cell.experiment} chooses no mask that clicks could correct.")
            return run.result.masks["mask_chosen"].pixels

        chance = draw(cell.seed, cell.case.picture.ref if cell.case.picture else "", truth.sha256, cell.repeat)
        return prompts_from_truth(cell.rule, truth, chance, segment)

    def _keep(self, cell: Cell, run: Computed) -> None:
        """What is kept beside the outcome is there before it: whole, or not at all."""
        folder = Path(self._settings.folder)
        if self._settings.keep == "masks" and "mask_chosen" in run.result.masks:
            place = mask_file(folder, cell.id)
            place.parent.mkdir(parents=True, exist_ok=True)
            part = place.with_suffix(".part")
            part.write_bytes(mask_png(run.result.masks["mask_chosen"].pixels))
            os.replace(part, place)
        elif self._settings.keep == "all":
            place = run_folder(folder, cell.id)
            if not (place / "run.json").exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                write(run, place)

    def _made(self) -> tuple[str, ...]:
        """A short key for each encoding that was made for this cell."""
        return tuple(key[:16] for key in self._encodings.made)


def mask_file(folder: Path, cell: str) -> Path:
    """Where the chosen mask of a cell is kept. Few folders hold as many files as a sweep may have cells."""
    return folder / "masks" / cell[:2] / f"{cell}.png"


def run_folder(folder: Path, cell: str) -> Path:
    """Where the whole run of a cell is kept."""
    return folder / "runs" / cell[:2] / cell


def reason_of(error: Exception) -> str:
    """Why a cell failed, as a sentence."""
    known = error if isinstance(error, SamkitError) else refused_by_machine(error)
    if known is not None:
        return str(known)
    if isinstance(error, OSError):
        return f"What is kept of it can't be written ({error.strerror or error}): make room and resume with --failed."
    return f"Something went wrong inside samkit ({type(error).__name__}: {str(error)[:200]})."
