"""A sweep over films that is thought of on the film page: what it asks for, and what goes along."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from samkit.errors import BadInput
from samkit.media.file_film import FileVideo
from samkit.media.films import Video
from samkit.media.sample_videos import load_sample_video
from samkit.prompts import Prompts
from samkit.ui.bench.sweeping.draft import AS_GIVEN, Choices, price
from samkit.ui.bench.sweeping.film_draft import TRUE_MASK, FilmAtHand, FilmChoices, make_film_draft
from samkit.ui.state.sweeps import delete_sweep
from samkit.work.sources import Sources
from samkit.work.sweep.cells import make_cells
from samkit.work.sweep.results import new_sweep, sweeps_folder
from samkit.work.sweep.spec import spec_from_text
from tests.media.films import moving_frames, write_film_file

MARKS = Prompts([(0.5, 0.5, 1)])


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path / "home"))


def choices(**more) -> Choices:
    usual = {"experiment": "video-priors", "models": ("nano-sam2",), "params": {"max_frames": [0, 6]}, "name": "n"}
    return Choices(**(usual | {"prompts": ("true box",)} | more))


def test_memory_length_on_sample_films():
    films = FilmChoices(FilmAtHand(load_sample_video("coin")), ("cup", "coin"))
    draft = make_film_draft(choices(prompts=("true box", TRUE_MASK)), films)
    assert spec_from_text(draft.text) == draft.spec and price(draft, None, 1).cells == 2 * 2 * 2
    assert {cell.case.film.ref for cell in make_cells(*draft.placed())} == {"sample:coin", "sample:cup"}


def test_what_is_marked_on_a_frame_is_marked_there():
    draft = make_film_draft(
        choices(prompts=(AS_GIVEN, "true box")), FilmChoices(FilmAtHand(load_sample_video("coin"), 5, MARKS))
    )
    cells = make_cells(*draft.placed())
    assert {cell.case.frame for cell in cells} == {5} and cells[0].prompts == MARKS
    marked = cells[0].case
    right = Sources().truth(marked.truth, Sources().picture(marked.picture)).mask
    assert np.array_equal(right, load_sample_video("coin").mask(5))
    assert spec_from_text(draft.text).films[0].frame == 5


def test_a_film_of_ones_own_goes_along_and_stays_when_the_page_lets_it_go(film):
    draft = make_film_draft(choices(prompts=(AS_GIVEN,)), FilmChoices(FilmAtHand(film, 1, MARKS)))
    assert set(draft.linked) == {"my-film.mp4"}
    assert {"sweep.yaml", "my-film.mp4"} == set(zipfile.ZipFile(io.BytesIO(draft.zipped())).namelist())
    spec, cases = draft.placed()
    film.path.unlink()
    assert Sources().film(cases[0].film).length == film.length
    sweep = new_sweep(spec, cases)
    delete_sweep(sweep)
    assert not list(sweeps_folder().iterdir()), "with what was given for it"


def test_what_does_not_go_together_is_said(film):
    at_hand = FilmAtHand(film, 0, MARKS)
    for prompts, films, said in (
        (("true box",), FilmChoices(at_hand), "has no true mask"),
        ((AS_GIVEN,), FilmChoices(FilmAtHand(film)), "Mark the object on a frame"),
        ((AS_GIVEN,), FilmChoices(at_hand, ("cup",)), "belongs to its film alone"),
        ((), FilmChoices(at_hand), "at least one kind of prompts"),
    ):
        with pytest.raises(BadInput, match=said):
            make_film_draft(choices(prompts=prompts), films)
    with pytest.raises(BadInput, match="frames 0 to"):
        make_film_draft(choices(prompts=(AS_GIVEN,)), FilmChoices(FilmAtHand(load_sample_video("coin"), 5_000, MARKS)))


@pytest.fixture
def film(tmp_path) -> Video:
    return FileVideo(write_film_file(Path(tmp_path) / "a.mp4", moving_frames(4)), "my film.mp4")
