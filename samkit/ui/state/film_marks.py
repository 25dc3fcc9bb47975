"""What is marked on the frames of a film: prompts of each object on each frame, what they come to as corrections of a
run, and one history of all of it.
"""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from samkit.errors import PictureError
from samkit.experiments.film.film_run import FilmRun
from samkit.experiments.steering import MAX_EARLIER, Correction, FilmObject
from samkit.media.films import Video, frame_name
from samkit.media.pictures import Picture
from samkit.media.rle import mask_to_rle, rle_to_mask
from samkit.prompts import Prompts
from samkit.ui.state.workspace import Marks, Workspace

if TYPE_CHECKING:
    from samkit.tracking.bundle.kept_film import KeptFilm

MAX_DRAFTS = 200
Place = tuple[int, int]
"""A frame of the film, and the number of an object."""


@dataclass(frozen=True, eq=False)
class FrameMarks(Marks):
    """What marks one object on one frame. made: what it is corrected by there"""

    place: Place = (0, 0)
    made: Correction | None = None


class FrameWork(Workspace):
    """The present frame as a picture with prompts, of the object that prompts go to.

    Its history is that of the whole film: undo goes back through the marks of all frames and objects in the order they
    were made, and to the frame where each of them is. laid: the place whose marks these are, None for none's
    """

    laid: Place | None = None
    _film: "weakref.ref[FilmMarks]"

    def belong_to(self, film: "FilmMarks") -> None:
        self._film = weakref.ref(film)

    def forget(self) -> None:
        """Nothing of what was marked before can be gone back to."""
        self.laid, self.history, self.undone = None, [], []

    def take_back(self, marks: FrameMarks) -> None:
        """These marks are about to be removed, wherever they are."""
        self._remember(marks)

    @property
    def film(self) -> "FilmMarks":
        film = self._film()
        assert film is not None
        return film

    @property
    def _marks(self) -> FrameMarks:
        marks, film = super()._marks, self.film
        place = film.place
        return FrameMarks(marks.prompts, marks.hint, marks.share, marks.file, place, film.made(*place))

    def _begin_history(self) -> None:
        """It goes on over all frames."""

    def _turn_to(self, marks: Marks) -> None:
        assert isinstance(marks, FrameMarks)
        if (self.film.place, self.film.on_film) != (marks.place, True):
            self.film.stand_at(marks.place)

    def _lay(self, marks: Marks) -> None:
        super()._lay(marks)
        if isinstance(marks, FrameMarks):
            self.film.remake(marks.place, marks.made)
            self.film.turned.add(marks.place)
        else:
            self.film.take_away(self.film.place)  # Everything is cleared.


@dataclass
class FilmMarks:
    """
    objects:     those that are followed; object: the number of the one that prompts go to
    corrections: what marks objects on frames of the film, as a run takes it
    frame:       of the film, where the visitor stands; stamp: counts the times when the server moved there
    on_film:     whether the canvas shows that frame, or the picture that all pages share
    frame_work:  that frame as a picture with prompts
    drafts:      place -> prompts that were placed there
    chosen:      place -> which of the four masks is meant there, None for the best; chosen_at: where the page
                 looked for that last
    seen:        place -> (prompts, COCO RLE) of the mask that was last seen of marks
    turned:      where marks were taken away, or are others by undo and redo, since the page last looked
    kept:        what an opened run has found, as long as there is no run here
    """

    video: Video
    objects: list[FilmObject] = field(default_factory=lambda: [FilmObject()])
    object: int = 0
    corrections: list[Correction] = field(default_factory=list)
    frame: int = 0
    stamp: int = 0
    on_film: bool = True
    frame_work: FrameWork = field(default_factory=FrameWork)
    drafts: dict[Place, Prompts] = field(default_factory=dict)
    chosen: dict[Place, int | None] = field(default_factory=dict)
    chosen_at: Place | None = None
    seen: dict[Place, tuple[Prompts, dict[str, Any]]] = field(default_factory=dict)
    turned: set[Place] = field(default_factory=set)
    kept: "KeptFilm | None" = None

    def __post_init__(self) -> None:
        self.frame_work.belong_to(self)

    @property
    def run(self) -> FilmRun | None:
        """What segments the film, if anything does."""
        return None

    @property
    def place(self) -> Place:
        return self.frame, self.object

    def go_to(self, frame: int) -> None:
        """Stand at a frame, because the server says so."""
        self.rest_at(frame)
        self.stamp += 1

    def rest_at(self, frame: int) -> None:
        """Stand at a frame, because the visitor's player rests there. What was marked on the frame before stays."""
        self.note_marks()
        self.frame, self.on_film = min(max(0, frame), self.video.length - 1), True
        self._lay_frame()

    def choose_object(self, number: int) -> None:
        """The object that prompts go to."""
        self.note_marks()
        self.object = number
        self._lay_frame()

    def stand_at(self, place: Place) -> None:
        """At a frame, with prompts going to an object."""
        self.note_marks()
        self.object = place[1]
        self.go_to(place[0])

    def lay_frame(self) -> FrameWork:
        """The present frame as a picture with prompts."""
        if self.frame_work.laid is None or self.frame_work.picture.name != frame_name(self.video.name, self.frame):
            self._lay_frame()
        return self.frame_work

    def made(self, frame: int, number: int) -> Correction | None:
        """What an object is corrected by on a frame."""
        return next((each for each in self.corrections if (each.frame, each.object) == (frame, number)), None)

    def remake(self, place: Place, made: Correction | None) -> None:
        """Let that be what the object is corrected by there."""
        others = [each for each in self.corrections if (each.frame, each.object) != place]
        self.corrections = [*others, made] if made is not None else others

    def take_away(self, place: Place) -> None:
        """Nothing corrects the object there any more."""
        self.remake(place, None)
        self.turned.add(place)

    def correct(self, correction: Correction) -> None:
        """What is marked there counts from here on; a run is told of it by `take_marks`."""
        place = correction.frame, correction.object
        self.remake(place, correction)
        self.drafts.pop(place, None)

    def note_marks(self) -> None:
        """Remember what is marked on the present frame. Where all of it was removed, its correction goes too."""
        work, place = self.frame_work, self.place
        if work.laid != place:
            return
        self.drafts.pop(place, None)
        made = self.made(*place)
        if not work.prompts.is_empty:
            self.drafts[place] = work.prompts
        elif made is not None and made.mask is None and not work.is_marked:
            self.take_away(place)
        while len(self.drafts) > MAX_DRAFTS:
            del self.drafts[next(iter(self.drafts))]

    def marked_places(self) -> list[Place]:
        """Where anything is marked, by frames."""
        self.note_marks()
        return sorted({*self.drafts, *((each.frame, each.object) for each in self.corrections)})

    def unmark(self, place: Place) -> None:
        """Take back what marks an object on a frame. It can be undone."""
        self.note_marks()
        work = self.frame_work
        if work.laid == place and work.is_marked:
            work.clear()
        else:
            work.take_back(FrameMarks(self.prompts_at(place), place=place, made=self.made(*place)))
        self.drafts.pop(place, None)
        self.take_away(place)

    def prompts_at(self, place: Place) -> Prompts:
        """What was placed there last."""
        made = self.made(*place)
        return self.drafts.get(place, made.prompts if made is not None else Prompts())

    def correction(
        self, prompts: Prompts, mask_index: int | None, mask: np.ndarray | None = None, place: Place | None = None
    ) -> Correction:
        """What marks on a frame come to. Of an object that the run has found there they refine what it found; a
        correction that was made there with the same prompts stays what it is.

        mask:  bool [H, W], in place of prompts
        place: (frame, object); None for the present ones
        """
        frame, number = place or self.place
        made = self.made(frame, number)
        if mask is not None:
            return Correction(frame, mask=mask_to_rle(mask), object=number)
        marks = Correction(frame, prompts, mask_index, object=number)
        if made is not None and made.prompts == prompts:
            return replace(marks, refines=made.refines, earlier=made.earlier)
        if self.run is None or number not in self.run.on(frame):
            return marks
        if made is not None:
            return replace(marks, refines=True, earlier=made.line[-MAX_EARLIER:])
        # One that was taken back and that the run still has: what it found there without it, if anything, is refined.
        told = self.run.marks.get((frame, number))
        return replace(marks, refines=told is None or told.line[0].refines)

    def unmade(self) -> list[Correction]:
        """What all marks come to that were left on frames of the film, of whichever object."""
        self.note_marks()
        left = [self.correction(prompts, self.chosen.get(place), place=place) for place, prompts in self.drafts.items()]
        return [each for each in left if not self._is_made(each)]

    def changed_marks(self, left: Sequence[Correction] = ()) -> tuple[list[Correction], list[Place]]:
        """(corrections that the run has otherwise or not at all, places of those that it has and that were taken back).
        left: what is marked and no correction yet
        """
        wanted = {(each.frame, each.object): each for each in (*self.corrections, *left)}
        told = self.run.marks if self.run is not None else {}
        changed = [each for place, each in wanted.items() if told.get(place) != each]
        return changed, [place for place in told if place not in wanted]

    def note_seen(self, mask: np.ndarray) -> None:
        """bool [H, W]: what the present marks come to, to be seen as long as another object is marked."""
        self.seen[self.place] = self.frame_work.prompts, mask_to_rle(mask)
        while len(self.seen) > MAX_DRAFTS:
            del self.seen[next(iter(self.seen))]

    def seen_at(self, place: Place) -> np.ndarray | None:
        """bool [H, W]: the mask that marks there came to; None where it is not known, or they are others by now."""
        prompts, rle = self.seen.get(place, (None, None))
        return rle_to_mask(rle) if rle is not None and prompts == self.prompts_at(place) else None

    def _is_made(self, correction: Correction) -> bool:
        made = self.made(correction.frame, correction.object)
        return made is not None and made.prompts == correction.prompts

    def _forget_marks(self) -> None:
        """Other places than before: nothing that is remembered by them fits."""
        self.drafts, self.chosen, self.chosen_at, self.seen, self.turned = {}, {}, None, {}, set()
        self.frame_work.forget()

    def _lay_frame(self) -> None:
        known, name = self.prompts_at(self.place), frame_name(self.video.name, self.frame)
        try:
            picture = Picture.from_array(self.video.frame(self.frame), name)
        except PictureError:
            # A damaged frame; the page says so, and the visitor can go elsewhere.
            picture = Picture.from_array(np.full((*self.video.size, 3), 96, np.uint8), name)
        self.frame_work.laid = self.place
        if picture != self.frame_work.picture or known != self.frame_work.prompts:
            self.frame_work.show_picture(picture, known)
            self.frame_work.recent = []
