"""Runs in MLflow: any tracking URI, explicit run ids only (MLflow's active run belongs to a thread, and a Streamlit rerun is another thread)."""

import os
import re
import shlex
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock

from samkit.errors import BadInput, StoreError
from samkit.settings import artifacts_folder, home_folder, tracking_uri
from samkit.tracking.bundle import Bundle, read_bundle, relabel_bundle
from samkit.tracking.fresh_store import one_at_a_time
from samkit.tracking.tags import NOTE, tags_of, user_tags

EXPERIMENT_PREFIX = "samkit/"
MAX_PARAM_CHARACTERS = 6_000
BATCH = 100
LOCK_S = 120
RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class KeptRun:
    """url: the run's page where the store has a web server, else None."""

    run_id: str
    experiment_id: str
    url: str | None


@dataclass(frozen=True)
class RunSummary:
    """One kept run in a list. created_ms: Unix time; deleted: it can be restored."""

    run_id: str
    run_uuid: str
    experiment: str
    name: str
    created_ms: int
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    experiment_id: str = ""
    deleted: bool = False


class RunStore:
    """The runs behind one tracking URI. mlflow is imported on first use."""

    def __init__(self, uri: str | None = None):
        self.uri = uri or tracking_uri()
        self._made = None

    @property
    def is_http(self) -> bool:
        return urlsplit(self.uri).scheme in ("http", "https")

    def reachable(self, timeout_s: float = 1.0) -> bool:
        """Whether the store answers a question of its own kind within `timeout_s` seconds, whatever hangs: name service, connection or answer."""
        if urlsplit(self.uri).scheme == "sqlite":
            return True
        ask = self._asks_http(timeout_s) if self.is_http else self._asks_database()
        answers = []

        def probe() -> None:
            with suppress(Exception):
                answers.append(ask())

        # Neither requests nor the database drivers bound the whole of a probe, so it runs beside and is left behind when its time is up.
        thread = threading.Thread(target=probe, name="probe-run-store", daemon=True)
        thread.start()
        thread.join(timeout_s)
        return answers == [True]

    def _asks_http(self, timeout_s: float):
        import requests

        known = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
        given = {"auth": known} if all(known) else {}
        # One that asks who is there answers too; what it wants is said where a run is sent.
        return lambda: requests.get(f"{self.uri.rstrip('/')}/health", timeout=timeout_s, **given).status_code < 500

    def _asks_database(self):
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        def ask() -> bool:
            with create_engine(self.uri, poolclass=NullPool).connect():
                return True

        return ask

    def keep(self, bundle: Bundle) -> KeptRun:
        """Put a run into the store. A run with the same `samkit.run_uuid` that is there already is completed, restored or returned, never doubled."""
        client, record = self.client(), bundle.record
        with store_errors(self.uri):
            experiment_id = self._experiment_id(bundle.experiment)
            # MLflow has no unique tag: two that look for the run at once would both make it.
            with FileLock(_lock_file(f"keep-{bundle.run_uuid[:2]}"), timeout=LOCK_S):
                found = self._find(experiment_id, bundle.run_uuid)
                if found is None:
                    found = client.create_run(experiment_id, start_time=_created_ms(record), run_name=bundle.name, tags=tags_of(bundle))
                elif found.info.lifecycle_stage == "deleted":
                    client.restore_run(found.info.run_id)
                if found.info.status == "FINISHED":
                    return self._kept(found)
                try:
                    self._log(found.info.run_id, bundle)
                except Exception:
                    with suppress(Exception):
                        if self.reachable():
                            client.set_terminated(found.info.run_id, "FAILED")
                    raise
                client.set_terminated(found.info.run_id, "FINISHED")
            return self._kept(found)

    def load(self, run_id: str, folder: Path | str, partial: bool = False) -> Bundle:
        """Download a kept run into `folder` (made for it) and check it. Its name, note and tags are those of the store, where they can be changed.

        partial: as `read_bundle` takes it. Raises `BadInput` for an id that is none or is not there.
        """
        run, folder = self.find_run(run_id), Path(folder)
        if run.info.status != "FINISHED":
            raise BadInput(f"The run {run_id} is in the store only in part ({run.info.status}): deliver it from the machine where it was kept, or delete it.")
        with store_errors(self.uri):
            folder.mkdir(parents=True, exist_ok=True)
            self.client().download_artifacts(run_id, "", str(folder))
        return relabel_bundle(read_bundle(folder, partial), run.info.run_name, run.data.tags.get(NOTE, ""), user_tags(run.data.tags))

    def find_run(self, run_id: str):
        """MLflow's own run of that id, deleted or not. Raises `BadInput` for an id that is none, is not there, or is of a run that samkit did not keep."""
        if not RUN_ID.fullmatch(run_id):
            raise BadInput(f"{run_id[:60]!r} is not a run's id: it has 32 digits from 0-9 and a-f.")
        from mlflow.exceptions import MlflowException

        with store_errors(self.uri):
            try:
                run = self.client().get_run(run_id)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                raise BadInput(f"There is no run {run_id} in {without_password(self.uri)}.") from None
        if "samkit.run_uuid" not in run.data.tags:
            raise BadInput(f"The run {run_id} is not one of samkit's runs: MLflow's own pages show and change it.")
        return run

    @property
    def server_url(self) -> str | None:
        """MLflow's own pages where the store has a web server, else None. Never with a password."""
        return re.sub("://[^/@]*@", "://", self.uri.rstrip("/")) if self.is_http else None

    def page_url(self, run_id: str, experiment_id: str) -> str | None:
        """The run's page where the store has a web server, else None."""
        return f"{self.server_url}/#/experiments/{experiment_id}/runs/{run_id}" if self.is_http else None

    def runs(self, experiment: str | None = None, max_results: int = 50) -> list[RunSummary]:
        """The latest kept runs, newest first."""
        client = self.client()
        with store_errors(self.uri):
            experiments = [e for e in client.search_experiments() if e.name.startswith(EXPERIMENT_PREFIX)]
            ids = [e.experiment_id for e in experiments if experiment in (None, e.name.removeprefix(EXPERIMENT_PREFIX))]
            found = client.search_runs(ids, "attributes.status = 'FINISHED'", max_results=max_results, order_by=["attributes.start_time DESC"]) if ids else []
        return [summary_of(run) for run in found]

    def ui_command(self) -> str:
        """What opens MLflow's own pages on this store, for a shell. A password is never in it: the shell takes the URI from the environment then."""
        uri = shlex.quote(self.uri) if without_password(self.uri) == self.uri else '"$MLFLOW_TRACKING_URI"'
        return f"mlflow ui --backend-store-uri {uri}"

    def client(self):
        """An `MlflowClient` on this store, made once. Raises `StoreError` where the store does not answer."""
        if self._made is None:
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
            os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
            from mlflow import MlflowClient

            with store_errors(self.uri):
                if not self.reachable(2.0):
                    # MLflow itself would try again for minutes before it said so.
                    raise StoreError(f"The run store {without_password(self.uri)} does not answer: start it, or set MLFLOW_TRACKING_URI to another one.")
                with one_at_a_time(self.uri):
                    client = MlflowClient(self.uri)
                    client.search_experiments(max_results=1)
            self._made = client
        return self._made

    def _experiment_id(self, experiment: str) -> str:
        from mlflow.exceptions import MlflowException

        client, name = self.client(), EXPERIMENT_PREFIX + experiment
        found = client.get_experiment_by_name(name)
        if found is None:
            location = None if self.is_http else (artifacts_folder() / experiment).as_uri()
            try:
                return client.create_experiment(name, artifact_location=location)
            except MlflowException as error:
                found = client.get_experiment_by_name(name)
                if found is None:
                    raise error
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return found.experiment_id

    def _find(self, experiment_id: str, run_uuid: str):
        from mlflow.entities import ViewType

        found = self.client().search_runs([experiment_id], f"tags.`samkit.run_uuid` = '{run_uuid}'", ViewType.ALL)
        return min(found, key=lambda run: run.info.lifecycle_stage == "deleted", default=None)

    def _log(self, run_id: str, bundle: Bundle) -> None:
        from mlflow.entities import Metric, Param

        client, record = self.client(), bundle.record
        # The run's own time, so that completing a half-sent run writes the same points again and no second ones.
        now = _created_ms(record)
        params = [Param(key, _param_text(value)) for key, value in record["params"].items()]
        metrics = [Metric(key, float(value), now, 0) for key, value in (record["metrics"] | record["timings"]).items()]
        for start in range(0, max(len(params), len(metrics)), BATCH):
            client.log_batch(run_id, metrics=metrics[start : start + BATCH], params=params[start : start + BATCH])
        client.log_artifacts(run_id, str(bundle.path))

    def _kept(self, run) -> KeptRun:
        ids = run.info.run_id, run.info.experiment_id
        return KeptRun(*ids, self.page_url(*ids))


class store_errors:
    """A `with` block that turns what MLflow and its databases raise into a `StoreError`; samkit's own errors pass."""

    def __init__(self, uri: str):
        self._uri = uri

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, traceback) -> None:
        if error is None:
            return
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        if isinstance(error, MlflowException | SQLAlchemyError | OSError):
            raise StoreError(f"The run store {without_password(self._uri)} did not take it: {_reason(error)}") from error
        if isinstance(error, ModuleNotFoundError):
            raise StoreError(f"The run store {without_password(self._uri)} needs the Python package {error.name}: install it with pip.") from error


def _reason(error: Exception) -> str:
    """What went wrong, in one line without a password."""
    said = str(error).strip()
    code = re.search(r"error code (\d{3})|too many (\d{3}) error", said)
    number = code and (code[1] or code[2])
    if number in ("401", "403"):
        return "it asks for a user and a password. Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
    if number and number.startswith("5"):
        return f"it answers with error {number}. Its own log says why."
    return without_password(said.splitlines()[0][:200] if said else type(error).__name__)


def _lock_file(name: str) -> Path:
    path = home_folder() / ".samkit" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def without_password(uri: str) -> str:
    return re.sub(r"://([^:/@]+):[^@]*@", r"://\1:***@", uri)


def _created_ms(record: dict) -> int:
    return int(datetime.fromisoformat(record["created"]).timestamp() * 1000)


def _param_text(value) -> str:
    """MLflow caps a parameter's length; a longer one is in run.json, and its parameter says so."""
    text = str(value)
    return text if len(text) <= MAX_PARAM_CHARACTERS else "too long for a parameter: see run.json"


def summary_of(run) -> RunSummary:
    """MLflow's run as a `RunSummary`."""
    tags = dict(run.data.tags)
    name = run.info.run_name or tags.get("mlflow.runName", "")
    experiment = tags.get("samkit.experiment", "")
    said = dict(params=dict(run.data.params), metrics=dict(run.data.metrics), tags=tags)
    return RunSummary(
        run.info.run_id,
        tags.get("samkit.run_uuid", ""),
        experiment,
        name,
        run.info.start_time,
        **said,
        experiment_id=run.info.experiment_id,
        deleted=run.info.lifecycle_stage == "deleted",
    )
