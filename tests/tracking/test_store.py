"""Runs in real MLflow stores: what is logged, exactly once, and what a store that is away costs."""

import os
import shlex
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from filelock import Timeout

from samkit.errors import BadInput, StoreError
from samkit.media.drawing import mask_from_png
from samkit.tracking.store import locks as fresh_store
from samkit.tracking.store import spool as spool_module
from samkit.tracking.store import store as store_module
from samkit.tracking.store.description import note_of
from samkit.tracking.store.keep import keep_run
from samkit.tracking.store.search import EVERYTHING, neighbours, search_runs
from samkit.tracking.store.spool import Spool
from samkit.tracking.store.store import RunStore
from tests.tracking.conftest import changed, made_up_bundle, made_up_result, patience_of, running_server
from tests.tracking.test_bundle import assert_same_run
from tools.running_app import free_port

KEEP_ONE = """
import sys
from pathlib import Path
from samkit.tracking.store.store import RunStore
from tests.tracking.conftest import made_up_bundle
print(RunStore().keep(made_up_bundle(Path(sys.argv[1]), int(sys.argv[2]))).run_id)
"""
DELIVER = (
    "from samkit.tracking.store.spool import Spool; from samkit.tracking.store.store import RunStore; "
    "print(len(Spool().deliver(RunStore()).delivered))"
)


@pytest.fixture(params=["sqlite", "http", "postgres"])
def store(request, tmp_path) -> RunStore:
    if request.param == "sqlite":
        return RunStore(f"sqlite:///{tmp_path / 'home' / 'mlflow.db'}")
    return RunStore(request.getfixturevalue(f"{request.param}_uri"))


def runs_with_uuid(store: RunStore, run_uuid: str) -> list:
    client = store.client()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(experiments, f"tags.`samkit.run_uuid` = '{run_uuid}'")


def test_a_kept_run_holds_everything(store, bundle, tmp_path):
    kept = store.keep(bundle)
    client = store.client()
    run = client.get_run(kept.run_id)
    result, _ = made_up_result()
    assert run.info.status == "FINISHED" and run.info.run_name == "run 0"
    assert client.get_experiment(kept.experiment_id).name == "samkit/mask-stability"
    assert run.data.params["lower_threshold"] == "-2.0" and set(run.data.params) == set(bundle.params)
    assert run.data.metrics["predicted_iou"] == 0.5 and run.data.metrics["encode_ms"] == 12.5
    tags = run.data.tags
    assert tags["samkit.run_uuid"] == bundle.run_uuid and note_of(tags["mlflow.note.content"]) == "a note"
    named = "schema version experiment model model_sha256 picture picture_sha256 git_commit device dtype created"
    assert {f"samkit.{name}" for name in named.split()} <= set(tags)
    mask = mask_from_png(client.download_artifacts(kept.run_id, "outputs/mask_0.png", str(tmp_path)))
    np.testing.assert_array_equal(mask, result.masks["mask_0"].pixels)
    assert_same_run(store.load(kept.run_id, tmp_path / "loaded"))
    assert (kept.url is not None) == store.is_http


def test_a_run_is_kept_once(store, bundle):
    assert store.keep(bundle) == store.keep(bundle)
    assert len(runs_with_uuid(store, bundle.run_uuid)) == 1


def test_a_run_left_half_way_is_completed(store, bundle):
    client, experiment = store.client(), store.made_experiment_id(bundle.experiment)
    begun = client.create_run(experiment, run_name="begun", tags={"samkit.run_uuid": bundle.run_uuid})
    kept = store.keep(bundle)
    assert kept.run_id == begun.info.run_id
    assert (
        client.get_run(kept.run_id).info.status == "FINISHED"
        and client.get_run(kept.run_id).data.metrics["area_px"] == 12.0
    )


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
    bundle = changed(bundle, params=bundle.params | {"colormap": "x" * 7000})
    store = RunStore()
    assert "run.json" in store.client().get_run(store.keep(bundle).run_id).data.params["colormap"]


@pytest.fixture
def silent_port():
    """A server that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield listener.getsockname()[1]


@pytest.mark.parametrize("scheme", ["http://", "postgresql://me:secret@"])
@pytest.mark.parametrize("kind", ["closed", "silent"])
def test_a_store_that_is_away_costs_two_seconds_and_loses_nothing(scheme, kind, silent_port, bundle, monkeypatch):
    port = free_port() if kind == "closed" else silent_port
    store = RunStore(f"{scheme}127.0.0.1:{port}")
    waits = patience_of(monkeypatch, "probe-run-store")
    # MLflow's own client would try again for minutes.
    monkeypatch.setattr(RunStore, "client", lambda store: pytest.fail("a store that is away was asked by MLflow"))
    outcome = keep_run(bundle, store)
    assert waits and None not in waits and sum(waits) < 2
    assert not outcome.kept and "spool" in outcome.sentence
    assert [path.name for path in Spool().waiting()] == [bundle.run_uuid]
    delivery = Spool().deliver(store)
    assert delivery.left == 1 and delivery.problem


def test_passwords_stay_out_of_sentences_commands_and_links(bundle, http_uri, tmp_path):
    away = RunStore("postgresql://me:secret@127.0.0.1:1/none")
    with pytest.raises(StoreError) as refused:
        away.keep(bundle)
    assert "secret" not in str(refused.value) and "secret" not in away.ui_command()
    store = RunStore(http_uri.replace("://", "://me:secret@"))
    with pytest.raises(BadInput) as absent:
        store.load("0" * 32, tmp_path / "run")
    assert "secret" not in str(absent.value)
    assert store.keep(bundle).url.startswith(f"{http_uri}/#/experiments/")


def test_the_command_that_opens_the_pages_is_one_for_a_shell(tmp_path):
    uri = f"sqlite:///{tmp_path / 'a folder' / 'mlflow.db'}"
    assert shlex.split(RunStore(uri).ui_command()) == ["mlflow", "ui", "--backend-store-uri", uri]


def test_one_run_kept_by_threads_at_once_is_one_run(store, bundle):
    store.client()
    with ThreadPoolExecutor(4) as pool:
        kept = list(pool.map(store.keep, [bundle] * 4))
    assert len(set(kept)) == 1 and len(runs_with_uuid(store, bundle.run_uuid)) == 1


def test_a_run_that_could_not_be_sent_whole_is_failed_then_completed(bundle, monkeypatch):
    store = RunStore()
    client = store.client()

    def cut(*arguments):
        raise OSError("the line was cut")

    with monkeypatch.context() as patch:
        patch.setattr(client, "log_artifacts", cut)
        with pytest.raises(StoreError, match="the line was cut"):
            store.keep(bundle)
    (begun,) = runs_with_uuid(store, bundle.run_uuid)
    assert begun.info.status == "FAILED" and store.runs() == []
    assert store.keep(bundle).run_id == begun.info.run_id
    assert client.get_run(begun.info.run_id).info.status == "FINISHED"
    assert len(client.get_metric_history(begun.info.run_id, "area_px")) == 1


def test_a_long_note_says_where_the_rest_is(bundle):
    bundle = changed(bundle, note="n" * 9_000)
    store = RunStore()
    description = store.client().get_run(store.keep(bundle).run_id).data.tags["mlflow.note.content"]
    assert note_of(description).endswith("(The whole note is in run.json.)") and len(description) <= 8_000


def test_a_refused_run_does_not_block_the_ones_behind_it(bundle, tmp_path, monkeypatch):
    spool, store = Spool(), RunStore()
    second = made_up_bundle(tmp_path / "second", 1)
    spool.add(bundle)
    spool.add(second)
    keep = store.keep

    def picky(waiting):
        if waiting.run_uuid == bundle.run_uuid:
            raise StoreError("The store does not like it.")
        return keep(waiting)

    monkeypatch.setattr(store, "keep", picky)
    delivery = spool.deliver(store)
    assert len(delivery.delivered) == 1 and delivery.left == 1 and delivery.problem == "The store does not like it."


def test_a_removal_cut_short_is_no_damaged_run(bundle, monkeypatch):
    spool, store = Spool(), RunStore()
    spool.add(bundle)
    with monkeypatch.context() as patch:
        patch.setattr(spool_module.shutil, "rmtree", lambda *arguments, **options: None)
        assert len(spool.deliver(store).delivered) == 1
    assert not spool.waiting()
    spool.add(bundle)
    assert spool.deliver(store).set_aside == () and not list(spool.folder.glob(".*.sent"))
    assert len(runs_with_uuid(store, bundle.run_uuid)) == 1


def test_two_processes_with_homes_of_their_own_may_make_one_store_at_once(tmp_path):
    uri = f"sqlite:///{tmp_path / 'one.db'}"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", KEEP_ONE, str(tmp_path / f"p{i}"), str(i)],
            env=os.environ | {"SAMKIT_HOME": str(tmp_path / f"home{i}"), "MLFLOW_TRACKING_URI": uri},
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    ids = {process.communicate(timeout=120)[0].strip() for process in started}
    assert all(process.returncode == 0 for process in started) and len(ids) == 2
    assert {run.run_id for run in RunStore(uri).runs()} == ids


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


def test_a_server_killed_during_a_delivery_gets_each_run_once(tmp_path, monkeypatch):
    """The store dies while the second of three runs is being sent: its run is begun there and holds no files."""
    port, folder, spool = free_port(), tmp_path / "server", Spool()
    folder.mkdir()
    bundles = [made_up_bundle(tmp_path / f"run{seed}", seed) for seed in range(4)]
    for bundle in bundles[:3]:
        spool.add(bundle)
    store = RunStore(f"http://127.0.0.1:{port}")
    with ExitStack() as server:
        server.enter_context(running_server(folder, port))
        send, sent = store.client().log_artifacts, []

        def killing(run_id, path):
            if run_id not in sent:
                sent.append(run_id)
            if len(sent) == 2:
                server.close()
            return send(run_id, path)

        with monkeypatch.context() as patch:
            patch.setattr(store.client(), "log_artifacts", killing)
            delivery = spool.deliver(store)
    assert len(delivery.delivered) == 1 and delivery.left == 2 and delivery.problem
    assert not keep_run(bundles[3], store).kept
    with running_server(folder, port):
        delivery = spool.deliver(store)
        assert len(delivery.delivered) == 3 and delivery.left == 0 and sent[1] in delivery.delivered
        assert all(len(runs_with_uuid(store, bundle.run_uuid)) == 1 for bundle in bundles)
        for run in store.runs():
            assert_same_run(store.load(run.run_id, tmp_path / run.run_id), int(run.name.removeprefix("run ")))


def test_homes_of_their_own_keep_one_run_once(bundle, tmp_path):
    """Several processes that share nothing but the store are handed the same run."""
    uri = f"sqlite:///{tmp_path / 'one.db'}"
    RunStore(uri).runs()
    code = KEEP_ONE.replace("made_up_bundle(Path(sys.argv[1]), int(sys.argv[2]))", "read_bundle(sys.argv[1])")
    code = "import os\nfrom samkit.tracking.bundle.bundle import read_bundle\n" + code
    homes = [os.environ | {"SAMKIT_HOME": str(tmp_path / f"home{i}"), "MLFLOW_TRACKING_URI": uri} for i in range(3)]
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(bundle.path)], env=home, stdout=subprocess.PIPE, text=True)
        for home in homes
    ]
    ids = {process.communicate(timeout=120)[0].strip() for process in started}
    assert len(ids) == 1 and len(runs_with_uuid(RunStore(uri), bundle.run_uuid)) == 1


def test_the_lock_of_a_run_lies_at_its_store(tmp_path, monkeypatch):
    uri, held = f"sqlite:///{tmp_path / 'one.db'}", threading.Event()
    monkeypatch.setattr(fresh_store, "LOCK_S", 0.2)
    with fresh_store.run_lock(uri, "ab" * 16):
        monkeypatch.setenv("SAMKIT_HOME", str(tmp_path / "another home"))
        with pytest.raises(Timeout), fresh_store.run_lock(uri, "ab" * 16):
            held.set()
    assert not held.is_set()


def test_who_begins_a_run_later_behind_a_server_takes_the_double_away(bundle, monkeypatch):
    """Both look before either has begun: the first look of this one finds nothing."""
    store = RunStore()
    client = store.client()
    monkeypatch.setattr(RunStore, "is_http", True)
    monkeypatch.setattr(store, "page_url", lambda *ids: None)
    experiment, look, looks = store.made_experiment_id(bundle.experiment), store._find, []
    tags = {"samkit.run_uuid": bundle.run_uuid, store_module.BEGUN: "1000"}
    first = client.create_run(experiment, run_name="of another home", tags=tags)
    monkeypatch.setattr(
        store, "_find", lambda run_uuid: looks.append(run_uuid) or ([] if len(looks) == 1 else look(run_uuid))
    )
    assert store.keep(bundle).run_id == first.info.run_id
    assert [run.info.run_id for run in runs_with_uuid(store, bundle.run_uuid)] == [first.info.run_id]


def test_a_uuid_is_kept_once_over_all_experiments(bundle):
    store = RunStore()
    kept = store.keep(bundle)
    bundle = changed(bundle, experiment="window-size")
    assert store.keep(bundle).run_id == kept.run_id and len(runs_with_uuid(store, bundle.run_uuid)) == 1


def test_a_run_that_upsets_the_store_is_set_aside_and_blocks_nothing(bundle, tmp_path, monkeypatch):
    spool, store = Spool(), RunStore()
    spool.add(bundle)
    spool.add(made_up_bundle(tmp_path / "second", 1))
    keep = store.keep

    def upset(waiting):
        if waiting.run_uuid == bundle.run_uuid:
            raise ValueError("not a time")
        return keep(waiting)

    monkeypatch.setattr(store, "keep", upset)
    delivery = spool.deliver(store)
    assert len(delivery.delivered) == 1 and delivery.left == 0
    (sentence,) = delivery.set_aside
    assert "'run 0'" in sentence and "not a time" in sentence and "broken" in sentence
    assert len(list((spool.folder / "broken").iterdir())) == 1


def test_half_runs_that_nobody_completes_are_taken_away(bundle, tmp_path):
    store, client = RunStore(), RunStore().client()
    whole = store.keep(bundle)

    def begin(uuid, **tags):
        return client.create_run(whole.experiment_id, tags={"samkit.run_uuid": uuid * 32, **tags}).info.run_id

    now = str(int(time.time() * 1000))
    left, failed, waits, fresh = (
        begin(uuid, **{store_module.BEGUN: began}) for uuid, began in (("a", "1"), ("b", "1"), ("c", "1"), ("d", now))
    )
    client.set_terminated(failed, "FAILED")
    foreign = client.create_run(client.create_experiment("somebody's own"), start_time=1).info.run_id
    assert set(store.remove_half_runs({"c" * 32}, 60)) == {left, failed}
    stage = {
        run_id: client.get_run(run_id).info.lifecycle_stage
        for run_id in (whole.run_id, left, failed, waits, fresh, foreign)
    }
    assert [run_id for run_id, each in stage.items() if each == "deleted"] == [left, failed]


def test_a_run_without_a_place_in_the_spool_is_kept_whole_or_not_at_all(bundle, monkeypatch):
    store = RunStore()

    def cut(*arguments):
        raise OSError("the line was cut")

    monkeypatch.setattr(Spool, "add", lambda *arguments: (_ for _ in ()).throw(StoreError("no room")))
    with monkeypatch.context() as patch:
        patch.setattr(store.client(), "log_artifacts", cut)
        with pytest.raises(StoreError, match="the line was cut"):
            keep_run(bundle, store)
    assert runs_with_uuid(store, bundle.run_uuid) == []
    assert keep_run(bundle, store).kept and len(runs_with_uuid(store, bundle.run_uuid)) == 1


def test_runs_of_one_millisecond_are_neighbours_in_the_order_of_their_list(tmp_path):
    store = RunStore()
    for seed, second in enumerate((1, 2, 2, 2, 3)):
        bundle = made_up_bundle(tmp_path / f"run{seed}", seed)
        store.keep(changed(bundle, created=f"2026-11-25T07:00:0{second}.000+00:00"))
    listed = search_runs(store).runs
    around = [(None, *listed)[:5], (*listed[1:], None)]
    assert [neighbours(store, EVERYTHING, run) for run in listed] == list(zip(*around, strict=True))
