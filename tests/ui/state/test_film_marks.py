"""Marks on frames of a film: one history over all frames and objects, and what they come to for a run."""

from types import SimpleNamespace

import numpy as np
import pytest

from samkit.experiments.steering import Correction, FilmObject
from samkit.media.sample_videos import load_sample_video
from samkit.prompts import Prompts
from samkit.ui.state.film_marks import FilmMarks

A, B, C = (Prompts(points=[(x, 0.5, 1)]) for x in (0.2, 0.5, 0.8))


class Marked(FilmMarks):
    """told: frame and object -> the correction that a run has; it has found the first object on every frame."""

    told = None

    @property
    def run(self):
        if self.told is None:
            return None
        return SimpleNamespace(marks=self.told, on=lambda frame: {0: "found"})


@pytest.fixture
def film():
    return Marked(load_sample_video("coin"), objects=[FilmObject(), FilmObject()])


def mark(film, frame: int, prompts: Prompts, number: int = 0) -> None:
    film.stand_at((frame, number))
    film.frame_work.edit(prompts)


def segment(film) -> None:
    """As the page's button does it."""
    for correction in film.unmade():
        film.correct(correction)
    film.told = {(each.frame, each.object): each for each in film.corrections}


def marks(film) -> dict:
    return {place: film.prompts_at(place) for place in film.marked_places()}


@pytest.mark.parametrize("segmented", [False, True], ids=["before a run", "after one"])
def test_undo_goes_back_through_all_frames_and_objects_and_redo_forth(film, segmented):
    mark(film, 3, A)
    mark(film, 8, B, 1)
    mark(film, 8, C)
    if segmented:
        segment(film)
    film.rest_at(20)
    work, every = film.frame_work, marks(film)
    assert every == {(3, 0): A, (8, 0): C, (8, 1): B}
    work.undo()
    assert film.place == (8, 0) and work.prompts.is_empty and marks(film) == {(3, 0): A, (8, 1): B}
    work.undo()
    assert film.place == (8, 1) and marks(film) == {(3, 0): A}
    work.undo()
    assert film.place == (3, 0) and not marks(film) and not film.corrections
    work.undo()
    assert len(work.undone) == 3
    for _ in range(3):
        work.redo()
    assert marks(film) == every and film.place == (8, 0) and work.prompts == C
    if segmented:
        assert film.changed_marks() == ([], []), "they are what the run has"


def test_what_a_second_mark_made_of_a_correction_is_undone_to_the_first(film):
    film.told = {}
    mark(film, 3, A)
    segment(film)
    (first,) = film.corrections
    mark(film, 3, A.with_point(0.5, 0.1, 0))
    segment(film)
    (second,) = film.corrections
    assert second.earlier == (first,) and second.refines
    film.frame_work.undo()
    assert film.corrections == [first] and film.changed_marks() == ([first], [])
    film.frame_work.undo()
    assert film.changed_marks() == ([], [(3, 0)])
    film.frame_work.redo()
    film.frame_work.redo()
    assert film.corrections == [second] and film.changed_marks() == ([], [])


def test_marks_that_are_removed_take_their_correction_along(film):
    mark(film, 3, A)
    segment(film)
    film.frame_work.clear()
    assert not film.marked_places() and film.changed_marks() == ([], [(3, 0)])
    film.frame_work.undo()
    assert marks(film) == {(3, 0): A} and film.changed_marks() == ([], [])
    film.rest_at(10)
    film.unmark((3, 0))
    assert not film.marked_places() and film.place == (10, 0)
    film.frame_work.undo()
    assert film.place == (3, 0) and film.frame_work.prompts == A and film.changed_marks() == ([], [])


def test_a_mask_that_was_given_is_taken_back_and_undone(film):
    mask = np.zeros(film.video.size, bool)
    mask[:40, :40] = True
    given = film.correction(Prompts(), None, mask, place=(5, 0))
    film.correct(given)
    film.rest_at(5)
    film.note_marks()
    assert film.corrections == [given], "a mask has no prompts, and is there all the same"
    film.unmark((5, 0))
    assert not film.corrections
    film.frame_work.undo()
    assert film.corrections == [given]


def test_marks_do_not_refine_what_a_mark_that_was_taken_back_made(film):
    film.told = {(3, 0): Correction(3, A)}
    mark(film, 3, B)
    assert not film.unmade()[0].refines, "alone as the first one was"
    film.told = {(3, 0): Correction(3, A, refines=True)}
    assert film.unmade()[0].refines and not film.unmade()[0].earlier, "the run found something there without it"


def test_of_another_object_the_mask_is_known_as_long_as_its_marks_are_the_same(film):
    mark(film, 3, A)
    mask = np.zeros(film.video.size, bool)
    mask[10:20, 10:20] = True
    film.note_seen(mask)
    film.choose_object(1)
    assert (film.seen_at((3, 0)) == mask).all() and film.seen_at((3, 1)) is None
    film.choose_object(0)
    film.frame_work.edit(B)
    film.choose_object(1)
    assert film.seen_at((3, 0)) is None


def test_a_picture_of_another_page_is_no_input_of_marks_on_the_film():
    from samkit.media.samples import load_sample
    from samkit.ui.state.recorded import FilmTable

    table, other = FilmTable(video=load_sample_video("coin")), load_sample("coffee")
    assert table.inputs(other).image == other
    table.correct(Correction(0, A))
    assert table.inputs(other).image is None
