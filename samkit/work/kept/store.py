"""The works of all visitors in a folder: each a document, and the content files that documents share.

works/ID.json     a visitor's own work, which goes on
shared/ID.json    a frozen copy, for who has the link
files/            pictures, films and memory banks, named by content

An id is 128 random bits: who does not have it can't guess it. The folder holds no more bytes than `Limits` says; what
was used longest ago goes first, and a work that is in use does not go.
"""

import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from samkit.errors import BadInput, SamkitError, StoreError
from samkit.experiments.inputs import Prior
from samkit.experiments.steering import NOT_STEERED, Steering
from samkit.media.films import Video
from samkit.media.given_masks import MaskHint, Truth
from samkit.media.pictures import Picture
from samkit.prompts import Prompts
from samkit.work.execute import open_prior
from samkit.work.kept.content import PART, ContentFiles, NoRoom, write_whole
from samkit.work.kept.document import (
    MAX_DOCUMENT_BYTES,
    FilmEntry,
    FilmStep,
    Kind,
    SideEntry,
    Step,
    WorkDocument,
)
from samkit.work.kept.limits import Limits
from samkit.work.kept.plain_values import from_plain, to_plain
from samkit.work.kept.value import FilmWork, Memory, Side, Work, newest
from samkit.work.kept.work_files import WorkFiles
from samkit.work.spec import Ref

if TYPE_CHECKING:
    from samkit.models.memory_bank import MemoryBank

_log = logging.getLogger(__name__)

WORK_ID = re.compile(r"[0-9a-f]{32}")
DAY_S = 24 * 3600
JUST_WRITTEN_S = 60
"""A file that no document names may belong to one that is about to be written."""
PRUNE_EVERY_S = 3600

Shelf = Literal["works", "shared"]


def new_id() -> str:
    """128 random bits, in hex."""
    return secrets.token_hex(16)


def is_id(text: str | None) -> bool:
    return bool(text) and WORK_ID.fullmatch(text or "") is not None


class NotKept(BadInput):
    """There is no such work any more."""


@dataclass(frozen=True)
class _Document:
    path: Path
    used_at: float


class WorkStore:
    """Safe for threads, and for several servers on one folder.

    in_use: the ids of the works that visitors have open at this moment
    """

    def __init__(self, folder: Path, limits: Limits, in_use: Callable[[], Iterable[str]] = tuple):
        self.folder, self.limits = folder, limits
        self._files = ContentFiles(folder / "files")
        self._in_use = in_use
        self._lock = threading.RLock()
        self._pruned_at = 0.0

    def save(self, work_id: str, work: Work) -> tuple[str, ...]:
        """Keep the work under its id; what there was no room for, for a person. Raises StoreError where the folder
        can't be written.
        """
        return self._save("works", work_id, work)

    def share(self, work: Work) -> tuple[str, tuple[str, ...]]:
        """(id of a frozen copy without its history, what there was no room for). Raises StoreError."""
        shared_id = new_id()
        return shared_id, self._save("shared", shared_id, replace(work.without_history(), owner=""))

    def open(self, work_id: str) -> Work:
        """A visitor's own work, but for its film, which `open_film` opens. Raises NotKept where there is none, BadInput
        where it can't be read.
        """
        return self._open("works", work_id)

    def open_shared(self, shared_id: str) -> Work:
        """A frozen copy; as `open`."""
        return self._open("shared", shared_id)

    def take_back(self, shared_id: str) -> None:
        """Remove a frozen copy: its link shows nothing any more."""
        if is_id(shared_id):
            with suppress(OSError):
                self._path("shared", shared_id).unlink(missing_ok=True)

    def open_film(self, entry: FilmEntry) -> tuple[FilmWork, tuple[str, ...]]:
        """(the film and its memories as far as they are there, sentences about what is not)."""
        missing: list[str] = []
        memories = []
        for memory in entry.memories:
            try:
                thumbnail = self._files.picture(memory.thumbnail).rgb
                memories.append(Memory(_checked(open_prior(memory.prior, self._files)), thumbnail))
            except (SamkitError, OSError) as error:
                missing.append(f"A memory could not be restored: {_reason(error)}")
        bank = None
        if entry.bank is not None:
            try:
                bank = self._files.bank(entry.bank)
            except (SamkitError, OSError) as error:
                missing.append(f"The memory bank could not be restored: {_reason(error)}")
        film: Video | None = None
        try:
            film = self._files.film(entry.film)
        except (SamkitError, OSError) as error:
            missing.append(f"The film could not be restored: {_reason(error)} Choose it again.")
        steering, marks = entry.steering, entry.marks
        if film is not None:
            try:
                steering.check(film.length)
                replace(steering, corrections=marks).check(film.length)
            except SamkitError as error:
                missing.append(f"What was corrected could not be restored: {_reason(error)}")
                steering, marks = NOT_STEERED, ()
        count = steering.count
        memories = [each for each in memories if each.prior.object < count]
        frame = entry.frame if film is not None and entry.frame < film.length else 0
        number = entry.object if entry.object < count else 0
        length = film.length if film is not None else 0
        history, undone = (_steps_on(steps, length, steering) for steps in (entry.history, entry.undone))
        work = FilmWork(film, tuple(memories), bank, steering, entry.run, marks, frame, number, history, undone)
        return work, tuple(missing)

    def used(self) -> int:
        """Bytes in the folder."""
        return sum(size for _, size, _ in self._all_files())

    def prune(self, more: int = 0) -> None:
        """Remove works that nobody used for too long, then the oldest ones until the rest and `more` bytes fit, and the
        files that belong to none.
        """
        with self._lock:
            self._pruned_at = time.monotonic()
            in_use = set(self._in_use())
            documents = sorted(self._documents(), key=lambda document: document.used_at)
            oldest = time.time() - self.limits.days * DAY_S
            kept = []
            for document in documents:
                if document.used_at < oldest and document.path.stem not in in_use:
                    _remove(document.path)
                else:
                    kept.append(document)
            self._remove_strays(kept)
            while self.used() + more > self.limits.room:
                oldest_idle = next((each for each in kept if each.path.stem not in in_use), None)
                if oldest_idle is None:
                    return
                _remove(oldest_idle.path)
                kept.remove(oldest_idle)
                self._remove_strays(kept)

    def _save(self, shelf: Shelf, work_id: str, work: Work) -> tuple[str, ...]:
        path = self._path(shelf, work_id)
        try:
            with self._lock:
                for folder in (path.parent, self._files.folder):
                    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                document = self._keep(work)
                content = document.to_json()
                if len(content) > MAX_DOCUMENT_BYTES:
                    raise StoreError("This work has too many memories and parameters to be kept.")
                write_whole(path, lambda part: part.write_bytes(content))
                if self.used() > self.limits.room or time.monotonic() - self._pruned_at > PRUNE_EVERY_S:
                    self.prune()
                return document.left_out
        except OSError as error:
            raise StoreError(
                f"Work can't be kept on this server at the moment ({error.strerror or error}): a reload starts anew."
            ) from error

    def _keep(self, work: Work) -> WorkDocument:
        """Write the work's files, as far as there is room; the document that names them."""
        assert work.first is not None
        files = WorkFiles(self._put, self.limits.one_work)
        first, second = files.side(work.first), None if work.second is None else files.side(work.second)
        film = files.film(work.film) if isinstance(work.film, FilmWork) else work.film
        return WorkDocument(
            page=work.page,
            model=work.model,
            device=work.device,  # type: ignore[arg-type]
            dtype=work.dtype,  # type: ignore[arg-type]
            tool=work.tool,
            first=first,
            second=second,
            film=film,
            params={page: to_plain(values) for page, values in work.params.items()},
            shared_params=to_plain(work.shared_params),
            opened={page: to_plain(values) for page, values in work.opened.items()},
            restored_run=work.restored_run,
            owner=work.owner,
            left_out=tuple(dict.fromkeys(files.left_out)),
        )

    def _put(self, kind: Kind, ref: Ref, value: "Picture | Video | MaskHint | Truth | MemoryBank", room: int) -> int:
        """As `ContentFiles.put`; older works go where they are in the way."""
        try:
            return self._files.put(kind, ref, value, min(room, self.limits.room - self.used()))
        except NoRoom as error:
            if error.size > room:
                raise
            self.prune(error.size)
            return self._files.put(kind, ref, value, min(room, self.limits.room - self.used()))

    def _open(self, shelf: Shelf, work_id: str) -> Work:
        document = self._read(self._path(shelf, work_id))
        missing: list[str] = []
        awaited: list[tuple[str, Prompts] | None] = []

        def side(entry: SideEntry | None, button: str) -> Side | None:
            awaited.append(None)
            if entry is None:
                return None
            try:
                side = self._given(Side(self._files.picture(entry.picture), entry.prompts), entry, missing)
                history, undone = (_steps_with(steps, side.hint) for steps in (entry.history, entry.undone))
                return replace(side, history=history, undone=undone)
            except (SamkitError, OSError) as error:
                missing.append(
                    f"The picture {entry.picture.name} could not be restored: {_reason(error)} Choose it again with "
                    f"{button}, and its prompts come back."
                )
                awaited[-1] = str(entry.picture.sha256), entry.prompts
                return None

        first, second = side(document.first, "Picture"), side(document.second, "the second Picture button")
        return Work(
            page=document.page,
            model=document.model,
            device=document.device,
            dtype=document.dtype,
            tool=document.tool,
            first=first,
            second=second,
            film=document.film,
            params={page: from_plain(values) for page, values in document.params.items()},
            shared_params=from_plain(document.shared_params),
            opened={page: from_plain(values) for page, values in document.opened.items()},
            restored_run=document.restored_run,
            owner=document.owner,
            missing=tuple(missing),
            awaited=(awaited[0], awaited[1]),
        )

    def _given(self, side: Side, entry: SideEntry, missing: list[str]) -> Side:
        """The side with the masks that came along, as far as they are there."""
        if entry.hint is not None:
            try:
                hint = self._files.hint(entry.hint.hint, side.picture)
                side = replace(side, hint=hint, share=entry.hint.share)
            except (SamkitError, OSError) as error:
                missing.append(f"The mask hint could not be restored: {_reason(error)}")
        if entry.truth is not None:
            try:
                side = replace(side, truth=self._files.truth(entry.truth, side.picture))
            except (SamkitError, OSError) as error:
                missing.append(f"The truth could not be restored: {_reason(error)}")
        return side

    def _read(self, path: Path) -> WorkDocument:
        try:
            if path.stat().st_mtime < time.time() - self.limits.days * DAY_S:
                raise FileNotFoundError
            with path.open("rb") as file:
                content = file.read(MAX_DOCUMENT_BYTES + 1)
        except FileNotFoundError:
            raise NotKept(
                "The work behind this link is no longer kept on this server, so the page starts anew. Work is kept for "
                f"{self.limits.days} days after it was last used, or until the room is needed."
            ) from None
        except OSError as error:
            raise NotKept(
                f"The work behind this link can't be read ({error.strerror}): the page starts anew."
            ) from None
        document = WorkDocument.from_json(content)
        with suppress(OSError):
            os.utime(path)
        return document

    def _path(self, shelf: Shelf, work_id: str) -> Path:
        if not is_id(work_id):
            raise NotKept("Nothing is kept under this address, so the page starts anew.")
        return self.folder / shelf / f"{work_id}.json"

    def _documents(self) -> Iterator[_Document]:
        for shelf in ("works", "shared"):
            for path, _, used_at in _listed(self.folder / shelf):
                if path.suffix == ".json":
                    yield _Document(path, used_at)

    def _all_files(self) -> Iterator[tuple[Path, int, float]]:
        for name in ("works", "shared", "files"):
            yield from _listed(self.folder / name)

    def _remove_strays(self, documents: Iterable[_Document]) -> None:
        """Files that belong to none of the documents, and what a server left half written."""
        named: set[str] = set()
        for document in documents:
            with suppress(SamkitError, OSError):
                named |= WorkDocument.from_json(document.path.read_bytes()).files()
        recent = time.time() - JUST_WRITTEN_S
        for path, _, changed_at in list(self._all_files()):
            stray = path.parent == self._files.folder and path.name not in named
            if (stray or path.suffix == PART) and changed_at < recent:
                _remove(path)


def _checked(prior: Prior) -> Prior:
    if prior.mask is not None and prior.mask.shape != prior.picture.size:
        raise BadInput("its mask has another size than its picture.")
    if prior.mask_index is not None and not 0 <= prior.mask_index <= 3:
        raise BadInput("it names a mask that there is not.")
    if prior.object < 0 or (prior.film_frame is not None and prior.film_frame < 0):
        raise BadInput("it names a frame or an object that there is not.")
    return prior


def _steps_with(steps: Sequence[Step], hint: MaskHint | None) -> tuple[Step, ...]:
    """Those that can be gone back to where that is the hint."""
    return newest(steps, lambda step: hint is not None or not step.hinted)


def _steps_on(steps: Sequence[FilmStep], frames: int, steering: Steering) -> tuple[FilmStep, ...]:
    """Those that can be gone back to on a film of so many frames, with these objects."""

    def fits(step: FilmStep) -> bool:
        if step.made is None:
            return step.frame < frames and step.object < steering.count
        try:
            replace(steering, corrections=(step.made,), switches=()).check(frames)
        except SamkitError:
            return False
        return (step.made.frame, step.made.object) == (step.frame, step.object)

    return newest(steps, fits)


def _listed(folder: Path) -> Iterator[tuple[Path, int, float]]:
    """(file, bytes, when it was last used) of a folder that may not be there."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        with suppress(OSError):
            if entry.is_file(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                yield Path(entry.path), status.st_size, status.st_mtime


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("A kept work could not be removed: %s", error)


def _reason(error: Exception) -> str:
    """As a sentence."""
    text = str(getattr(error, "strerror", None) or error).rstrip()
    return text if text.endswith(".") else f"{text}."
