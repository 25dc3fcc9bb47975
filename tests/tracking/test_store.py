"""Runs in real MLflow stores: what is logged, exactly once, and what a store that is away costs."""

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from samkit.errors import BadInput, StoreError
from samkit.media.drawing import mask_from_png
from samkit.tracking.keep import keep_run
from samkit.tracking.spool import Spool
from samkit.tracking.store import RunStore
from tests.tracking.conftest import made_up_bundle, made_up_result, running_server
from tests.tracking.test_bundle import assert_same_run
from tools.running_app import free_port

KEEP_ONE = """
import sys
from pathlib import Path
from samkit.tracking.store import RunStore
from tests.tracking.conftest import made_up_bundle
print(RunStore().keep(made_up_bundle(Path(sys.argv[1]), int(sys.argv[2]))).run_id)
"""
DELIVER = "from samkit.tracking.spool import Spool; from samkit.tracking.store import RunStore; print(len(Spool().deliver(RunStore()).delivered))"


@pytest.fixture(params=["sqlite", "http", "postgres"])
def store(request, tmp_path) -> RunStore:
    if request.param == "sqlite":
        return RunStore(f"sqlite:///{tmp_path / 'home' / 'mlflow.db'}")
    return RunStore(request.getfixturevalue(f"{request.param}_uri"))


def runs_with_uuid(store: RunStore, run_uuid: str) -> list:
    client = store._client()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(experiments, f"tags.`samkit.run_uuid` = '{run_uuid}'")


def test_a_kept_run_holds_everything(store, bundle, tmp_path):
    kept = store.keep(bundle)
    client = store._client()
    run = client.get_run(kept.run_id)
    result, _ = made_up_result()
    assert run.info.status == "FINISHED" and run.info.run_name == "run 0"
    assert client.get_experiment(kept.experiment_id).name == "samkit/mask-stability"
    assert run.data.params["lower_threshold"] == "-2.0" and set(run.data.params) == set(bundle.params)
    assert run.data.metrics["predicted_iou"] == 0.5 and run.data.metrics["encode_ms"] == 12.5
    tags = run.data.tags
    assert tags["samkit.run_uuid"] == bundle.run_uuid and tags["mlflow.note.content"] == "a note"
    named = "schema version experiment model model_sha256 picture picture_sha256 git_commit device dtype created"
    assert {f"samkit.{name}" for name in named.split()} <= set(tags)
    mask = mask_from_png(client.download_artifacts(kept.run_id, "outputs/mask_0.png", str(tmp_path)))
    np.testing.assert_array_equal(mask, result.masks["mask_0"])
    assert_same_run(store.load(kept.run_id, tmp_path / "loaded"))
    assert (kept.url is not None) == store.is_http


def test_a_run_is_kept_once(store, bundle):
    assert store.keep(bundle) == store.keep(bundle)
    assert len(runs_with_uuid(store, bundle.run_uuid)) == 1


def test_a_run_left_half_way_is_completed(store, bundle):
    client, experiment = store._client(), store._experiment_id(bundle.experiment)
    begun = client.create_run(experiment, run_name="begun", tags={"samkit.run_uuid": bundle.run_uuid})
    kept = store.keep(bundle)
    assert kept.run_id == begun.info.run_id
    assert client.get_run(kept.run_id).info.status == "FINISHED" and client.get_run(kept.run_id).data.metrics["area_px"] == 12.0


def test_threads_keep_at_once(store, tmp_path):
    bundles = [made_up_bundle(tmp_path / f"run{seed}", seed) for seed in range(4)]
    threads = [threading.Thread(target=store.keep, args=(bundle,)) for bundle in bundles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(runs_with_uuid(store, bundle.run_uuid)) == 1 for bundle in bundles)


def test_the_list_is_newest_first(tmp_path):
    store = RunStore()
    kept = [store.keep(made_up_bundle(tmp_path / f"run{seed}", seed)).run_id for seed in range(3)]
    assert [run.run_id for run in store.runs()] == kept[::-1]
    assert store.runs("another-experiment") == [] and len(store.runs(max_results=2)) == 2
    newest = store.runs()[0]
    assert (newest.name, newest.experiment, newest.metrics["predicted_iou"]) == ("run 2", "mask-stability", 2.5)


@pytest.mark.parametrize("run_id", ["", "x", "../../etc/passwd", "A" * 32, "0" * 31, "0" * 32])
def test_ids_that_are_none_are_refused(run_id, tmp_path):
    with pytest.raises(BadInput, match="is not a run's id|There is no run"):
        RunStore().load(run_id, tmp_path / "run")


def test_a_long_parameter_says_where_it_is(tmp_path, bundle):
    bundle.record["params"]["colormap"] = "x" * 7000
    store = RunStore()
    assert "run.json" in store._client().get_run(store.keep(bundle).run_id).data.params["colormap"]


def test_two_processes_may_make_the_store_at_once(tmp_path):
    home = tmp_path / "shared"
    command = [sys.executable, "-c", KEEP_ONE]
    environment = os.environ | {"SAMKIT_HOME": str(home)}
    started = [subprocess.Popen([*command, str(tmp_path / f"p{i}"), str(i)], env=environment, stdout=subprocess.PIPE, text=True) for i in range(2)]
    ids = {process.communicate(timeout=120)[0].strip() for process in started}
    assert all(process.returncode == 0 for process in started) and len(ids) == 2
    assert {run.run_id for run in RunStore(f"sqlite:///{home / 'mlflow.db'}").runs()} == ids


@pytest.fixture
def silent_port():
    """A server that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield listener.getsockname()[1]


@pytest.mark.parametrize("kind", ["closed", "silent"])
def test_a_store_that_is_away_costs_two_seconds_and_loses_nothing(kind, silent_port, bundle):
    port = free_port() if kind == "closed" else silent_port
    store = RunStore(f"http://127.0.0.1:{port}")
    import requests  # noqa: F401  its first import is not what is timed

    start = time.perf_counter()
    outcome = keep_run(bundle, store)
    assert time.perf_counter() - start < 2
    assert not outcome.kept and "spool" in outcome.sentence
    assert [path.name for path in Spool().waiting()] == [bundle.run_uuid]
    delivery = Spool().deliver(store)
    assert delivery.left == 1 and delivery.problem


def test_passwords_stay_out_of_sentences(bundle):
    store = RunStore("postgresql://me:secret@127.0.0.1:1/none")
    with pytest.raises(StoreError) as refused:
        store.keep(bundle)
    assert "secret" not in str(refused.value)


def test_spooled_runs_are_delivered_once_by_two_processes(tmp_path):
    spool = Spool()
    bundles = [made_up_bundle(tmp_path / f"run{seed}", seed) for seed in range(4)]
    for bundle in bundles:
        spool.add(bundle)
        spool.add(bundle)
    assert len(spool.waiting()) == 4
    started = [subprocess.Popen([sys.executable, "-c", DELIVER], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    delivered = [int(process.communicate(timeout=120)[0]) for process in started]
    assert sum(delivered) == 4 and not spool.waiting()
    assert all(len(runs_with_uuid(RunStore(), bundle.run_uuid)) == 1 for bundle in bundles)


def test_a_crash_after_sending_does_not_double_the_run(bundle):
    spool, store = Spool(), RunStore()
    spool.add(bundle)
    sent = store.keep(bundle)
    delivery = spool.deliver(store)
    assert delivery.delivered == (sent.run_id,) and not spool.waiting()
    assert len(runs_with_uuid(store, bundle.run_uuid)) == 1


def test_a_damaged_spooled_run_is_set_aside_and_blocks_nothing(bundle, tmp_path):
    spool = Spool()
    spool.add(bundle)
    (Path(spool.waiting()[0]) / "outputs" / "mask_0.png").unlink()
    whole = made_up_bundle(tmp_path / "whole", 1)
    spool.add(whole)
    delivery = spool.deliver(RunStore())
    assert len(delivery.delivered) == 1 and len(delivery.set_aside) == 1 and "mask_0.png" in delivery.set_aside[0]
    assert len(list((spool.folder / "broken").iterdir())) == 1 and delivery.left == 0


def test_a_server_that_dies_and_comes_back(tmp_path):
    port = free_port()
    folder = tmp_path / "server"
    folder.mkdir()
    store = RunStore(f"http://127.0.0.1:{port}")
    bundles = [made_up_bundle(tmp_path / f"run{seed}", seed) for seed in range(3)]
    with running_server(folder, port):
        assert keep_run(bundles[0], store).kept
    assert not keep_run(bundles[1], store).kept and not keep_run(bundles[2], store).kept
    with running_server(folder, port):
        delivery = Spool().deliver(store)
        assert len(delivery.delivered) == 2 and not Spool().waiting()
        assert all(len(runs_with_uuid(store, bundle.run_uuid)) == 1 for bundle in bundles)
