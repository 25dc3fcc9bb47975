"""The Cross-image segmentation page without a browser: two pictures of which one is prompted, knobs, keeping, and
models without a memory.
"""

import numpy as np
import pytest

from samkit.media.samples import SAMPLE_PAIRS, load_sample
from samkit.prompts import Prompts
from samkit.tracking.bundle.bundle import read_bundle
from samkit.tracking.store.store import RunStore
from samkit.ui.state.labs import encoding_memory, part_memory
from tests.pages.app import clear_memories, encodings, last_result, new_app, page_path
from tests.pages.canvas import POINT, POINT_REACH_PX, canvas_size, draw
from tests.random_models import SMALL_SAM1, save_random_model

PAGE = page_path("cross_image")
KNOB = "knob_cross-image_"


@pytest.fixture
def app(monkeypatch, tmp_path):
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path))
    clear_memories()
    return new_app()


@pytest.fixture
def page(app):
    app.run().switch_page(PAGE).run()
    assert not app.exception and not app.error, [error.value for error in app.error]
    return app


def pair(app):
    return app.session_state["samkit.picture_pair"]


def press(app, key: str):
    return app.button(key=key).click().run()


def test_a_first_visit_shows_a_result(page):
    assert page.title[0].value == "Cross-image segmentation"
    assert (
        pair(page).a.picture == load_sample("coffee")
        and pair(page).b.picture == load_sample("coffee-mirrored")
        and pair(page).prompt_on == "a"
    )
    assert sum(button.key.startswith("mask_button_") for button in page.button if button.key) == 8
    assert [tab.label for tab in page.tabs] == ["Passes", "Numbers", "Recipe", "Timings"]
    assert (
        last_result().masks["mask_tracked"].pixels.shape == load_sample("coffee-mirrored").size
        and encoding_memory().state().entries == 2
    )


def test_knobs_encode_nothing_and_reach_the_experiment(page):
    before = encodings()
    page.slider(key=f"{KNOB}repeats").set_value(2).run()
    page.slider(key=f"{KNOB}threshold").set_value(1.5).run()
    page.toggle(key=f"{KNOB}point_and_box").set_value(True).run()
    page.toggle(key=f"{KNOB}refine_edges").set_value(True).run()
    press(page, "mask_button_cross-image_2")
    press(page, "mask_button_cross-image_tracked_index_3")
    params = last_result().params
    assert (
        (params.repeats, params.threshold, params.mask_index, params.tracked_index) == (2, 1.5, 2, 3)
        and params.point_and_box
        and params.refine_edges
    )
    assert len(last_result().tables["passes"]) == 3 and "mask_by_box_tracked" in last_result().masks
    press(page, "mask_auto_cross-image_tracked_index")
    assert last_result().params.tracked_index is None and last_result().params.mask_index == 2
    assert encodings() == before and not page.error and not page.exception


def test_every_view_is_drawn_with_and_without_what_it_shows(page):
    # The canvas can be imported by a running app only.
    from samkit.ui.experiments.cross_image import PAGE as EXPERIMENT_PAGE

    for view in EXPERIMENT_PAGE.views:
        page.switch_page(page_path("home")).run()
        page.session_state["samkit.workspace"].params["cross-image"] = {"view": view}
        page.switch_page(PAGE).run()
        assert not page.error and not page.exception
        page.toggle(key=f"{KNOB}point_and_box").set_value(True)
        page.toggle(key=f"{KNOB}jitter").set_value(True).run()
        assert not page.error and not page.exception and last_result().params.jitter_copies == 16


def test_prompting_one_picture_clears_the_other(page):
    pair(page).b.edit(Prompts(points=[(0.5, 0.5, 1)]))
    page.run()
    assert pair(page).a.prompts.is_empty and pair(page).prompt_on == "b" and last_result().params.prompt_on == "b"
    assert last_result().masks["mask_tracked"].pixels.shape == load_sample("coffee").size
    press(page, "undo_cross-image")
    assert not pair(page).a.prompts.is_empty and pair(page).b.prompts.is_empty and pair(page).prompt_on == "a"


def test_a_drawing_on_the_second_canvas_becomes_its_prompts(page):
    width, _ = canvas_size(pair(page).b)
    draw(page, pair(page).b, POINT | {"left": width / 2 - POINT_REACH_PX, "top": 100})
    assert pair(page).a.prompts.is_empty and pair(page).b.prompts.points[0][0] == pytest.approx(0.5, abs=1e-3)
    assert last_result().params.prompt_on == "b" and not page.error


def test_without_any_prompt_the_page_says_what_to_do(page):
    press(page, "clear_cross-image")
    assert pair(page).prompt_on is None and not page.error
    assert any("looks for it in the other one" in info.value for info in page.info)


def test_swap_and_sample_pairs(page):
    first, second = pair(page).a.picture, pair(page).b.picture
    prompts = pair(page).prompts
    press(page, "swap_cross-image")
    assert (
        (pair(page).a.picture, pair(page).b.picture) == (second, first)
        and pair(page).prompt_on == "b"
        and pair(page).prompts == prompts
    )
    press(page, "pair_cross-image_3")
    assert (
        pair(page).a.picture == load_sample(SAMPLE_PAIRS[3].first)
        and pair(page).prompts == SAMPLE_PAIRS[3].prompts
        and pair(page).prompt_on == "a"
    )
    assert not page.error and not page.exception


def test_try_it_sets_up_a_good_first_try(page):
    press(page, "try_cross-image")
    assert (
        pair(page).b.picture == load_sample("motorcycle_right") and last_result().params.repeats == 3 and not page.error
    )


def test_keeping_a_run_and_opening_its_link(page, tmp_path):
    pair(page).b.edit(Prompts(boxes=[(0.2, 0.2, 0.7, 0.8)]))
    page.slider(key=f"{KNOB}repeats").set_value(1)
    page.slider(key=f"{KNOB}threshold").set_value(-0.5).run()
    (command,) = [code.value for code in page.code if "samkit run" in code.value]
    assert "--image sample:coffee --image-b sample:coffee-mirrored" in command and "--set prompt_on=b" in command
    page.text_input(key="keep_name_cross-image").set_value("kept in a test").run()
    press(page, "keep_cross-image")
    assert not page.error, page.error[0].value
    run, shown = pair(page).a.last_kept["cross-image"][1].run, last_result()
    bundle = RunStore().load(run.run_id, tmp_path / "back")
    assert (
        bundle.inputs().image_b == load_sample("coffee-mirrored") and read_bundle(bundle.path).name == "kept in a test"
    )
    np.testing.assert_array_equal(bundle.masks()["mask_tracked"], shown.masks["mask_tracked"].pixels)
    again = new_app()
    again.run().switch_page(PAGE)
    again.query_params["run"] = run.run_id
    again.run()
    assert not again.error and not again.exception
    assert (
        pair(again).prompt_on == "b"
        and pair(again).prompts == pair(page).prompts
        and pair(again).a.picture == load_sample("coffee")
    )
    assert last_result().params == shown.params
    np.testing.assert_array_equal(last_result().masks["mask_tracked"].pixels, shown.masks["mask_tracked"].pixels)


def test_a_model_without_a_memory_is_answered_with_one_that_has_it(page, tmp_path):
    page.session_state["samkit.workspace"].model_ref = str(
        save_random_model(tmp_path / "first.safetensors", SMALL_SAM1)
    )
    page.run()
    assert any("is a SAM v1 model, which has no memory" in info.value for info in page.info) and not page.error
    assert not [button for button in page.button if button.key == "keep_cross-image"]
    press(page, "offer_nano-sam2")
    assert (
        page.session_state["samkit.workspace"].model_ref == "nano-sam2"
        and last_result().experiment == "cross-image"
        and not page.error
    )


def test_what_was_followed_is_kept_in_bounds(page, monkeypatch):
    limit = part_memory().state().used + 1
    monkeypatch.setattr(part_memory(), "_limit", limit)
    for x in np.linspace(0.3, 0.6, 8):
        pair(page).a.edit(Prompts(points=[(float(x), 0.3, 1)]))
        page.run()
        assert part_memory().state().used <= limit and not page.error
