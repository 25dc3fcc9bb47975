"""A run whose every text was written by somebody who wants a visitor's browser to fetch, run or follow something."""

import json
import re
import shutil

import pytest
from google.protobuf.message import Message

from samkit.tracking.bundle.bundle import read_bundle
from samkit.tracking.store.store import RunStore
from samkit.ui.bench.kept_figures import figure_html
from tests.pages.app import new_app, page_path
from tests.tracking.conftest import made_up_bundle
from tests.ui.bench.test_kept_figures import HOSTILE as HOSTILE_FIGURE

AS_IT_IS = {"Json", "Code", "Arrow", "ArrowData", "PlotlyChart", "DownloadButton", "Html", "BidiComponent"}
"""Elements that show text as it is, or HTML that the app has escaped; all others read Markdown in it."""
HTML = {"Html", "BidiComponent"}
NO_TEXT = {"default", "value", "id", "options", "form_id", "url", "page", "query_string"}
ACTIVE = re.compile(r"(?<!\\)\[[^\\\]]*\]\(http://evil|(?<!\\):red\[|(?<!\\)<img")


def hostile(number: int) -> str:
    address = f"http://evil.example/{number}"
    return f"![x]({address}.png) [log in]({address}) :red[x] <img src=//e.example>"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two such runs, kept."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAMKIT_HOME", str(home))
        runs = []
        for seed in range(2):
            folder = home / f"run{seed}"
            made_up_bundle(folder, seed, extra_files={"outputs/figure.html": figure_html(HOSTILE_FIGURE, hostile(9))})
            document = json.loads((folder / "run.json").read_text())
            document |= {"name": hostile(0), "note": hostile(1), "tags": {"key": hostile(2)}}
            document["device"] = document["dtype"] = document["samkit"] = hostile(3)
            document["model"] |= {"name": hostile(4), "ref": hostile(5)}
            document["picture"] |= {"name": hostile(6)}
            document["facts"] = {"grid": hostile(7)}
            document["params"] = document["params"] | {"colormap": hostile(8)}
            (folder / "run.json").write_text(json.dumps(document))
            runs.append(RunStore().keep(read_bundle(folder)).run_id)
            shutil.rmtree(folder)
    return home, runs


@pytest.fixture
def visit(store, monkeypatch):
    home, runs = store
    monkeypatch.setenv("SAMKIT_HOME", str(home))

    def visit(page: str, **query: str):
        app = new_app()
        app.run()
        app.switch_page(page_path(page))
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception
        return app, runs

    return visit


def texts(message: Message):
    """(kind of the message, field, text) of all its strings, those of the messages in it among them."""
    for field, value in message.ListFields():
        each = list(value) if hasattr(value, "append") or hasattr(value, "add") else [value]
        for part in each:
            if isinstance(part, Message):
                yield from texts(part)
            elif isinstance(part, str):
                yield message.DESCRIPTOR.name, field.name, part


def all_texts(app):
    for element in app._tree:
        if isinstance(getattr(element, "proto", None), Message):
            yield from texts(element.proto)


def active(app) -> list[tuple[str, str, str]]:
    """What Streamlit would read as a picture, a link or a colour, of all that is on the page."""
    return [
        (kind, field, text)
        for kind, field, text in all_texts(app)
        if ("<img src=//" in text if kind in HTML else kind not in AS_IT_IS and field not in NO_TEXT)
        and (kind in HTML or ACTIVE.search(text))
    ]


def test_the_look_sees_what_it_is_for(visit, store, monkeypatch):
    from samkit.ui.runs import run_view

    monkeypatch.setattr(run_view, "plain_text", lambda text: text)
    app, _ = visit("kept_run", id=store[1][0])
    assert active(app)


@pytest.mark.parametrize("page", ["runs", "kept_run", "compare"])
def test_nothing_of_a_run_becomes_active_on_the_pages_of_runs(visit, store, page):
    ids = store[1]
    query = {"kept_run": {"id": ids[0]}, "compare": {"runs": ",".join(ids)}, "runs": {}}[page]
    app, _ = visit(page, **query)
    assert active(app) == []
    assert any("evil.example" in text for _, _, text in all_texts(app))


def test_nothing_of_it_becomes_active_where_it_is_opened_again(visit, store):
    app, _ = visit("mask-stability", run=store[1][0])
    assert active(app) == []


@pytest.mark.parametrize("page", ["kept_run", "compare", "mask-stability"])
def test_an_address_that_was_made_up_is_shown_as_it_is(visit, page):
    app, _ = visit(page, **{{"kept_run": "id", "compare": "runs"}.get(page, "run"): hostile(1)[:39]})
    assert active(app) == [] and any("evil" in error.value for error in app.error)
