"""Another film, or an opened run, takes the place of what was marked: it is put aside and comes back."""

import copy

import pytest

from samkit.experiments.inputs import Inputs, Prior
from samkit.experiments.steering import Correction, FilmObject
from samkit.media.sample_videos import load_sample_video
from samkit.media.samples import load_sample
from samkit.prompts import Prompts
from samkit.ui.state.put_aside import MOST
from samkit.ui.state.recorded import FilmTable

COIN, CUP, CAT = (load_sample_video(name) for name in ("coin", "cup", "cat"))
A, B = Prompts(points=[(0.2, 0.5, 1)]), Prompts(boxes=[(0.5, 0.5, 0.9, 0.9)])


class Job:
    """A run that is under way."""

    def __init__(self):
        self.run, self.active = None, True

    def pause(self):
        self.active = False


def renamed(film, name):
    """A film of another content, with the same frames."""
    other = copy.copy(film)
    other.name = other.__dict__["sha256"] = name
    return other


@pytest.fixture
def table():
    """Two objects, of which one is marked on two frames and the other on one; and a run."""
    table = FilmTable(video=COIN)
    table.correct(Correction(0, A))
    table.add_object()
    for frame in (4, 9):
        table.stand_at((frame, 1))
        table.frame_work.edit(B)
    table.job = Job()
    return table


def marks(table):
    return {place: table.prompts_at(place) for place in table.marked_places()}


def test_another_film_begins_with_one_object_and_the_first_ones_marks_come_back(table):
    job, known = table.job, marks(table)
    table.show_film(CUP)
    assert (table.objects, table.object, marks(table), table.job) == ([FilmObject()], 0, {}, None)
    assert table.aside.name == COIN.name and table.aside.what == "its run and 3 marks" and not job.active
    table.show_film(COIN)
    assert (marks(table), table.place, table.job, len(table.objects)) == (known, (9, 1), job, 2)
    table.frame_work.undo()
    assert table.frame_work.prompts.is_empty
    assert table.aside is None and table.changed


def test_what_was_marked_on_both_films_changes_places(table):
    known = marks(table)
    table.show_film(CUP)
    table.frame_work.edit(A)
    table.bring_back()
    assert table.video == COIN and marks(table) == known and table.aside.what == "1 mark"
    table.bring_back()
    assert table.video == CUP and marks(table) == {(0, 0): A}


def test_of_three_films_the_first_ones_run_comes_back_after_the_second_ones_mark(table):
    job, known = table.job, marks(table)
    table.show_film(CUP)
    table.frame_work.edit(A)
    table.show_film(CAT)
    assert [each.what for each in table.put_aside] == ["1 mark", "its run and 3 marks"]
    table.bring_back()
    assert (table.video, marks(table), table.aside.name) == (CUP, {(0, 0): A}, COIN.name)
    table.bring_back()
    assert (table.video, marks(table), table.job, table.place) == (COIN, known, job, (9, 1))
    table.frame_work.undo()
    assert table.frame_work.prompts.is_empty and table.aside.name == CUP.name
    table.show_film(CUP)
    assert marks(table) == {(0, 0): A} and [each.name for each in table.put_aside] == [COIN.name]


def test_back_goes_round_through_all_that_was_put_aside(table):
    for film in (CUP, CAT):
        table.show_film(film)
        table.frame_work.edit(A)
    there = []
    for _ in range(4):
        table.bring_back()
        there.append(table.video)
    assert there == [CUP, COIN, CAT, CUP]


def test_the_oldest_goes_and_one_with_a_run_last(table):
    own = [renamed(COIN, str(number)) for number in range(MOST + 1)]
    for film in own:
        table.show_film(film)
        table.frame_work.edit(A)
    names = [each.name for each in table.put_aside]
    assert names == [*(film.name for film in reversed(own[1:-1])), COIN.name] and len(names) == MOST
    for film in own[:-1]:
        table.show_film(film)
        table.frame_work.edit(A)
        table.job = Job()
    table.show_film(CAT)
    assert len(table.put_aside) == MOST and COIN.name not in [each.name for each in table.put_aside]


def test_a_film_without_marks_puts_nothing_in_the_place_of_what_is_aside(table):
    table.show_film(CUP)
    table.show_film(CUP)
    assert table.aside.is_of(COIN)


def test_memories_stay_with_their_objects_and_are_no_fewer_when_the_film_comes_back(table):
    table.record_prior(Prior(load_sample("coffee"), A, object=1))
    table.show_film(CUP)
    assert len(table.objects) == 2 and table.object == 0 and len(table.recorded) == 1
    table.record_prior(Prior(load_sample("chelsea"), B))
    table.show_film(COIN)
    assert [each.prior.picture.name for each in table.recorded] == ["coffee", "chelsea"]


def test_an_opened_run_puts_marks_and_memories_aside(table):
    table.record_prior(Prior(load_sample("coffee"), A))
    known = marks(table)
    table.restore(Inputs(video=CUP))
    assert table.aside.what == "its run, 3 marks and 1 memory" and not table.recorded
    table.bring_back()
    assert marks(table) == known and len(table.recorded) == 1 and table.job is not None
