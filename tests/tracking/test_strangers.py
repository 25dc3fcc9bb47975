"""Runs, stores and command lines of people who mean no good, or who made a mistake: each a sentence, nothing lost."""

import hashlib
import io
import json
import struct
import subprocess
import sys
import textwrap
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from samkit.errors import BadInput, StoreError
from samkit.settings import check_tracking_uri, tracking_uri
from samkit.tracking.bundle import checks, film_inputs
from samkit.tracking.bundle.archive import import_runs
from samkit.tracking.bundle.arrays import check_arrays, check_whole, read_arrays
from samkit.tracking.bundle.bundle import ARRAYS, read_bundle, zip_bundle
from samkit.tracking.bundle.record import parse_record
from samkit.tracking.store.keep import keep_run
from samkit.tracking.store.spool import Spool
from samkit.tracking.store.store import RunStore
from samkit.ui.state.store_state import store_place
from tests.tracking.conftest import made_up_bundle


def npz(path, *arrays: tuple[str, str, bytes]) -> None:
    """Arrays by (name, what the head says of their shape, content), float32."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, shape, content in arrays:
            head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
            head += b" " * (63 - (len(head) + 10) % 64) + b"\n"
            packed.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + content)


@pytest.mark.parametrize("shape", ["(1000000000000,)", "(2, 99999999999)", "(0,)", "(-1,)", "(1,)" * 2, "'a'"])
def test_an_array_that_is_not_as_large_as_it_says_is_a_sentence_before_room_is_made(tmp_path, shape):
    npz(tmp_path / "a.npz", ("a", shape, bytes(8)))
    with pytest.raises((BadInput, ValueError)):
        read_arrays(tmp_path / "a.npz")


def test_arrays_that_unpack_to_more_than_is_read_are_refused_by_their_heads(tmp_path):
    """1.2 MB that would be 1.6 GB, here with a smaller limit."""
    npz(tmp_path / "a.npz", *((name, "(262144,)", bytes(2**20)) for name in "abcd"))
    assert (tmp_path / "a.npz").stat().st_size < 20_000
    with pytest.raises(BadInput, match="its arrays unpack to more than 3.1 MB"):
        read_arrays(tmp_path / "a.npz", 3 * 2**20)
    assert len(read_arrays(tmp_path / "a.npz", 4 * 2**20)) == 4


def test_arrays_of_objects_and_two_of_one_name_are_refused(tmp_path):
    np.savez(tmp_path / "objects.npz", a=np.array([{}], object))
    with pytest.raises(BadInput, match="is none of numbers"):
        check_arrays(tmp_path / "objects.npz")
    with pytest.warns(UserWarning, match="Duplicate"):
        npz(tmp_path / "twice.npz", ("a", "(1,)", bytes(4)), ("a", "(1,)", bytes(4)))
    with pytest.raises(BadInput, match="two of one name"):
        check_arrays(tmp_path / "twice.npz")


@pytest.mark.parametrize("shape", ["(-2**62, 4)", "(1,) + (2,)", "(" * 3000])
def test_a_head_that_is_none_is_a_sentence_for_people(tmp_path, shape):
    npz(tmp_path / "head.npz", ("a", shape, bytes(4)))
    with pytest.raises(ValueError, match="^the head of 'a.npy' can't be read$"):
        check_arrays(tmp_path / "head.npz")


def test_a_damaged_array_is_found_without_holding_it(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.arange(1000))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[400] ^= 1
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises((BadInput, zipfile.BadZipFile)):
        check_whole(tmp_path / "a.npz")


def test_a_run_with_such_arrays_is_not_imported(tmp_path):
    folder = made_up_bundle(tmp_path / "run").path
    npz(folder / ARRAYS, ("logits", "(1000000000000,)", bytes(8)))
    sealed(folder)
    with pytest.raises(BadInput, match=r"can't be imported: its array 'logits.npy' says that it has 4,000,000,000,000"):
        import_runs(zip_bundle(read_bundle(folder), tmp_path / "run.zip"), tmp_path / "in")


def sealed(folder) -> None:
    """run.json tells the files as they are."""
    document = json.loads((folder / "run.json").read_text())
    for name in document["files"]:
        content = (folder / name).read_bytes()
        document["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (folder / "run.json").write_text(json.dumps(document))


@pytest.mark.parametrize(
    "name",
    ["a#b.png", "%2e%2e.png", "a%2fb.png", "a\r\nb.png", "a?b.png", "a:b.png", "a\tb.png", "a*b", "a\x7fb", "a\u202eb"],
)
def test_a_file_that_could_be_kept_and_never_read_is_refused(bundle, name):
    document = bundle.record.to_dict()
    document["files"] = document["files"] | {f"outputs/{name}": {"sha256": "0" * 64, "bytes": 1}}
    with pytest.raises(BadInput, match="is not a path in a run"):
        parse_record(document)


@pytest.mark.parametrize("name", ["a\r\nb", "# x", "%2e%2e/", "a\u2028b", "ä ö 猫"])
def test_a_run_of_any_name_is_kept_and_read_again(tmp_path, name):
    folder = made_up_bundle(tmp_path / "run").path
    document = json.loads((folder / "run.json").read_text()) | {"name": name}
    (folder / "run.json").write_text(json.dumps(document))
    store = RunStore()
    kept = store.keep(read_bundle(folder))
    assert store.load(kept.run_id, tmp_path / "again").name == name


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:////tmp/", "names no file"),
        ("sqlite:relative.db", "names no file"),
        ("sqlite:////tmp/a#b/mlflow.db", "a [?] or #"),
        ("ftp://example.org/x", "no kind of run store that is known here"),
        ("databricks", "no kind of run store that is known here"),
        ("./mlruns", "no kind of run store that is known here"),
        ("postgres", "no kind of run store that is known here"),
        ("http://", "names no server"),
        ("http://[", "names no server"),
        ("http://host:99999999", "names no server"),
    ],
)
def test_an_address_that_names_no_store_is_a_sentence_and_the_run_is_in_the_spool(bundle, uri, sentence, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(StoreError, match=sentence):
        check_tracking_uri(uri)
    with pytest.raises(StoreError, match=sentence):
        RunStore().runs()
    outcome = keep_run(bundle)
    assert not outcome.kept and "safe in the spool" in outcome.sentence and len(Spool().waiting()) == 1
    assert store_place(uri)


@pytest.mark.parametrize(
    "uri", ["sqlite:////a/b.db", "sqlite:////a/b.db?timeout=3", "postgresql+psycopg://u:p@h/d", "https://h.example/x"]
)
def test_other_addresses_are_taken(uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    check_tracking_uri(uri)


@pytest.mark.parametrize("home", ["a?b", "a#b"])
def test_a_home_that_a_database_address_cant_name_is_a_sentence(bundle, tmp_path, home, monkeypatch):
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path / home))
    with pytest.raises(StoreError, match="set SAMKIT_HOME, or MLFLOW_TRACKING_URI, to a folder without them"):
        check_tracking_uri(tracking_uri())
    assert "safe in the spool" in keep_run(bundle).sentence
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".db"] == []


@pytest.fixture(params=["{}", "[]", "null", "<html>", '{"experiments": 5}', '{"runs": [{}]}', "[" * 5000])
def nonsense(request):
    """A server that answers everything with one thing."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            content = request.param.encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_nonsense_from_a_server_is_a_sentence_and_the_run_stays(bundle, nonsense):
    store, spool = RunStore(nonsense), Spool()
    outcome = keep_run(bundle, store, spool)
    assert not outcome.kept and "safe in the spool" in outcome.sentence, outcome.sentence
    assert len(spool.waiting()) == 1
    delivery = spool.deliver(store)
    assert not delivery.delivered and len(spool.waiting()) == 1 and delivery.problem
    for ask in (lambda: store.runs(), lambda: store.find_run("0" * 32)):
        try:
            ask()
        except (StoreError, BadInput):
            pass


def command(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "samkit", *words], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--set", "side=" + "[" * 20_000], "nested too deeply"),
        (["--prompts", "/dev/zero"], "The prompts file /dev/zero can't be read"),
        (["--prompts", "/proc/self/mem"], "This is not JSON"),
        (["--mask", "/dev/zero"], "is a device or a pipe"),
        (["--mask", '{"counts": ' + "[" * 20_000], "not JSON"),
    ],
)
def test_a_command_that_would_read_for_ever_or_end_in_a_traceback_is_a_sentence(tmp_path, words, sentence):
    run = ["run", "mask-stability", "--model", "nano-sam2", "--image", "sample:coins", "--out", str(tmp_path / "out")]
    answer = command(*run, *words)
    assert answer.returncode == 2 and sentence in answer.stderr and "Traceback" not in answer.stderr, answer.stderr[
        -500:
    ]


RECORDER = """
    import socket, sys
    asked = []
    def record(name):
        real = getattr(socket, name, None) or getattr(socket.socket, name)
        def call(*arguments, **more):
            asked.append((name, str(arguments[-2:])[:100]))
            raise OSError("no network here")
        return call
    socket.getaddrinfo = record("getaddrinfo")
    socket.gethostbyname = record("getaddrinfo")
    socket.socket.connect = record("connect")
    socket.socket.connect_ex = record("connect")
    from pathlib import Path
    import samkit
    from samkit.tracking.store.keep import keep_run
    from samkit.tracking.bundle.bundle import read_bundle
    for name in sys.argv[1:]:
        assert keep_run(read_bundle(Path(name))).kept
    import time, threading
    from mlflow.telemetry.utils import is_telemetry_disabled
    assert is_telemetry_disabled()
    assert not [t for t in threading.enumerate() if "telemetry" in t.name.lower()], threading.enumerate()
    print(asked)
"""


def test_keeping_a_run_asks_nobody_else_for_anything(bundle, monkeypatch):
    """MLflow would tell its makers of each run; tests that run under CI would not see it."""
    for name in ("CI", "PYTEST_CURRENT_TEST", "GITHUB_ACTIONS", "MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        monkeypatch.delenv(name, raising=False)
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(RECORDER), str(bundle.path)], capture_output=True, text=True, timeout=120
    )
    assert answer.returncode == 0 and answer.stdout.strip() == "[]", answer.stdout + answer.stderr[-800:]


def test_an_archive_in_memory_is_taken_for_what_it_is(tmp_path):
    """A zip whose directory claims more than there is."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("run.json", "{}")
    content = packed.getvalue().replace(struct.pack("<I", 2), struct.pack("<I", 2**31 - 1))
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(BadInput):
        import_runs(tmp_path / "a.zip", tmp_path / "in")


def test_a_zip_that_is_packed_too_tightly_is_refused_before_it_is_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("run.json", "{}")
        archive.writestr("outputs/masks.json", bytes(17 * 2**20))
    with pytest.raises(BadInput, match="would unpack to more than 200 times its size"):
        import_runs(tmp_path / "a.zip", tmp_path / "in")
    assert not (tmp_path / "in").exists() or not list((tmp_path / "in").rglob("*.json"))


def test_pictures_and_memories_have_a_bound_on_their_pixels_together(tmp_path, monkeypatch):
    bundle = made_up_bundle(tmp_path / "run")
    monkeypatch.setattr(checks, "MAX_PIXELS", 2 * 24 * 40)
    with pytest.raises(BadInput, match="masks and pictures have more than"):
        checks.check_contents(bundle, "It")
    (bundle.path / film_inputs.PRIORS).write_text(json.dumps([{}] * 300))
    with pytest.raises(BadInput, match="no list of at most 256 memories"):
        film_inputs.memories(bundle.path)
