"""Hint and truth on the pages: loaded, taken from the page, removed, kept with a run and there again."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from samkit.media.given_masks import MaskHint, Truth
from tests.pages.app import clear_memories, last_result, new_app, page_path

PAGES = ("mask_stability", "window_size", "semantic_similarity")


@pytest.fixture
def app(monkeypatch, tmp_path):
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path))
    clear_memories()
    return new_app(240)


def opened(app, page="mask_stability"):
    app.run().switch_page(page_path(page)).run()
    assert not app.exception and not app.error, [error.value for error in app.error]
    return app


def work(app):
    return app.session_state["samkit.workspace"]


def labels(app):
    return [button.label for button in app.button if button.key and button.key.startswith("mask_button_")]


def upload(app, role: str, content: bytes, name: str, page="mask-stability"):
    """As if a file had been put into the popover's box."""
    (box,) = [each for each in app.file_uploader if each.key and each.key.startswith(f"{role}_file_{page}_")]
    box.upload(name, content, "application/octet-stream").run()
    return app


def png(array) -> bytes:
    file = BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def test_a_truth_from_a_file_is_seen_at_every_mask_and_one_object_can_be_chosen(app):
    opened(app)
    numbers = np.zeros(work(app).picture.size, np.uint8)
    numbers[100:200, 200:300], numbers[300:380, 20:60], numbers[0] = 1, 4, 255
    assert not any("true IoU" in label for label in labels(app))
    upload(app, "truth", png(numbers), "numbers.png")
    assert not app.exception and not app.error
    truth = work(app).given.truth
    assert np.array_equal(truth.mask, (numbers > 0) & (numbers < 255)) and truth.ignore.sum() == numbers.shape[1]
    for index, label in enumerate(labels(app)):
        assert f"true IoU {last_result().value(f'true_iou_{index}'):.2f}" in label
    (choice,) = [each for each in app.selectbox if each.key.startswith("truth_object_")]
    choice.select("4").run()
    assert np.array_equal(work(app).given.truth.mask, numbers == 4) and work(app).given.truth.name == "numbers.png#4"
    app.button(key="chip_truth_on_mask-stability").click().run()
    assert work(app).given.truth is None and "true_iou" not in last_result().metrics


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (png(np.eye(30, 40, dtype=np.uint8)), "small.png", "small.png has 40 x 30 pixels, the picture 600 x 400"),
        (b"nothing", "nothing.png", "not a picture that can be read"),
        (png(np.full((400, 600, 3), (200, 10, 30), np.uint8)), "red.png", "a picture in colours, not a mask"),
    ],
    ids=["another size", "no picture", "colours"],
)
@pytest.mark.parametrize("role", ["hint", "truth"])
def test_a_file_that_is_no_mask_is_a_sentence_and_changes_nothing(app, role, content, name, sentence):
    opened(app)
    upload(app, role, content, name)
    assert [error.value for error in app.error] and sentence in app.error[0].value
    assert work(app).given.hint is None and work(app).given.truth is None and not app.exception


@pytest.mark.parametrize("page", PAGES)
def test_the_chosen_mask_becomes_the_hint_and_is_a_prompt_by_itself(app, page):
    opened(app, page)
    name, before = page.replace("_", "-"), last_result()
    app.button(key=f"hint_found_{name}").click().run()
    hint = work(app).given.hint
    assert hint.kind == "logits"
    if "logits" in before.arrays:
        assert np.array_equal(hint.values, before.arrays["logits"][before.index()])
    hinted = last_result().masks["mask_chosen"].pixels
    assert not np.array_equal(hinted, before.masks["mask_chosen"].pixels)
    app.button(key=f"clear_{name}").click().run()
    assert work(app).prompts.is_empty and not app.exception and not app.error
    assert last_result().masks["mask_chosen"].pixels.any()


def test_a_picture_of_a_pair_has_its_own_truth(app):
    opened(app, "cross_image")
    pair = app.session_state["samkit.picture_pair"]
    pair.a.given.take_truth(Truth(np.ones(pair.a.picture.size, bool)))
    pair.b.given.take_truth(Truth(np.ones(pair.b.picture.size, bool)))
    app.run()
    assert not app.exception and sum("true IoU" in label for label in labels(app)) == 8
    assert last_result().value("true_iou") == pytest.approx(last_result().value("area_share"))


def test_a_kept_run_brings_hint_and_truth_back(app):
    opened(app)
    mask = np.zeros(work(app).picture.size, bool)
    mask[100:200, 200:300] = True
    work(app).given.take_hint(MaskHint(mask, "brush"))
    work(app).given.take_truth(Truth(~mask, name="right.png"))
    app.run()
    kept = last_result()
    app.button(key="keep_mask-stability").click().run()
    assert not app.exception and not app.error
    run_id = work(app).last_kept["mask-stability"][1].run.run_id
    again = new_app(240)
    again.query_params["run"] = run_id
    again.run().switch_page(page_path("mask_stability")).run()
    assert not again.exception and not again.error
    given = work(again).given
    assert np.array_equal(given.hint.values, mask) and np.array_equal(given.truth.mask, ~mask)
    assert given.hint.name == "brush" and given.truth.name == "right.png"
    assert last_result().value("true_iou") == kept.value("true_iou")
