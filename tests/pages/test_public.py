"""A server that everybody may visit: what a visitor sees of others' runs, and what is the owner's."""

import pytest

from samkit.tracking.bundle.bundle import relabel_bundle
from samkit.tracking.store.store import RunStore
from samkit.tracking.store.tags import OWNER
from samkit.ui.state import public
from samkit.ui.state.browser_memory import _NAME_KEY
from tests.pages.app import new_app, page_path
from tests.tracking.conftest import made_up_bundle

ANNA, BERT = "a" * 32, "b" * 32
SECRET = "the owner's long secret"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """(home, Anna's run, Bert's run)."""
    home = tmp_path_factory.mktemp("home")
    ids = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMKIT_HOME", str(home))
        patch.setenv("SAMKIT_PUBLIC", "1")
        for seed, name in enumerate((ANNA, BERT)):
            patch.setattr(public, "browser_name", lambda name=name: name)
            bundle = made_up_bundle(home / f"run{seed}", seed)
            ids.append(RunStore().keep(relabel_bundle(bundle, f"run of {name[:1]}", "", public.owner_tags())).run_id)
    return home, *ids


@pytest.fixture
def visit(runs, monkeypatch):
    monkeypatch.setenv("SAMKIT_HOME", str(runs[0]))
    monkeypatch.setenv("SAMKIT_PUBLIC", "1")
    monkeypatch.setenv(public.SECRET, SECRET)

    def visit(page: str, browser: str = ANNA, **query: str):
        app = new_app()
        app.session_state[_NAME_KEY] = browser
        app.run()
        app.switch_page(page_path(page))
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception, app.exception
        return app

    return visit


def keys(app) -> set[str]:
    return {element.key for element in app.button if element.key}


def links(app) -> list[str]:
    return [element.proto.label for element in app.get("page_link")]


def test_a_visitor_finds_their_own_runs_alone(visit):
    for browser, mine, other in ((ANNA, "run of a", "run of b"), (BERT, "run of b", "run of a")):
        shown = " ".join(links(visit("runs", browser)))
        assert mine in shown and other not in shown


def test_anothers_run_is_read_by_its_link_and_not_changed(visit, runs):
    own, others = visit("kept_run", id=runs[1]), visit("kept_run", id=runs[2])
    assert own.title[0].value == "run of a" and "delete_run" in keys(own)
    assert others.title[0].value == "run of b" and "delete_run" not in keys(others) and not others.error
    assert [field.label for field in own.text_input] != [] and not others.text_input


def test_home_says_what_each_limit_is(visit, monkeypatch):
    told = " ".join(caption.value for caption in visit("home").caption)
    assert "a film's file: 50 MB" in told and "how long one of those may run: 10 minutes" in told
    monkeypatch.delenv("SAMKIT_PUBLIC")
    assert not any("a film's file" in caption.value for caption in visit("home").caption)


def test_imports_downloads_and_the_store_are_the_owners(visit):
    app = visit("runs")
    assert not {"open_import", "open_spool"} & keys(app) and not app.get("link_button")
    assert all("mlflow" not in code.value for code in app.code)


def test_the_owner_comes_in_by_a_word_of_the_address_and_sees_all(visit):
    app = visit("runs")
    assert not [field for field in app.text_input if "secret" in field.label]
    app = visit("runs", owner="")
    (field,) = [field for field in app.text_input if "secret" in field.label]
    assert field.proto.type == field.proto.PASSWORD
    field.set_value("wrong")
    (button,) = [button for button in app.button if button.label == "Enter"]
    button.click().run()
    assert "not the owner's secret" in app.error[0].value
    (field,) = [field for field in app.text_input if "secret" in field.label]
    field.set_value(SECRET)
    (button,) = [button for button in app.button if button.label == "Enter"]
    button.click().run()
    app.run()
    shown = " ".join(links(app))
    assert "run of a" in shown and "run of b" in shown and "open_import" in keys(app)
    assert SECRET not in str(app.query_params)


def test_a_run_says_whose_it_is_in_the_store_alone(runs, tmp_path, monkeypatch):
    """Whoever exports a run hands on no mark of its visitor."""
    monkeypatch.setenv("SAMKIT_HOME", str(runs[0]))
    store = RunStore()
    assert OWNER in store.find_run(runs[1]).data.tags
    assert OWNER not in store.load(runs[1], tmp_path / "run").record.tags
