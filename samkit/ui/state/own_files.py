"""Which of a visitor's own checkpoints came or changed since the visitor last looked at their list."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Mark = Literal["new", "changed"]


@dataclass
class OwnFiles:
    """A file keeps its mark as long as the list in which the visitor saw it is open, or until it is used. A file that
    a search hides was not seen.
    """

    _states: dict[str, object] | None = None
    _marks: dict[str, Mark] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def list_opened(self) -> None:
        """Marks that were seen are gone."""
        for path in self._seen:
            self._marks.pop(path, None)
        self._seen.clear()

    def look(self, states: Mapping[str, object]) -> None:
        """states: path of each file that is there -> what changes with its content. Nothing is new at first."""
        before = self._states
        if before is not None:
            self._marks = {path: mark for path, mark in self._marks.items() if path in states}
            for path, state in states.items():
                if path not in before:
                    self._mark(path, "new")
                elif before[path] != state and self._marks.get(path) != "new":
                    self._mark(path, "changed")
        self._states = dict(states)

    def shown(self, path: str) -> Mark | None:
        """The mark of a file that is shown just now."""
        self._seen.add(path)
        return self._marks.get(path)

    def used(self, path: str) -> None:
        self._marks.pop(path, None)

    def _mark(self, path: str, mark: Mark) -> None:
        self._marks[path] = mark
        self._seen.discard(path)
