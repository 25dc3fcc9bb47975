"""Runs in MLflow: any tracking URI, explicit run ids only (MLflow's active run belongs to a thread, and a Streamlit
rerun is another thread).
"""

import os
import re
import shlex
import shutil
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from samkit.errors import BadInput, StoreError
from samkit.settings import artifacts_folder, tracking_uri
from samkit.tracking.bundle.bundle import Bundle, read_bundle, relabel_bundle
from samkit.tracking.bundle.dates import created_ms
from samkit.tracking.store.locks import one_at_a_time, run_lock, sqlite_file
from samkit.tracking.store.reasons import reason_of
from samkit.tracking.store.tags import NOTE, tags_of, user_tags

EXPERIMENT_PREFIX = "samkit/"
MAX_PARAM_CHARACTERS = 6_000
BATCH = 100
MAX_HALF_RUNS = 1_000
BEGUN = "samkit.begun_ms"
"""The tag that tells when a run was begun, or last sent."""
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

    def is_there(self) -> bool:
        """Whether there can be runs: a SQLite file is made with the first."""
        return urlsplit(self.uri).scheme != "sqlite" or sqlite_file(self.uri).is_file()

    def reachable(self, timeout_s: float = 1.0, path: str = "/health") -> bool:
        """Whether the store answers a question of its own kind within `timeout_s` seconds, whatever hangs: name
        service, connection or answer.

        path: what a server is asked
        """
        if urlsplit(self.uri).scheme == "sqlite":
            return True
        ask = self._asks_http(timeout_s, path) if self.is_http else self._asks_database()
        answers = []

        def probe() -> None:
            with suppress(Exception):
                answers.append(ask())

        # Neither requests nor the database drivers bound the whole of a probe, so it runs beside and is left behind
        # when its time is up.
        thread = threading.Thread(target=probe, name="probe-run-store", daemon=True)
        thread.start()
        thread.join(timeout_s)
        return answers == [True]

    def _asks_http(self, timeout_s: float, path: str):
        import requests

        known = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
        given = {"auth": known} if all(known) else {}
        # One that asks who is there answers too; what it wants is said where a run is sent.
        return lambda: requests.get(f"{self.uri.rstrip('/')}{path}", timeout=timeout_s, **given).status_code < 500

    def _asks_database(self):
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        def ask() -> bool:
            with create_engine(self.uri, poolclass=NullPool).connect():
                return True

        return ask

    def keep(self, bundle: Bundle, spooled: bool = True) -> KeptRun:
        """Put a run into the store. A run with the same `samkit.run_uuid` that is there already is completed, restored
        or returned, never doubled.

        spooled: the run lies in the spool, so one that is begun and breaks off is completed later; False: nobody would,
                 and it is taken away again.
        """
        client = self.client()
        with store_errors(self.uri, "did not take it"), run_lock(self.uri, bundle.run_uuid):
            found, begun = self._find_or_begin(bundle)
            if found.info.status == "FINISHED":
                return self._kept(found)
            try:
                self._log(found.info.run_id, bundle)
            except Exception:
                with suppress(Exception):
                    if self.reachable():
                        client.set_terminated(found.info.run_id, "FAILED")
                        if begun and not spooled:
                            self._take_away(found)
                raise
            client.set_terminated(found.info.run_id, "FINISHED")
            return self._kept(found)

    def load(self, run_id: str, folder: Path | str, partial: bool = False) -> Bundle:
        """Download a kept run into `folder` (made for it) and check it. Its name, note and tags are those of the store,
        where they can be changed.

        partial: as `read_bundle` takes it. Raises `BadInput` for an id that is none or is not there.
        """
        run, folder = self.find_run(run_id), Path(folder)
        if run.info.status != "FINISHED":
            raise BadInput(
                f"The run {run_id} is in the store only in part ({run.info.status}): deliver it from the machine "
                "where it was kept, or delete it."
            )
        with store_errors(self.uri):
            folder.mkdir(parents=True, exist_ok=True)
            self.client().download_artifacts(run_id, "", str(folder))
        return relabel_bundle(
            read_bundle(folder, partial), run.info.run_name, run.data.tags.get(NOTE, ""), user_tags(run.data.tags)
        )

    def find_run(self, run_id: str):
        """MLflow's own run of that id, deleted or not. Raises `BadInput` for an id that is none, is not there, or is of
        a run that samkit did not keep.
        """
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
            found = (
                client.search_runs(
                    ids,
                    "attributes.status = 'FINISHED'",
                    max_results=max_results,
                    order_by=["attributes.start_time DESC"],
                )
                if ids
                else []
            )
        return [summary_of(run) for run in found]

    def ui_command(self) -> str:
        """What opens MLflow's own pages on this store, for a shell. A password is never in it: the shell takes the URI
        from the environment then.
        """
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
                    raise StoreError(
                        f"The run store {without_password(self.uri)} does not answer: start it, or set "
                        "MLFLOW_TRACKING_URI to another one."
                    )
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

    def _find_or_begin(self, bundle: Bundle):
        """(the run in the store, whether it was begun by this call)."""
        client, experiment_id = self.client(), self._experiment_id(bundle.experiment)
        found = self._find(bundle.run_uuid)
        if found:
            run_id = found[0].info.run_id
            if found[0].info.lifecycle_stage == "deleted":
                client.restore_run(run_id)
            if found[0].info.status != "FINISHED":
                client.set_tag(run_id, BEGUN, str(_now_ms()))
            return found[0], False
        tags = tags_of(bundle) | {BEGUN: str(_now_ms())}
        made = client.create_run(
            experiment_id, start_time=created_ms(bundle.record["created"]), run_name=bundle.name, tags=tags
        )
        if self.is_http:
            # No lock is seen by all that use a server: whoever began the run later takes the double away.
            first = self._find(bundle.run_uuid)[0]
            if first.info.run_id != made.info.run_id:
                client.delete_run(made.info.run_id)
                return first, False
        return made, True

    def _find(self, run_uuid: str) -> list:
        """The runs of that uuid, in whichever of samkit's experiments; the one that counts is the first."""
        from mlflow.entities import ViewType

        client = self.client()
        ids = [each.experiment_id for each in client.search_experiments() if each.name.startswith(EXPERIMENT_PREFIX)]
        found = client.search_runs(ids, f"tags.`samkit.run_uuid` = '{run_uuid}'", ViewType.ALL)
        return sorted(
            found,
            key=lambda run: (
                run.info.lifecycle_stage == "deleted",
                run.info.status != "FINISHED",
                begun_ms(run),
                run.info.run_id,
            ),
        )

    def _take_away(self, run) -> None:
        """A run that was begun and that nobody will complete, with what it has of its files where they lie on a disk
        here.
        """
        self.client().delete_run(run.info.run_id)
        if run.info.artifact_uri.startswith("file:"):
            shutil.rmtree(Path(url2pathname(urlsplit(run.info.artifact_uri).path)).parent, ignore_errors=True)

    def remove_half_runs(self, waiting: Collection[str], older_than_s: float) -> list[str]:
        """Take away the runs that were begun, are not whole, and that nobody completes any more; their ids.

        waiting: uuids of the runs in the spool, which are completed from there. A run that another machine still has in
        its spool comes back when that one sends it.
        """
        client, removed = self.client(), []
        with store_errors(self.uri):
            ids = [
                each.experiment_id for each in client.search_experiments() if each.name.startswith(EXPERIMENT_PREFIX)
            ]
            found = (
                client.search_runs(
                    ids, "attributes.status != 'FINISHED' and tags.`samkit.run_uuid` != ''", max_results=MAX_HALF_RUNS
                )
                if ids
                else []
            )
            for run in found:
                if run.data.tags["samkit.run_uuid"] not in waiting and _now_ms() - begun_ms(run) > older_than_s * 1000:
                    self._take_away(run)
                    removed.append(run.info.run_id)
        return removed

    def _log(self, run_id: str, bundle: Bundle) -> None:
        from mlflow.entities import Metric, Param

        client, record = self.client(), bundle.record
        # The run's own time, so that completing a half-sent run writes the same points again and no second ones.
        now = created_ms(record["created"])
        params = [Param(key, _param_text(value)) for key, value in record["params"].items()]
        metrics = [Metric(key, float(value), now, 0) for key, value in (record["metrics"] | record["timings"]).items()]
        for start in range(0, max(len(params), len(metrics)), BATCH):
            client.log_batch(run_id, metrics=metrics[start : start + BATCH], params=params[start : start + BATCH])
        client.log_artifacts(run_id, str(bundle.path))

    def _kept(self, run) -> KeptRun:
        ids = run.info.run_id, run.info.experiment_id
        return KeptRun(*ids, self.page_url(*ids))


class store_errors:
    """A `with` block that turns what MLflow and its databases raise into a `StoreError`; samkit's own errors pass.
    what: what the store did then.
    """

    def __init__(self, uri: str, what: str = "could not answer"):
        self._uri, self._what = uri, what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, traceback) -> None:
        if error is None:
            return
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        if isinstance(error, MlflowException | SQLAlchemyError | OSError):
            raise StoreError(
                f"The run store {without_password(self._uri)} {self._what}: {without_password(reason_of(error))}"
            ) from error
        if isinstance(error, ModuleNotFoundError):
            raise StoreError(
                f"The run store {without_password(self._uri)} needs the Python package {error.name}: install it "
                "with pip."
            ) from error


def without_password(uri: str) -> str:
    return re.sub(r"://([^:/@]+):[^@]*@", r"://\1:***@", uri)


def begun_ms(run) -> int:
    """When a run of MLflow's was begun or last sent, in Unix time; its own time is when it was made, which may be long
    before.
    """
    told = run.data.tags.get(BEGUN, "")
    return int(told) if told.isdecimal() else run.info.start_time or 0


def _now_ms() -> int:
    return int(time.time() * 1000)


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
