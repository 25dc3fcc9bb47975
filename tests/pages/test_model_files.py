"""Checkpoints of one's own in the picker: what they are, what was done to them, and the side they were trained at."""

import pytest
import torch

from samkit.models.files.remembered import remembered_path
from tests.models.files.people_files import extra, sam2, saved, under
from tests.pages.app import new_app, page_path


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder with a file that can be loaded and one that can't."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SAMKIT_EXTRA_MODELS", str(folder))
    saved(folder, {"model_state": under("sam.", sam2()), "decoder_state": extra("d.weight")}, "sam2", "medical.pt")
    torch.save(extra("image_encoder.features.0.weight"), folder / "edge_sam.pt")
    return folder


def text(app) -> str:
    return " ".join(part.value for part in (*app.markdown, *app.caption))


def test_a_file_says_what_it_is_before_it_is_loaded_and_what_was_done_to_it_after(own):
    app = new_app()
    app.run().switch_page(page_path("mask_stability")).run()
    app.button("change_model").click().run()
    assert "decoder\\_state" in text(app).replace("decoder_state", "decoder\\_state")
    assert "EdgeSAM" in text(app)
    assert "ask Meta for access" in text(app) and not [each for each in app.button if each.key == "get_official_sam3"]
    assert not [button for button in app.button if button.key == f"own_ready_{own / 'edge_sam.pt'}"]
    assert "while it encodes a picture at 1008 px" in text(app), "also of models that are not here"
    app.text_input("model_search").set_value("no such thing").run()
    assert "EdgeSAM" not in text(app) and "No file of your own has these words" in text(app)
    app.text_input("model_search").set_value("medical").run()
    app.button(f"own_ready_{own / 'medical.pt'}").click().run()
    assert not app.exception and not app.error, [error.value for error in app.error]
    assert "was taken off" in text(app)
    side = next(number for number in app.number_input if number.label == "Native side")
    side.set_value(64)
    next(button for button in app.button if button.label == "Remember for this file").click().run()
    assert '"native_side": 64' in remembered_path().read_text()
    assert "64 pixels" in text(app)


def test_a_file_that_comes_while_the_list_is_open_is_marked_until_the_list_is_opened_again(own):
    app = new_app()
    app.run().switch_page(page_path("mask_stability")).run()
    app.button("change_model").click().run()
    app.text_input("model_search").set_value("medical").run()
    assert "[new]" not in text(app) and "[changed]" not in text(app)
    below = own / "runs" / "second"
    below.mkdir(parents=True)
    saved(below, sam2(), "sam2", "medical_2.pt")
    app.run()
    assert "medical_2 :green-badge[new]" in text(app)
    app.button("change_model").click().run()
    assert "[new]" not in text(app)
