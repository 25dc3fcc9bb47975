"""A film being segmented, frame by frame, with a hand on it: a screen can show it while it runs, stop it, let it go on,
switch and correct. All that was done to it is in its inputs, from which a run in one go comes out the same.
"""

import copy
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from samkit.errors import BadInput
from samkit.experiments.film import outcome
from samkit.experiments.film.memories import check_film, first_banks
from samkit.experiments.film.params import Params, frame_order, rules_of
from samkit.experiments.film.snapshots import Snapshots
from samkit.experiments.film.tracks import Found, ObjectTrack, correct_object, track_object
from samkit.experiments.inputs import Inputs
from samkit.experiments.lab import LabLike
from samkit.experiments.result import Result
from samkit.experiments.steering import Action, Correction, FilmObject, Steering, Switch
from samkit.media.films import Video
from samkit.words import time_text

if TYPE_CHECKING:
    from samkit.models.memory_bank import MemoryBank
    from samkit.models.sam import SamModel


@dataclass(frozen=True)
class GoTo:
    """Go on at a frame: frames between are passed without a look; frames that were segmented already are segmented
    anew.
    """

    frame: int


@dataclass(frozen=True)
class Follow:
    """Follow these objects: more than before, or the same under other names and colours. One that is new is not known
    before it is marked by a correction.
    """

    objects: tuple[FilmObject, ...]


@dataclass(frozen=True)
class Unmark:
    """Segment without the correction of that object on that frame."""

    frame: int
    object: int


Wish = Correction | Unmark | GoTo | Follow | Action


class FilmRun:
    """A film being segmented. `steps` goes on where it was left; `result` can be asked for at any time and says how far
    it came.

    inputs: what the run was given, with all corrections and switches so far
    tracks: one for each object
    done:   frames gone past so far, of `total`
    """

    content_key = "film run"
    """Among the arguments of what a lab recalls a run says nothing: they have to name its inputs beside it."""

    def __init__(self, model: "SamModel", inputs: Inputs, params: Params, lab: LabLike):
        """Records the priors. Raises BadInput without a film, for a model without a memory, or where nothing is to be
        remembered.
        """
        check_film(model, inputs)
        assert inputs.video is not None
        self.model, self.inputs, self.params, self.lab = model, inputs, params, lab
        self.video: Video = inputs.video
        self.order = frame_order(params, self.video.length)
        start = time.perf_counter()
        banks, self.prior_masks = first_banks(model, inputs, params, self.order, lab)
        self.prior_ms = 1000 * (time.perf_counter() - start)
        self.first_banks = [bank.copy() for bank in banks]
        self.tracks = [ObjectTrack(number, bank) for number, bank in enumerate(banks)]
        self.done = 0
        self._at = 0
        """The place that the banks are at: before `done` while what is remembered there is made again."""
        self._snapshots = Snapshots(len(banks))
        self._wishes: deque[Wish] = deque()
        self._pace: deque[float] = deque(maxlen=10)
        self.latest: tuple[int, np.ndarray] | None = None
        """The frame that was segmented last: its number in the film, and uint8 [H, W, 3]."""

    @property
    def steering(self) -> Steering:
        return self.inputs.steering

    @property
    def total(self) -> int:
        """Frames to be segmented."""
        return len(self.order)

    @property
    def finished(self) -> bool:
        return self.done == self.total and not self.has_wishes

    @property
    def has_wishes(self) -> bool:
        """Whether something was asked for that has not been done yet. A switch after the last frame waits for the run
        to go back.
        """
        return any(not isinstance(wish, str) for wish in tuple(self._wishes))

    @property
    def next_frame(self) -> int | None:
        """The frame of the film that comes next; None at the end."""
        return self.order[self.done] if self.done < self.total else None

    @property
    def storing(self) -> bool:
        """Whether the next frame is to be remembered, by the switches made so far and those asked for."""
        storing = self._is_on("store", self.done, self.params.remember)
        for wish in tuple(self._wishes):
            if wish in ("store_on", "store_off"):
                storing = wish == "store_on"
        return storing

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Of all objects, in the order of the run; as `Found.row`, with the number of its object."""
        rows = [row | {"object": track.number} for track in self.tracks for row in track.rows]
        return sorted(rows, key=lambda row: (self.place_of(row["frame"]), row["object"]))

    @property
    def marks(self) -> dict[tuple[int, int], Correction]:
        """(frame, object) -> its correction, as they are when all that was asked for is done."""
        marks = {(each.frame, each.object): each for each in self.steering.corrections}
        for wish in tuple(self._wishes):
            if isinstance(wish, Correction):
                marks[wish.frame, wish.object] = wish
            elif isinstance(wish, Unmark):
                marks.pop((wish.frame, wish.object), None)
        return marks

    def place_of(self, frame: int) -> int:
        """Where a frame of the film comes in the run; below 0 for one before its start."""
        return (frame - self.order.start) * self.order.step

    def on(self, frame: int) -> dict[int, Found]:
        """number of the object -> what was found of it on that frame of the film. Nothing where the run was asked to go
        back there, or before: what it found then is void, though it comes to the wish after its present step only.
        """
        place = self.place_of(frame)
        asked = (
            self.place_of(wish.frame) for wish in tuple(self._wishes) if isinstance(wish, Correction | Unmark | GoTo)
        )
        if any(back <= place for back in asked):
            return {}
        return {track.number: each for track in self.tracks if (each := track.found.get(frame)) is not None}

    def ask(self, wish: Wish) -> None:
        """Correct, switch or go elsewhere before the next frame is segmented; also from another thread. Raises BadInput
        for a frame that the run does not come to.
        """
        if isinstance(wish, Correction | Unmark | GoTo) and not 0 <= self.place_of(wish.frame) < self.total:
            first, last = sorted((self.order[0], self.order[-1]))
            raise BadInput(
                f"The run goes through the frames {first} to {last}, not to frame {wish.frame}: choose one of them, or "
                "run the film again with another start."
            )
        if isinstance(wish, Follow) and len(wish.objects) < len(self.tracks):
            raise BadInput("A run can't let go of an object: run the film again without it.")
        self._wishes.append(wish)

    def seconds_left(self) -> float | None:
        """At the pace of the last frames; None before there is one."""
        return float(np.mean(self._pace)) * (self.total - self._at) if self._pace else None

    @property
    def line(self) -> str:
        """How far the run is, for a person."""
        left = self.seconds_left()
        time_left = f", {time_text(left)} left" if left is not None and not self.finished else ""
        back = ", going back first" if self._at < self.done else ""
        # No frame's number: whoever watches sees the one that was found last.
        return f"{100 * self.done // max(1, self.total)} % of {self.total} frames{back}{time_left}"

    def steps(self) -> Iterator[int]:
        """Segment the frames that are left, one at a time; gives the film's number of each. A frame that can't be
        decoded ends the run with its PictureError; what was done is there.
        """
        # Memory is flat: one frame is held at a time.
        frames: Iterator[np.ndarray] | None = None
        while True:
            if self._grant_wishes():
                frames = None
            if self._at >= self.total:
                return
            place, frame = self._at, self.order[self._at]
            self._snapshots.offer(place, [track.bank for track in self.tracks])
            if any(switch.frame == frame and switch.action == "reset" for switch in self.steering.switches):
                for track in self.tracks:
                    track.bank.reset_frames()
            start = time.perf_counter()
            corrections = {each.object: each for each in self.steering.corrections if each.frame == frame}
            looks = self._is_on("segment", place, True)
            if not looks and not corrections:
                frames = None
                self._pass_frame()
                continue
            frames = frames or self._frames_from(place)
            rgb = next(frames)
            found = self._segment(frame, rgb, corrections, looks)
            seconds = time.perf_counter() - start
            self._pace.append(seconds)
            self._keep(place, found, 1000 * seconds)
            self.latest = frame, rgb
            if self.params.reset_every and (place + 1) % self.params.reset_every == 0:
                for track in self.tracks:
                    track.bank.reset_frames()
            self._move_on()
            yield frame

    def bank_before(self, frame: int, number: int, lab: LabLike) -> "MemoryBank":
        """What is remembered of an object when the run comes to that frame, made again from the nearest snapshot; also
        while the run goes on. The run stays as it is.
        """
        place, scout = self.place_of(frame), copy.copy(self)
        scout.lab, scout.order, scout.done = lab, self.order[:place], place
        scout._at, banks = self._snapshots.before(place)
        banks += [self._empty_bank(scout._at) for _ in self.tracks[len(banks) :]]
        scout.tracks = [ObjectTrack(each, bank) for each, bank in enumerate(banks)]
        scout._snapshots, scout._wishes, scout._pace = Snapshots(len(banks)), deque(), deque(maxlen=10)
        for at in scout.steps():
            lab.report(0.0, f"Going back to frame {frame}, at frame {at}")
        return scout.tracks[number].bank

    def take(self, segmented: "SegmentedFilm") -> None:
        """Let the frames be those of an earlier run with the same values."""
        for track, found in zip(self.tracks, segmented.found, strict=True):
            track.found = {each.frame: each for each in found}
        self.done = self._at = self.total

    def result(self, lab: LabLike | None = None) -> Result[Params]:
        """What there is so far; see `samkit.experiments.film.outcome.film_result`. lab: None for the run's own."""
        return outcome.film_result(self, lab or self.lab)

    def _frames_from(self, place: int) -> Iterator[np.ndarray]:
        left = self.order[place:]
        return self.video.frames(left.start, left.stop if left.stop >= 0 else None, left.step)

    def _segment(
        self, frame: int, rgb: np.ndarray, corrections: dict[int, Correction], looks: bool
    ) -> dict[int, Found]:
        """Find every object that is known on a frame, whose encoding they share. looks: whether objects that are not
        corrected are looked for.
        """
        others = [track for track in self.tracks if track.number not in corrections]
        tracked = [track for track in others if looks and track.bank.prompts]
        found: dict[int, Found] = {}
        if tracked:
            encoding = self.lab.frame_encoding(
                self.model, self.video, frame, rgb, side=self.params.side, fit=self.params.fit
            )
            store = self._is_on("store", self._at, self.params.remember)
            for track in tracked:
                found[track.number] = track_object(
                    self.model, encoding, track.bank, self.params, self.video, frame, rgb, store
                )
        for track in others:
            if track.number not in found:
                track.bank.skip_frame()
        for number, correction in corrections.items():
            bank = self.tracks[number].bank
            found[number] = correct_object(self.model, bank, self.params, self.video, correction, self.lab)
        return found

    def _keep(self, place: int, found: dict[int, Found], ms: float) -> None:
        """Take what was found on the frame at that place, unless the run has been there."""
        if place < self.done:
            return
        for number, each in found.items():
            row = each.row | {"ms": ms / len(found)}
            self.tracks[number].found[each.frame] = replace(each, row=row)

    def _pass_frame(self) -> None:
        for track in self.tracks:
            track.bank.skip_frame()
        self._move_on()

    def _move_on(self) -> None:
        self._at += 1
        self.done = max(self.done, self._at)

    def _is_on(self, what: str, place: int, at_first: bool) -> bool:
        """Whether "segment" or "store" is on for the frame at that place."""
        passed = [each for each in self.steering.switches if self.place_of(each.frame) <= place]
        actions = [each.action for each in passed if each.action in (f"{what}_on", f"{what}_off")]
        return actions[-1] == f"{what}_on" if actions else at_first

    def _grant_wishes(self) -> bool:
        """Do what was asked for; whether the run goes on elsewhere."""
        moved, later = False, []
        while self._wishes:
            # In sight until it is done, so that nobody is shown meanwhile what it makes void.
            wish = self._wishes[0]
            try:
                if isinstance(wish, str) and self.done == self.total:
                    later.append(wish)
                else:
                    moved |= self._grant(wish)
            finally:
                self._wishes.popleft()
        self._wishes.extend(later)
        return moved

    def _grant(self, wish: Wish) -> bool:
        """Do it; whether the run goes on elsewhere."""
        if isinstance(wish, Correction):
            return self._correct(wish)
        if isinstance(wish, Unmark):
            return self._mark(wish.frame, wish.object, None)
        if isinstance(wish, GoTo):
            return self._go_to(self.place_of(wish.frame))
        if isinstance(wish, Follow):
            self._follow(wish.objects)
        else:
            self._switch(wish, self.done)
        return False

    def _switch(self, action: Action, place: int) -> None:
        """Write a switch down, in the order of the run, unless it changes nothing."""
        what, _, state = action.partition("_")
        first = self.params.remember if what == "store" else True
        if action != "reset" and self._is_on(what, place, first) == (state == "on"):
            return
        switches = [*self.steering.switches, Switch(self.order[place], action)]
        switches.sort(key=lambda each: self.place_of(each.frame))
        self._steer(switches=tuple(switches))

    def _follow(self, objects: tuple[FilmObject, ...]) -> None:
        self._steer(objects=objects)
        for number in range(len(self.tracks), len(objects)):
            self.first_banks.append(self._empty_bank(0))
            self.tracks.append(ObjectTrack(number, self._empty_bank(self._at)))

    def _empty_bank(self, place: int) -> "MemoryBank":
        """Of an object that nobody has marked when the run comes to that place."""
        from samkit.models.memory_bank import MemoryBank

        bank = MemoryBank(self.params.max_frames, self.params.max_pointers, rules_of(self.model, self.params))
        bank.frame = place
        return bank

    def _correct(self, correction: Correction) -> bool:
        replace(self.steering, corrections=(correction,)).check(self.video.length)
        return self._mark(correction.frame, correction.object, correction)

    def _mark(self, frame: int, number: int, correction: Correction | None) -> bool:
        """Let that be the object's correction on that frame; whether the run goes back there."""
        others = [each for each in self.steering.corrections if (each.frame, each.object) != (frame, number)]
        self._steer(corrections=(*others, *([correction] if correction is not None else [])))
        return self.place_of(frame) < self.done and self._go_back(self.place_of(frame))

    def _go_to(self, place: int) -> bool:
        if place < self.done:
            return self._go_back(place)
        if place > self.done:
            self._switch("segment_off", self.done)
        self._switch("segment_on", place)
        return False

    def _go_back(self, place: int) -> bool:
        """Segment anew from that place on. What was switched later belongs to what is not any more."""
        for track in self.tracks:
            track.found = {frame: each for frame, each in track.found.items() if self.place_of(frame) < place}
        kept = tuple(each for each in self.steering.switches if self.place_of(each.frame) <= place)
        self._steer(switches=kept)
        self.done = place
        self._switch("segment_on", place)
        self._at, banks = self._snapshots.back_to(place)
        for track in self.tracks:
            known = track.number < len(banks)
            track.bank = banks[track.number] if known else self._empty_bank(self._at)
        return True

    def _steer(self, **changes: Any) -> None:
        self.inputs = replace(self.inputs, steering=replace(self.steering, **changes))


@dataclass(frozen=True)
class SegmentedFilm:
    """What a whole run gave, small enough to remember: of each object what was found, in the order of the run."""

    found: tuple[tuple[Found, ...], ...]


def segment_film(model: "SamModel", inputs: Inputs, params: Params, lab: LabLike) -> SegmentedFilm:
    """Every frame of a run. A step that a lab recalls."""
    film = FilmRun(model, inputs, params, lab)
    for _ in film.steps():
        lab.report(film.done / film.total, film.line)
    return SegmentedFilm(tuple(tuple(track.found.values()) for track in film.tracks))
