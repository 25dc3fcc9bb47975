"""A home that can't be written to, a clock that is set back, folders that go while the app runs: each a sentence."""

import json
import shutil
import time
from pathlib import Path

import pytest

from samkit import scratch, settings
from samkit.errors import StoreError
from samkit.tracking.store.keep import keep_run
from samkit.tracking.store.search import search_runs
from samkit.tracking.store.spool import Spool
from samkit.tracking.store.store import RunStore
from tests.tracking.conftest import made_up_bundle


@pytest.fixture(params=["a file in its place", "a system's folder"])
def unwritable(request, tmp_path, monkeypatch):
    """Not even the user root can write there."""
    place = tmp_path / "no folder" if request.param.startswith("a file") else Path("/proc/samkit-home")
    if place.parent == tmp_path:
        place.write_text("x")
    monkeypatch.setenv("SAMKIT_HOME", str(place))
    return place


def test_a_home_that_cant_be_written_to_is_a_sentence(bundle, unwritable):
    with pytest.raises(StoreError, match="run store") as error:
        keep_run(bundle)
    assert str(error.value).endswith(".") and bundle.path.is_dir()
    settings.note_film("/somewhere")
    assert settings.film_folders()[-1:] != (Path("/somewhere"),)


def test_its_pages_open_and_say_so(unwritable):
    from tests.pages.app import new_app, page_path

    app = new_app().run()
    assert not app.exception and not app.error
    app.switch_page(page_path("runs")).run()
    assert not app.exception
    assert all("inside the app" not in error.value for error in app.error), [error.value for error in app.error]


def test_a_clock_that_is_set_back_loses_nothing(bundle, tmp_path, monkeypatch):
    first = keep_run(bundle)
    monkeypatch.setattr(time, "time", lambda: 86_400.0)
    second = keep_run(made_up_bundle(tmp_path / "second", 1))
    assert first.kept and second.kept
    assert {run.run_id for run in search_runs(RunStore()).runs} == {first.run.run_id, second.run.run_id}
    RunStore().remove_half_runs((), 1800)
    assert len(search_runs(RunStore()).runs) == 2


def test_a_spool_that_is_deleted_while_the_app_runs_is_made_again(bundle, tmp_path):
    spool = Spool()
    spool.add(bundle)
    shutil.rmtree(spool.folder)
    assert spool.waiting() == () and spool.entries() == ()
    assert keep_run(bundle).kept


def test_a_temporary_folder_that_is_deleted_is_made_again():
    with scratch.scratch("a") as folder:
        shutil.rmtree(folder.parent)
    with scratch.scratch("b") as folder:
        (folder / "x").write_text("x")
    assert not folder.exists()


@pytest.mark.parametrize("content", ["", "[", "{}", "5", '[1, null, {"a": 1}]', "\x00"])
def test_a_damaged_list_of_films_is_an_empty_one(content, tmp_path):
    file = settings.home_folder() / ".samkit" / "films.json"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    assert settings.film_folders()[-1:] == settings.film_folders()[:1]
    settings.note_film("/films/a")
    settings.note_film("/films/a")
    assert json.loads(file.read_text()) == ["/films/a"] and settings.film_folders()[-1] == Path("/films/a")
