"""An encoding that takes long is made when the visitor says so; until then the page shows what is known."""

import pytest

from samkit.experiments.registry import NAMES
from samkit.prompts import Prompts
from samkit.ui.state import long_encodings
from samkit.ui.state.kept_work import FILM_KEY
from samkit.ui.state.labs import encoding_memory
from samkit.work.long_encoding import Pace
from tests.large_runs import PROMPTS, SIDE, keep_large_run
from tests.pages.app import SHOWN, clear_memories, new_app, page_path

PAGE = "mask-stability"


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    # Times are those of an idle machine that has encoded nothing yet.
    monkeypatch.setattr("samkit.work.lab.PACE", Pace())
    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))
    clear_memories()


@pytest.fixture
def all_are_long(monkeypatch):
    monkeypatch.setattr(long_encodings, "ASK_S", 0.0)


def visit(page: str = PAGE, **query: str):
    app = new_app()
    for name, value in query.items():
        app.query_params[name] = value
    app.switch_page(page_path(page)).run()
    assert not app.exception and not app.error
    return app


def made() -> int:
    """How many encodings there are."""
    return encoding_memory().state().entries


def asks(app) -> bool:
    return any(button.key == "encode_long" for button in app.button)


def said(app) -> str:
    return " ".join(element.value for element in (*app.info, *app.caption))


@pytest.mark.parametrize(
    "page", [name for name in NAMES if name not in ("position-encoding", "fine-tuning", "video-priors")]
)
def test_every_page_asks_before_a_long_encoding(all_are_long, page):
    app = visit(page)
    assert asks(app) and made() == 0 and not SHOWN
    assert "Encoding a picture at a side of" in said(app)


def test_a_film_asks_where_something_is_marked_and_can_be_segmented(all_are_long):
    app = visit("video-priors")
    assert not asks(app) and made() == 0
    table = app.session_state[FILM_KEY]
    table.frame_work.edit(PROMPTS)
    app.run()
    assert asks(app) and made() == 0 and not app.button(key="run_film").disabled
    app.button(key="encode_long").click().run()
    assert not asks(app) and made() > 0


def test_what_was_asked_for_is_made_and_the_next_one_is_asked_for_again(all_are_long):
    app = visit()
    assert not any(button.key == f"keep_{PAGE}" for button in app.button)
    app.button(key="encode_long").click().run()
    assert SHOWN and not asks(app) and any(button.key == f"keep_{PAGE}" for button in app.button)
    count = made()
    work = app.session_state["samkit.workspace"]
    work.edit(Prompts([(0.2, 0.2, 1)]))
    app.run()
    assert not asks(app) and made() == count, "it is remembered"
    clear_memories()
    app.run()
    assert asks(app), "a yes is for one"


def test_an_end_is_a_no(all_are_long, monkeypatch):
    app = visit()
    app.button(key="encode_long").click().run()
    wishes = app.session_state["samkit.long_encodings"]
    assert wishes.wanted is None and wishes.begun is None
    wishes.wanted = "x", 1024
    wishes.stop()
    clear_memories()
    app.run()
    assert asks(app)


def test_a_kept_run_that_takes_long_shows_what_it_was_kept_with(tmp_path):
    run_id = keep_large_run(tmp_path)
    app = visit(run=run_id)
    assert asks(app) and made() == 0 and not SHOWN
    work = app.session_state["samkit.workspace"]
    assert work.prompts == PROMPTS and f"at a side of {SIDE} pixels takes about 4 min" in said(app)
    assert app.button(key="encode_long").label == "Encode, about 4 min"
    assert "As it was kept with the run **a large side**" in said(app) and "predicted IoU" in said(app)
    # A smaller side is no question.
    app.select_slider(key="knob_mask-stability_side").set_value(128).run()
    assert not asks(app) and SHOWN
