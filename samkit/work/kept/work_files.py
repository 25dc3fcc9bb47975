"""The files that a work's document names, written one after the other for as long as there is room."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from samkit.media.films import Video
from samkit.media.given_masks import MaskHint, Truth
from samkit.media.pictures import Picture
from samkit.work.execute import prior_spec
from samkit.work.kept.content import NoRoom
from samkit.work.kept.document import (
    MAX_MARKS,
    MAX_STEPS,
    FilmEntry,
    FilmStep,
    HintEntry,
    Kind,
    MemoryEntry,
    SideEntry,
    Step,
    hint_file_kind,
    json_bytes,
)
from samkit.work.kept.value import FilmWork, Memory, Side, newest
from samkit.work.sources import bank_ref, film_ref, picture_ref
from samkit.work.spec import HintSpec, Ref

if TYPE_CHECKING:
    from samkit.models.memory_bank import MemoryBank

    Content = Picture | Video | MaskHint | Truth | MemoryBank

MAX_STEPS_BYTES = 512 * 2**10
"""Of what can be undone on one canvas, and of what can be done again."""
AnyStep = TypeVar("AnyStep", Step, FilmStep)


def kept_hint(hint: MaskHint) -> HintSpec:
    """What refers to a hint whose file is kept by its content."""
    return HintSpec(hint.kind, _by_name(hint, f"mask_hint{hint.suffix}"))


def _by_name(mask: MaskHint | Truth, file: str) -> Ref:
    return Ref(file, mask.sha256, mask.name)


def _within_room(steps: Sequence[AnyStep]) -> tuple[AnyStep, ...]:
    """As many of the last ones as there is room for."""
    room = MAX_STEPS_BYTES

    def fits(step: AnyStep) -> bool:
        nonlocal room
        room -= json_bytes(step)
        return room >= 0

    return newest(steps[-MAX_STEPS:], fits)


class WorkFiles:
    """left_out: what there was no room for, for a person"""

    def __init__(self, put: Callable[[Kind, Ref, "Content", int], int], room: int):
        """put: writes a content that fits into so many bytes, and says how many it took; raises NoRoom."""
        self._write, self._room = put, room
        self.left_out: list[str] = []

    def side(self, side: Side) -> SideEntry:
        """The picture of one canvas, with what was given for it."""
        ref = picture_ref(side.picture)
        self._put("picture", ref, side.picture, f"the picture {ref.name}")
        hint, truth = None, None
        if side.hint is not None:
            hint = HintEntry(self._hint(side.hint, f"the mask hint on {ref.name}"), side.share)
        if side.truth is not None:
            truth = self._put("truth", _by_name(side.truth, "truth.png"), side.truth, f"the truth of {ref.name}")
        return SideEntry(ref, side.prompts, hint, truth, _within_room(side.history), _within_room(side.undone))

    def film(self, work: FilmWork) -> FilmEntry | None:
        """The film and the memories that steer it; None where it could not be opened."""
        if work.film is None:
            return None
        memories = tuple(self._memory(memory) for memory in work.memories)
        bank = None
        if work.bank is not None:
            bank = self._put("bank", bank_ref(work.bank), work.bank, "the memory bank")
        ref = film_ref(work.film)
        self._put("film", ref, work.film, f"the film {ref.name}")
        steps = _within_room(work.history), _within_room(work.undone)
        marks = work.marks[-MAX_MARKS:]
        return FilmEntry(ref, memories, bank, work.steering, work.run, marks, work.frame, work.object, *steps)

    def _memory(self, memory: Memory) -> MemoryEntry:
        prior, thumbnail = prior_spec(memory.prior), Picture(memory.thumbnail, "memory")
        if memory.prior.mask_hint is not None:
            prior = replace(prior, mask_hint=self._hint(memory.prior.mask_hint, "a memory's hint"))
        self._put("picture", prior.picture, memory.prior.picture, f"the memory of {prior.picture.name}")
        small = Ref(thumbnail.name, thumbnail.sha256, thumbnail.name)
        return MemoryEntry(prior, self._put("picture", small, thumbnail, "a memory's small picture"))

    def _hint(self, hint: MaskHint, what: str) -> HintSpec:
        spec = kept_hint(hint)
        self._put(hint_file_kind(spec), spec.file, hint, what)
        return spec

    def _put(self, kind: Kind, ref: Ref, content: "Content", what: str) -> Ref:
        """The same reference, whether or not there was room. what: the content's name for a person"""
        try:
            taken = self._write(kind, ref, content, self._room)
        except NoRoom:
            self.left_out.append(what)
        else:
            self._room -= min(taken, self._room)
        return ref
