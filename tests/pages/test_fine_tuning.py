"""The Fine-tuning page without a browser: another model is chosen, and what changed is told; and what other pages say
of a model without a position table.
"""

import json

import pytest
from safetensors.torch import load_file, save_file

from tests.models.files.people_files import saved
from tests.pages.app import clear_memories, last_result, new_app, page_path
from tests.random_models import SMALL_MOBILE_SAM, SMALL_SAM2, save_random_model


@pytest.fixture
def own(monkeypatch, tmp_path):
    """A folder of own models: one, and the same with one block moved."""
    folder = tmp_path / "own"
    folder.mkdir()
    path = save_random_model(folder / "before.safetensors", SMALL_SAM2)
    save_random_model(folder / "mobile.safetensors", SMALL_MOBILE_SAM)
    state = {key: 1.1 * value if ".trunk.blocks.2." in key else value for key, value in load_file(path).items()}
    metadata = {
        "samkit": json.dumps(
            {"native_side": 128, "window_sizes": [8, 4, 4, 2], "global_blocks": [5], "num_heads": 1, "decoder_heads": 4}
        )
    }
    save_file(state, folder / "after.safetensors", metadata=metadata)
    monkeypatch.setenv("SAMKIT_EXTRA_MODELS", str(folder))
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path / "home"))
    clear_memories()
    return folder


def visit(page: str, model) -> object:
    app = new_app()
    app.run()
    app.session_state["samkit.workspace"].model_ref = str(model)
    app.switch_page(page_path(page)).run()
    assert not app.exception and not app.error, [error.value for error in app.error]
    return app


def chosen(app):
    return next(box for box in app.selectbox if box.label == "Trained from")


def told(app) -> str:
    return " ".join(element.value for element in (*app.caption, *app.info, *app.markdown))


def test_a_model_beside_the_one_it_was_trained_from(own):
    app = visit("fine-tuning", own / "after.safetensors")
    assert "No weights are compared yet" in told(app)
    chosen(app).set_value(str(own / "before.safetensors")).run()
    assert not app.exception and not app.error
    result = last_result()
    assert result.facts["most_changed"] == "image encoder, block 2"
    assert "weights differ from before's" in told(app) and "most in the image encoder, block 2" in told(app)
    # Only a running app can import the page: it declares its canvas.
    from samkit.ui.experiments.fine_tuning import TrainedFrom

    # A run that was kept elsewhere finds the other model under its name here.
    kept = {"other_model": "/elsewhere/before.safetensors", "other_sha256": result.params.other_sha256}
    assert TrainedFrom().restore(kept) == {"other_model": str(own / "before.safetensors")}
    chosen(app).set_value("nano-sam2").run()
    assert not app.exception and "not of one architecture" in app.error[0].value


def test_what_is_offered_is_of_the_family_and_can_be_loaded_each_model_of_a_file_too(own):
    state = load_file(own / "before.safetensors")
    moved = {key: 1.1 * value if ".trunk.blocks.1." in key else value for key, value in state.items()}
    saved(own, {"model": state, "ema": moved}, "sam2", "two.pt")
    (own / "page.pt").write_text("<html>")
    app = visit("fine-tuning", own / "two.pt")
    assert chosen(app).options == [
        "Choose a model",
        "Nano SAM 2.1",
        "after",
        "before",
        "two #ema",
    ]
    chosen(app).set_value(f"{own / 'two.pt'}#ema").run()
    assert not app.exception and not app.error, [error.value for error in app.error]
    assert last_result().facts["most_changed"] == "image encoder, block 1"


def test_positions_and_windows_of_mobile_sam(own):
    app = visit("position-encoding", own / "mobile.safetensors")
    assert "This model adds nothing to its tokens." in told(app) and "block 1, head 0" in told(app)
    app.switch_page(page_path("window-size")).run()
    assert not app.exception and not app.error
    first, *others = [slider for slider in app.select_slider if slider.label.startswith("Stage ")]
    assert first.disabled and "convolutions, no windows" in first.label and not any(each.disabled for each in others)
