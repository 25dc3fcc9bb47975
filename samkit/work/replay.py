"""Replay: run a kept run again and say whether its masks come out the same."""

import json
import math
import shlex
import zipfile
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from samkit import __version__
from samkit.errors import BadInput, CheckpointError, DeviceError
from samkit.experiments.params import build_params
from samkit.experiments.registry import find_experiment
from samkit.experiments.result import Progress
from samkit.media.film import masks_from_json
from samkit.tracking.bundle.bundle import UNREADABLE_ZIP, Bundle, environment, read_bundle, unzip_bundle
from samkit.tracking.store.store import RUN_ID, RunStore
from samkit.work.find_model import find_model

FRAME_MASKS = "masks.json"
"""The file of a result that holds a mask for each frame of its film."""
BANK = "memory_bank"
"""The array of a result that holds the bytes of a memory bank's file."""
NUMBERS = "biuf"
"""The kinds of numpy's types that can be subtracted as float64."""

TOLERANCE = 1e-5
"""By how much a metric or an array may move, of its largest value or of 1 where that is smaller: what float32 gives up
on another machine or device.
"""


@dataclass(frozen=True)
class ArrayDifference:
    """by: the largest |replayed - kept|; None where only one of them has the array, or it has another shape, or values
    that are no numbers.

    largest: the largest absolute value that was kept
    """

    by: float | None
    largest: float = 1.0

    def within(self, tolerance: float) -> bool:
        return self.by is not None and self.by <= tolerance * max(1.0, self.largest)


@dataclass(frozen=True)
class ReplayOutcome:
    """mask_differences, surroundings: sentences. metric_differences: name -> (kept, replayed); None where one of them
    has no such metric.

    array_differences: of the arrays that are not value for value the same
    surroundings:      what is not as it was when the run was kept (model file, versions, device), which may explain a
                       difference
    tolerance:         see `TOLERANCE`
    """

    mask_count: int
    mask_differences: tuple[str, ...]
    metric_differences: dict[str, tuple[object, object]]
    surroundings: tuple[str, ...]
    array_count: int = 0
    array_differences: dict[str, ArrayDifference] = field(default_factory=dict)
    tolerance: float = TOLERANCE

    @property
    def identical(self) -> bool:
        """Every mask has every pixel as it was kept, and no array and no metric moved by more than the tolerance.
        Timings never count.
        """
        return not (self.mask_differences or self.moved_arrays or self.moved)

    @property
    def moved(self) -> tuple[str, ...]:
        """The metrics that moved by more than the tolerance, or that only one of the two has as a number."""
        return tuple(
            name for name, (then, again) in self.metric_differences.items() if not _agree(then, again, self.tolerance)
        )

    @property
    def moved_arrays(self) -> tuple[str, ...]:
        """The arrays that moved by more than the tolerance, or can't be compared."""
        return tuple(
            name for name, difference in self.array_differences.items() if not difference.within(self.tolerance)
        )

    @property
    def array_sentences(self) -> tuple[str, ...]:
        say = {
            name: "differs" if each.by is None else f"differs by at most {each.by:.2g}"
            for name, each in self.array_differences.items()
        }
        return tuple(f"{name} {what}." for name, what in say.items())

    @property
    def sentence(self) -> str:
        """What is identical, what is so within the tolerance, and which masks, arrays and metrics are not."""
        same, parts = [], []
        if self.array_count and not self.array_differences:
            same.append(_all_of("array", self.array_count))
        if self.mask_count and not self.mask_differences:
            same.append(_all_of("mask", self.mask_count))
        elif self.mask_differences:
            parts.append(f"{len(self.mask_differences)} of {self.mask_count} masks differ")
        if not self.metric_differences:
            same.append("all metrics")
        moves = (("array", self.array_differences, self.moved_arrays), ("metric", self.metric_differences, self.moved))
        parts += [
            f"{kind}s that moved by more than {self.tolerance:g}: {', '.join(moved)}"
            for kind, _, moved in moves
            if moved
        ]
        near = [kind for kind, differences, moved in moves if differences and not moved]
        if near:
            parts.append(f"no {' and no '.join(near)} moved by more than {self.tolerance:g}")
        if same:
            parts.append(
                f"{', '.join(same[:-1])} and {same[-1]} are identical"
                if same[1:]
                else f"{same[0]} {'are' if same[0].startswith('all') else 'is'} identical"
            )
        if self.identical:
            parts.reverse()
        text = "; ".join(parts)
        return f"{text[0].upper()}{text[1:]}."


def _all_of(what: str, count: int) -> str:
    return f"all {count} {what}s" if count > 1 else f"the {what}"


def _agree(then: object, again: object, tolerance: float) -> bool:
    then, again = _number(then), _number(again)
    if then is None or again is None:
        return False
    return (
        then == again
        or (math.isnan(then) and math.isnan(again))
        or math.isclose(then, again, rel_tol=tolerance, abs_tol=tolerance)
    )


def _number(value: object) -> float | None:
    """A metric as a number; None for what is none, such as a text or an integer beyond all floats."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def open_run(target: str, folder: Path, store: RunStore | None = None) -> Bundle:
    """The kept run that `target` stands for: a run's folder, its zip file, or a run id in the store. Zips and stored
    runs are unpacked into `folder`.
    """
    path = Path(target)
    if path.is_dir():
        return read_bundle(path)
    try:
        if path.is_file():
            _check_single(path)
            return unzip_bundle(path, folder)
        if RUN_ID.fullmatch(target):
            return (store or RunStore()).load(target, folder)
    except BadInput as error:
        # What is unpacked lies where the user never put anything.
        raise BadInput(str(error).replace(str(folder), target)) from error
    raise BadInput(
        f"There is no run {target[:200]!r}: give a run's folder, its zip file, or a run id that `python -m samkit "
        "runs list` shows."
    )


def _check_single(path: Path) -> None:
    """BadInput for a zip of several runs, and for one that holds no run."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (*UNREADABLE_ZIP, ValueError):
        return  # What is wrong with it is said where it is unpacked.
    runs = [name for name in names if name.endswith(".zip") and "/" not in name]
    if "run.json" in names:
        return
    if runs:
        raise BadInput(
            f"{path.name} holds {len(runs)} run{'s' if runs[1:] else ''}, and one at a time is replayed: import it "
            "with "
            f"`python -m samkit runs import {shlex.quote(str(path))}` and give one run's id, or export that one alone."
        )
    raise BadInput(f"{path.name} is not a kept run: it has no run.json.")


def replay(
    bundle: Bundle,
    *,
    model=None,
    device: str | None = None,
    progress: Progress | None = None,
    tolerance: float = TOLERANCE,
) -> ReplayOutcome:
    """Run the bundle's experiment again with its pictures, prompts, parameters, dtype and number of threads, and
    compare.

    tolerance: by how much a metric may move before the outcome names it
    model: a `SamModel` to run it with; None loads the bundle's own as `find_model` finds it, on `device` (None: the
    bundle's, see `replay_device`). Raises CheckpointError where the model is not on this machine, ParamsError where
    this version of the experiment refuses the parameters.
    """
    from samkit.models.threads import own_threads

    record = bundle.record
    experiment = find_experiment(bundle.experiment)
    params = build_params(experiment.Params, bundle.params)
    model = model or _load_own_model(record, device)
    with own_threads(record["threads"]) if "threads" in record else nullcontext():
        result = experiment.run(model, bundle.inputs(), params, progress=progress)
    masks = {(name if name.startswith("mask_") else f"mask_{name}"): mask for name, mask in result.masks.items()}
    kept = bundle.masks()
    if FRAME_MASKS in result.files:
        masks |= _frame_masks(result.files[FRAME_MASKS])
        kept |= _kept_frame_masks(bundle)
    kept_arrays = _kept_arrays(bundle)
    return ReplayOutcome(
        mask_count=len(kept.keys() | masks.keys()),
        mask_differences=compare_masks(kept, masks),
        metric_differences=compare_metrics(record["metrics"], result.metrics),
        surroundings=_surroundings(record, model, result.threads),
        array_count=len(kept_arrays.keys() | result.arrays.keys()),
        array_differences=compare_arrays(*_with_bank_tensors(kept_arrays, result.arrays)),
        tolerance=tolerance,
    )


def _frame_masks(content: bytes) -> dict[str, np.ndarray]:
    """The masks of a film's frames, named by frame."""
    return {f"The mask of frame {frame}": mask for frame, mask in masks_from_json(content).items()}


def _kept_frame_masks(bundle: Bundle) -> dict[str, np.ndarray]:
    path = bundle.path / "outputs" / FRAME_MASKS
    return _frame_masks(path.read_bytes()) if path.is_file() else {}


def _kept_arrays(bundle: Bundle) -> dict[str, np.ndarray]:
    try:
        return bundle.arrays()
    except (ValueError, OSError, KeyError, *UNREADABLE_ZIP) as error:
        raise BadInput(f"The run's outputs/arrays.npz can't be read ({error}): export the run again.") from error


def _with_bank_tensors(
    kept: Mapping[str, np.ndarray], replayed: Mapping[str, np.ndarray]
) -> tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]:
    """The same arrays, with the tensors of two memory banks in place of their files: a file's bytes say nothing of how
    far its numbers are apart.
    """
    if BANK not in kept or BANK not in replayed or np.array_equal(kept[BANK], replayed[BANK]):
        return kept, replayed
    try:
        return tuple(
            {name: each for name, each in arrays.items() if name != BANK} | _bank_tensors(arrays[BANK].tobytes())
            for arrays in (kept, replayed)
        )
    except (ValueError, KeyError, TypeError, SafetensorError):
        return kept, replayed


def _bank_tensors(file: bytes) -> dict[str, np.ndarray]:
    """The tensors of `MemoryBank.save`'s file, its object scores, and as text what else it says of itself."""
    from safetensors.torch import load

    from samkit.models.memory_bank import FORMAT

    tensors = {f"{BANK} {name}": tensor.float().numpy() for name, tensor in load(file).items()}
    header = json.loads(file[8 : 8 + int.from_bytes(file[:8], "little")])
    record = json.loads(header["__metadata__"][FORMAT])
    scores = np.array([float(entry.pop("object_score")) for entry in record["entries"]])
    return tensors | {
        f"{BANK} object_scores": scores,
        f"{BANK} entries": np.array([json.dumps(record, sort_keys=True)]),
    }


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
            sentences.append(
                f"{name} was {width} x {height} pixels and is {again_width} x {again_height} in the replay."
            )
        elif count := int(np.count_nonzero(kept[name] != replayed[name])):
            sentences.append(f"{name} differs in {count} of {kept[name].size} pixels.")
    return tuple(sentences)


def compare_metrics(kept: Mapping[str, object], replayed: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    """The metrics that are not exactly the same, with both values. NaN is the same as NaN; what is no number differs
    from every number.
    """
    pairs = {name: (kept.get(name), replayed.get(name)) for name in sorted(kept.keys() | replayed.keys())}
    return {name: pair for name, pair in pairs.items() if not _agree(*pair, tolerance=0)}


def compare_arrays(kept: Mapping[str, np.ndarray], replayed: Mapping[str, np.ndarray]) -> dict[str, ArrayDifference]:
    """The arrays that are not value for value the same. NaN is the same as NaN."""
    differences = {}
    for name in sorted(kept.keys() | replayed.keys()):
        if name not in kept or name not in replayed or kept[name].shape != replayed[name].shape:
            differences[name] = ArrayDifference(None)
        elif kept[name].dtype.kind not in NUMBERS or replayed[name].dtype.kind not in NUMBERS:
            if not np.array_equal(kept[name], replayed[name]):
                differences[name] = ArrayDifference(None)
        elif difference := _number_difference(np.float64(kept[name]), np.float64(replayed[name])):
            differences[name] = difference
    return differences


def _number_difference(kept: np.ndarray, replayed: np.ndarray) -> ArrayDifference | None:
    """None for the same values."""
    other = ~((kept == replayed) | (np.isnan(kept) & np.isnan(replayed)))
    if not other.any():
        return None
    with np.errstate(all="ignore"):
        by = float(np.max(np.abs(replayed[other] - kept[other])))
    finite = np.abs(kept[np.isfinite(kept)])
    return ArrayDifference(by if math.isfinite(by) else None, float(finite.max()) if finite.size else 1.0)


def replay_device(kept: str) -> str:
    """Where a run that was kept on that device runs again: there, or on the CPU where this machine has no such
    device.
    """
    import torch

    from samkit.models.sam import resolve_device

    try:
        device = resolve_device(kept)
    except DeviceError:
        return "cpu"
    index = torch.device(device).index or 0
    return "cpu" if device.startswith("cuda") and index >= torch.cuda.device_count() else device


def _load_own_model(record: dict, device: str | None):
    from samkit.models.sam import load_model

    found = find_model(record["model"])
    if found.ref is None:
        raise CheckpointError(
            f"The run's model, {record['model']['name'][:100]}, is not on this machine: --model takes the path of "
            "its checkpoint, and "
            "`python -m samkit models list` shows which can be downloaded."
        )
    return load_model(found.ref, device=device or replay_device(record["device"]), dtype=record["dtype"])


def _surroundings(record: dict, model, threads: int) -> tuple[str, ...]:
    pairs = {
        "model file (SHA-256)": (record["model"]["sha256"], model.info.sha256),
        "device": (record["device"], model.device),
        "dtype": (record["dtype"], model.dtype),
        "number of threads": (record.get("threads"), threads),
        "samkit": (record["samkit"], __version__),
        **{name: (record.get(name), present) for name, present in environment().items()},
    }
    return tuple(
        f"Another {what}: {then} then, {present} in the replay."
        for what, (then, present) in pairs.items()
        if then is not None and then != present
    )
