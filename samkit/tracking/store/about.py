"""What MLflow's own pages say of a run beside its numbers: a description with a link back into the app, and the
pictures or the film that it was made on, as its datasets.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from samkit.errors import BadInput
from samkit.experiments.registry import find_entry
from samkit.settings import app_url
from samkit.tracking.bundle.record import FilmEntry, PictureEntry, RunRecord
from samkit.tracking.store.differences import differences_text

if TYPE_CHECKING:
    from mlflow import MlflowClient

MAX_NAME, MAX_DIGEST = 300, 36
MAX_PROMPTS = 6
"""Points and boxes that are written out."""
MAX_FIGURES = 4
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#!])")


def about_run(record: RunRecord, run_id: str) -> str:
    """In Markdown: experiment, model, pictures, prompts, what differs from the defaults, key figures, and the link.
    run_id: MLflow's
    """
    try:
        entry = find_entry(record.experiment)
        title, page = entry.title, f"/{entry.module_name}?run={quote(run_id)}"
    except BadInput:
        title, page = record.experiment, f"/kept_run?id={quote(run_id)}"
    lines = [f"**{_plain(title)}** with {_plain(record.model.name)}", ""]
    for what, source in (
        ("picture", record.first_picture),
        ("second picture", record.picture_b),
        ("film", record.video),
    ):
        if source is not None:
            size = f", {source.width} × {source.height} px" if source.width and source.height else ""
            lines.append(f"- {what}: {_plain(source.name)}{size}")
    prompts = _prompts_text(record)
    if prompts:
        lines.append(f"- prompts: {prompts}")
    differs = differences_text(record.experiment, record.params)
    if differs:
        lines.append(f"- not at their defaults: {_plain(differs)}")
    figures = [(name, metric.value) for name, metric in record.metrics.items() if metric.key][:MAX_FIGURES]
    if figures:
        lines.append("- " + ", ".join(f"{name.replace('_', ' ')} **{value:.4g}**" for name, value in figures))
    return "\n".join([*lines, "", f"[Open it in the app]({app_url()}{page})"])


@dataclass(frozen=True)
class DataEntry:
    """A dataset as MLflow's pages show it.

    what:   "picture", "second picture", "film", or "pictures" for many together
    sha256: of its content, in hex; place: where it came from; profile: what else is known of it, as JSON values
    """

    what: str
    name: str
    sha256: str
    place: str
    profile: Mapping[str, int | None]


def datasets_of(record: RunRecord) -> list[DataEntry]:
    """The run's pictures, or its film, by name and the SHA-256 of their pixels."""
    known = ("picture", record.first_picture), ("second picture", record.picture_b), ("film", record.video)
    return [
        DataEntry(what, entry.name, entry.sha256, _place(entry), {"width": entry.width, "height": entry.height})
        for what, entry in known
        if entry is not None
    ]


def log_datasets(client: "MlflowClient", run_id: str, entries: Sequence[DataEntry]) -> None:
    """Tell the run what it was made on; what it was told before is not told twice."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = []
    for entry in entries:
        source, profile = json.dumps({"uri": entry.place}), json.dumps({**entry.profile, "sha256": entry.sha256})
        digest = entry.sha256[:MAX_DIGEST]
        dataset = Dataset(entry.name[:MAX_NAME] or entry.what, digest, "local", source, None, profile)
        inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", entry.what)]))
    if inputs:
        client.log_inputs(run_id, inputs)


def _place(entry: PictureEntry | FilmEntry) -> str:
    return entry.ref or (entry.place if isinstance(entry, FilmEntry) else "") or entry.name


def _prompts_text(record: RunRecord) -> str:
    """Points with + or − and boxes, as shares of the picture; of many the first."""
    prompts = record.prompts
    texts = [f"{'+' if label else '−'}({x:.3f}, {y:.3f})" for x, y, label in prompts.points]
    texts += [f"box ({', '.join(f'{edge:.3f}' for edge in box)})" for box in prompts.boxes]
    more = len(texts) - MAX_PROMPTS
    return " ".join(texts[:MAX_PROMPTS]) + (f" and {more} more" if more > 0 else "")


def _plain(text: str) -> str:
    """A stranger's word means nothing in Markdown or HTML."""
    return MARKDOWN.sub(r"\\\1", " ".join(text[:MAX_NAME].split()))
