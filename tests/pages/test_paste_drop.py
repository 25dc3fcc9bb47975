"""What is dropped and pasted, without a browser: the file of the hidden field, and what the browser's side tells."""

import pytest

from samkit.media.film import write_film
from samkit.media.pictures import picture_to_png
from samkit.media.samples import load_sample
from samkit.prompts import Prompts
from samkit.ui.state.kept_work import FILM_KEY
from tests.pages.app import clear_memories, new_app, page_path


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path))
    clear_memories()


def visit(page: str):
    app = new_app()
    app.run()
    app.switch_page(page_path(page)).run()
    assert not app.exception
    return app


def drop(app, name: str, content: bytes, side: str = "a"):
    (field,) = [each for each in app.file_uploader if str(each.key).startswith(f"dropped_{side}_")]
    field.upload(name, content).run()
    assert not app.exception
    return " ".join(toast.value for toast in app.toast).replace("\\", "")


def work(app):
    return app.session_state["samkit.workspace"]


def test_a_picture_prompts_and_what_is_neither():
    app = visit("mask-stability")
    chelsea, prompts = load_sample("chelsea"), Prompts([(0.5, 0.5, 1)])
    assert "Took the picture **cat.png**" in drop(app, "cat.png", picture_to_png(chelsea))
    assert work(app).picture == chelsea and work(app).prompts.is_empty
    assert "Took 1 point" in drop(app, "prompts.json", prompts.to_json().encode())
    assert work(app).prompts == prompts
    assert "is not a picture" in drop(app, "cat.png", b"no picture at all")
    assert "This is not JSON" in drop(app, "prompts.json", b"{")
    assert work(app).picture == chelsea and work(app).prompts == prompts


def test_a_film_on_its_page(tmp_path):
    import numpy as np

    frames = [np.full((64, 96, 3), 40 * index, np.uint8) for index in range(4)]
    content = write_film(tmp_path / "own.mp4", frames, 12.0).read_bytes()
    app = visit("video-priors")
    assert "Took the film **own.mp4**, 4 frames" in drop(app, "own.mp4", content)
    assert app.session_state[FILM_KEY].video.name == "own.mp4"
    assert app.session_state[FILM_KEY].video.length == 4


def test_a_page_without_prompts_takes_pictures_alone():
    app = visit("block-norms")
    assert "Took the picture" in drop(app, "cat.png", picture_to_png(load_sample("chelsea")))
    assert not [each for each in visit("position-encoding").file_uploader if str(each.key).startswith("dropped")]
