"""A sweep in the run store: one run with its spec, figures, table and report, and below it the runs of cells that are
kept whole.

The sweep's folder is what waits until the store has all of it. What is in the store is found there by the sweep's own
uuid and by those of its cells, so that an end in the middle, even by `kill -9`, loses nothing and doubles nothing.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from samkit.errors import BadInput, StoreError
from samkit.scratch import scratch
from samkit.tracking.bundle.bundle import RUN_JSON, read_bundle
from samkit.tracking.bundle.record import read_record
from samkit.tracking.store.parent import PARENT, children, keep_parent
from samkit.tracking.store.store import Below, KeptRun, RunStore, without_password
from samkit.tracking.store.tags import FACT
from samkit.work.sweep.compute import run_folder
from samkit.work.sweep.parent_run import parent_run
from samkit.work.sweep.results import OUTCOMES, Outcome, SweepFolder, find_sweep, sweep_names, sweeps_folder

_log = logging.getLogger(__name__)
WANTED, SENT, SENDING = "keep", "kept.json", "sending.lock"
"""Files in a sweep's folder: it is to be in the store; what is in which store; held by who sends it."""
PROBE_S = 0.8
OF_OBJECT = ("size", "true_area_px")
"""Facts that a sweep knows of an object, and a single run does not."""
Told = Callable[[int, int], None]
"""Is told how many runs of cells are in the store, of how many."""


@dataclass(frozen=True)
class SweepKept:
    """run: None where the store did not take all of it; children: runs of cells that are in the store; sentence: what
    happened, for a person
    """

    run: KeptRun | None
    children: int
    sentence: str


def want_kept(sweep: SweepFolder) -> None:
    """From here on the sweep is sent by whoever delivers what waits, also where this process ends before it could."""
    with suppress(OSError):  # A full disk stops the sweep itself.
        (sweep.path / WANTED).touch()


def is_wanted(sweep: SweepFolder) -> bool:
    """Whether the sweep is to be in the store."""
    return (sweep.path / WANTED).exists()


def keep_sweep(sweep: SweepFolder, store: RunStore | None = None, told: Told | None = None) -> SweepKept:
    """Put what is known of the sweep into the store, as one run however often that is done, and the runs of its cells
    below it. What the store does not take waits in the sweep's folder until `deliver_sweeps`.
    """
    store = store or RunStore()
    want_kept(sweep)
    try:
        if not store.reachable(PROBE_S):
            return _waits(sweep, "does not answer")
        with FileLock(sweep.path / SENDING, timeout=0):
            return _sent(sweep, store, told)
    except Timeout:
        return SweepKept(None, 0, f"Another process is sending the sweep {sweep.id} to the run store.")
    except StoreError as error:
        return _waits(sweep, f"refused it ({error})")
    except OSError as error:
        return _waits(sweep, f"could not be sent it ({error.strerror or error})")


def _waits(sweep: SweepFolder, problem: str) -> SweepKept:
    sentence = (
        f"The run store {problem}. The sweep {sweep.id} is safe in its folder and is sent when the store is back, by "
        "`python -m samkit runs deliver` or the next start of the app."
    )
    return SweepKept(None, 0, sentence)


def waiting_sweeps(store: RunStore | None = None) -> list[str]:
    """Ids of the sweeps that are to be in the store, rest, and have outcomes that it does not have."""
    store = store or RunStore()
    waiting = []
    for name in sweep_names():
        folder = sweeps_folder() / name
        if (folder / WANTED).exists() and _size(folder) not in (0, _sent_size(folder, store)):
            with suppress(BadInput):
                sweep = SweepFolder(folder)
                if not sweep.is_running:
                    waiting.append(name)
    return waiting


def deliver_sweeps(store: RunStore | None = None, told: Callable[[str], None] | None = None) -> list[SweepKept]:
    """Send every sweep that waits. told: is told the id of each before"""
    store = store or RunStore()
    kept = []
    for name in waiting_sweeps(store):
        if told is not None:
            told(name)
        try:
            kept.append(keep_sweep(find_sweep(name), store))
        except Exception as error:
            # Whatever one sweep does to the store's software, the ones behind it are sent.
            _log.exception("the sweep %s could not be sent", name)
            kept.append(SweepKept(None, 0, f"The sweep {name} can't be put into the store ({type(error).__name__})."))
    return kept


def _sent(sweep: SweepFolder, store: RunStore, told: Told | None) -> SweepKept:
    # What is appended from here on is sent the next time.
    size = _size(sweep.path)
    outcomes = sweep.outcomes()
    with scratch("sweep") as folder:
        parent = keep_parent(store, parent_run(sweep, Path(folder)))
    count = _send_children(sweep, parent, outcomes, store, told) if sweep.spec.keep == "all" else 0
    _note_sent(sweep.path, store, size, parent.run_id)
    below = f", with {count:,} runs below it" if count else ""
    return SweepKept(parent, count, f"The sweep {sweep.id} is kept as run {parent.run_id}{below}.")


def _send_children(
    sweep: SweepFolder, parent: KeptRun, outcomes: dict[str, Outcome], store: RunStore, told: Told | None
) -> int:
    there = children(store, parent)
    uuids = {
        cell: _child_uuid(sweep, cell)
        for cell, outcome in outcomes.items()
        if outcome.status == "done" and (run_folder(sweep.path, cell) / RUN_JSON).is_file()
    }
    missing = [cell for cell, uuid in uuids.items() if uuid not in there]
    for number, cell in enumerate(missing):
        if told is not None:
            told(len(uuids) - len(missing) + number, len(uuids))
        _send_child(run_folder(sweep.path, cell), uuids[cell], parent, outcomes[cell], sweep.id, store)
    if told is not None and missing:
        told(len(uuids), len(uuids))
    return len(uuids)


def _send_child(place: Path, uuid: str, parent: KeptRun, outcome: Outcome, sweep: str, store: RunStore) -> None:
    """The run of a cell under an id of its own: the same cell of another sweep, or the same run by itself, is another
    run in the store.
    """
    with scratch("child") as folder:
        copy = Path(folder) / "run"
        _linked(place, copy)
        document = read_record(copy).to_dict() | {"run_uuid": uuid}
        (copy / RUN_JSON).write_text(json.dumps(document), encoding="utf-8")
        tags = {PARENT: parent.run_id, "samkit.sweep": sweep, "samkit.cell": outcome.cell}
        tags |= {f"{FACT}{name}": str(outcome.facts[name]) for name in OF_OBJECT if name in outcome.facts}
        store.keep(read_bundle(copy), below=Below(tags, outcome.metrics))


def _linked(source: Path, target: Path) -> None:
    """A copy of a run's folder that takes no room where the disk has links; run.json is one to write to."""
    for file in source.rglob("*"):
        if file.is_file():
            to = target / file.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            if file.name == RUN_JSON:
                to.write_bytes(file.read_bytes())
                continue
            try:
                os.link(file, to)
            except OSError:
                to.write_bytes(file.read_bytes())


def _child_uuid(sweep: SweepFolder, cell: str) -> str:
    return hashlib.blake2b(f"{sweep.id}\n{sweep.created}\n{cell}".encode(), digest_size=16).hexdigest()


def _size(folder: Path) -> int:
    try:
        return (folder / OUTCOMES).stat().st_size
    except OSError:
        return 0


def _store_key(store: RunStore) -> str:
    return without_password(store.uri)


def _read_sent(folder: Path) -> dict[str, dict[str, object]]:
    try:
        sent = json.loads((folder / SENT).read_bytes())
    except (OSError, ValueError):
        return {}
    return sent if isinstance(sent, dict) else {}


def _sent_size(folder: Path, store: RunStore) -> object:
    """Bytes of outcomes that this store has; None where it has none."""
    entry = _read_sent(folder).get(_store_key(store))
    return entry.get("bytes") if isinstance(entry, dict) else None


def kept_as(sweep: SweepFolder, store: RunStore | None = None) -> str | None:
    """The id of its run in the store; None where it is not there, or not yet."""
    entry = _read_sent(sweep.path).get(_store_key(store or RunStore()))
    run_id = entry.get("run_id") if isinstance(entry, dict) else None
    return run_id if isinstance(run_id, str) else None


def _note_sent(folder: Path, store: RunStore, size: int, run_id: str) -> None:
    sent = _read_sent(folder) | {_store_key(store): {"bytes": size, "run_id": run_id}}
    part = folder / f"{SENT}.part"
    # Where this can't be written the sweep is sent once more, which changes nothing in the store.
    with suppress(OSError):
        part.write_text(json.dumps(sent), encoding="utf-8")
        os.replace(part, folder / SENT)
