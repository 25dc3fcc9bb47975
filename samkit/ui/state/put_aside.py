"""What lay on the table before another film, or a kept run, took its place: its marks, with their history, and its run,
paused. So nothing is lost by a look at another film.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from samkit.media.films import Video
from samkit.ui.state.workspace import Marks
from samkit.words import listed
from samkit.work.queue import BackgroundJob

if TYPE_CHECKING:
    from samkit.experiments.film.film_run import FilmRun
    from samkit.ui.state.recorded import FilmTable

FIELDS = ("video", "recorded", "bank", "banks", "objects", "object", "corrections", "switches", "drafts", "chosen")
"""Of the table, that belong to what is put aside; and the frame where the visitor stood."""

MOST = 4
"""Films that are put aside at a time. Each may hold a paused run: its memory banks and its last frame."""


@dataclass(frozen=True)
class PutAside:
    """values: of `FIELDS`; marks, memories: how many of each count; history, undone: of the marks; job: the run, None
    without one
    """

    values: Mapping[str, Any]
    frame: int
    marks: int
    memories: int
    history: tuple[Marks, ...]
    undone: tuple[Marks, ...]
    job: "BackgroundJob[FilmRun] | None"

    @property
    def name(self) -> str:
        return self.values["video"].name

    @property
    def what(self) -> str:
        """In words, such as "its run and 2 marks"."""
        counts = (self.marks, "mark", "marks"), (self.memories, "memory", "memories")
        run = ["its run"] if self.job is not None else []
        return listed([*run, *(f"{count} {one if count == 1 else several}" for count, one, several in counts if count)])

    def is_of(self, video: Video) -> bool:
        own = self.values["video"]
        return (own.sha256, own.size) == (video.sha256, video.size)


def what_lies_there(table: "FilmTable", memories: bool = False) -> PutAside | None:
    """None where there is nothing to lose: no run, no marks and, where `memories` says that they would go too, none of
    the visitor's own.
    """
    marks, job, work = len(table.marked_places()), table.job, table.frame_work
    own = sum(not each.example for each in table.recorded) if memories else 0
    if not (marks or own or job is not None):
        return None
    values = {name: copied(getattr(table, name)) for name in FIELDS}
    return PutAside(values, table.frame, marks, own, tuple(work.history), tuple(work.undone), job)


def laid_aside(there: PutAside | None, others: Sequence[PutAside]) -> tuple[PutAside, ...]:
    """The newest first. there: what is put aside now, None for nothing; others: what was before"""
    together = [*([there] if there is not None else []), *others]
    gone = one_too_many(together)
    return tuple(each for each in together if each is not gone)


def one_too_many(together: Sequence[PutAside]) -> PutAside | None:
    """What goes of these, the newest first, where they are more than may be: the oldest, one with a run last."""
    if len(together) <= MOST:
        return None
    older = together[1:]  # What lay there a moment ago stays.
    return next((each for each in reversed(older) if each.job is None), older[-1])


def copied(value: Any) -> Any:
    return value.copy() if isinstance(value, list | dict) else value
