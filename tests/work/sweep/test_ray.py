"""Sweeps on a real Ray cluster of two nodes on this machine."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from samkit.errors import BadInput
from samkit.work.sweep import ray_engine
from samkit.work.sweep.cells import in_groups
from samkit.work.sweep.compute import CellComputer, WorkerSettings
from samkit.work.sweep.ray_cluster import Room, connected, room_on
from samkit.work.sweep.ray_cluster import _sentence as join_sentence
from samkit.work.sweep.ray_engine import RayEngine
from samkit.work.sweep.ray_worker import RayWorker
from samkit.work.sweep.results import OUTCOMES, find_sweep
from samkit.work.sweep.run import run_sweep
from samkit.work.sweep.travel import Unpacked, packed, paths_of, put_back, taken_out
from tests.work.sweep.tiny import CELLS, FILM, HELD, MANY, PAIRS, SPEC, make_files, make_films, sweep

ROOT = Path(__file__).parents[3]
STORE = 80 * 2**20
"""Bytes of a node's object store."""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # The memory that other tests take is no reason to end a worker.
    "RAY_memory_monitor_refresh_ms": "0",
    # Workers would wait for every other process of the machine, such as another test.
    "RAY_worker_niceness": "0",
}


@pytest.fixture(scope="module")
def cluster():
    """A cluster with a node of one core, which the tests' process has joined."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        patch.delenv("RAY_ADDRESS", raising=False)
        from ray.cluster_utils import Cluster

        # Ray writes the address of the last cluster there, and nobody else makes the folder.
        os.makedirs("/tmp/ray", exist_ok=True)
        # Sockets lie below it, and a socket's path is short.
        folder = tempfile.mkdtemp(prefix="r", dir="/tmp")
        node = dict(num_cpus=1, include_dashboard=False, object_store_memory=STORE, temp_dir=folder)
        made = Cluster(initialize_head=True, head_node_args=node)
        try:
            with connected(made.address):
                yield made
        finally:
            made.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def two_nodes(cluster):
    """The cluster with a second node, which a test may kill."""
    if not cluster.worker_nodes:
        cluster.add_node(num_cpus=1, object_store_memory=STORE)
    return cluster


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_files(tmp_path_factory.mktemp("sweep"))


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return make_films(tmp_path_factory.mktemp("films"))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path))


@pytest.fixture
def both_at_work(monkeypatch):
    """No worker is given anything before both are there; each of them fills a node."""
    fill = ray_engine._Hands._fill

    def filled(self):
        if not any(hand.hello is not None for hand in self._hands):
            fill(self)

    monkeypatch.setattr(ray_engine._Hands, "_fill", filled)


def on_ray(made, workers=2):
    return RayEngine(made.path, made.spec.keep, workers=workers, threads=1, device="cpu")


def told(outcomes):
    """All that was found out about each cell, but for times."""
    return {key: (each.status, each.run, each.metrics, each.facts, each.prompts) for key, each in outcomes.items()}


def masks(folder):
    return {path.name: path.read_bytes() for path in (folder / "masks").rglob("*.*")}


def test_pictures_films_and_pairs_on_two_nodes_are_to_the_bit_those_of_this_process(
    two_nodes, folder, films, both_at_work, tmp_path
):
    sweeps = [sweep(folder), sweep(films, FILM), sweep(films, PAIRS)]
    cells = [cell for made in sweeps for cell in made.cells]
    engine = RayEngine(tmp_path / "far", "masks", workers=2, threads=1, device="cpu")
    far = {outcome.cell: outcome for outcome in engine.run(cells) if outcome is not None}
    computer = CellComputer(WorkerSettings(str(tmp_path / "near"), "masks", 1))
    near = {
        cell.id: computer.outcome(cell) for made in sweeps for group in in_groups(made.cells) for cell in group.cells
    }
    assert told(far) == told(near) and far.keys() == {cell.id for cell in cells}
    assert {outcome.status for outcome in far.values()} == {"done"}
    assert masks(tmp_path / "far") == masks(tmp_path / "near") and len(masks(tmp_path / "far")) == len(cells)
    encoded = [key for cell in sweeps[0].cells for key in far[cell.id].encoded]
    assert len(sweeps[0].cells) == CELLS and len(encoded) == len(set(encoded)) == 2


def deadly(*cells):
    """A worker that dies on these cells."""

    class Deadly(RayWorker):
        def outcome(self, cell, inputs):
            if cell.id in cells:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().outcome(cell, inputs)

    return Deadly


def test_a_cell_on_which_workers_die_is_retried_and_fails_alone(cluster, folder, monkeypatch):
    made = sweep(folder)
    victim = list(in_groups(made.cells))[-1].cells[-1]
    monkeypatch.setattr(ray_engine, "RayWorker", deadly(victim.id))
    run_sweep(made, on_ray(made, workers=1))
    outcomes = made.outcomes()
    failed = [outcome for outcome in outcomes.values() if outcome.status == "failed"]
    assert [outcome.cell for outcome in failed] == [victim.id] and len(outcomes) == CELLS
    assert failed[0].tries == 2 and "2 workers were lost on this cell" in failed[0].reason


def power_off(node):
    """End a node's processes as a machine without power would."""
    raylet = node.all_processes["raylet"][0].process.pid
    children = Path(f"/proc/{raylet}/task/{raylet}/children").read_text().split()
    for pid in (str(raylet), *children):
        os.kill(int(pid), signal.SIGKILL)


def test_a_sweep_that_began_here_goes_on_there_though_a_node_is_lost(two_nodes, folder, both_at_work):
    made = sweep(folder, MANY)
    computer = CellComputer(WorkerSettings(str(made.path), "metrics", 1))
    with made.running() as file:
        for cell in made.cells[:3]:
            file.add(computer.outcome(cell))
    pictures = {cell.id: cell.case.picture.ref for cell in made.cells}
    seen, (node,) = set(), two_nodes.worker_nodes
    with made.running() as file, closing(on_ray(made).run(made.missing())) as outcomes:
        for outcome in filter(None, outcomes):
            file.add(outcome)
            seen.add(pictures[outcome.cell])
            if len(seen) == 2 and node is not None:
                # Each node computes one of the pictures' cells.
                power_off(node)
                two_nodes.remove_node(node, allow_graceful=False)
                node = None
    lines = (made.path / OUTCOMES).read_bytes().splitlines()
    found = made.outcomes()
    assert len(lines) == len(made.cells) == len(found)
    assert {outcome.status for outcome in found.values()} == {"done"}
    assert [outcome.tries for outcome in found.values()].count(2) == 1
    for cell in made.cells[-2:]:
        assert computer.outcome(cell).metrics == found[cell.id].metrics


def test_an_interrupted_command_loses_nothing(cluster, folder, tmp_path):
    (folder / "many.yaml").write_text(MANY)
    words = [str(folder / "many.yaml"), "--engine", "ray", "--address", cluster.address, "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-c", HELD, "sweep", *words],
        cwd=ROOT, env=os.environ | {"SAMKIT_HOME": str(tmp_path)},
        stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    said = []
    while (line := process.stderr.readline()) != "Held.\n":
        assert line, "it ended before it was held"
        said.append(line)
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=60)
    assert process.returncode == 130 and out == ""
    said += rest.splitlines()
    *others, stopped, _ = said
    assert others[0].startswith("Sweep ") and stopped.startswith("Stopped.")
    # On a busy machine it takes a minute until a worker is there, which is said, too.
    assert all(" cells" in line or line.startswith("No worker") for line in others), "nothing of Ray's own"
    made = find_sweep("latest")
    assert 0 < len(made.outcomes()) < len(made.cells) and made.state() == "stopped"


def test_a_worker_needs_no_file_but_those_that_are_sent(cluster, folder, tmp_path):
    import ray

    away = make_files(tmp_path)
    made = sweep(away, SPEC + "keep: all\n")
    cells = made.cells
    assert {path.name for path in paths_of(cells[0]).values()} == {"0.png", "tiny.safetensors"}
    sent = {text: ray.put(packed(path)) for cell in cells for text, path in paths_of(cell).items()}
    for name in ("photos", "masks", "tiny.safetensors"):
        (away / name).rename(away / f"{name}.away")
    worker = RayWorker(WorkerSettings("", "all", 1))
    replies = [worker.outcome(cell, sent) for cell in cells[:2]]
    assert [reply.outcome.status for reply in replies] == ["done", "done"]
    put_back(made.path, replies[0].files)
    assert (made.path / "runs" / cells[0].id[:2] / cells[0].id / "run.json").is_file()
    assert worker.outcome(cells[0], sent | {cells[0].case.picture.ref: "Why."}).outcome.metrics
    worker.close()


def test_what_is_not_sent_is_not_found_under_its_path_either(tmp_path):
    (tmp_path / "here.png").write_bytes(b"another one")
    (tmp_path / "film").mkdir()
    (tmp_path / "film" / "1.jpg").write_bytes(b"x")
    unpacked = Unpacked(tmp_path / "unpacked")
    assert not Path(unpacked.place(str(tmp_path / "here.png"))).exists()
    assert unpacked.place("nano-sam1") == "nano-sam1"
    unpacked.add("/far/film", packed(tmp_path / "film"))
    film = Path(unpacked.place("/far/film"))
    assert (film / "1.jpg").read_bytes() == b"x"
    assert unpacked.as_named(f"{film}/1.jpg is no picture.") == "/far/film/1.jpg is no picture."
    unpacked.add("/far/höhle", packed(tmp_path / "film"))
    in_json = json.dumps({"place": unpacked.place("/far/höhle")})
    assert json.loads(unpacked.as_named(in_json)) == {"place": "/far/höhle"}
    with pytest.raises(BadInput, match="can't be read on the machine where the sweep runs"):
        packed(tmp_path / "nowhere.png")
    unpacked.add_missing("/far/lost.png", "It was lost.")
    with pytest.raises(BadInput, match="It was lost"):
        unpacked.place("/far/lost.png")


def test_files_that_come_back_are_whole_or_not_there(tmp_path):
    made, there = tmp_path / "made", tmp_path / "there"
    for name in ("masks/ab/abcd.png", "runs/ab/abcd/run.json", "runs/ab/abcd/masks/0.png"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(name.encode())
    files = taken_out(made)
    assert list(made.iterdir()) == []
    for _ in range(2):
        put_back(there, files)
    found = {str(path.relative_to(there)): path.read_bytes() for path in there.rglob("*") if path.is_file()}
    assert found == files and len(found) == 3


@pytest.mark.parametrize(
    ("nodes", "asked", "given"),
    [
        ([8, 8], (None, None, "cpu"), Room(8, 2, 2, 0)),
        ([8, 8], (3, None, "cpu"), Room(3, 4, 4, 0)),
        ([1, 1], (None, None, "cpu"), Room(2, 1, 1, 0)),
        ([2, 2], (None, 4, "cpu"), Room(2, 4, 2, 0)),
        ([0, 8], (None, None, "auto"), Room(4, 2, 2, 0)),
        ([(16, 2), 8], (None, None, "auto"), Room(2, 2, 2, 1)),
        ([(16, 2), 8], (4, None, "cuda"), Room(4, 2, 2, 0.5)),
        ([(1, 1)], (None, None, "auto"), Room(1, 1, 1, 1)),
        ([(16, 2)], (None, None, "cpu"), Room(8, 2, 2, 0)),
    ],
)
def test_room(nodes, asked, given):
    resources = [
        dict(zip(("CPU", "GPU"), node if isinstance(node, tuple) else (node,), strict=False)) for node in nodes
    ]
    assert room_on(resources, *asked) == given


def free_port():
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("ray://head:10001", "on a machine of the cluster"),
        ("head", "write HOST:PORT"),
        ("head:0", "write HOST:PORT"),
        ("127.0.0.1:FREE", "No Ray cluster answers at 127.0.0.1"),
    ],
)
def test_a_wrong_address_is_answered_with_a_sentence(address, sentence):
    with pytest.raises(BadInput, match=sentence), connected(address.replace("FREE", str(free_port()))):
        pass


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_what_answers_but_is_no_cluster_is_not_tried_for_minutes(answer):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with server.accept()[0] as opened:
                opened.recv(100)
                opened.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(BadInput, match="is no Ray cluster"), connected(f"127.0.0.1:{server.getsockname()[1]}"):
            pass
        thread.join()


def test_without_ray_or_with_another_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BadInput, match="pip install -r requirements-ray.txt"), connected():
        pass
    mismatch = (
        "Version mismatch: The cluster was started with:\n    Ray: 2.49.0\n    Python: 3.11.9\n"
        "This process on 10.0.0.2 was started with:\n    Ray: 2.60.0\n    Python: 3.11.2\n"
    )
    assert "runs Ray: 2.49.0, Python: 3.11.9, and this machine Ray: 2.60.0, Python: 3.11.2" in join_sentence(
        "head:6379", mismatch
    )
