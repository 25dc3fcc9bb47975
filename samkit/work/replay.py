"""Replay: run a kept run again and say whether it comes out the same."""

import re
import shlex
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from samkit import __version__
from samkit.errors import BadInput, CheckpointError, DeviceError
from samkit.experiments.lab import Progress
from samkit.experiments.result import Metric
from samkit.media.film import masks_from_json
from samkit.tracking.bundle.bundle import UNREADABLE_ZIP, Bundle, environment, read_bundle, unzip_bundle
from samkit.tracking.bundle.older import later_facts, later_metrics
from samkit.tracking.bundle.record import ModelEntry, RunRecord
from samkit.tracking.store.store import RUN_ID, RunStore
from samkit.work.execute import Computed, compute
from samkit.work.find_model import find_model
from samkit.work.kept_run import sources_of, spec_of_bundle
from samkit.work.other_model import find_other
from samkit.work.outcome import (
    TOLERANCE,
    ReplayOutcome,
    compare_arrays,
    compare_facts,
    compare_masks,
    compare_metrics,
    with_bank_tensors,
)
from samkit.work.sources import LoadModel, load_from_disk
from samkit.work.spec import Ref

if TYPE_CHECKING:
    from samkit.models.sam import SamModel

FRAME_MASKS = re.compile(r"masks(?:_(\d+))?\.json")
"""The files of a result that hold a mask for each frame of its film: one for each object."""


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
            f"{path.name} holds {len(runs)} run{'s' if runs[1:] else ''}. Only one run can be replayed at a time: "
            f"import the file with `python -m samkit runs import {shlex.quote(str(path))}` and give one run's id, or "
            "export that run alone."
        )
    raise BadInput(f"{path.name} is not a kept run: it has no run.json.")


def replay(
    bundle: Bundle,
    *,
    model: "SamModel | str | None" = None,
    device: str | None = None,
    progress: Progress | None = None,
    tolerance: float = TOLERANCE,
) -> ReplayOutcome:
    """Run the bundle's experiment again with its pictures, prompts, parameters, dtype and number of threads, and
    compare.

    model:     what to run it with: a loaded model, or a catalogue name or path. None: the bundle's own as `find_model`
               finds it
    device:    where the model is loaded; None: the bundle's, see `replay_device`
    tolerance: by how much a metric or an array may move before the outcome names it

    Raises CheckpointError where the model is not on this machine, ParamsError where this version of the experiment
    refuses the parameters.
    """
    from samkit.work.lab import Lab

    inputs, record = bundle.inputs(), bundle.record
    text, load_model = _model_to_load(record.model, model)
    spec = replace(spec_of_bundle(bundle, inputs), model=Ref(text), device=device or replay_device(record.device))
    computed = compute(spec, Lab(progress=progress, sources=sources_of(inputs, load_model), other_model=find_other))
    return _outcome(bundle, computed, tolerance)


def _model_to_load(kept: ModelEntry, model: "SamModel | str | None") -> tuple[str, LoadModel]:
    """(what to load, what loads it)."""
    if isinstance(model, str):
        return model, load_from_disk
    if model is not None:
        return kept.name, lambda ref, device, dtype: model
    match = find_model(kept)
    if match.ref is None:
        raise CheckpointError(
            f"The run's model, {kept.name[:100]}, is not on this machine: --model takes the path of its checkpoint, "
            "and `python -m samkit models list` shows which can be downloaded."
        )
    return match.ref, load_from_disk


def _outcome(bundle: Bundle, computed: Computed, tolerance: float) -> ReplayOutcome:
    record, result = bundle.record, computed.result
    masks, kept_masks = {name: mask.pixels for name, mask in result.masks.items()}, bundle.masks()
    for name, content in result.files.items():
        if FRAME_MASKS.fullmatch(name):
            masks |= _frame_masks(name, content)
            kept_masks |= _kept_frame_masks(bundle, name)
    kept_arrays = _kept_arrays(bundle)
    later = later_metrics(record.experiment, record.metrics)
    measured = {name: value for name, value in _values(result.metrics).items() if name not in later}
    unsaid = later_facts(record.experiment, record.facts)
    facts = {name: value for name, value in result.facts.items() if name not in unsaid}
    return ReplayOutcome(
        mask_count=len(kept_masks.keys() | masks.keys()),
        mask_differences=compare_masks(kept_masks, masks),
        metric_differences=compare_metrics(_values(record.metrics), measured),
        fact_differences=compare_facts(record.facts, facts),
        surroundings=_surroundings(record, computed),
        array_count=len(kept_arrays.keys() | result.arrays.keys()),
        array_differences=compare_arrays(*with_bank_tensors(kept_arrays, result.arrays)),
        tolerance=tolerance,
    )


def _values(metrics: Mapping[str, Metric]) -> dict[str, float]:
    return {name: metric.value for name, metric in metrics.items()}


def _frame_masks(name: str, content: bytes) -> dict[str, np.ndarray]:
    """The masks of a film's frames, named by frame, and by object from the second one on. name: of their file."""
    found = FRAME_MASKS.fullmatch(name)
    whose = f" of object {int(found[1]) + 1}" if found and found[1] else ""
    return {f"The mask{whose} of frame {frame}": mask for frame, mask in masks_from_json(content).items()}


def _kept_frame_masks(bundle: Bundle, name: str) -> dict[str, np.ndarray]:
    path = bundle.path / "outputs" / name
    return _frame_masks(name, path.read_bytes()) if path.is_file() else {}


def _kept_arrays(bundle: Bundle) -> dict[str, np.ndarray]:
    try:
        return bundle.arrays()
    except (BadInput, ValueError, OSError, KeyError, *UNREADABLE_ZIP) as error:
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise BadInput(f"The run's outputs/arrays.npz can't be read ({reason}): export the run again.") from error


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


def _surroundings(record: RunRecord, computed: Computed) -> tuple[str, ...]:
    """A sentence for each circumstance that is not as it was when the run was kept."""
    model = computed.model
    pairs = {
        "model file (SHA-256)": (record.model.sha256, model.info.sha256),
        "device": (record.device, model.device),
        "dtype": (record.dtype, model.dtype),
        "number of threads": (record.threads, computed.result.threads),
        "samkit": (record.samkit, __version__),
        **{name: (getattr(record, name), present) for name, present in environment().items()},
    }
    return tuple(
        f"Different {what}: {then} when kept, {present} now."
        for what, (then, present) in pairs.items()
        if then is not None and then != present
    )
