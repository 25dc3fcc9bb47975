"""Results without a model behind them, and real stores: SQLite, an MLflow server over HTTP, PostgreSQL."""

import os
import shutil
import subprocess
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from samkit.experiments.inputs import Inputs
from samkit.experiments.mask_stability import Params
from samkit.experiments.result import Mask, Result, higher, neutral
from samkit.media.pictures import Picture
from samkit.prompts import Prompts
from samkit.tracking.bundle.bundle import Bundle, write_bundle
from samkit.tracking.bundle.record import parse_record
from tests.made_up_model import made_up_info
from tools.running_app import free_port, running_mlflow

MODEL = made_up_info()


def made_up_result(seed: int = 0) -> tuple[Result, Inputs]:
    """A result of every kind of content: 2 masks, a picture, arrays, metrics, facts, a table."""
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (24, 40, 3), dtype=np.uint8)
    masks = {"mask_0": Mask(rng.random((24, 40)) > 0.5), "mask_chosen": Mask(np.zeros((24, 40), bool))}
    result = Result(
        "mask-stability",
        Params(lower_threshold=-2.0, jitter_copies=4),
        images={"band": rgb[::-1].copy()},
        masks=masks,
        arrays={"logits": rng.normal(size=(4, 6, 6)).astype(np.float32)},
        metrics={"predicted_iou": higher(0.5 + seed, key=True), "area_px": neutral(12)},
        facts={"mask_index": 2, "grid": "6 x 6"},
        tables={"curve": [{"x": 0.0, "y": 1.0}]},
        timings={"encode_ms": 12.5},
    )
    return result, Inputs(Picture(rgb, "noise.png"), Prompts(points=[(0.5, 0.5, 1)], boxes=[(0.1, 0.1, 0.9, 0.8)]))


def made_up_bundle(folder: Path, seed: int = 0, **more) -> Bundle:
    result, inputs = made_up_result(seed)
    return write_bundle(
        folder,
        result=result,
        inputs=inputs,
        model_info=MODEL,
        device="cpu",
        dtype="float32",
        name=f"run {seed}",
        note="a note",
        **more,
    )


def changed(bundle: Bundle, **entries) -> Bundle:
    """The run with other entries in its record; its files stay as they are."""
    return replace(bundle, record=parse_record(bundle.record.to_dict() | entries))


@pytest.fixture
def bundle(tmp_path) -> Bundle:
    return made_up_bundle(tmp_path / "bundle")


@pytest.fixture(autouse=True)
def own_home(home_with_store) -> Path:
    """All tests here have a home of their own."""
    return home_with_store


def running_server(folder: Path, port: int | None = None, database: str | None = None, more: tuple[str, ...] = ()):
    """A real MLflow server that hands artifacts through to a folder of its own; a context manager that gives its URL.

    database: its backend store; default: a SQLite file. more: further arguments
    """
    database = database or f"sqlite:///{folder / 'server.db'}"
    return running_mlflow(
        "server",
        ["--backend-store-uri", database, "--artifacts-destination", str(folder / "artifacts"), *more],
        folder,
        port,
    )


@pytest.fixture(scope="module")
def http_uri(tmp_path_factory, postgres_uri):
    """A server over a PostgreSQL database of its own."""
    import psycopg

    with psycopg.connect(postgres_uri, autocommit=True) as connection:
        connection.execute("CREATE DATABASE served")
    with running_server(
        tmp_path_factory.mktemp("server"), database=postgres_uri.replace("/postgres", "/served")
    ) as url:
        yield url


@pytest.fixture(scope="module")
def postgres_uri():
    """A PostgreSQL server of its own in a temporary folder. It refuses to run as root, so root hands it to the user
    postgres.

    Not below pytest's folder: any other pytest that starts closes that to all users but its own, and the server could
    not be stopped.
    """
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    where = programs[-1].parent if programs else Path(shutil.which("initdb") or "/nowhere/initdb").parent
    assert (where / "initdb").exists(), (
        "These tests need PostgreSQL. On Debian and Ubuntu: `apt-get install postgresql`."
    )
    folder, port = Path(tempfile.mkdtemp(prefix="samkit-postgres-")), free_port()
    as_user = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]
    data = folder / "data"
    run = {"cwd": folder, "check": True, "capture_output": True}
    subprocess.run([*as_user, where / "initdb", "-D", data, "-U", "samkit", "--auth", "trust", "-E", "UTF8"], **run)
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    subprocess.run(
        [*as_user, where / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start"],
        **run | {"capture_output": False},
    )
    try:
        yield f"postgresql://samkit@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*as_user, where / "pg_ctl", "-D", data, "-m", "immediate", "stop"], **run)
        shutil.rmtree(folder)


def patience_of(monkeypatch, thread_name: str) -> list[float | None]:
    """For how long callers were ready to wait for threads whose names begin so, in seconds, oldest first; None: for as
    long as it takes.
    """
    waits: list[float | None] = []
    join = threading.Thread.join

    def joined(thread: threading.Thread, timeout: float | None = None) -> None:
        if thread.name.startswith(thread_name):
            waits.append(timeout)
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", joined)
    return waits
