"""Stores that ask who is there, and stores that are named in a secrets file."""

import os
import re

import pytest

from samkit.errors import StoreError
from samkit.tracking.store.edit import delete_run, note_run, read_run, restore_run
from samkit.tracking.store.keep import keep_run
from samkit.tracking.store.search import Query, search_runs
from samkit.tracking.store.spool import Spool
from samkit.tracking.store.store import RunStore
from tests.tracking.conftest import running_server
from tests.tracking.test_bundle import assert_same_run
from tools.running_app import running_app

USER, PASSWORD = "someone", "a password of 30 letters"


@pytest.fixture(scope="module")
def asking_uri(tmp_path_factory):
    """MLflow's own server with users and passwords."""
    folder = tmp_path_factory.mktemp("auth")
    (folder / "auth.ini").write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{folder / 'users.db'}\nadmin_username = "
        f"{USER}\nadmin_password = {PASSWORD}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    settings = {"MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"), "MLFLOW_FLASK_SERVER_SECRET_KEY": "of the test"}
    before = {key: os.environ.get(key) for key in settings}
    os.environ.update(settings)
    try:
        with running_server(folder, more=("--app-name", "basic-auth")) as url:
            yield url
    finally:
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})


def test_a_server_with_a_password_takes_runs_from_who_has_it(asking_uri, bundle, tmp_path, monkeypatch):
    store = RunStore(asking_uri)
    refused = keep_run(bundle, store)
    assert not refused.kept and "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in refused.sentence
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
    with pytest.raises(StoreError, match="asks for a user and a password"):
        RunStore(asking_uri).keep(bundle)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    (run_id,) = Spool().deliver(RunStore(asking_uri)).delivered
    assert_same_run(RunStore(asking_uri).load(run_id, tmp_path / "back"), 0)


def test_a_run_behind_a_server_over_postgresql_is_read_changed_and_found(http_uri, bundle, tmp_path):
    store = RunStore(http_uri)
    outcome = keep_run(bundle, store)
    run_id = outcome.run.run_id
    assert (
        outcome.kept
        and outcome.run.url == f"{http_uri}/#/experiments/{outcome.run.experiment_id}/runs/{run_id}"
        and not Spool().waiting()
    )
    assert store.find_run(run_id).info.artifact_uri.startswith("mlflow-artifacts:"), (
        "the server hands the files through"
    )
    assert_same_run(store.load(run_id, tmp_path / "back"), 0)
    note_run(store, run_id, "seen through a server")
    assert [run.run_id for run in search_runs(store, Query(text="server metrics.predicted_iou < 0.6")).runs] == [run_id]
    delete_run(store, run_id)
    assert search_runs(store, Query(text="server")).runs == () and read_run(store, run_id).deleted
    restore_run(store, run_id)
    assert len(search_runs(store, Query(text="server")).runs) == 1


@pytest.mark.browser
def test_the_store_of_a_secrets_file_is_the_apps(tmp_path, monkeypatch, browser):
    """As on Streamlit Community Cloud, where secrets are all there is."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    secrets = tmp_path / "secrets.toml"
    secrets.write_text(f'MLFLOW_TRACKING_URI = "sqlite:///{tmp_path}/named_in_secrets.db"\n')
    monkeypatch.setenv("STREAMLIT_SECRETS_FILES", str(secrets))
    with running_app(tmp_path) as url:
        page = browser.new_page()
        page.goto(f"{url}/runs")
        page.get_by_text(re.compile("named_in_secrets.db")).first.wait_for(timeout=60_000)
