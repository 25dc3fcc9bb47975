"""Joining a Ray cluster, or starting Ray on this machine alone, and what there is room for."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from samkit.errors import BadInput
from samkit.scratch import process_folder
from samkit.work.sweep.local import cores
from samkit.work.sweep.ray_worker import samkit_folder

HERE = "local"
"""The address of a Ray of our own on this machine."""
ANSWER_S = 5.0
HTTP2_HEAD, HTTP2_SETTINGS = 9, 4
"""Bytes of a frame's head, and the type of the frame that comes first."""
HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, HTTP2_SETTINGS, 0, 0, 0, 0, 0])
USUAL_THREADS = 2
MAX_TEMP_PATH = 36
"""Characters: Ray's sockets lie some 65 further down, and a socket's path has at most 107."""


@contextmanager
def connected(address: str | None = None) -> Iterator[None]:
    """Ray for a `with` block; where it is joined already, that one. Raises BadInput with a sentence.

    address: HOST:PORT of a cluster to which this machine belongs, or auto for the one that runs on it; None: what
             RAY_ADDRESS says, else Ray is started on this machine and ends with the block
    """
    # Before the import: Ray reads it there.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError:
        raise BadInput(
            "The package ray is not installed: run `pip install -r requirements-ray.txt`, or leave --engine out."
        ) from None
    wanted = address or os.environ.get("RAY_ADDRESS", "").strip() or HERE
    _check_address(wanted)
    if ray.is_initialized():
        yield
        return
    with _own_signals():
        _join(wanted)
    try:
        yield
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    if address in (HERE, "auto"):
        return
    if "://" in address:
        raise BadInput(
            f"{address[:200]} is an address of Ray's client, which sweeps don't use: run the command on a machine of "
            "the cluster, with --address HOST:PORT as `ray start` prints it."
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise BadInput(
            f"{address[:200]} is no address of a cluster: write HOST:PORT, as `ray start` prints it, or auto."
        )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_S) as opened:
            answers = os.environ.get("RAY_USE_TLS", "0") != "0" or _is_grpc(opened)
    except (OSError, UnicodeError) as error:
        raise BadInput(
            f"No Ray cluster answers at {address[:200]} ({getattr(error, 'strerror', None) or error}): check the "
            "address, and whether `ray start --head` still runs there."
        ) from error
    if not answers:
        raise BadInput(f"What answers at {address[:200]} is no Ray cluster: give the port that `ray start` prints.")


def _is_grpc(opened: socket.socket) -> bool:
    """Whether the other end speaks the protocol that Ray's head does: Ray itself would try for minutes."""
    opened.sendall(HTTP2_HELLO)
    answer = b""
    while len(answer) < HTTP2_HEAD and (more := opened.recv(HTTP2_HEAD - len(answer))):
        answer += more
    return len(answer) == HTTP2_HEAD and answer[3] == HTTP2_SETTINGS


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray sets a handler of its own for the signal that asks a process to end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _join(address: str) -> None:
    import ray

    options: dict[str, Any] = {}
    if address == HERE:
        # Else everything else on the machine goes before the sweep.
        os.environ.setdefault("RAY_worker_niceness", "0")
        folder = process_folder() / "r"
        options = {"num_cpus": cores(), "include_dashboard": False}
        if len(str(folder)) <= MAX_TEMP_PATH:
            options["_temp_dir"] = str(folder)
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=True,
            runtime_env={"py_modules": [str(samkit_folder())], "excludes": ["**/__pycache__/**"], "env_vars": _env()},
            **options,
        )
    except (RuntimeError, ConnectionError, ValueError, TimeoutError, OSError, ray.exceptions.RayError) as error:
        if ray.is_initialized():
            ray.shutdown()
        raise BadInput(_sentence(address, str(error))) from error
    _silence()


def _env() -> dict[str, str]:
    """What moves the last digits, and is to be the same everywhere."""
    return {name: os.environ[name] for name in ("SAMKIT_PACKED",) if name in os.environ}


def _silence() -> None:
    """Ray prints the last lines of a lost node's log, which say nothing to a person; there is no setting for it."""
    from ray._private import worker

    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *_, **__: None


def _sentence(address: str, error: str) -> str:
    if "Version mismatch" in error:
        lines = [line.strip() for line in error.splitlines()]
        found = [", ".join(line for line in part if line.startswith(("Ray:", "Python:"))) for part in _halves(lines)]
        return (
            f"The cluster at {address} runs {found[0]}, and this machine {found[1]}: all machines of a cluster need "
            "the same versions."
        )
    if address == "auto":
        return "No Ray cluster runs on this machine: run `ray start --address HOST:PORT` first, or leave --address out."
    reason = " ".join(error.split())[:300] or "it gave no reason"
    if address == HERE:
        return f"Ray could not be started on this machine ({reason})."
    return (
        f"The Ray cluster at {address} could not be joined ({reason}). The machine where a sweep runs must belong to "
        f"the cluster: run `ray start --address {address} --num-cpus 0` here first."
    )


def _halves(lines: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    at = next((index for index, line in enumerate(lines) if line.startswith("This process")), len(lines))
    return lines[:at], lines[at:]


@dataclass(frozen=True)
class Room:
    """What each worker is given, and how many there are. cpus, gpus: that Ray sets aside for each; threads: that torch
    computes with in each
    """

    workers: int
    threads: int
    cpus: float
    gpus: float


def room(workers: int | None, threads: int | None, device: str) -> Room:
    """For the cluster that was joined. Where nothing is said, every two cores have a worker, or where there are GPUs
    each of these.
    """
    import ray

    return room_on([node["Resources"] for node in ray.nodes() if node["Alive"]], workers, threads, device)


def room_on(nodes: Sequence[dict[str, float]], workers: int | None, threads: int | None, device: str) -> Room:
    """As `room`; nodes: CPU and GPU of each."""
    cpus = [int(node.get("CPU", 0)) for node in nodes]
    gpus = 0 if device in ("cpu", "mps") else int(sum(node.get("GPU", 0) for node in nodes))
    if gpus:
        with_gpu = [node for node in nodes if node.get("GPU", 0)]
        count = workers or gpus
        share = 1.0 if count <= gpus else 1 / -(-count // gpus)
        # Its cores are no fewer than what its GPUs' workers can have together.
        most = min(int(node.get("CPU", 0) * share / node["GPU"]) for node in with_gpu)
        own = threads or max(1, min(USUAL_THREADS, most))
        return Room(count, own, max(0, min(own, most)), share)
    largest = max(cpus, default=0)
    if threads is None:
        counts = range(max(1, largest), 0, -1) if workers else range(min(USUAL_THREADS, max(1, largest)), 0, -1)
        enough = (count for count in counts if sum(each // count for each in cpus) >= (workers or 1))
        threads = next(enough, 1)
    # Ray would wait for ever for a node with more than there are.
    asked = max(1, min(threads, largest))
    return Room(workers or max(1, sum(each // asked for each in cpus)), threads, asked, 0)
