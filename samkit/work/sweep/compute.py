"""One cell after the other, in a process that holds the model and what the last pictures left behind. Every engine has
its workers do this.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from samkit.errors import BadInput, Cancelled, SamkitError, StoreError
from samkit.experiments.measures.predicted_masks import chosen_index, predict
from samkit.experiments.params import build_params
from samkit.experiments.registry import find_experiment
from samkit.machine import refused_by_machine
from samkit.media.films import Video
from samkit.media.given_masks import Truth
from samkit.media.mask_files import mask_png
from samkit.media.pictures import Picture
from samkit.media.rle import mask_to_rle
from samkit.models.threads import own_threads
from samkit.prompts import Prompts
from samkit.work.execute import Computed, compute, run_experiment, write
from samkit.work.lab import ENCODINGS_BYTES, PARTS_BYTES, Lab
from samkit.work.memory import Memory
from samkit.work.other_model import find_other
from samkit.work.sources import Sources
from samkit.work.spec import Ref
from samkit.work.sweep.case import Case
from samkit.work.sweep.cells import Cell
from samkit.work.sweep.film_truth import FilmTruth
from samkit.work.sweep.judged import chosen_mask, judged, truth_facts
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
        self._film_open: tuple[Ref, Video] | None = None
        self._model: tuple[tuple[str, str, str], SamModel] | None = None

    def film(self, ref: Ref) -> Video:
        if self._film_open is None or self._film_open[0] != ref:
            if self._film_open is not None:
                self._film_open[1].close()
            self._film_open = None
            self._film_open = ref, super().film(ref)
        return self._film_open[1]

    def _open_frame(self, ref: Ref, film_name: str, index: int) -> Picture:
        # The next picture is likely to be another frame of the same film.
        return self.film(Ref(film_name, side=ref.side)).picture(index)

    def picture(self, ref: Ref) -> Picture:
        return _kept(self._pictures_open, ref, lambda: super(_CellSources, self).picture(ref))

    def truth(self, ref: Ref, picture: Picture) -> Truth:
        key = ref, picture.sha256
        return _kept(self._truths_open, key, lambda: super(_CellSources, self).truth(ref, picture))

    def placed(self, case: Case) -> Case:
        """With the film, and the folder of its masks, where they lie on this machine."""
        film = case.film and replace(case.film, ref=self._place(case.film.ref))
        return replace(case, film=film, frame_masks=self._place(case.frame_masks))

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


class _CellLab(Lab):
    """Remembers the parts of a run and not the run: no cell is another one's."""

    def recall(self, function: Callable[..., T], *arguments: Any) -> T:
        return function(*arguments) if function is run_experiment else super().recall(function, *arguments)


class _NotKept(Exception):
    """What is kept of a cell finds no room. The next cells would find none either."""


class CellComputer:
    """Computes cells. A cell that can't be computed has an outcome too: failed, with a sentence.

    place: where files lie, for a worker on another machine
    """

    def __init__(self, settings: WorkerSettings, place: Place = same_place):
        self._settings = settings
        self._sources = _CellSources(place)
        self._encodings = CountingMemory(ENCODINGS_BYTES)
        self._parts = Memory(PARTS_BYTES)
        self._lab = _CellLab(
            self._encodings,
            self._parts,
            sources=self._sources,
            frames=self._encodings,
            other_model=find_other,
            figures_only=settings.keep != "all",
        )

    def outcome(self, cell: Cell) -> Outcome:
        """Raises only what ends the process."""
        self._encodings.made.clear()
        start = time.perf_counter()
        try:
            with own_threads(self._settings.threads):
                done = self._done(cell)
        except Cancelled:
            raise
        except _NotKept as error:
            return Outcome(cell.id, "failed", str(error), encoded=self._made(), kept=False)
        except Exception as error:
            reason = reason_of(error)
            return Outcome(cell.id, "failed", reason, encoded=self._made(), seconds=time.perf_counter() - start)
        return done(time.perf_counter() - start)

    def computed(self, cell: Cell) -> "Judged":
        """The cell's run, with the prompts that it was found to have, and what it is judged by."""
        marked = self._opened(cell.marked_picture, cell.marked_truth)
        prompts, mask = self._marks(cell, marked)
        run = compute(cell.run_spec(prompts, self._settings.threads, mask), self._lab)
        looked_for = marked if cell.case.second is None else self._opened(*cell.judged)
        video = run.inputs.video
        frames = FilmTruth(self._sources.placed(cell.case), video) if video is not None else None
        return Judged(run, prompts, looked_for and looked_for[1], frames)

    def _opened(self, picture: Ref | None, truth: Ref | None) -> "tuple[Picture, Truth | None] | None":
        """A picture and the right mask on it."""
        if picture is None:
            return None
        opened = self._sources.picture(picture)
        return opened, None if truth is None else self._sources.truth(truth, opened)

    def forget_parts(self) -> None:
        """Of what was computed keep encodings alone."""
        self._parts.clear()

    def forget_all(self) -> None:
        """Compute everything anew."""
        self._parts.clear()
        self._encodings.clear()

    def _done(self, cell: Cell) -> Callable[[float], Outcome]:
        done = self.computed(cell)
        run = done.run
        metrics = judged(run.result, done.truth, done.frames)
        self._keep(cell, run)
        return lambda seconds: Outcome(
            cell.id,
            "done",
            run=run.spec.id,
            metrics=metrics,
            facts={**run.result.facts, **truth_facts(done.truth), "threads": run.result.threads},
            timings=dict(run.result.timings),
            prompts=done.prompts.to_dict(),
            encoded=self._made(),
            seconds=seconds,
        )

    def _marks(
        self, cell: Cell, marked: "tuple[Picture, Truth | None] | None"
    ) -> tuple[Prompts, dict[str, Any] | None]:
        """(the cell's prompts, or the mask that stands in for them). marked: the picture that they lie on, and the
        right mask on it
        """
        if cell.prompts is not None:
            return cell.prompts, None
        if marked is None or marked[1] is None:
            raise BadInput(f"{cell.case.name} has no true mask for prompts from the truth.")
        picture, truth = marked[0], marked[1]
        if cell.rule.truth == "mask":
            return Prompts(), mask_to_rle(truth.mask)
        chance = draw(cell.seed, cell.case.picture.ref if cell.case.picture else "", truth.sha256, cell.repeat)

        def segment(prompts: Prompts) -> np.ndarray:
            if cell.case.film is None and cell.case.second is None:
                run = compute(cell.run_spec(prompts, self._settings.threads), self._lab)
                if "mask_chosen" not in run.result.masks:
                    raise BadInput(f"{cell.experiment} chooses no mask that clicks could correct.")
                return run.result.masks["mask_chosen"].pixels
            return self._first_mask(cell, picture, prompts)

        return prompts_from_truth(cell.rule, truth, chance, segment), None

    def _first_mask(self, cell: Cell, picture: Picture, prompts: Prompts) -> np.ndarray:
        """bool [H, W]: the mask from which an object is followed."""
        params: Any = build_params(find_experiment(cell.experiment).Params, cell.params)
        model = self._sources.model(Ref(cell.model), cell.device, cell.dtype)
        encoding = self._lab.encoding(model, picture, side=params.side, fit=params.fit)
        prediction = self._lab.recall(predict, model, encoding, prompts, None)
        return prediction.mask(chosen_index(prediction, cell.params.get("mask_index")))

    def _keep(self, cell: Cell, run: Computed) -> None:
        """What is kept beside the outcome is there before it: whole, or not at all."""
        folder = Path(self._settings.folder)
        try:
            if self._settings.keep == "masks":
                if "masks.json" in run.result.files:
                    _write_whole(film_masks_file(folder, cell.id), run.result.files["masks.json"])
                elif (mask := chosen_mask(run.result)) is not None:
                    _write_whole(mask_file(folder, cell.id), mask_png(mask.pixels))
            elif self._settings.keep == "all":
                place = run_folder(folder, cell.id)
                if not (place / "run.json").exists():
                    place.parent.mkdir(parents=True, exist_ok=True)
                    write(run, place)
        except OSError as error:
            raise _NotKept(f"What is kept of a cell can't be written ({error.strerror or error})") from error
        except StoreError as error:
            raise _NotKept(str(error)) from error

    def _made(self) -> tuple[str, ...]:
        """A short key for each encoding that was made for this cell."""
        return tuple(key[:16] for key in self._encodings.made)


@dataclass(frozen=True)
class Judged:
    """A cell's run and what it is judged by.

    prompts: that it was found to have; truth: the right mask of what was looked for, on the picture where that is: of a
             pair the other one, of a film the marked frame; frames: the right masks of a film's frames
    """

    run: Computed
    prompts: Prompts
    truth: Truth | None
    frames: FilmTruth | None


def _write_whole(place: Path, content: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_suffix(".part")
    try:
        part.write_bytes(content)
        os.replace(part, place)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def film_masks_file(folder: Path, cell: str) -> Path:
    """Where the masks of a cell's film are kept, as `samkit.media.film.masks_to_json` writes them."""
    return mask_file(folder, cell).with_suffix(".json")


def mask_file(folder: Path, cell: str) -> Path:
    """Where the chosen mask of a cell is kept, of a pair the one that was found. Few folders hold as many files as a
    sweep may have cells.
    """
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
        return f"A file can't be read or written ({error.strerror or error})."
    return f"Something went wrong inside samkit ({type(error).__name__}: {str(error)[:200]})."
