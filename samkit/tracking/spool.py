"""Runs that could not reach the store wait here, each a bundle in a folder of its own, and are delivered exactly once."""

import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from samkit.errors import BadInput, StoreError
from samkit.settings import spool_folder
from samkit.tracking.bundle import Bundle, read_bundle
from samkit.tracking.store import RunStore

WAITING, BROKEN, SENT = "waiting", "broken", ".sent"


@dataclass(frozen=True)
class Delivery:
    """delivered: run ids; set_aside: a sentence for each run whose files were damaged; left: how many still wait; problem: why, if something stopped it."""

    delivered: tuple[str, ...]
    set_aside: tuple[str, ...]
    left: int
    problem: str | None = None


class Spool:
    """One folder of waiting runs; any number of processes may use it."""

    def __init__(self, folder: Path | None = None):
        self.folder = folder or spool_folder()

    def add(self, bundle: Bundle) -> Path:
        """Copy a run into the spool; it appears there whole or not at all."""
        target = self.folder / WAITING / bundle.run_uuid
        if target.exists():
            return target
        partial = self.folder / f".{bundle.run_uuid}.{uuid.uuid4().hex[:8]}.part"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(bundle.path, partial)
            os.replace(partial, target)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise StoreError(
                f"The run could not be kept for later in {self.folder} either ({error.strerror or error}). Free some space and keep it again."
            ) from error
        return target

    def waiting(self) -> tuple[Path, ...]:
        """Folders of the runs that wait, oldest first."""
        found = []
        for path in (self.folder / WAITING).glob("*"):
            try:
                found.append((path.stat().st_mtime, path))
            except FileNotFoundError:
                continue  # another process has delivered it between the two looks
        return tuple(path for _, path in sorted(found))

    def deliver(self, store: RunStore, progress: Callable[[int, int], None] | None = None) -> Delivery:
        """Send every waiting run to the store. A run is removed only after the store has all of it; one that is there already is not sent again.

        A run that the store refuses stays and is named in `problem`; the ones behind it are sent all the same.
        """
        if not self.waiting():
            return Delivery((), (), 0)
        try:
            with FileLock(self.folder / "deliver.lock", timeout=0):
                return self._deliver(store, progress)
        except Timeout:
            return Delivery((), (), len(self.waiting()), "Another process is delivering them at this moment.")

    def _deliver(self, store: RunStore, progress: Callable[[int, int], None] | None) -> Delivery:
        delivered, set_aside, problem = [], [], None
        for sent in self.folder.glob(f".*{SENT}"):
            shutil.rmtree(sent, ignore_errors=True)
        paths = self.waiting()
        if not store.reachable():
            return Delivery((), (), len(paths), "The store does not answer yet.")
        for index, path in enumerate(paths):
            if progress:
                progress(index, len(paths))
            try:
                bundle = read_bundle(path)
            except BadInput as error:
                (self.folder / BROKEN).mkdir(exist_ok=True)
                os.replace(path, self.folder / BROKEN / f"{path.name}-{uuid.uuid4().hex[:8]}")
                set_aside.append(str(error))
                continue
            try:
                delivered.append(store.keep(bundle).run_id)
            except StoreError as error:
                problem = str(error)
                if not store.reachable():
                    break
                continue
            # Out of sight in one step: a removal cut short must not look like a damaged run.
            gone = self.folder / f".{path.name}{SENT}"
            os.replace(path, gone)
            shutil.rmtree(gone, ignore_errors=True)
        return Delivery(tuple(delivered), tuple(set_aside), len(self.waiting()), problem)
