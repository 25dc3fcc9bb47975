"""What a visitor is working on, under our own session keys: Streamlit forgets a widget's state when its page is left,
and this outlives that.

Model, picture, prompts and colour scale are shared by all pages; each page has parameters of its own.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import streamlit as st

from samkit.media.given_masks import MaskHint, is_marked
from samkit.media.mask_files import MaskFile
from samkit.media.pictures import Picture
from samkit.media.samples import SAMPLES, load_sample, sample_names
from samkit.prompts import Prompts
from samkit.ui.state.browser_memory import remembered_colormap
from samkit.ui.state.gestures import Gesture
from samkit.ui.state.given import Given
from samkit.ui.state.pending_run import FailedLink, PendingRun
from samkit.ui.state.sheets import CanvasSheets, Report

_KEY = "samkit.workspace"
TOOL_NAMES = ("foreground", "background", "box")
MAX_RECENT = 6
MAX_HISTORY = 100

_changes = itertools.count(1)
"""Of prompts, so that of two lists it is known which was changed last."""


@dataclass(frozen=True, eq=False)
class Marks:
    """What says which object is meant. hint, share, file: as in `Given`"""

    prompts: Prompts
    hint: MaskHint | None = None
    share: tuple[float, float] | None = None
    file: MaskFile | None = None

    @property
    def is_marked(self) -> bool:
        return is_marked(self.prompts, self.hint)


@dataclass(frozen=True, eq=False)
class LeftPicture:
    """What a visitor had on a picture before another one took its place. Histories as in `Workspace`."""

    marks: Marks
    given: Given
    history: list[Marks]
    undone: list[Marks]


@dataclass
class Workspace:
    """
    prompts:       on the picture; the truth, which every canvas comes to show
    changed:       when they were changed last, counted over all workspaces
    canvases:      key of each canvas that shows these prompts -> what is known of it
    restored_run:  id of the run whose link was followed last and is not followed again
    failed_link:   the link that could not be followed
    history:       of prompts and hint, oldest first; undone: what was undone of it and can be done again, the last one
                   last
    left:          SHA-256 of each picture used lately -> what was on it
    edits:         counts the presses of undo, redo, remove and clear that were answered
    gesture:       number of the last gesture that was taken
    opened:        page -> the whole parameters of the run that was opened there
    dtype_changes: counts the changes of the number type that did not come from its widget, after each of which that
                   is another one to the browser
    awaited:       SHA-256 of a picture that a kept run was made with and that was not found, and the run's prompts on
                   it
    given:         the masks that came along with the picture
    dialog:        the one that is open
    page:          the experiment's page that was drawn last
    """

    picture: Picture = field(default_factory=lambda: load_sample(sample_names()[0]))
    model_ref: str = "nano-sam2"
    device: str = "auto"
    dtype: str = "float32"
    dtype_changes: int = 0
    prompts: Prompts = field(default_factory=Prompts)
    changed: int = 0
    history: list[Marks] = field(default_factory=list)
    undone: list[Marks] = field(default_factory=list)
    given: Given = field(default_factory=Given)
    canvases: dict[str, CanvasSheets] = field(default_factory=dict)
    edits: int = 0
    gesture: int = 0
    tool: str = "foreground"
    recent: list[Picture] = field(default_factory=list)
    left: dict[str, LeftPicture] = field(default_factory=dict)
    params: dict[str, dict] = field(default_factory=dict)
    shared_params: dict[str, object] = field(default_factory=dict)
    last_kept: dict[str, Any] = field(default_factory=dict)
    restored_run: str | None = None
    failed_link: FailedLink | None = None
    opened: dict[str, dict[str, Any]] = field(default_factory=dict)
    pending: PendingRun | None = None
    awaited: tuple[str, Prompts] | None = None
    dialog: str | None = None
    page: str | None = None

    def open_picture(self, picture: Picture, prompts: Prompts | None = None, own_first: bool = False) -> None:
        """`show_picture`, and nothing is lost: who comes back to a picture used lately finds what was on it, by undo
        or, where `own_first`, in place of `prompts`.
        """
        self.left.pop(self.picture.sha256, None)
        self.left[self.picture.sha256] = LeftPicture(self._marks, self.given, self.history, self.undone)
        while len(self.left) > MAX_RECENT:
            del self.left[next(iter(self.left))]
        awaited = self.awaited is not None and picture.sha256 == self.awaited[0]
        known = None if awaited else self.left.get(picture.sha256)
        self.show_picture(picture, prompts)
        if known is None:
            return
        if own_first and known.marks.is_marked:
            self.given = replace(known.given, edits=self.given.edits + 1)
            self._set(known.marks.prompts)
            self.history, self.undone = known.history, known.undone
        else:
            self.history = [*known.history, *([known.marks] if known.marks.is_marked else [])][-MAX_HISTORY:]

    def show_picture(self, picture: Picture, prompts: Prompts | None = None) -> None:
        """Put another picture on the table, with prompts that fit it or none. What was drawn on the one before and is
        not reported yet does not count.
        """
        if self.awaited and picture.sha256 == self.awaited[0]:
            prompts, self.awaited = self.awaited[1], None
        elif picture != self.picture:
            for values in self.params.values():
                values.pop("mask_index", None)  # It was chosen among those of another picture.
        self.picture = picture
        self.given = Given(edits=self.given.edits + 1)
        self._set(prompts or Prompts())
        self._begin_history()
        self.canvases = {}
        self.recent = [picture, *(seen for seen in self.recent if seen.sha256 != picture.sha256)][:MAX_RECENT]

    @property
    def is_marked(self) -> bool:
        return is_marked(self.prompts, self.given.hint)

    def forget_link(self) -> None:
        """The next link is followed, also where it is the one that was followed last."""
        self.restored_run = self.failed_link = None

    def take_dtype(self, dtype: str) -> None:
        """Another number type than the one chosen in the sidebar."""
        if dtype != self.dtype:
            self.dtype = dtype
            self.dtype_changes += 1

    def draw(self, canvas: str, report: Report) -> None:
        """Take what was drawn on a canvas, named by its key, since its last report: each prompt a change that can be
        undone.
        """
        if canvas in self.canvases:
            for prompts in self.canvases[canvas].take(report, self.prompts):
                self.edit(prompts)

    def take_gestures(self, gestures: Sequence[Gesture]) -> None:
        """Each once and in order. The browser sends them again until it hears that they were taken."""
        for gesture in gestures:
            if gesture.number <= self.gesture:
                continue
            self.gesture = gesture.number
            self.edits += gesture.edit is not None
            if gesture.edit == "undo":
                self.undo()
            elif gesture.edit == "redo":
                self.redo()
            elif gesture.edit == "clear":
                self.clear()
            else:
                self.edit(gesture.applied(self.prompts))

    def edit(self, prompts: Prompts) -> None:
        """Take another list of prompts; the canvases follow."""
        if prompts != self.prompts:
            self._remember()
            self._set(prompts)

    def take_hint(
        self, hint: MaskHint | None, share: tuple[float, float] | None = None, file: MaskFile | None = None
    ) -> None:
        """Begin from another mask, or from none. share: as in `Given`; file: what it was taken from"""
        self._remember()
        self.given.take_hint(hint, share, file)

    def clear(self) -> None:
        """Take everything away that says which object is meant."""
        if self.is_marked:
            self._remember()
            self._lay(Marks(Prompts()))

    def undo(self) -> None:
        """Back to prompts and hint before the last change."""
        if self.history:
            self._turn_to(self.history[-1])
            self.undone.append(self._marks)
            self._lay(self.history.pop())

    def redo(self) -> None:
        """Again to what was undone last, as long as nothing else was changed since."""
        if self.undone:
            self._turn_to(self.undone[-1])
            self.history.append(self._marks)
            self._lay(self.undone.pop())

    @property
    def _marks(self) -> Marks:
        given = self.given
        return Marks(self.prompts, given.hint, given.share, given.files.get("hint"))

    def _begin_history(self) -> None:
        """Another picture: what was done on the one before can't be undone any more."""
        self.history, self.undone = [], []

    def _turn_to(self, marks: Marks) -> None:
        """Go where these marks are, before they are laid."""

    def _remember(self, marks: Marks | None = None) -> None:
        """marks: what can be gone back to; None for the present ones."""
        self.history = [*self.history, marks or self._marks][-MAX_HISTORY:]
        self.undone = []

    def _lay(self, marks: Marks) -> None:
        if marks.hint is not self.given.hint:
            self.given.take_hint(marks.hint, marks.share, marks.file)
        if marks.prompts != self.prompts:
            self._set(marks.prompts)

    def _set(self, prompts: Prompts) -> None:
        self.prompts = prompts
        self.changed = next(_changes)


def has_workspace() -> bool:
    """Whether this session has one already."""
    return _KEY in st.session_state


def workspace() -> Workspace:
    """This visitor's workspace; a first visit finds a sample picture with a prompt placed."""
    if _KEY not in st.session_state:
        work, first = Workspace(), sample_names()[0]
        work.show_picture(load_sample(first), SAMPLES[first].prompts)
        if (colormap := remembered_colormap()) is not None:
            work.shared_params["colormap"] = colormap
        st.session_state[_KEY] = work
    return st.session_state[_KEY]
