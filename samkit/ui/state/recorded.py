"""The memories a visitor has recorded on pictures and on frames of the film, and the film itself."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from samkit.experiments.film.film_run import FilmRun, Follow, GoTo, Unmark
from samkit.experiments.film.tracks import Found
from samkit.experiments.inputs import Inputs, Prior
from samkit.experiments.steering import MAX_OBJECTS, Action, Correction, FilmObject, Steering, Switch
from samkit.media.drawing import overlay
from samkit.media.file_film import FileVideo
from samkit.media.films import Video
from samkit.media.pictures import Picture
from samkit.media.sample_videos import load_sample_video
from samkit.prompts import Prompts
from samkit.ui.parts.inline_image import fit_within, shrink_mask
from samkit.ui.state.film_marks import FilmMarks, FrameMarks, FrameWork, Place
from samkit.ui.state.films import store_and_open, use_film
from samkit.ui.state.jobs import JobHolder
from samkit.ui.state.kept_work import FILM_KEY, opened_film
from samkit.ui.state.put_aside import PutAside, copied, laid_aside, what_lies_there
from samkit.ui.state.workspace import Marks
from samkit.work.kept.document import MAX_STEPS, FilmStep
from samkit.work.kept.value import FilmWork, Memory, newest
from samkit.work.queue import DONE, BackgroundJob

if TYPE_CHECKING:
    from samkit.models.memory_bank import MemoryBank

FIRST_FILM, FIRST_PICTURE = "coin", "coins"
"""What a first visit finds: a film, and a sample picture with what the film shows."""
THUMB_PX = (280, 200)


@dataclass(frozen=True)
class Recorded:
    """A prior and how it looks: uint8 [h, w, 3], the picture with its mask, small.

    example: whether a first visit finds it, with the sample film that it belongs to
    """

    prior: Prior
    thumbnail: np.ndarray
    example: bool = False


@dataclass(kw_only=True)
class FilmTable(FilmMarks, JobHolder[FilmRun]):
    """What lies on this visitor's table for films, beside what `FilmMarks` says.

    bank:        memories from a file, of the first object; banks: of others, by their numbers
    switches:    of an opened run, done again when the film is segmented anew
    visited:     whether the page was shown before
    changed:     whether the visitor has put another film here since the page last looked
    lost:        whether there was a run that is gone
    was_active:  whether a run was going on when the page was last drawn; followed: whether the visitor watches it,
                 which only they begin and end
    mask_upload: the uploaded mask file that was recorded last; bank_upload: the bank file that was taken last
    discarded:   the run that the visitor has cancelled or discarded last, as far as it came
    put_aside:   what lay here before other films or opened runs took its place, in the order in which it is offered
    """

    recorded: list[Recorded] = field(default_factory=list)
    bank: "MemoryBank | None" = None
    banks: "dict[int, MemoryBank]" = field(default_factory=dict)
    switches: tuple[Switch, ...] = ()
    visited: bool = False
    changed: bool = False
    lost: bool = False
    was_active: bool = False
    followed: bool = True
    mask_upload: str = ""
    bank_upload: str = ""
    discarded: "BackgroundJob[FilmRun] | None" = None
    put_aside: tuple[PutAside, ...] = ()

    @property
    def aside(self) -> PutAside | None:
        """What is offered first of what was put aside."""
        return self.put_aside[0] if self.put_aside else None

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
        self.lost, self.kept = False, None

    def discard(self) -> None:
        """Stop the run and put it away, as far as it came. Film, memories and marks stay."""
        job = self.job
        self.drop_run()
        if job is not None and job.run is not None and job.run.done:
            self.discarded = job

    def bring_back_run(self) -> None:
        """The run that was put away last, in place of the one that is here, which is put away."""
        again, self.discarded = self.discarded, None
        self.discard()
        self.job, self.followed = again, False

    @property
    def computes(self) -> bool:
        """Whether a run of this film has the machine, also one that was stopped and still makes its last step."""
        return any(job is not None and job.active for job in (self.job, self.discarded))

    def _forget_marks(self) -> None:
        super()._forget_marks()
        self.discarded = None

    def found_on(self, frame: int) -> Mapping[int, Found]:
        """number of the object -> what the run, or an opened one, has found of it on that frame."""
        if self.run is not None:
            return self.run.on(frame)
        return self.kept.on(frame) if self.kept is not None else {}

    def apart(self) -> "FilmTable":
        """The same on a table of its own, without the run."""
        return replace(
            self,
            recorded=list(self.recorded),
            banks=dict(self.banks),
            objects=list(self.objects),
            corrections=list(self.corrections),
            frame_work=FrameWork(),
            drafts=dict(self.drafts),
            chosen=dict(self.chosen),
            seen=dict(self.seen),
            turned=set(self.turned),
            discarded=None,
            put_aside=(),
        )

    def anything_remembered(self, inputs: Inputs) -> bool:
        banks = (inputs.bank, *inputs.banks)
        return bool(inputs.priors or inputs.steering.corrections or any(bank is not None for bank in banks))

    def show_film(self, video: Video, anew: bool = False) -> None:
        """Another film, with one object to be marked. The visitor's own memories stay, with their objects; those of the
        film before become memories of pictures. Marks and run are put aside, and are here again with their film; not
        so where `anew`.
        """
        there = what_lies_there(self)
        own = [each for each in self.recorded if not each.example]
        own = [replace(each, prior=replace(each.prior, film_frame=None)) for each in own]
        again = None if anew else self.comes_back(video)
        self.put_aside = laid_aside(there, self._aside_but(again))
        if again is not None:
            self._lay_again(again)
            known = [_likeness(each) for each in self.recorded]
            more = [each for each in own if _likeness(each) not in known and each.prior.object < len(self.objects)]
            self.recorded = [*self.recorded, *more]
            return
        self.video, self.changed, self.recorded = video, True, own
        last = max([*self.banks, *(each.prior.object for each in own)], default=0)
        kept = bool(own or self.banks or self.bank is not None)
        self.objects, self.object = (self.objects[: last + 1] if kept else [FilmObject()]), 0
        self.corrections, self.switches = [], ()
        self._forget_marks()
        self.drop_run()
        self.go_to(0)

    def comes_back(self, video: Video) -> PutAside | None:
        """What was put aside of that film, where another one lies here."""
        known = (each for each in self.put_aside if each.is_of(video) and not each.is_of(self.video))
        return next(known, None)

    def bring_back(self) -> None:
        """What is offered of what was put aside, in place of what is here, which is offered again after all others."""
        if (aside := self.aside) is not None:
            there = what_lies_there(self, memories=True)
            self.put_aside = (*self.put_aside[1:], *([there] if there is not None else []))
            self._lay_again(aside)

    def _aside_but(self, taken: PutAside | None) -> tuple[PutAside, ...]:
        return tuple(each for each in self.put_aside if each is not taken)

    def _lay_again(self, aside: PutAside) -> None:
        self._forget_marks()
        self.drop_run()
        for name, value in aside.values.items():
            setattr(self, name, copied(value))
        self.changed, self.job = True, aside.job
        self.go_to(aside.frame)
        self.frame_work.history, self.frame_work.undone = list(aside.history), list(aside.undone)

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
        self.note_marks()
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
        self.banks = banks
        drafts = {(at, without(owner)): each for (at, owner), each in self.drafts.items() if owner != number}
        self._forget_marks()
        self.drafts = drafts
        self.object = min(self.object, len(self.objects) - 1)
        self._lay_frame()

    def marked(self) -> set[int]:
        """Objects of which something says what they are: a mark on a frame, a memory, or a bank."""
        of_banks = {0} if self.bank is not None else set()
        of_marks = {number for _, number in self.marked_places()}
        return of_banks | set(self.banks) | of_marks | {each.prior.object for each in self.recorded}

    def take_marks(self, places: Collection[Place] | None = None) -> None:
        """Have the run go on with the marks as they are: it goes to the first one that is another than before, and on
        from there. places: the marks there alone
        """
        run, job = self.run, self.job
        if run is None or job is None:
            return
        self._tell_objects()
        changed, gone = self.changed_marks()
        for frame, number in gone:
            if places is None or (frame, number) in places:
                run.ask(Unmark(frame, number))
        for correction in changed:
            if places is None or (correction.frame, correction.object) in places:
                run.ask(correction)
        job.resume()

    def taken_back(self, left: Sequence[Correction]) -> set[Place]:
        """While a run goes on, where it has marks that the visitor has taken back since the page last looked, or lacks
        some that redo has brought back: it makes masks of what is not meant. left: as in `changed_marks`
        """
        run, job = self.run, self.job
        if run is None or job is None or not job.active:
            return set()
        changed, gone = self.changed_marks(left)
        others = {(each.frame, each.object) for each in changed}
        known = {place for place in others if place in run.marks or self.made(*place) is not None}
        return {place for place in self.turned & (known | set(gone)) if 0 <= run.place_of(place[0]) < run.total}

    def take_back(self, left: Sequence[Correction]) -> bool:
        """Let the run go back there at once, and have the visitor see what comes of it where they stand. Whether there
        was anything.
        """
        places = self.taken_back(left)
        for correction in left:
            if (correction.frame, correction.object) in places:
                self.correct(correction)
        if places:
            self.take_marks(places)
        if self.place in places:
            self.stamp += 1
            self.followed = False
        if self.run is not None or self.job is None or not self.job.active:
            self.turned = set()  # One that is being made is told once it is there.
        return bool(places)

    def go_on(self) -> None:
        """Let the run go on where it was stopped, before the visitor's eyes."""
        if self.job is not None:
            self.job.resume()
            self.followed = True

    def segment_from(self, frame: int) -> None:
        """Let the run go on at a frame."""
        if self.run is not None:
            self.run.ask(GoTo(frame))
            self.go_on()

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
        """picture: what stands for the run where nothing at all marks an object; beside marks on the film and memory
        banks it has no part in the run, and is not named.
        """
        priors = tuple(each.prior for each in self.recorded)
        others = self.bank is not None or self.banks or self.corrections
        last = max(self.banks, default=0)
        return Inputs(
            image=priors[0].picture if priors else None if others else picture,
            prompts=priors[0].prompts if priors else Prompts(),
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
        goes. What was here is put aside.
        """
        self.put_aside = laid_aside(what_lies_there(self, memories=True), self.put_aside)
        self.video = _stored(inputs.video or self.video)
        self.drop_run()
        self.bank = inputs.bank
        self.banks = {number: bank for number, bank in enumerate(inputs.banks, start=1) if bank is not None}
        self.objects = list(inputs.steering.objects) or [FilmObject()]
        self.corrections, self.switches = list(inputs.steering.corrections), inputs.steering.switches
        self._forget_marks()
        self.object, self.recorded = 0, []
        for prior in inputs.priors:
            self.record_prior(prior)
        self.go_to(0)


def _likeness(memory: Recorded) -> tuple[str, Prompts, int, bool]:
    """Equal for one memory, of whichever film it was a frame."""
    prior = memory.prior
    return prior.picture.sha256, prior.prompts, prior.object, prior.mask is None


def film_table() -> FilmTable:
    """This visitor's table; a first visit finds a sample film."""
    if FILM_KEY not in st.session_state:
        st.session_state[FILM_KEY] = _kept_table() or FilmTable(video=load_sample_video(FIRST_FILM))
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
    table = FilmTable(video=film, bank=kept.bank, visited=True)
    table.recorded = [Recorded(memory.prior, memory.thumbnail) for memory in kept.memories]
    table.objects = list(kept.steering.objects) or [FilmObject()]
    table.corrections, table.switches = list(kept.steering.corrections), kept.steering.switches
    if kept.film is not None:
        table.frame, table.object = kept.frame, kept.object
        for each in kept.marks:
            place = each.frame, each.object
            table.drafts[place], table.chosen[place] = each.prompts, each.mask_index
        work = table.frame_work
        work.history, work.undone = ([_marks(step) for step in steps] for steps in (kept.history, kept.undone))
    table.lost = kept.run
    return table


def film_work(table: FilmTable) -> FilmWork:
    """The table as it is kept."""
    memories = tuple(Memory(each.prior, each.thumbnail) for each in table.recorded)
    had_run = table.job is not None or table.lost or table.kept is not None
    marks = tuple(replace(each, refines=False, earlier=()) for each in table.unmade())
    steps = _steps(table.frame_work.history), _steps(table.frame_work.undone)
    return FilmWork(
        table.video, memories, table.bank, table.steering, had_run, marks, table.frame, table.object, *steps
    )


def _steps(marks: Sequence[Marks]) -> tuple[FilmStep, ...]:
    """The last changes, from behind the last with a hint, which is not kept of a film's frames."""
    known = newest(marks[-MAX_STEPS:], lambda each: isinstance(each, FrameMarks) and each.hint is None)
    return tuple(FilmStep(*each.place, each.prompts, each.made) for each in known if isinstance(each, FrameMarks))


def _marks(step: FilmStep) -> Marks:
    return FrameMarks(step.prompts, place=(step.frame, step.object), made=step.made)


def thumbnail(picture: Picture, mask: np.ndarray | None, color: tuple[int, int, int]) -> np.ndarray:
    """uint8 [h, w, 3]. mask: bool [H, W], or None where it is not known; color: its RGB."""
    small = fit_within(picture.rgb, *THUMB_PX)
    if mask is None:
        return small
    return overlay(small, shrink_mask(mask, small.shape[:2]), color, alpha=0.5)
