"""Runs wait here until the store has all of them, each a bundle in a folder of its own, and are delivered exactly once.

A run is put here before anything is sent, so that an end in the middle of it, even by `kill -9`, loses nothing: the
next start finds the run and sends it again.
"""

import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from samkit.errors import BadInput, StoreError
from samkit.settings import spool_folder
from samkit.tracking.bundle.bundle import Bundle, read_bundle
from samkit.tracking.bundle.record import read_record
from samkit.tracking.store.store import RunStore

_log = logging.getLogger(__name__)
WAITING, BROKEN, REASONS, SENT, PART = "waiting", "broken", "reasons", ".sent", ".part"
ABANDONED_S = 3600
LOCK_S = 120


@dataclass(frozen=True)
class Delivery:
    """delivered: run ids; set_aside: a sentence for each run that is damaged; left: how many still wait; problem: why,
    if something stopped it.
    """

    delivered: tuple[str, ...]
    set_aside: tuple[str, ...]
    left: int
    problem: str | None = None


@dataclass(frozen=True)
class WaitingRun:
    """created: as run.json says it; bytes: of all its files; problem: why it waits."""

    run_uuid: str
    name: str
    experiment: str
    created: str
    bytes: int
    problem: str


class Spool:
    """One folder of waiting runs; any number of processes may use it."""

    def __init__(self, folder: Path | None = None):
        self.folder = folder or spool_folder()

    def add(self, bundle: Bundle) -> Path:
        """Copy a run into the spool; it appears there whole or not at all."""
        return self.add_all([bundle])[0]

    def add_all(self, bundles: Sequence[Bundle]) -> list[Path]:
        """Copy runs into the spool: all of them, or `StoreError` and none. A kill in the middle leaves whole runs
        there, or none.
        """
        targets, copies = [self.folder / WAITING / bundle.run_uuid for bundle in bundles], {}
        try:
            (self.folder / WAITING).mkdir(parents=True, exist_ok=True)
            for bundle, target in zip(bundles, targets, strict=True):
                if target not in copies and not target.exists():
                    copies[target] = self.folder / f".{bundle.run_uuid}.{uuid.uuid4().hex[:8]}{PART}"
                    shutil.copytree(bundle.path, copies[target])
            for target, copy in copies.items():
                _appear(copy, target)
        except (OSError, shutil.Error) as error:
            for copy in copies.values():
                shutil.rmtree(copy, ignore_errors=True)
            raise StoreError(
                f"Nothing could be kept for later in {self.folder} either ({_reason_text(error)}). Free some space and "
                "keep it again."
            ) from error
        return targets

    def waiting(self) -> tuple[Path, ...]:
        """Folders of the runs that wait, oldest first."""
        folders = []
        for path in (self.folder / WAITING).glob("*"):
            try:
                folders.append((path.stat().st_mtime, path))
            except FileNotFoundError:
                continue  # another process has delivered it between the two looks
        return tuple(path for _, path in sorted(folders))

    def entries(self) -> tuple[WaitingRun, ...]:
        """What waits and why, oldest first."""
        entries = []
        for path in self.waiting():
            with suppress(FileNotFoundError):  # delivered between the two looks
                size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
                try:
                    record = read_record(path)
                    name, experiment, created = record.name, record.experiment, record.created
                except BadInput:
                    if not path.is_dir():
                        continue
                    name, experiment, created = path.name, "", ""
                entries.append(WaitingRun(path.name, name, experiment, created, size, self._reason(path.name)))
        return tuple(entries)

    def explain(self, run_uuid: str, problem: str) -> None:
        """Say why a run waits."""
        with suppress(OSError):  # a full disk has room for the run, but not for the reason
            (self.folder / REASONS).mkdir(parents=True, exist_ok=True)
            (self.folder / REASONS / run_uuid).write_text(problem)

    def _reason(self, run_uuid: str) -> str:
        try:
            return (self.folder / REASONS / run_uuid).read_text()
        except FileNotFoundError:
            return "It is being sent, or sending it was cut short."

    @contextmanager
    def sending(self, run_uuid: str, patience_s: float = LOCK_S) -> Iterator[None]:
        """While one process sends a run, no other does. The lock ends with the process. Raises filelock's Timeout."""
        place = self.folder / ".locks" / f"send-{run_uuid[:2]}.lock"
        place.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(place, timeout=patience_s):
            yield

    def remove(self, run_uuid: str) -> None:
        """The store has all of it."""
        # Out of sight in one step: a removal cut short must not look like a damaged run.
        gone = self.folder / f".{run_uuid}{SENT}"
        with suppress(FileNotFoundError):
            os.replace(self.folder / WAITING / run_uuid, gone)
        shutil.rmtree(gone, ignore_errors=True)
        (self.folder / REASONS / run_uuid).unlink(missing_ok=True)

    def deliver(self, store: RunStore, progress: Callable[[int, int], None] | None = None) -> Delivery:
        """Send every waiting run to the store. A run is removed only after the store has all of it; one that is there
        already is not sent again.

        A run that the store refuses stays and is named in `problem`; the ones behind it are sent all the same.
        """
        self._tidy()
        if not self.waiting():
            return Delivery((), (), 0)
        try:
            with FileLock(self.folder / "deliver.lock", timeout=0):
                return self._deliver(store, progress)
        except Timeout:
            return Delivery((), (), len(self.waiting()), "Another process is delivering them at this moment.")

    def _deliver(self, store: RunStore, progress: Callable[[int, int], None] | None) -> Delivery:
        delivered: list[str] = []
        set_aside: list[str] = []
        problem = None
        paths = self.waiting()
        if not store.reachable():
            return Delivery((), (), len(paths), "The store does not answer yet.")
        for index, path in enumerate(paths):
            if progress:
                progress(index, len(paths))
            try:
                with self.sending(path.name, 0):
                    sentence = self._deliver_one(store, path, delivered, set_aside)
            except Timeout:
                continue  # its own page is sending it at this moment
            if sentence:
                problem = sentence
                if not store.reachable():
                    break
        return Delivery(tuple(delivered), tuple(set_aside), len(self.waiting()), problem)

    def _tidy(self) -> None:
        """Remove what an end in the middle of something left: runs that are in the store, and copies that nobody works
        on any more.
        """
        for left in (*self.folder.glob(f".*{SENT}"), *self.folder.glob(f".*{PART}")):
            with suppress(FileNotFoundError):
                if left.suffix == SENT or time.time() - left.stat().st_mtime > ABANDONED_S:
                    shutil.rmtree(left, ignore_errors=True)

    def _deliver_one(self, store: RunStore, path: Path, delivered: list[str], set_aside: list[str]) -> str | None:
        """Why the store did not take it, if it did not."""
        if not path.exists():
            return None
        try:
            bundle = read_bundle(path)
        except BadInput as error:
            self._set_aside(path, str(error), set_aside)
            return None
        try:
            delivered.append(store.keep(bundle).run_id)
        except StoreError as error:
            self.explain(path.name, str(error))
            return str(error)
        except Exception as error:
            # Whatever one run does to the store's software, the ones behind it are sent.
            _log.exception("run %s could not be delivered", path.name)
            self._set_aside(
                path,
                f"The run {bundle.name!r} can't be put into the store ({type(error).__name__}: {str(error)[:200]}).",
                set_aside,
            )
            return None
        self.remove(path.name)
        return None

    def _set_aside(self, path: Path, why: str, set_aside: list[str]) -> None:
        place = self.folder / BROKEN / f"{path.name}-{uuid.uuid4().hex[:8]}"
        place.parent.mkdir(exist_ok=True)
        os.replace(path, place)
        (self.folder / REASONS / path.name).unlink(missing_ok=True)
        set_aside.append(f"{why} It was set aside in {place}.")


def _appear(copy: Path, target: Path) -> None:
    """A copy becomes a waiting run; where another process was faster, it already is one."""
    try:
        os.replace(copy, target)
    except OSError:
        if not target.exists():
            raise
        shutil.rmtree(copy, ignore_errors=True)


def _reason_text(error: OSError) -> str:
    """What went wrong; copying a folder gathers (from, to, why) of each file."""
    first = error.args[0] if isinstance(error, shutil.Error) and error.args else None
    text = str(first[0][2]) if isinstance(first, list) and first else error.strerror or str(error)
    # What copying says has both paths behind the reason.
    return re.sub(r"^\[Errno \d+\] ([^:]+):.*", r"\1", text, flags=re.DOTALL)
