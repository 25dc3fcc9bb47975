"""Whose numbers stand below the film: those of the mask that the canvas shows."""

from types import SimpleNamespace

import numpy as np

from samkit.experiments.steering import Correction, FilmObject
from samkit.media.sample_videos import load_sample_video
from samkit.prompts import Prompts
from samkit.ui.state.film_frames import Sight
from samkit.ui.state.recorded import FilmTable
from samkit.ui.state.shown_marks import OwnMark, figures_of_marks

A, B = Prompts(points=[(0.2, 0.5, 1)]), Prompts(points=[(0.5, 0.5, 1)])
QUARTER, NONE = np.zeros((10, 10), bool), np.zeros((10, 10), bool)
QUARTER[:5, :5] = True


class Table(FilmTable):
    """told: what the run has of marks."""

    told: dict | None = None

    @property
    def run(self):
        return None if self.told is None else SimpleNamespace(marks=self.told)


def marked(made: bool) -> OwnMark:
    return OwnMark(QUARTER, 0.91234, made)


def sight(table, origin="run"):
    found = SimpleNamespace(pixels=NONE)
    return Sight(0, np.zeros((10, 10, 3), np.uint8), dict.fromkeys(range(len(table.objects)), found), origin)


def test_a_mark_that_the_run_has_not_taken_in_has_its_own_numbers():
    table = Table(video=load_sample_video("coin"))
    table.told = {}
    shown = {"0": {"iou": 0.912, "area": 0.25}}
    assert figures_of_marks(table, marked(False), sight(table)) == shown
    assert figures_of_marks(table, None, sight(table)) == {}
    assert figures_of_marks(table, marked(True), None) == {}
    table.correct(Correction(0, A))
    assert figures_of_marks(table, marked(True), sight(table)) == shown, "the run has not come to it"
    table.told = {(0, 0): Correction(0, A)}
    assert figures_of_marks(table, marked(True), sight(table)) == {}


def test_what_was_marked_of_another_object_counts_where_it_is_seen():
    table = Table(video=load_sample_video("coin"), objects=[FilmObject(), FilmObject()])
    table.told = {}
    table.lay_frame().edit(B)
    table.note_seen(QUARTER)
    table.choose_object(1)
    assert figures_of_marks(table, None, sight(table)) == {"0": {"iou": None, "area": 0.25}}
