"""A visitor's work as values at hand, before it is kept and after it was opened."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from samkit.experiments.inputs import Prior
from samkit.experiments.steering import NOT_STEERED, Correction, Steering
from samkit.media.films import Video
from samkit.media.given_masks import MaskHint, Truth
from samkit.media.pictures import Picture
from samkit.prompts import Prompts
from samkit.work.kept.document import FilmEntry, FilmStep, Step

if TYPE_CHECKING:
    from samkit.models.memory_bank import MemoryBank

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Memory:
    """A recorded memory. thumbnail: uint8 [h, w, 3], how it is shown."""

    prior: Prior
    thumbnail: np.ndarray


@dataclass(frozen=True, eq=False)
class FilmWork:
    """A film and the memories that steer it. film: None where it could not be opened; bank: memories from a file;
    steering: the objects, and what was corrected; run: whether there was a run, of which nothing is kept here; marks:
    what is marked on frames and is no correction yet; frame, object: where the visitor stands, and whose prompts are
    placed; history, undone: of the marks, as in `Side`.
    """

    film: Video | None
    memories: tuple[Memory, ...] = ()
    bank: "MemoryBank | None" = None
    steering: Steering = NOT_STEERED
    run: bool = False
    marks: tuple[Correction, ...] = ()
    frame: int = 0
    object: int = 0
    history: tuple[FilmStep, ...] = ()
    undone: tuple[FilmStep, ...] = ()


@dataclass(frozen=True)
class Side:
    """A picture, the prompts on it, and the masks that came along with it. share: as `HintEntry` says; history: what
    can be undone, oldest first; undone: what can be done again, the last one last.
    """

    picture: Picture
    prompts: Prompts = Prompts()
    hint: MaskHint | None = None
    share: tuple[float, float] | None = None
    truth: Truth | None = None
    history: tuple[Step, ...] = ()
    undone: tuple[Step, ...] = ()


@dataclass(frozen=True, eq=False)
class Work:
    """What `WorkDocument` says, as values.

    film:    None where no film was looked at; as the document has it where that was not opened yet
    missing: sentences about what could not be opened again; awaited: (SHA-256, prompts) of the first picture, where
             that is missing, and of the second one
    """

    page: str
    model: str
    device: str
    dtype: str
    tool: str
    first: Side | None
    second: Side | None = None
    film: FilmWork | FilmEntry | None = None
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    shared_params: Mapping[str, Any] = field(default_factory=dict)
    opened: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    restored_run: str | None = None
    owner: str = ""
    missing: tuple[str, ...] = ()
    awaited: tuple[tuple[str, Prompts] | None, tuple[str, Prompts] | None] = (None, None)

    def without_history(self) -> "Work":
        """What it shows, and nothing of how that came about."""

        def bare(part: Any) -> Any:
            return part and replace(part, history=(), undone=())

        return replace(self, first=bare(self.first), second=bare(self.second), film=bare(self.film))

    def is_as(self, other: "Work | None") -> bool:
        """Whether there is nothing in it that is not in the other one. Cheap: no pixels are looked at, and a film with
        its memories is the same where its parts are.
        """
        if other is None or not _same_film(self.film, other.film):
            return False
        return all(
            getattr(self, each.name) == getattr(other, each.name) for each in fields(self) if each.name != "film"
        )


def _same_film(one: FilmWork | FilmEntry | None, other: FilmWork | FilmEntry | None) -> bool:
    if not isinstance(one, FilmWork) or not isinstance(other, FilmWork):
        return one is other
    return (
        one.film is other.film
        and one.bank is other.bank
        and one.steering == other.steering
        and (one.run, one.marks, one.frame, one.object) == (other.run, other.marks, other.frame, other.object)
        and (one.history, one.undone) == (other.history, other.undone)
        and len(one.memories) == len(other.memories)
        and all(
            a.prior is b.prior and a.thumbnail is b.thumbnail for a, b in zip(one.memories, other.memories, strict=True)
        )
    )


def newest(steps: Sequence[T], fits: Callable[[T], bool]) -> tuple[T, ...]:
    """The last ones, from behind the last that does not fit."""
    first = next((index + 1 for index in reversed(range(len(steps))) if not fits(steps[index])), 0)
    return tuple(steps[first:])
