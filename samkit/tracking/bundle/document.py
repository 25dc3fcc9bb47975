"""run.json as it is written: its entries, from what went into a run and what came out."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from samkit import __version__
from samkit.experiments.inputs import Inputs
from samkit.experiments.result import Metric, Result
from samkit.media.pictures import Picture
from samkit.tracking.bundle.record import SCHEMA

if TYPE_CHECKING:
    from samkit.models.sam import ModelInfo

PICTURES = {"image": "picture", "image_b": "picture_b"}
"""Fields of `Inputs`, which are files in inputs/ too -> entries of run.json."""


def pictures_of(inputs: Inputs) -> dict[str, Picture]:
    """Field of `Inputs` -> Picture, for those that are there."""
    pictures = {"image": inputs.image, "image_b": inputs.image_b}
    return {field: picture for field, picture in pictures.items() if picture is not None}


def head_entries(
    result: Result[Any], inputs: Inputs, model_info: "ModelInfo", name: str, note: str, run_uuid: str
) -> dict[str, Any]:
    """By which a run is known."""
    return {
        "schema": SCHEMA,
        "run_uuid": run_uuid,
        "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "samkit": __version__,
        "experiment": result.experiment,
        "name": name or f"{result.experiment} {inputs.image.name if inputs.image else model_info.name}",
        "note": note,
    }


def input_entries(inputs: Inputs, model_info: "ModelInfo") -> dict[str, Any]:
    """What a run was made on, but for its film."""
    pictures = {
        PICTURES[field]: {
            "name": picture.name,
            "sha256": picture.sha256,
            "width": picture.width,
            "height": picture.height,
        }
        for field, picture in pictures_of(inputs).items()
    }
    return {
        "model": _model_entry(model_info),
        **pictures,
        **_given_entries(inputs),
        "prompts": inputs.prompts.to_dict(),
    }


def _model_entry(info: "ModelInfo") -> dict[str, Any]:
    """What `ModelEntry` holds. What a plain file of the official packages doesn't have is left out."""
    entry: dict[str, Any] = {name: getattr(info, name) for name in ("name", "family", "version", "sha256")}
    if info.file_sha256 != info.sha256:
        entry["file_sha256"] = info.file_sha256
    if info.changes:
        entry["changes"] = list(info.changes)
    return entry | dict(info.settings)


def _given_entries(inputs: Inputs) -> dict[str, Any]:
    """The masks that came with the pictures."""
    entries: dict[str, Any] = {}
    if inputs.mask_hint is not None:
        hint = inputs.mask_hint
        entries["mask_hint"] = {"kind": hint.kind, "name": hint.name, "sha256": hint.sha256}
    for key, truth in (("truth", inputs.truth), ("truth_b", inputs.truth_b)):
        if truth is not None:
            height, width = truth.mask.shape
            entries[key] = {"name": truth.name, "sha256": truth.sha256, "width": width, "height": height}
    return entries


def with_refs(entries: Mapping[str, Any], refs: Mapping[str, str]) -> dict[str, Any]:
    """The entries, each with what it was opened by."""
    return dict(entries) | {key: entries[key] | {"ref": ref} for key, ref in refs.items() if key in entries}


def result_entries(result: Result[Any]) -> dict[str, Any]:
    """What came out, and the parameters that made it."""
    return {
        "threads": result.threads,
        "params": result.params.model_dump(mode="json"),
        "metrics": {name: _metric_entry(metric) for name, metric in result.metrics.items()},
        "facts": dict(result.facts),
        "timings": dict(result.timings),
        "masks": {
            name: {"on": mask.on} | ({"index": mask.index} if mask.index else {})
            for name, mask in sorted(result.masks.items())
        },
    }


def _metric_entry(metric: Metric) -> dict[str, Any]:
    entry: dict[str, Any] = {"value": metric.value}
    if metric.better is not None:
        entry["better"] = metric.better
    if metric.key:
        entry["key"] = True
    return entry
