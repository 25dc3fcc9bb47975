"""Runs in MLflow that others lie below: one for each sweep, however often it is gone on with. It shows what the sweep
says as a whole, and the app's lists of runs leave it out.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from samkit.tracking.store.about import DataEntry, log_datasets
from samkit.tracking.store.description import MAX_DESCRIPTION, described, note_of
from samkit.tracking.store.locks import run_lock
from samkit.tracking.store.store import BATCH, BEGUN, KeptRun, RunStore, begun_ms, now_ms, param_text, store_errors
from samkit.tracking.store.tags import NOTE, SWEEP_USER

if TYPE_CHECKING:
    from mlflow.entities import Run

PARENT = "mlflow.parentRunId"
"""The tag by which MLflow's pages put a run below another one."""
SWEEP_UUID = "samkit.sweep_uuid"
"""The tag that says which sweep a parent run is of: 32 hex digits."""
USER = "mlflow.user"
PAGE = 1_000
"""Runs that are asked for at once."""


@dataclass(frozen=True)
class Figure:
    """One number of a parent run. step: 0, or the number of the setting that it is of"""

    name: str
    value: float
    step: int = 0


@dataclass(frozen=True)
class ParentRun:
    """What a parent run is to be.

    uuid:        32 hex digits by which it is there once
    created_ms:  when it was begun, measured_ms: when the last of its figures was known; Unix time
    params:      never change; figures, tags and description follow what is known
    whole:       whether nothing is missing; MLflow's pages show another one as stopped
    files:       a folder whose files become its artifacts, over those of the same names
    datasets:    what it was made on
    """

    uuid: str
    experiment: str
    name: str
    created_ms: int
    measured_ms: int
    params: Mapping[str, str]
    figures: Sequence[Figure]
    description: str
    whole: bool
    files: Path
    tags: Mapping[str, str] = field(default_factory=dict)
    datasets: Sequence[DataEntry] = ()


def keep_parent(store: RunStore, parent: ParentRun) -> KeptRun:
    """Put it into the store, or make the one that is there what it is to be. One that broke off in the middle is
    completed by the next call. Raises `StoreError`.
    """
    client = store.client()
    with store_errors(store.uri, "did not take it"), run_lock(store.uri, parent.uuid):
        run = _found_or_begun(store, parent)
        run_id = run.info.run_id
        try:
            _log(store, run_id, parent)
        except Exception:
            with suppress(Exception):
                if store.reachable():
                    client.set_terminated(run_id, "FAILED")
            raise
        # Otherwise a sweep that is kept an hour later has taken an hour.
        client.set_terminated(run_id, "FINISHED" if parent.whole else "KILLED", end_time=parent.measured_ms or None)
        return KeptRun(run_id, run.info.experiment_id, store.page_url(run_id, run.info.experiment_id))


def children(store: RunStore, parent: KeptRun) -> set[str]:
    """The `samkit.run_uuid` of all runs below it that are there whole, those that somebody deleted among them."""
    from mlflow.entities import ViewType

    client, found, token = store.client(), set[str](), None
    below = f"attributes.status = 'FINISHED' and tags.`{PARENT}` = '{parent.run_id}'"
    with store_errors(store.uri):
        while True:
            runs = client.search_runs([parent.experiment_id], below, ViewType.ALL, PAGE, page_token=token)
            found |= {run.data.tags["samkit.run_uuid"] for run in runs if "samkit.run_uuid" in run.data.tags}
            token = runs.token
            if not token:
                return found


def _found_or_begun(store: RunStore, parent: ParentRun) -> "Run":
    client, experiment_id = store.client(), store.made_experiment_id(parent.experiment)
    found = _find(store, experiment_id, parent.uuid)
    if found:
        run = found[0]
        if run.info.lifecycle_stage == "deleted":
            client.restore_run(run.info.run_id)
        client.update_run(run.info.run_id, status="RUNNING")
        for key, value in _tags(parent, note_of(run.data.tags.get(NOTE, ""))).items():
            if run.data.tags.get(key) != value:
                client.set_tag(run.info.run_id, key, value)
        return run
    begun = client.create_run(
        experiment_id,
        start_time=parent.created_ms,
        run_name=parent.name,
        tags=_tags(parent) | {BEGUN: str(now_ms()), SWEEP_UUID: parent.uuid, USER: SWEEP_USER},
    )
    if store.is_http:
        # No lock is seen by all that use a server: whoever began the run later removes its double.
        first = _find(store, experiment_id, parent.uuid)[0]
        if first.info.run_id != begun.info.run_id:
            client.delete_run(begun.info.run_id)
            return first
    return begun


def _find(store: RunStore, experiment_id: str, uuid: str) -> "list[Run]":
    """The one that counts is the first."""
    from mlflow.entities import ViewType

    runs = store.client().search_runs([experiment_id], f"tags.`{SWEEP_UUID}` = '{uuid}'", ViewType.ALL)
    return sorted(runs, key=lambda run: (run.info.lifecycle_stage == "deleted", begun_ms(run), run.info.run_id))


def _tags(parent: ParentRun, note: str = "") -> dict[str, str]:
    """note: what a person wrote above the description"""
    tags = {**parent.tags, NOTE: described(note, parent.description, MAX_DESCRIPTION)}
    return {key: value for key, value in tags.items() if value}


def _log(store: RunStore, run_id: str, parent: ParentRun) -> None:
    from mlflow.entities import Metric, Param

    client = store.client()
    params = [Param(key, param_text(value)) for key, value in parent.params.items()]
    # The time is that of the figures, so that sending them again writes the same points and no second ones.
    metrics = [Metric(each.name, each.value, parent.measured_ms, each.step) for each in parent.figures]
    for start in range(0, max(len(params), len(metrics)), BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + BATCH], params=params[start : start + BATCH])
    log_datasets(client, run_id, parent.datasets)
    client.log_artifacts(run_id, str(parent.files))
