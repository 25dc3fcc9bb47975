"""Each experiment's page with each model that comes with the app, and from one model to the other."""

import pytest

from samkit.experiments.registry import ENTRIES
from tests.pages.app import clear_memories, new_app, page_path
from tests.pages.test_pages import press

FOLLOWING = ("cross-image", "video-priors")


@pytest.fixture
def app(monkeypatch, tmp_path):
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path))
    clear_memories()
    return new_app().run()


def visit(app, page) -> None:
    app.switch_page(page_path(page.name)).run()
    assert not app.exception and not app.error, [error.value for error in app.error]
    assert app.title[0].value == page.title


def buttons(app) -> set:
    return {button.key for button in app.button}


@pytest.mark.parametrize("page", ENTRIES, ids=lambda entry: entry.name)
def test_every_page_works_with_the_v1_model_and_goes_back_to_the_v2_one(app, page):
    app.session_state["samkit.workspace"].model_ref = "nano-sam1"
    visit(app, page)
    text = " ".join(info.value for info in app.info)
    if page.name in FOLLOWING:
        assert "nano-sam1 is a SAM v1 model, which has no memory" in text
        press(app, "offer_nano-sam2")
    else:
        assert "no memory" not in text
        keep(app, page, "nano-sam1")
        app.session_state["samkit.workspace"].model_ref = "nano-sam2"
        app.run()
    assert not app.exception and not app.error, [error.value for error in app.error]
    if page.name != "video-priors":
        keep(app, page, "nano-sam2")


def keep(app, page, model: str) -> None:
    """Keep the run that the page shows, which must be this model's."""
    from samkit.tracking.store.store import RunStore

    press(app, f"keep_{page.name}")
    assert not app.exception and not app.error, [error.value for error in app.error]
    run = RunStore().runs()[0]
    assert run.experiment == page.name and run.tags["samkit.model"] == model and run.metrics
