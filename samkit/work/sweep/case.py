"""What a cell of a sweep is run on: an object on a picture, in a film, or on a pair of pictures."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import count

from samkit.prompts import Prompts
from samkit.work.spec import Ref


@dataclass(frozen=True)
class Case:
    """An object on a picture; where `film` or `second` says so, an object that is followed from there.

    picture: what opens the picture on which the object is marked: of a film that frame, of a pair the first picture;
             None for an experiment on a model alone
    truth:   what opens the right mask of the object on that picture, as `RunSpec.truth`; None where nobody said
    name:    for a person: the picture, film or pair, and which of its objects
    given:   the picture's own prompts; empty where it has none

    film:         what opens the film; frame: the number of the frame that is marked, from 0
    frame_masks:  where the right masks of the film's frames are: a folder, or `sample:NAME` of a sample film; "" where
                  only the marked frame has one
    number:       of the object in these masks; None for all of them together

    second, second_truth: the other picture of a pair, and the right mask on it
    group:        pictures of one group are alike, and are drawn together for intervals; "" for a group of its own
    """

    name: str
    picture: Ref | None
    truth: Ref | None = None
    given: Prompts = Prompts()
    film: Ref | None = None
    frame: int = 0
    frame_masks: str = ""
    number: int | None = None
    second: Ref | None = None
    second_truth: Ref | None = None
    group: str = ""

    @property
    def where(self) -> str:
        """What a person calls the picture, film or pair."""
        if self.film is not None:
            return self.film.name or self.film.ref
        first = (self.picture.name or self.picture.ref) if self.picture is not None else ""
        return first if self.second is None else f"{first} -> {self.second.name or self.second.ref}"

    @property
    def _identity(self) -> tuple[Ref | None, ...]:
        return (self.film,) if self.film is not None else (self.picture, self.second)

    def renamed(self, where: str) -> "Case":
        """The same case, whose picture, film or pair a person calls otherwise."""
        before = self.where
        name = where + self.name.removeprefix(before) if self.name.startswith(before) else f"{self.name}, {where}"
        if self.film is not None:
            return replace(self, name=name, film=replace(self.film, name=where))
        if self.second is not None:
            return replace(self, name=name, second=replace(self.second, name=where.split(" -> ", 1)[1]))
        assert self.picture is not None
        return replace(self, name=name, picture=replace(self.picture, name=where))


def told_apart(cases: Iterable[Case]) -> list[Case]:
    """The same cases. What is called as another picture, film or pair before it, of another source perhaps, gets a
    number behind its name: tables and means go by names.
    """
    names: dict[tuple[Ref | None, ...], str] = {}
    taken: set[str] = set()
    apart = []
    for case in cases:
        if case._identity not in names:
            where = next(
                name for n in count(1) if (name := case.where if n == 1 else f"{case.where} ({n})") not in taken
            )
            names[case._identity] = where
            taken.add(where)
        where = names[case._identity]
        apart.append(case if where == case.where else case.renamed(where))
    return apart
