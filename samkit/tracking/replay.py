"""Replay: run a kept run again and say whether its masks come out the same."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from samkit import __version__
from samkit.errors import BadInput, CheckpointError
from samkit.experiments.params import build_params
from samkit.experiments.registry import find_experiment
from samkit.experiments.result import Progress
from samkit.media.film import masks_from_json
from samkit.tracking.bundle import Bundle, environment, read_bundle, unzip_bundle
from samkit.tracking.store import RUN_ID, RunStore

FRAME_MASKS = "masks.json"
"""The file of a result that holds a mask for each frame of its film."""


TOLERANCE = 1e-5
"""By how much a metric may move, of the kept value or of 1 where that is smaller: what float32 gives up on another machine or device."""


@dataclass(frozen=True)
class ReplayOutcome:
    """mask_differences, surroundings: sentences. metric_differences: name -> (kept, replayed); None where one of them has no such metric.

    array_differences: name -> the largest |replayed - kept|; None where only one has it, or another shape, or values that are not numbers
    surroundings:      what is not as it was when the run was kept (model file, versions, device), which may explain a difference
    tolerance:         see `TOLERANCE`
    """

    mask_count: int
    mask_differences: tuple[str, ...]
    metric_differences: dict[str, tuple[float | None, float | None]]
    surroundings: tuple[str, ...]
    array_count: int = 0
    array_differences: dict[str, float | None] = field(default_factory=dict)
    tolerance: float = TOLERANCE

    @property
    def identical(self) -> bool:
        """Every mask has every pixel as it was kept; of a run without masks, every array has every value."""
        return not self.mask_differences and (self.mask_count > 0 or not self.array_differences)

    @property
    def moved(self) -> tuple[str, ...]:
        """The metrics that moved by more than the tolerance, or that only one of the two has."""
        return tuple(name for name, (then, again) in self.metric_differences.items() if not _agree(then, again, self.tolerance))

    @property
    def array_sentences(self) -> tuple[str, ...]:
        say = {name: "differs" if by is None else f"differs by at most {by:.2g}" for name, by in self.array_differences.items()}
        return tuple(f"{name} {what}." for name, what in say.items())

    @property
    def sentence(self) -> str:
        what, count = ("masks", self.mask_count) if self.mask_count else ("arrays", self.array_count)
        if self.identical and not self.metric_differences:
            return f"All {count} {what} and all metrics are identical."
        differing = self.mask_differences if self.mask_count else self.array_differences
        begin = f"All {count} {what} are identical" if self.identical else f"{len(differing)} of {count} {what} differ"
        if self.moved:
            return f"{begin}; metrics that moved by more than {self.tolerance:g}: {', '.join(self.moved)}."
        return f"{begin}; no metric moved by more than {self.tolerance:g}." if self.metric_differences else f"{begin}; all metrics are identical."


def _agree(then: float | None, again: float | None, tolerance: float) -> bool:
    return then is not None and again is not None and math.isclose(then, again, rel_tol=tolerance, abs_tol=tolerance)


def open_run(target: str, folder: Path, store: RunStore | None = None) -> Bundle:
    """The kept run that `target` stands for: a run's folder, its zip file, or a run id in the store. Zips and stored runs are unpacked into `folder`."""
    path = Path(target)
    if path.is_dir():
        return read_bundle(path)
    if path.is_file():
        return unzip_bundle(path, folder)
    if RUN_ID.fullmatch(target):
        return (store or RunStore()).load(target, folder)
    raise BadInput(f"There is no run {target[:200]!r}: give a run's folder, its zip file, or a run id that `python -m samkit runs list` shows.")


def replay(bundle: Bundle, *, model=None, device: str | None = None, progress: Progress | None = None, tolerance: float = TOLERANCE) -> ReplayOutcome:
    """Run the bundle's experiment again with its pictures, prompts, parameters and dtype, and compare.

    tolerance: by how much a metric may move before the outcome names it
    model: a `SamModel` to run it with; None loads the bundle's own by name, on `device` (None: the bundle's).
    Raises CheckpointError where the model is not on this machine, ParamsError where this version of the experiment refuses the parameters.
    """
    record = bundle.record
    experiment = find_experiment(bundle.experiment)
    params = build_params(experiment.Params, bundle.params)
    model = model or _load_own_model(record, device)
    result = experiment.run(model, bundle.inputs(), params, progress=progress)
    masks = {(name if name.startswith("mask_") else f"mask_{name}"): mask for name, mask in result.masks.items()}
    kept = bundle.masks()
    if FRAME_MASKS in result.files:
        masks |= _frame_masks(result.files[FRAME_MASKS])
        kept |= _frame_masks((bundle.path / "outputs" / FRAME_MASKS).read_bytes())
    kept_arrays = bundle.arrays()
    return ReplayOutcome(
        mask_count=len(kept),
        mask_differences=compare_masks(kept, masks),
        metric_differences=compare_metrics(record["metrics"], result.metrics),
        surroundings=_surroundings(record, model),
        array_count=len(kept_arrays),
        array_differences=compare_arrays(kept_arrays, result.arrays),
        tolerance=tolerance,
    )


def _frame_masks(content: bytes) -> dict[str, np.ndarray]:
    """The masks of a film's frames, named by frame."""
    return {f"The mask of frame {frame}": mask for frame, mask in masks_from_json(content).items()}


def compare_masks(kept: Mapping[str, np.ndarray], replayed: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """A sentence for each mask that is not pixel for pixel the same, by name."""
    sentences = []
    for name in sorted(kept.keys() | replayed.keys()):
        if name not in replayed:
            sentences.append(f"{name} was kept, but the replay has no such mask.")
        elif name not in kept:
            sentences.append(f"{name} comes out of the replay, but was not kept.")
        elif kept[name].shape != replayed[name].shape:
            (height, width), (again_height, again_width) = kept[name].shape, replayed[name].shape
            sentences.append(f"{name} was {width} x {height} pixels and is {again_width} x {again_height} in the replay.")
        elif count := int(np.count_nonzero(kept[name] != replayed[name])):
            sentences.append(f"{name} differs in {count} of {kept[name].size} pixels.")
    return tuple(sentences)


def compare_metrics(kept: Mapping[str, float], replayed: Mapping[str, float]) -> dict[str, tuple[float | None, float | None]]:
    """The metrics that are not exactly the same, with both values."""
    names = sorted(kept.keys() | replayed.keys())
    return {name: (kept.get(name), replayed.get(name)) for name in names if kept.get(name) != replayed.get(name)}


def compare_arrays(kept: Mapping[str, np.ndarray], replayed: Mapping[str, np.ndarray]) -> dict[str, float | None]:
    """The arrays that are not value for value the same -> the largest absolute difference; None where there is no such number."""
    differences = {}
    for name in sorted(kept.keys() | replayed.keys()):
        if name not in kept or name not in replayed or kept[name].shape != replayed[name].shape:
            differences[name] = None
        elif not np.array_equal(kept[name], replayed[name], equal_nan=kept[name].dtype.kind == "f"):
            largest = float(np.max(np.abs(np.float64(replayed[name]) - np.float64(kept[name]))))
            differences[name] = largest if math.isfinite(largest) else None
    return differences


def _load_own_model(record: dict, device: str | None):
    from samkit.models.sam import load_model

    try:
        return load_model(record["model"]["name"], device=device or record["device"], dtype=record["dtype"])
    except CheckpointError as error:
        raise CheckpointError(f"The run's model can't be loaded by its name; --model takes the path of its checkpoint. {error}") from error


def _surroundings(record: dict, model) -> tuple[str, ...]:
    pairs = {
        "model file (SHA-256)": (record["model"]["sha256"], model.info.sha256),
        "device": (record["device"], model.device),
        "dtype": (record["dtype"], model.dtype),
        "samkit": (record["samkit"], __version__),
        **{name: (record.get(name), present) for name, present in environment().items()},
    }
    return tuple(f"Another {what}: {then} then, {present} in the replay." for what, (then, present) in pairs.items() if then is not None and then != present)
