"""Runs in MLflow: any tracking URI, explicit run ids only (MLflow's active run belongs to a thread, and a Streamlit
rerun is another thread).
"""

import logging
import os
import re
import shlex
import shutil
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from samkit.errors import BadInput, SamkitError, StoreError
from samkit.scratch import scratch
from samkit.settings import artifacts_folder, check_tracking_uri, tracking_uri
from samkit.tracking.bundle import schema_1
from samkit.tracking.bundle.bundle import Bundle, read_bundle, relabel_bundle
from samkit.tracking.bundle.dates import created_ms
from samkit.tracking.bundle.older import facts_of_today, metric_names, params_of_today
from samkit.tracking.store.about import about_run, datasets_of, log_datasets
from samkit.tracking.store.description import MAX_DESCRIPTION, described, note_of
from samkit.tracking.store.locks import one_at_a_time, run_lock, sqlite_file
from samkit.tracking.store.looks import FOLDER as LOOKS
from samkit.tracking.store.looks import Looks
from samkit.tracking.store.reasons import reason_of
from samkit.tracking.store.tags import FACT, KEY_FIGURES, NOTE, SWEEP_USER, note_text, tags_of, user_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_log = logging.getLogger(__name__)
EXPERIMENT_PREFIX = "samkit/"
MAX_PARAM_CHARACTERS = 6_000
BATCH = 100
MAX_HALF_RUNS = 1_000
BEGUN = "samkit.begun_ms"
"""The tag that says when a run was begun, or last sent."""
RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class KeptRun:
    """url: the run's page where the store has a web server, else None. existed: it was in the store already, whole."""

    run_id: str
    experiment_id: str
    url: str | None
    existed: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Below:
    """What a run is kept with that lies below another one.

    tags: beside the run's own, the parent's id among them; metrics: what was measured of it beside its own
    """

    tags: Mapping[str, str]
    metrics: Mapping[str, float]


NOTHING_MORE = Below({}, {})


@dataclass(frozen=True)
class RunSummary:
    """One kept run in a list.

    created_ms: Unix time; params: as text; metrics: timings among them; deleted: it can be restored
    """

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

    @property
    def key_figures(self) -> dict[str, float]:
        """The metrics that sum the run up, the first first."""
        kept = self.tags.get(KEY_FIGURES)
        names = kept.split(",") if kept is not None else schema_1.key_figure_names(self.experiment, self.metrics)
        return {name: self.metrics[name] for name in names if name in self.metrics}

    @property
    def facts(self) -> dict[str, str]:
        """What was so in the run and is neither better nor worse, as text."""
        kept = {tag.removeprefix(FACT): value for tag, value in self.tags.items() if tag.startswith(FACT)}
        kept |= {name: f"{self.metrics[name]:g}" for name in self._facts_among_metrics}
        return facts_of_today(self.experiment, kept)

    @property
    def measured(self) -> dict[str, float]:
        """The metrics; neither timings nor facts."""
        return {
            name: value
            for name, value in self.metrics.items()
            if not name.endswith("_ms") and name not in self._facts_among_metrics
        }

    @property
    def _facts_among_metrics(self) -> tuple[str, ...]:
        """Facts that the store took for metrics, when runs were written in schema 1."""
        return () if KEY_FIGURES in self.tags else schema_1.fact_names(self.experiment, self.metrics)


class RunStore:
    """The runs behind one tracking URI. mlflow is imported on first use."""

    def __init__(self, uri: str | None = None):
        self.uri = uri or tracking_uri()
        self._client: MlflowClient | None = None

    @property
    def is_http(self) -> bool:
        return self.uri.partition(":")[0].lower() in ("http", "https")

    def is_there(self) -> bool:
        """Whether there can be runs: a SQLite file is made with the first."""
        check_tracking_uri(self.uri)
        return urlsplit(self.uri).scheme != "sqlite" or sqlite_file(self.uri).is_file()

    def reachable(self, timeout_s: float = 1.0, path: str = "/health") -> bool:
        """Whether the store answers a question of its own kind within `timeout_s` seconds, whatever hangs: name
        service, connection or answer.

        path: what a server is asked. Raises StoreError where the URI names no store.
        """
        check_tracking_uri(self.uri)
        if urlsplit(self.uri).scheme == "sqlite":
            return True
        ask = self._asks_http(timeout_s, path) if self.is_http else self._asks_database()
        answers: list[bool] = []

        def probe() -> None:
            with suppress(Exception):
                answers.append(ask())

        # Neither requests nor the database drivers bound the whole of a probe, so it runs beside and is left behind
        # when its time is up.
        thread = threading.Thread(target=probe, name="probe-run-store", daemon=True)
        thread.start()
        thread.join(timeout_s)
        return answers == [True]

    def _asks_http(self, timeout_s: float, path: str) -> Callable[[], bool]:
        import requests

        user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
        auth = (user, password) if user and password else None
        url = f"{self.uri.rstrip('/')}{path}"
        # A server that wants to know who asks answers too; its refusal becomes a sentence where a run is sent.
        return lambda: requests.get(url, timeout=timeout_s, auth=auth).status_code < 500

    def _asks_database(self) -> Callable[[], bool]:
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        def ask() -> bool:
            with create_engine(self.uri, poolclass=NullPool).connect():
                return True

        return ask

    def keep(self, bundle: Bundle, spooled: bool = True, below: Below | None = None) -> KeptRun:
        """Put a run into the store. A run with the same `samkit.run_uuid` that is there already is completed, restored
        or returned, never doubled.

        spooled: the run lies in the spool, so one that is begun and breaks off is completed later; False: nobody would
                 complete it, and it is removed
        below:   what it is kept with beside its own, where it lies below another run
        """
        with (
            store_errors(self.uri, "did not take it"),
            run_lock(self.uri, bundle.run_uuid),
            scratch("looks") as folder,
            closing(Looks(bundle, Path(folder))) as looks,
        ):
            return self._keep(bundle, looks, spooled, below or NOTHING_MORE)

    def _keep(self, bundle: Bundle, looks: Looks, spooled: bool, below: Below) -> KeptRun:
        client = self.client()
        run, begun = self._find_or_begin(bundle, looks, below.tags)
        if run.info.status == "FINISHED":
            return replace(self._kept(run), existed=run.info.lifecycle_stage != "deleted")
        try:
            self._log(run, bundle, looks, below.metrics)
        except Exception:
            with suppress(Exception):
                if self.reachable():
                    client.set_terminated(run.info.run_id, "FAILED")
                    if begun and not spooled:
                        self._remove(run)
            raise
        client.set_terminated(run.info.run_id, "FINISHED")
        return self._kept(run)

    def load(self, run_id: str, folder: Path | str, partial: bool = False) -> Bundle:
        """Download a kept run into `folder` (made for it) and check it. Its name, note and tags are those of the store,
        where they can be changed.

        partial: as `read_bundle` takes it. Raises `BadInput` where there is no run of that id.
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
            # They are for MLflow's own pages.
            shutil.rmtree(folder / LOOKS, ignore_errors=True)
        note = note_of(run.data.tags.get(NOTE, ""))
        return relabel_bundle(read_bundle(folder, partial), run.info.run_name, note, user_tags(run.data.tags))

    def find_run(self, run_id: str) -> "Run":
        """MLflow's own run of that id, deleted or not. Raises `BadInput` where there is none, or where samkit did not
        keep it.
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
        with store_errors(self.uri):
            ids = self.experiment_ids(experiment)
            if not ids:
                return []
            runs = self.client().search_runs(
                ids,
                f"attributes.status = 'FINISHED' and attributes.user_id != '{SWEEP_USER}'",
                max_results=max_results,
                order_by=["attributes.start_time DESC"],
            )
        return [summary_of(run) for run in runs]

    def experiments(self) -> dict[str, str]:
        """The experiments that have had runs and were not deleted: name -> MLflow's id."""
        return {
            each.name.removeprefix(EXPERIMENT_PREFIX): each.experiment_id
            for each in self.client().search_experiments()
            if each.name.startswith(EXPERIMENT_PREFIX)
        }

    def experiment_ids(self, experiment: str | None = None) -> list[str]:
        """MLflow's ids of one experiment, or of all."""
        return [each for name, each in self.experiments().items() if experiment in (None, name)]

    def ui_command(self) -> str:
        """What opens MLflow's own pages on this store, for a shell. A password is never in it: the shell takes the URI
        from the environment then.
        """
        uri = shlex.quote(self.uri) if without_password(self.uri) == self.uri else '"$MLFLOW_TRACKING_URI"'
        return f"mlflow ui --backend-store-uri {uri}"

    def client(self) -> "MlflowClient":
        """MLflow's client on this store, made once. Raises `StoreError` where the store does not answer."""
        if self._client is None:
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
            os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
            from mlflow import MlflowClient

            check_tracking_uri(self.uri)
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
            self._client = client
        return self._client

    def made_experiment_id(self, experiment: str) -> str:
        """MLflow's id of the experiment, which is made or restored where it is not there."""
        from mlflow.exceptions import MlflowException

        client, name = self.client(), EXPERIMENT_PREFIX + experiment
        existing = client.get_experiment_by_name(name)
        if existing is None:
            location = None if self.is_http else (artifacts_folder() / experiment).as_uri()
            try:
                return client.create_experiment(name, artifact_location=location)
            except MlflowException:
                # Another process may have been faster.
                existing = client.get_experiment_by_name(name)
                if existing is None:
                    raise
        if existing.lifecycle_stage == "deleted":
            client.restore_experiment(existing.experiment_id)
        return existing.experiment_id

    def _find_or_begin(self, bundle: Bundle, looks: Looks, more_tags: Mapping[str, str]) -> "tuple[Run, bool]":
        """(the run in the store, whether it was begun by this call)."""
        client, experiment_id = self.client(), self.made_experiment_id(bundle.experiment)
        runs = self._find(bundle.run_uuid)
        if runs:
            run_id = runs[0].info.run_id
            if runs[0].info.lifecycle_stage == "deleted":
                client.restore_run(run_id)
            if runs[0].info.status != "FINISHED":
                client.set_tag(run_id, BEGUN, str(now_ms()))
            return runs[0], False
        tags = tags_of(bundle, looks.shown) | {BEGUN: str(now_ms())} | dict(more_tags)
        begun = client.create_run(
            experiment_id, start_time=created_ms(bundle.record.created), run_name=bundle.name, tags=tags
        )
        if self.is_http:
            # No lock is seen by all that use a server: whoever began the run later removes its double.
            first = self._find(bundle.run_uuid)[0]
            if first.info.run_id != begun.info.run_id:
                client.delete_run(begun.info.run_id)
                return first, False
        return begun, True

    def _find(self, run_uuid: str) -> "list[Run]":
        """The runs of that uuid, in whichever of samkit's experiments; the one that counts is the first."""
        from mlflow.entities import ViewType

        runs = self.client().search_runs(self.experiment_ids(), f"tags.`samkit.run_uuid` = '{run_uuid}'", ViewType.ALL)
        return sorted(
            runs,
            key=lambda run: (
                run.info.lifecycle_stage == "deleted",
                run.info.status != "FINISHED",
                begun_ms(run),
                run.info.run_id,
            ),
        )

    def _remove(self, run: "Run") -> None:
        """Remove a run that was begun and that nobody will complete, with its files where they lie on a disk here."""
        self.client().delete_run(run.info.run_id)
        if run.info.artifact_uri.startswith("file:"):
            shutil.rmtree(Path(url2pathname(urlsplit(run.info.artifact_uri).path)).parent, ignore_errors=True)

    def remove_half_runs(self, waiting: Collection[str], older_than_s: float) -> list[str]:
        """Remove the runs that were begun and that nobody will complete; their ids.

        waiting: uuids of the runs in the spool, which are completed from there. A run that another machine still has in
        its spool comes back when that one sends it.
        """
        removed: list[str] = []
        with store_errors(self.uri):
            ids, unfinished = self.experiment_ids(), "attributes.status != 'FINISHED' and tags.`samkit.run_uuid` != ''"
            runs = self.client().search_runs(ids, unfinished, max_results=MAX_HALF_RUNS) if ids else []
            for run in runs:
                if run.data.tags["samkit.run_uuid"] not in waiting and now_ms() - begun_ms(run) > older_than_s * 1000:
                    self._remove(run)
                    removed.append(run.info.run_id)
        return removed

    def _log(self, run: "Run", bundle: Bundle, looks: Looks, more_metrics: Mapping[str, float]) -> None:
        from mlflow.entities import Metric, Param, RunTag

        client, record, run_id = self.client(), bundle.record, run.info.run_id
        # The run's own time, so that completing a half-sent run writes the same points again and no second ones.
        time_ms = created_ms(record.created)
        params = [Param(key, param_text(value)) for key, value in record.params.items()]
        own = {name: metric.value for name, metric in record.metrics.items()} | record.timings
        metrics = [Metric(key, float(value), time_ms, 0) for key, value in {**more_metrics, **own}.items()]
        # A person may have changed the note of a run that was not whole yet.
        note = note_of(run.data.tags.get(NOTE, note_text(record.note)))
        tags = [RunTag(NOTE, described(note, about_run(record, run_id), MAX_DESCRIPTION))]
        for start in range(0, max(len(params), len(metrics), 1), BATCH):
            end = start + BATCH
            client.log_batch(run_id, metrics[start:end], params[start:end], tags if start == 0 else [])
        log_datasets(client, run_id, datasets_of(record))
        client.log_artifacts(run_id, str(bundle.path))
        pictures = looks.ready()
        if pictures is not None:
            client.log_artifacts(run_id, str(pictures))

    def _kept(self, run: "Run") -> KeptRun:
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

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
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
        server = self._uri.partition(":")[0].lower() in ("http", "https")
        if server and isinstance(error, Exception) and not isinstance(error, SamkitError):
            # Whatever answers there, a person hears what it came to; the log has where it was not understood.
            _log.warning("an answer of the run store that is none", exc_info=error)
            raise StoreError(
                f"What answers at {without_password(self._uri)} is not an MLflow server, or not one of a release that "
                f"is known here: its answer can't be read ({type(error).__name__}). Set MLFLOW_TRACKING_URI to the "
                "run store."
            ) from error


def without_password(uri: str) -> str:
    return re.sub(r"://([^:/@]+):[^@]*@", r"://\1:***@", uri)


def begun_ms(run: "Run") -> int:
    """When a run of MLflow's was begun or last sent, in Unix time; its own time is when it was made, which may be long
    before.
    """
    begun = run.data.tags.get(BEGUN, "")
    return int(begun) if begun.isdecimal() else run.info.start_time or 0


def now_ms() -> int:
    return int(time.time() * 1000)


def param_text(value: object) -> str:
    """MLflow caps a parameter's length; a longer one is in run.json, and its parameter says so."""
    text = str(value)
    return text if len(text) <= MAX_PARAM_CHARACTERS else "too long for a parameter: see run.json"


def summary_of(run: "Run") -> RunSummary:
    """MLflow's run as a `RunSummary`."""
    tags, params, metrics = dict(run.data.tags), dict(run.data.params), dict(run.data.metrics)
    if NOTE in tags and not (note := note_of(tags[NOTE])):
        del tags[NOTE]
    elif NOTE in tags:
        tags[NOTE] = note
    names = metric_names(tags.get("samkit.experiment", ""), params, metrics)
    if names and KEY_FIGURES in tags:
        tags[KEY_FIGURES] = ",".join(names.get(name, name) for name in tags[KEY_FIGURES].split(","))
    return RunSummary(
        run_id=run.info.run_id,
        run_uuid=tags.get("samkit.run_uuid", ""),
        experiment=tags.get("samkit.experiment", ""),
        name=run.info.run_name or tags.get("mlflow.runName", ""),
        created_ms=run.info.start_time,
        params=params_of_today(tags.get("samkit.experiment", ""), params),
        metrics={names.get(name, name): value for name, value in metrics.items()},
        tags=tags,
        experiment_id=run.info.experiment_id,
        deleted=run.info.lifecycle_stage == "deleted",
    )
