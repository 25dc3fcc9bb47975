"""The memories a visitor has recorded on pictures and on frames of the film, and the film itself."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from samkit.errors import PictureError
from samkit.experiments.film.film_run import FilmRun, Follow, GoTo
from samkit.experiments.inputs import Inputs, Prior
from samkit.experiments.steering import MAX_EARLIER, MAX_OBJECTS, Action, Correction, FilmObject, Steering, Switch
from samkit.media.drawing import overlay
from samkit.media.file_film import FileVideo
from samkit.media.films import Video, frame_name
from samkit.media.pictures import Picture
from samkit.media.rle import mask_to_rle
from samkit.media.sample_videos import load_sample_video
from samkit.prompts import Prompts
from samkit.ui.parts.inline_image import fit_within, shrink_mask
from samkit.ui.state.films import store_and_open, use_film
from samkit.ui.state.jobs import JobHolder
from samkit.ui.state.kept_work import FILM_KEY, opened_film
from samkit.ui.state.workspace import Workspace
from samkit.work.kept.value import FilmWork, Memory
from samkit.work.queue import DONE, PAUSED

if TYPE_CHECKING:
    from samkit.models.memory_bank import MemoryBank

FIRST_FILM, FIRST_PICTURE = "coin", "coins"
"""What a first visit finds: a film, and a sample picture with what the film shows."""
THUMB_PX = (280, 200)
MAX_DRAFTS = 200
Place = tuple[int, int]
"""A frame of the film, and the number of an object."""


@dataclass(frozen=True)
class Recorded:
    """A prior and how it looks: uint8 [h, w, 3], the picture with its mask, small.

    example: whether a first visit finds it, with the sample film that it belongs to
    """

    prior: Prior
    thumbnail: np.ndarray
    example: bool = False


@dataclass
class FilmTable(JobHolder[FilmRun]):
    """What lies on this visitor's table for films.

    bank:        memories from a file, of the first object; banks: of others, by their numbers
    objects:     those that are followed; object: the number of the one that prompts go to
    corrections: what marks objects on frames of the film, in the order they were made
    switches:    of an opened run, done again when the film is segmented anew
    frame:       of the film, where the visitor stands; stamp: counts the times when the server moved there
    on_film:     whether the canvas shows that frame, or the picture that all pages share
    frame_work:  that frame as a picture with prompts
    drafts:      (frame, object) -> prompts that mark nothing yet
    chosen:      (frame, object) -> which of the four masks is meant there, None for the best; chosen_at: where the
                 page looked for that last
    visited:     whether the page was shown before
    changed:     whether the visitor has put another film here since the page last looked
    lost:        whether there was a run that is gone
    was_active:  whether a run was going on when the page was last drawn; followed: whether the visitor watches it
    mask_upload: the uploaded mask file that was recorded last; bank_upload: the bank file that was taken last
    """

    video: Video
    recorded: list[Recorded] = field(default_factory=list)
    bank: "MemoryBank | None" = None
    banks: "dict[int, MemoryBank]" = field(default_factory=dict)
    objects: list[FilmObject] = field(default_factory=lambda: [FilmObject()])
    object: int = 0
    corrections: list[Correction] = field(default_factory=list)
    switches: tuple[Switch, ...] = ()
    frame: int = 0
    stamp: int = 0
    on_film: bool = True
    frame_work: Workspace = field(default_factory=Workspace)
    drafts: dict[Place, Prompts] = field(default_factory=dict)
    chosen: dict[Place, int | None] = field(default_factory=dict)
    chosen_at: Place | None = None
    visited: bool = False
    changed: bool = False
    lost: bool = False
    was_active: bool = False
    followed: bool = True
    mask_upload: str = ""
    bank_upload: str = ""

    @property
    def run(self) -> FilmRun | None:
        return self.job.run if self.job is not None else None

    @property
    def steering(self) -> Steering:
        objects = tuple(self.objects) if self.objects != [FilmObject()] else ()
        return Steering(objects, tuple(self.corrections), self.switches)

    @property
    def newest(self) -> int:
        """The frame that the run found last; where there is none, the one where the visitor stands."""
        latest = self.run.latest if self.run is not None else None
        return latest[0] if latest is not None else self.frame

    def drop_run(self) -> None:
        super().drop_run()
        self.lost = False

    def apart(self) -> "FilmTable":
        """The same on a table of its own, without the run."""
        return replace(
            self,
            recorded=list(self.recorded),
            banks=dict(self.banks),
            objects=list(self.objects),
            corrections=list(self.corrections),
            frame_work=Workspace(),
            drafts=dict(self.drafts),
            chosen=dict(self.chosen),
        )

    def anything_remembered(self, inputs: Inputs) -> bool:
        banks = (inputs.bank, *inputs.banks)
        return bool(inputs.priors or inputs.steering.corrections or any(bank is not None for bank in banks))

    def show_film(self, video: Video) -> None:
        """Another film. The visitor's own memories stay; those of the film before become memories of pictures."""
        self.video, self.changed = video, True
        own = [each for each in self.recorded if not each.example]
        self.recorded = [replace(each, prior=replace(each.prior, film_frame=None)) for each in own]
        self.corrections, self.switches, self.drafts, self.chosen = [], (), {}, {}
        self.drop_run()
        self.go_to(0)

    def go_to(self, frame: int) -> None:
        """Stand at a frame, because the server says so."""
        self.rest_at(frame)
        self.stamp += 1

    def rest_at(self, frame: int) -> None:
        """Stand at a frame, because the visitor's player rests there. What was marked on the frame before stays."""
        self._draft()
        self.frame, self.on_film = min(max(0, frame), self.video.length - 1), True
        self._lay_frame()

    def choose_object(self, number: int) -> None:
        """The object that prompts go to."""
        self._draft()
        self.object = number
        self._lay_frame()

    def lay_frame(self) -> Workspace:
        """The present frame as a picture with prompts."""
        if self.frame_work.picture.name != frame_name(self.video.name, self.frame):
            self._lay_frame()
        return self.frame_work

    def add_object(self) -> None:
        if len(self.objects) < MAX_OBJECTS:
            self.objects.append(FilmObject())
            self.choose_object(len(self.objects) - 1)

    def change_object(self, number: int, changed: FilmObject) -> None:
        """Another name or colour; a run takes it over."""
        if self.objects[number] != changed:
            self.objects[number] = changed
            self._tell_objects()

    def remove_object(self, number: int) -> None:
        """With its memories and corrections. A run can't let go of an object, so it goes too."""
        self.drop_run()
        del self.objects[number]

        def without(owner: int) -> int:
            return owner - (owner > number)

        self.recorded = [
            replace(each, prior=replace(each.prior, object=without(each.prior.object)))
            for each in self.recorded
            if each.prior.object != number
        ]
        self.corrections = [
            replace(each, object=without(each.object)) for each in self.corrections if each.object != number
        ]
        banks = {0: self.bank} if self.bank is not None else {}
        banks |= self.banks
        banks = {without(owner): bank for owner, bank in banks.items() if owner != number}
        self.bank = banks.pop(0, None)
        self.banks, self.drafts, self.chosen = banks, {}, {}
        self.object = min(self.object, len(self.objects) - 1)
        self._lay_frame()

    def made(self, frame: int, number: int) -> Correction | None:
        """What an object is corrected by on a frame."""
        return next((each for each in self.corrections if (each.frame, each.object) == (frame, number)), None)

    def correction(
        self, prompts: Prompts, mask_index: int | None, mask: np.ndarray | None = None, place: Place | None = None
    ) -> Correction:
        """What marks on a frame come to. Of an object that the run has found there they refine what it found; a
        correction that was made there with the same prompts stays what it is.

        mask:  bool [H, W], in place of prompts
        place: (frame, object); None for the present ones
        """
        frame, number = place or (self.frame, self.object)
        made = self.made(frame, number)
        if mask is not None:
            return Correction(frame, mask=mask_to_rle(mask), object=number)
        marks = Correction(frame, prompts, mask_index, object=number)
        if made is not None and made.prompts == prompts:
            return replace(marks, refines=made.refines, earlier=made.earlier)
        if self.run is None or number not in self.run.on(frame):
            return marks
        return replace(marks, refines=True, earlier=made.line[-MAX_EARLIER:] if made is not None else ())

    def unmade(self) -> list[Correction]:
        """What all marks come to that were left on frames of the film, of whichever object."""
        self._draft()
        left = [self.correction(prompts, self.chosen.get(place), place=place) for place, prompts in self.drafts.items()]
        return [each for each in left if not self._is_made(each)]

    def marked(self) -> set[int]:
        """Objects of which something says what they are: a mark on a frame, a memory, or a bank."""
        self._draft()
        of_banks = {0} if self.bank is not None else set()
        return (
            of_banks
            | set(self.banks)
            | {number for _, number in self.drafts}
            | {each.object for each in self.corrections}
            | {each.prior.object for each in self.recorded}
        )

    def _is_made(self, correction: Correction) -> bool:
        made = self.made(correction.frame, correction.object)
        return made is not None and made.prompts == correction.prompts

    def correct(self, correction: Correction) -> None:
        """Mark an object on a frame; a run goes there and on from there, a paused one once it goes on."""
        same = (correction.frame, correction.object)
        self.corrections = [each for each in self.corrections if (each.frame, each.object) != same]
        self.corrections.append(correction)
        self.drafts.pop(same, None)
        run = self.run
        if run is None or self.job is None or not 0 <= run.place_of(correction.frame) < run.total:
            return
        self._tell_objects()
        run.ask(correction)
        if self.job.state != PAUSED:
            self.job.resume()

    def remove_correction(self, number: int) -> None:
        del self.corrections[number]

    def segment_from(self, frame: int) -> None:
        """Let the run go on at a frame."""
        if self.run is not None and self.job is not None:
            self.run.ask(GoTo(frame))
            self.job.resume()

    def switch(self, action: Action) -> None:
        if self.run is not None:
            self.run.ask(action)

    def _tell_objects(self) -> None:
        run, job = self.run, self.job
        if run is not None and job is not None and self.steering.objects != run.steering.objects:
            run.ask(Follow(tuple(self.objects)))
            if job.state == DONE:
                job.resume()

    def record(self, prior: Prior, mask: np.ndarray, example: bool = False) -> None:
        prior = replace(prior, film_frame=self.video.frame_of(prior.picture), object=self.object)
        self.recorded.append(Recorded(prior, thumbnail(prior.picture, mask, self.steering.rgb(self.object)), example))

    def record_prior(self, prior: Prior) -> None:
        """A prior whose mask is not known yet."""
        self.recorded.append(Recorded(prior, thumbnail(prior.picture, prior.mask, self.steering.rgb(prior.object))))

    def remove(self, index: int) -> None:
        del self.recorded[index]

    def take_bank(self, bank: "MemoryBank") -> None:
        """Of the object that prompts go to."""
        if self.object:
            self.banks[self.object] = bank
        else:
            self.bank = bank

    def inputs(self, picture: Picture) -> Inputs:
        """picture: what stands for the run where nothing is recorded."""
        priors = tuple(each.prior for each in self.recorded)
        first = priors[0] if priors else Prior(picture)
        last = max(self.banks, default=0)
        return Inputs(
            image=first.picture,
            prompts=first.prompts if priors else Prompts(),
            video=self.video,
            priors=priors,
            bank=self.bank,
            banks=tuple(self.banks.get(number) for number in range(1, last + 1)),
            steering=self.steering,
        )

    def forget_bank(self, number: int = 0) -> None:
        if number:
            self.banks.pop(number, None)
        else:
            self.bank = None

    def restore(self, inputs: Inputs) -> None:
        """A kept run's film and memories. A film that lies in the run's own folder is stored first, for that folder
        goes.
        """
        self.video = _stored(inputs.video or self.video)
        self.drop_run()
        self.bank = inputs.bank
        self.banks = {number: bank for number, bank in enumerate(inputs.banks, start=1) if bank is not None}
        self.objects = list(inputs.steering.objects) or [FilmObject()]
        self.corrections, self.switches = list(inputs.steering.corrections), inputs.steering.switches
        self.drafts, self.chosen, self.object = {}, {}, 0
        self.recorded = []
        for prior in inputs.priors:
            self.record_prior(prior)
        self.go_to(0)

    def _draft(self) -> None:
        """Remember what is marked on the present frame and marks nothing yet."""
        if self.frame_work.picture.name == frame_name(self.video.name, self.frame):
            place = self.frame, self.object
            self.drafts.pop(place, None)
            if not self.frame_work.prompts.is_empty:
                self.drafts[place] = self.frame_work.prompts
            while len(self.drafts) > MAX_DRAFTS:
                del self.drafts[next(iter(self.drafts))]

    def _lay_frame(self) -> None:
        made = self.made(self.frame, self.object)
        known = self.drafts.get((self.frame, self.object), made.prompts if made is not None else Prompts())
        name = frame_name(self.video.name, self.frame)
        try:
            picture = Picture.from_array(self.video.frame(self.frame), name)
        except PictureError:
            # A damaged frame; the page says so, and the visitor can go elsewhere.
            picture = Picture.from_array(np.full((*self.video.size, 3), 96, np.uint8), name)
        if picture != self.frame_work.picture or known != self.frame_work.prompts:
            self.frame_work.show_picture(picture, known)
            self.frame_work.recent = []


def film_table() -> FilmTable:
    """This visitor's table; a first visit finds a sample film."""
    if FILM_KEY not in st.session_state:
        st.session_state[FILM_KEY] = _kept_table() or FilmTable(load_sample_video(FIRST_FILM))
    table: FilmTable = st.session_state[FILM_KEY]
    use_film(table.video)
    return table


def _stored(video: Video) -> Video:
    """A film that lies in a folder that goes, from the store of films."""
    if not isinstance(video, FileVideo):
        return video
    return store_and_open(video.path, video.path.name, video.name, max(video.size))


def _kept_table() -> FilmTable | None:
    """The table that lay here when the page was reloaded, or of the shared link that was opened; None without one."""
    kept = opened_film()
    if kept is None:
        return None
    film = _stored(kept.film) if kept.film is not None else load_sample_video(FIRST_FILM)
    table = FilmTable(film, bank=kept.bank, visited=True)
    table.recorded = [Recorded(memory.prior, memory.thumbnail) for memory in kept.memories]
    table.objects = list(kept.steering.objects) or [FilmObject()]
    table.corrections, table.switches = list(kept.steering.corrections), kept.steering.switches
    if kept.film is not None:
        table.frame, table.object = kept.frame, kept.object
        for each in kept.marks:
            place = each.frame, each.object
            table.drafts[place], table.chosen[place] = each.prompts, each.mask_index
    table.lost = kept.run
    return table


def film_work(table: FilmTable) -> FilmWork:
    """The table as it is kept."""
    memories = tuple(Memory(each.prior, each.thumbnail) for each in table.recorded)
    had_run = table.job is not None or table.lost
    marks = tuple(replace(each, refines=False, earlier=()) for each in table.unmade())
    return FilmWork(table.video, memories, table.bank, table.steering, had_run, marks, table.frame, table.object)


def thumbnail(picture: Picture, mask: np.ndarray | None, color: tuple[int, int, int]) -> np.ndarray:
    """uint8 [h, w, 3]. mask: bool [H, W], or None where it is not known; color: its RGB."""
    small = fit_within(picture.rgb, *THUMB_PX)
    if mask is None:
        return small
    return overlay(small, shrink_mask(mask, small.shape[:2]), color, alpha=0.5)
