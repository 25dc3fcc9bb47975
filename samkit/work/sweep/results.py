"""A sweep's folder: what was asked for, and one file to which every outcome is appended. All else follows from these
two, so that a process may be killed at any byte.

    sweep.json      the spec, the cases that it found, and when
    outcomes.jsonl  a line for each cell that was computed or failed
    masks/, runs/   where they are kept
    cancel          there when somebody asked it to stop
    lock            held by the process that runs it
"""

import errno
import io
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from samkit.errors import BadInput, StoreError
from samkit.settings import home_folder
from samkit.words import nearest
from samkit.work.sweep.cells import Cell, case_dict, case_from, make_cells
from samkit.work.sweep.spec import SweepSpec

SWEEP, OUTCOMES, CANCEL, LOCK = "sweep.json", "outcomes.jsonl", "cancel", "lock"
FORMAT = 1
LOOKING_S = 0.5
State = Literal["running", "done", "cancelled", "stopped"]


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    reason:  a sentence, where it failed
    run:     the id of its `RunSpec`, as a single run has it
    metrics, timings: as the run's; facts: the run's, and of the object
    prompts: that it was run with, as JSON values
    encoded: a key for each encoding that was made for it; empty where others had made them
    seconds: of computing; tries: how many workers it took
    kept:    whether what is kept beside it could be written. One that could not is never written down itself: it ends
             the sweep, and its cell is computed once there is room
    """

    cell: str
    status: Literal["done", "failed"]
    reason: str = ""
    run: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    prompts: dict[str, Any] = field(default_factory=dict)
    encoded: tuple[str, ...] = ()
    seconds: float = 0.0
    tries: int = 1
    kept: bool = True

    def line(self) -> bytes:
        """As it stands in the file, with the line's end."""
        values = {name: value for name, value in vars(self).items() if value not in ("", {}, ())}
        del values["kept"]
        return json.dumps(values, separators=(",", ":")).encode() + b"\n"


_FIELDS = {each.name for each in fields(Outcome)}


def read_outcome(line: bytes) -> Outcome | None:
    """None for a line that was cut off, or that is none of this format."""
    try:
        values = json.loads(line)
        known = {name: value for name, value in values.items() if name in _FIELDS}
        return Outcome(**known | {"encoded": tuple(known.get("encoded", ()))})
    except (ValueError, TypeError, AttributeError):
        return None


class SweepFolder:
    """A sweep on disk. Made with `new_sweep`, found with `find_sweep`."""

    def __init__(self, path: Path):
        self.path = path
        try:
            document = json.loads((path / SWEEP).read_bytes())
            self.created: str = document["created"]
            if document["format"] != FORMAT:
                raise BadInput(f"The sweep {path.name} was made by another version of samkit.")
            self._cases = document["cases"]
            self.spec = SweepSpec.model_validate(document["spec"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(f"The folder {path} holds no sweep that can be read ({error}).") from error

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def case_count(self) -> int:
        """How many objects on pictures there are."""
        return len(self._cases)

    @cached_property
    def cells(self) -> list[Cell]:
        """All cells, in the spec's order."""
        return make_cells(self.spec, map(case_from, self._cases))

    def outcomes(self) -> dict[str, Outcome]:
        """By the cell's id the last outcome of each."""
        found = {}
        with suppress(FileNotFoundError), (self.path / OUTCOMES).open("rb") as file:
            for line in file:
                # A line without an end is still being written, or never will be.
                if line.endswith(b"\n") and (outcome := read_outcome(line)) is not None:
                    found[outcome.cell] = outcome
        return found

    def missing(self, failed_too: bool = False) -> list[Cell]:
        """The cells that have no outcome. failed_too: also those that failed."""
        known = self.outcomes()
        return [
            cell for cell in self.cells if cell.id not in known or (failed_too and known[cell.id].status == "failed")
        ]

    @property
    def is_running(self) -> bool:
        try:
            with FileLock(self.path / LOCK, timeout=0):
                return False
        except Timeout:
            return True

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody asked it to stop."""
        return (self.path / CANCEL).exists()

    def cancel(self) -> None:
        """Ask the process that runs it to stop."""
        (self.path / CANCEL).touch()

    def state(self, outcomes: dict[str, Outcome] | None = None) -> State:
        """outcomes: where the caller has read them already."""
        if self.is_running:
            return "running"
        known = self.outcomes() if outcomes is None else outcomes
        if all(cell.id in known for cell in self.cells):
            return "done"
        return "cancelled" if self.is_cancelled else "stopped"

    @contextmanager
    def running(self) -> Iterator["OutcomeFile"]:
        """For the one process that runs it. Raises BadInput where another one does."""
        try:
            # Whoever only looks whether it is running holds the lock for a moment.
            with FileLock(self.path / LOCK, timeout=LOOKING_S):
                (self.path / CANCEL).unlink(missing_ok=True)
                # Without a buffer: one would hold on to half a line that found no room, and write it later.
                with open(self.path / OUTCOMES, "ab+", buffering=0) as file:
                    yield OutcomeFile(file)
        except Timeout:
            raise BadInput(f"The sweep {self.id} is being run by another process: wait, or cancel it first.") from None


class OutcomeFile:
    """Where outcomes are appended, one write for each."""

    def __init__(self, file: io.FileIO):
        self._file = file
        self._drop_torn_end()

    def add(self, outcome: Outcome) -> None:
        """Raises StoreError where the disk takes no more; what half a line was written is taken back."""
        if not outcome.kept:
            raise _no_room(outcome.reason)
        before = self._file.seek(0, os.SEEK_END)
        line = outcome.line()
        try:
            if self._file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            with suppress(OSError):
                self._file.truncate(before)
            raise _no_room(f"An outcome can't be written ({error.strerror or error})") from error

    def _drop_torn_end(self) -> None:
        """What was appended to half a line would be lost with it."""
        end = self._file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 65536)
            self._file.seek(start)
            newline = self._file.read(end - start).rfind(b"\n")
            if newline >= 0:
                self._file.truncate(start + newline + 1)
                return
            end = start
        self._file.truncate(0)


def _no_room(what: str) -> StoreError:
    return StoreError(f"{what.rstrip('.')}. The sweep ends here, and all before is kept: make room and resume it.")


def sweeps_folder() -> Path:
    return home_folder() / "sweeps"


def new_sweep(spec: SweepSpec, cases: Iterable[Any]) -> SweepFolder:
    """A folder for it, whole or not there at all. Raises StoreError where it can't be made."""
    now = datetime.now(UTC)
    name = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    folder, part = sweeps_folder() / name, sweeps_folder() / f".{name}.part"
    document = {
        "format": FORMAT,
        "created": now.isoformat(timespec="seconds"),
        "spec": spec.model_dump(mode="json"),
        "cases": [case_dict(case) for case in cases],
    }
    try:
        part.mkdir(parents=True)
        (part / SWEEP).write_text(json.dumps(document), encoding="utf-8")
        os.rename(part, folder)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise StoreError(
            f"The sweep's folder can't be made in {sweeps_folder()} ({error.strerror or error})."
        ) from error
    return SweepFolder(folder)


def sweep_names() -> list[str]:
    """Ids of the sweeps that are there, the latest first."""
    try:
        found = [path.name for path in sweeps_folder().iterdir() if (path / SWEEP).is_file()]
    except OSError:
        return []
    return sorted((name for name in found if not name.startswith(".")), reverse=True)


def find_sweep(name: str) -> SweepFolder:
    """The sweep of that id, or whose id alone begins so; "latest" is the one made last. Raises BadInput."""
    names = sweep_names()
    if name == "latest" and names:
        return SweepFolder(sweeps_folder() / names[0])
    if name in names:
        return SweepFolder(sweeps_folder() / name)
    begun = [each for each in names if name and each.startswith(name)]
    if len(begun) == 1:
        return SweepFolder(sweeps_folder() / begun[0])
    known = nearest(name, names[:20]) if names else "there is none yet."
    raise BadInput(f'There is no sweep "{name:.60}": {known}')
