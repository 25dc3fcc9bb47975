"""A reload, a second tab, a shared link: what comes back, what is told, and that no page breaks over it."""

import gc
import json
import secrets
import shutil

import numpy as np
import pytest
import streamlit as st

from samkit.experiments.registry import NAMES
from samkit.media.given_masks import MaskHint
from samkit.media.samples import load_sample
from samkit.prompts import Prompts
from samkit.ui.state import kept_work
from samkit.ui.state.visitors import forget_visitor
from samkit.ui.state.workspace import TOOL_NAMES
from samkit.work.kept.store import NotKept
from tests.pages.app import clear_memories, encodings, new_app, page_path
from tests.work.kept.works import noise

LOST_RUN = "The run of this film is gone"
MARK = Prompts([(0.25, 0.5, 1)])
PAGE, UPPER = "mask-stability", "knob_mask-stability_thresholds"


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path))
    clear_memories()
    return tmp_path


@pytest.fixture
def connected(monkeypatch) -> set[str]:
    """The sessions with a browser at their other end; each AppTest has a name of its own."""
    names: set[str] = set()
    monkeypatch.setattr(
        kept_work, "session_id", lambda: st.session_state.setdefault("test.session", secrets.token_hex(4))
    )
    monkeypatch.setattr(kept_work, "is_connected", names.__contains__)
    # A browser brings its cookie along.
    monkeypatch.setattr(kept_work, "browser_name", lambda: "0" * 32)
    return names


def visit(page: str = PAGE, **query: str):
    app = new_app()
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    told = [toast.value for toast in app.toast]
    # An address names page and query in one; AppTest begins at Home.
    app.switch_page(page_path(page)).run()
    assert not app.exception
    app.copied = kept_work.COPIED in told
    return app


def work(app):
    return app.session_state["samkit.workspace"]


def holding(app):
    return app.session_state["samkit.kept_work"]


def notes(app) -> str:
    return " ".join(info.value for info in app.info)


def saved(app) -> str:
    assert kept_work.saver().flush()
    return holding(app).work_id


def edited(page: str = PAGE):
    app = visit(page)
    work(app).show_picture(load_sample("chelsea"), Prompts([(0.4, 0.4, 1)]))
    app.run()
    return app


def test_a_reload_brings_everything_back_and_encodes_nothing(connected):
    app = edited()
    app.slider(key=UPPER).set_value((-3.0, 5.0)).run()
    work(app).model_ref = "nano-sam1"
    app.run()
    before, work_id = encodings(), saved(app)
    again = visit(work=work_id)
    assert work(again).picture == load_sample("chelsea") and work(again).prompts == Prompts([(0.4, 0.4, 1)])
    assert again.slider(key=UPPER).value == (-3.0, 5.0) and work(again).model_ref == "nano-sam1"
    assert encodings() == before and not notes(again) and holding(again).work_id == work_id


def test_undo_and_redo_go_on_after_a_reload(connected, monkeypatch):
    app = edited()
    own, steps = work(app), [Prompts([(0.4, 0.4, 1)]), MARK, Prompts([(0.25, 0.5, 1), (0.5, 0.5, 0)])]
    for prompts in steps[1:]:
        own.edit(prompts)
    hint = MaskHint(np.eye(12, dtype=np.float32))
    own.take_hint(hint)
    own.edit(MARK)
    own.undo()
    own.undo()
    own.redo()
    app.run()
    work_id = saved(app)
    again = work(visit(work=work_id))
    assert (again.prompts, again.given.hint.sha256) == (steps[2], hint.sha256)
    again.redo()
    assert again.prompts == MARK and again.given.hint is not None, "the hint that lies there"
    for prompts, hinted in ((steps[2], True), (steps[2], False), (steps[1], False), (steps[0], False)):
        again.undo()
        assert (again.prompts, again.given.hint is not None) == (prompts, hinted)
    assert not again.history
    # Others see what is there, and not what was taken back.
    monkeypatch.setattr(kept_work, "browser_name", lambda: "1" * 32)
    other = work(visit(work=work_id))
    assert other.prompts == steps[2] and not other.history and not other.undone


def test_steps_before_another_hint_are_not_kept(connected):
    app = edited()
    own = work(app)
    own.take_hint(MaskHint(np.eye(12, dtype=np.float32)))
    own.take_hint(MaskHint(np.ones((12, 12), np.float32)))
    own.edit(MARK)
    app.run()
    again = work(visit(work=saved(app)))
    assert len(again.history) == 1 and again.history[0].hint is again.given.hint is not None


def test_a_pair_and_a_film_are_undone_after_a_reload(connected):
    app = visit("cross-image")
    pair = app.session_state["samkit.picture_pair"]
    before = pair.b.prompts
    pair.b.edit(MARK)
    app.run()
    app.switch_page(page_path("video-priors")).run()
    table = app.session_state[kept_work.FILM_KEY]
    table.rest_at(5)
    table.frame_work.edit(MARK)
    table.correct(table.correction(MARK, 1))
    table.rest_at(7)
    table.frame_work.edit(MARK)
    table.frame_work.undo()
    table.rest_at(2)
    app.run()
    work_id = saved(app)
    kept_work.left_films.clear()  # as in a server that has just started
    again = visit("video-priors", work=work_id)
    other = again.session_state["samkit.picture_pair"].b
    assert other.prompts == MARK
    other.undo()
    assert other.prompts == before
    back = again.session_state[kept_work.FILM_KEY]
    back.frame_work.redo()
    assert back.frame == 7 and back.frame_work.prompts == MARK
    back.frame_work.undo()
    back.frame_work.undo()
    assert back.frame == 5 and back.frame_work.prompts.is_empty and not back.corrections
    back.frame_work.redo()
    assert back.frame_work.prompts == MARK


def test_the_address_names_the_work_on_experiment_pages_alone(connected):
    app = new_app().run()
    assert holding(app).work_id is None
    app.switch_page(page_path(PAGE)).run()
    assert holding(app).work_id is not None


def test_memories_come_back_and_no_film_is_run_unasked(connected):
    app = visit("video-priors")
    table = app.session_state[kept_work.FILM_KEY]
    assert len(table.recorded) == 1
    work(app).show_picture(noise(1, side=128), Prompts([(0.5, 0.5, 1)]))
    table.rest_at(5)
    table.frame_work.edit(MARK)
    table.rest_at(2)
    table.on_film = False
    app.run()
    app.button(key="record").click().run()
    work_id = saved(app)
    if table.job is not None:
        table.drop_run()
    again = visit("video-priors", work=work_id)
    back = again.session_state[kept_work.FILM_KEY]
    assert [each.prior.picture for each in back.recorded] == [each.prior.picture for each in table.recorded]
    assert (back.recorded[1].thumbnail == table.recorded[1].thumbnail).all() and back.job is None
    assert back.frame == 2 and back.frame_work.prompts.is_empty
    back.rest_at(5)
    assert back.frame_work.prompts == MARK, "what is marked on a frame and is no correction yet"
    # A work whose film's page was not looked at keeps it all the same.
    other = edited()
    other = visit(work=work_id)
    other.slider(key=UPPER).set_value((-3.0, 5.0)).run()
    assert len(kept_work.saver().store.open_film(kept_work.saver().store.open(saved(other)).film)[0].memories) == 2


def test_a_films_run_goes_on_over_a_reload(connected):
    app = visit("video-priors")
    app.button(key="run_film").click().run()
    job = app.session_state[kept_work.FILM_KEY].job
    assert job is not None
    again = visit("video-priors", work=saved(app))
    assert again.session_state[kept_work.FILM_KEY].job is job
    # The tab of before wakes up: the run stays with the one that goes on.
    connected |= {each.session_state["test.session"] for each in (again, app)}
    app.run()
    asleep = app.session_state[kept_work.FILM_KEY]
    assert asleep.job is None and asleep.recorded == again.session_state[kept_work.FILM_KEY].recorded
    assert again.session_state[kept_work.FILM_KEY].job is job
    job.pause()


def test_a_films_run_waits_for_its_visitor_after_the_session_was_ended(connected):
    app = visit("video-priors")
    app.button(key="run_film").click().run()
    job, session = app.session_state[kept_work.FILM_KEY].job, app.session_state["test.session"]
    work_id = saved(app)
    del app
    forget_visitor(session)
    gc.collect()
    assert job.away, "others go first"
    again = visit("video-priors", work=work_id)
    assert again.session_state[kept_work.FILM_KEY].job is job and not job.away
    assert LOST_RUN not in notes(again)
    job.pause()


def test_a_run_that_went_with_the_server_is_told_until_the_film_is_segmented_anew(connected):
    app = visit("video-priors")
    app.button(key="run_film").click().run()
    app.session_state[kept_work.FILM_KEY].job.pause()
    work_id = saved(app)
    for memory in (kept_work.left_films, kept_work.holders):
        memory.clear()  # as in a server that has just started
    again = visit("video-priors", work=work_id)
    assert LOST_RUN in notes(again) and not again.button(key="run_film").disabled
    # It is told again after another reload, and not to whoever gets a copy.
    again = visit("video-priors", work=saved(again))
    assert LOST_RUN in notes(again)
    connected.add(again.session_state["test.session"])
    copy = visit("video-priors", work=work_id)
    assert copy.copied and LOST_RUN not in notes(copy)
    again.button(key="run_film").click().run()
    assert LOST_RUN not in notes(again)
    again.session_state[kept_work.FILM_KEY].job.pause()


def test_both_pictures_of_a_pair_come_back(connected):
    app = visit("cross-image")
    app.button(key="swap_cross-image").click().run()
    pair = app.session_state["samkit.picture_pair"]
    again = visit("cross-image", work=saved(app))
    back = again.session_state["samkit.picture_pair"]
    assert (back.a.picture, back.b.picture) == (pair.a.picture, pair.b.picture)
    assert (back.a.prompts, back.b.prompts) == (pair.a.prompts, pair.b.prompts) and back.prompt_on == "b"


def test_two_tabs_do_not_write_over_each_other(connected):
    first = edited()
    connected.add(first.session_state["test.session"])
    work_id = saved(first)
    second = visit(work=work_id)
    assert work(second).prompts == work(first).prompts
    assert holding(second).work_id not in (None, work_id) and second.copied
    second.button(key=f"clear_{PAGE}").click().run()
    saved(second)
    assert kept_work.saver().store.open(work_id).first.prompts == Prompts([(0.4, 0.4, 1)])


def test_a_run_that_ends_after_the_reload_does_not_bring_the_old_state_back(connected):
    before = edited()
    work_id = saved(before)
    after = visit(work=work_id)
    assert holding(after).work_id == work_id
    after.button(key=f"clear_{PAGE}").click().run()
    saved(after)
    connected.add(after.session_state["test.session"])
    before.button(key=f"undo_{PAGE}").click().run()
    saved(before)
    assert kept_work.saver().store.open(work_id).first.prompts.is_empty
    # A tab that was asleep and is there again goes on under another id.
    connected.add(before.session_state["test.session"])
    before.run()
    assert holding(before).work_id != work_id


def test_another_browser_gets_a_copy(connected, monkeypatch):
    work_id = saved(edited())
    monkeypatch.setattr(kept_work, "browser_name", lambda: "1" * 32)
    other = visit(work=work_id)
    assert holding(other).work_id != work_id and work(other).prompts == Prompts([(0.4, 0.4, 1)])


def test_a_shared_link_shows_what_it_says_and_can_be_taken_back(connected):
    app = edited()
    text = " ".join(element.value for element in app.markdown)
    assert "Whoever has the link sees" in text and "chelsea" in text and "with 1 prompt" in text
    app.button(key="make_link").click().run()
    (link,) = holding(app).links
    assert any(f"shared={link}" in code.value for code in app.code)
    app.button(key=f"clear_{PAGE}").click().run()
    other = visit(shared=link)
    assert work(other).prompts == Prompts([(0.4, 0.4, 1)]) and holding(other).work_id not in (None, link)
    assert other.copied and not notes(other)
    app.button(key="take_back").click().run()
    gone = visit(shared=link)
    assert "no longer kept" in notes(gone)
    gone.button(key="kept_work_read").click().run()
    assert not notes(gone)


@pytest.mark.parametrize("query", [{"work": "0" * 32}, {"work": "../../x"}, {"shared": "f" * 32}, {"shared": ""}])
def test_an_address_that_leads_nowhere_is_a_sentence_on_a_working_page(connected, query):
    app = visit(**query)
    assert not app.error and (any(query.values()) == ("starts anew" in notes(app)))
    assert holding(app).work_id not in query.values()


def test_a_link_to_a_kept_run_wins(connected):
    app = visit(work=saved(edited()), run="0123456789abcdef")
    assert work(app).picture != load_sample("chelsea")


def test_values_of_another_kind_are_not_shown(connected):
    """Also of a document that somebody has written."""
    app = edited()
    for page in NAMES:
        app.switch_page(page_path(page)).run()
    work_id = saved(app)
    path = kept_work.saver().store.folder / "works" / f"{work_id}.json"
    document = json.loads(path.read_text())
    for hostile in ("x", {"tuple": [[1], 2]}):
        values = {page: dict.fromkeys(names, hostile) for page, names in document["params"].items()}
        path.write_text(json.dumps(document | {"params": values, "shared_params": {"colormap": hostile}}))
        again = visit(work=work_id)
        for page in NAMES:
            again.switch_page(page_path(page)).run()
            assert not again.exception, (page, hostile)
            assert not any("inside the app" in error.value for error in again.error), (page, hostile, again.error)


def test_a_model_that_is_gone_and_a_page_that_is_gone(connected):
    app = edited()
    work_id = saved(app)
    path = kept_work.saver().store.folder / "works" / f"{work_id}.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"model": "/etc/passwd", "page": "no-page", "tool": "chainsaw"}))
    again = visit(work=work_id)
    assert not again.error and "not on this machine" in notes(again)
    assert work(again).model_ref == "nano-sam2" and work(again).tool in TOOL_NAMES


def test_nothing_is_kept_where_the_owner_says_so(connected, monkeypatch, home):
    monkeypatch.setenv("SAMKIT_WORKS_DAYS", "0")
    app = edited()
    assert holding(app).work_id is None and not (home / ".samkit" / "works").exists()
    assert any("keeps no work" in info.value for info in app.info)


def test_a_folder_that_can_not_be_written_or_was_deleted_breaks_nothing(connected, home):
    app = edited()
    folder = home / ".samkit" / "works"
    saved(app)
    shutil.rmtree(folder)
    folder.write_text("a file in its place")
    app.button(key=f"clear_{PAGE}").click().run()
    work_id = saved(app)
    app.run()
    assert not app.error and any("can't be kept" in warning.value for warning in app.warning)
    app.button(key="make_link").click().run()
    assert "can't be kept" in app.error[0].value
    assert "starts anew" in notes(visit(work=work_id))
    folder.unlink()
    app.button(key=f"undo_{PAGE}").click().run()
    assert kept_work.saver().store.open(saved(app)).first.prompts == Prompts([(0.4, 0.4, 1)])


def test_a_page_left_in_the_middle_of_its_work_keeps_what_was_asked_for(connected, monkeypatch):
    app = edited()
    work(app).edit(Prompts([(0.1, 0.2, 1)]))
    seen = []

    def look(*arguments):
        seen.append(kept_work.saver().store.open(saved(app)).first.prompts)
        raise NotKept("Stopped in the middle.")

    monkeypatch.setattr("samkit.ui.bench.tables.table.shown_result", look)
    app.run()
    assert seen == [Prompts([(0.1, 0.2, 1)])]


def test_the_names_of_tools_are_those_of_the_canvas():
    visit()
    from samkit.ui.controls.canvas import TOOLS  # its component is known once an app has run

    assert set(TOOL_NAMES) == set(TOOLS)
