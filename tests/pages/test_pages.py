"""The pages run without a browser: what they show, what they keep, and that errors are sentences."""

import sys
from dataclasses import replace

import pytest

from samkit.media.samples import load_sample
from samkit.prompts import Prompts
from samkit.ui.state.labs import part_memory
from tests.pages.app import MAIN, clear_memories, encodings, last_result, new_app, page_path
from tests.pages.canvas import POINT, POINT_REACH_PX, canvas_size, chip_key, draw

PAGE = page_path("mask_stability")


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


def work(app):
    return app.session_state["samkit.workspace"]


def chips(app) -> list[str]:
    return [button.label for button in app.button if button.key and button.key.startswith("chip_")]


def press(app, key: str):
    return app.button(key=key).click().run()


def test_home_shows_the_experiments_and_the_state(app):
    app.run()
    assert app.title[0].value == "SAM workbench" and not app.exception
    text = " ".join(element.value for element in app.markdown)
    assert "Which part of a mask is safe?" in text and "nano" in text.lower() and "SQLite" in text
    cards = [link.proto.label for link in app.get("page_link") if link.proto.label.startswith("**")]
    assert len(cards) == 10 and cards[-2:] == ["**Runs**", "**Sweeps**"]


def test_home_loads_neither_torch_nor_mlflow(tmp_path):
    import subprocess

    code = (
        "import sys; from streamlit.testing.v1 import AppTest\n"
        f"app = AppTest.from_file({MAIN!r}, default_timeout=60).run(); assert not app.exception\n"
        "print(sorted({'torch', 'mlflow'} & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_a_first_visit_shows_a_result(page):
    assert page.title[0].value == "Mask stability"
    assert len(chips(page)) == 2
    assert sum(button.key.startswith("mask_button_") for button in page.button if button.key) == 4
    assert [tab.label for tab in page.tabs] == ["Curves", "Numbers", "Recipe", "Timings"]


def test_thresholds_views_and_masks_encode_nothing(page):
    before = encodings()
    page.slider(key="knob_mask-stability_thresholds").set_value((-4.0, 6.0)).run()
    page.slider(key="knob_mask-stability_max_delta").set_value(5.0).run()
    page.selectbox(key="knob_mask-stability_colormap").set_value("magma").run()
    press(page, "mask_button_mask-stability_3")
    press(page, "clear_mask-stability")
    assert encodings() == before
    page.slider(key="knob_mask-stability_input_scale").set_value(0.5).run()
    assert encodings() == before + 1
    assert not page.error


def test_a_mask_is_chosen_by_hand_and_by_the_model_again(page):
    chosen = work(page).params["mask-stability"]
    press(page, "mask_button_mask-stability_0")
    assert chosen["mask_index"] == 0
    press(page, "mask_auto_mask-stability")
    assert chosen["mask_index"] is None and not page.exception


def test_chips_undo_and_clear_edit_the_prompts(page):
    first = work(page).prompts
    press(page, chip_key(page, "mask-stability", "box"))
    assert work(page).prompts == Prompts(points=first.points)
    press(page, "undo_mask-stability")
    assert work(page).prompts == first
    press(page, "clear_mask-stability")
    assert work(page).prompts.is_empty and not chips(page)
    assert any("click the picture" in caption.value for caption in page.caption)


def test_what_was_set_is_there_after_leaving_and_coming_back(page):
    page.slider(key="knob_mask-stability_thresholds").set_value((-3.0, 5.0)).run()
    press(page, chip_key(page, "mask-stability", "point"))
    prompts = work(page).prompts
    page.switch_page(page_path("home")).run()
    page.switch_page(PAGE).run()
    assert page.slider(key="knob_mask-stability_thresholds").value == (-3.0, 5.0)
    assert work(page).prompts == prompts and len(chips(page)) == 1


def test_a_drawing_on_the_canvas_becomes_prompts(page):
    press(page, "clear_mask-stability")
    width, height = canvas_size(work(page))
    point = POINT | {"left": width / 2 - POINT_REACH_PX, "top": 100}
    box = {"type": "Rect", "left": 62, "top": 41.3, "width": 124, "height": 82.6, "scaleX": 2, "scaleY": 1}
    draw(page, work(page), point, box)
    assert (width, height) == (620, 413)
    assert work(page).prompts.points == ((0.5, round(100 / height, 5), 1),)
    assert work(page).prompts.boxes[0] == pytest.approx((62 / width, 0.1, 310 / width, 0.3), abs=1e-3)
    press(page, "undo_mask-stability")
    assert work(page).prompts.points == ((0.5, round(100 / height, 5), 1),) and not work(page).prompts.boxes
    page.run()
    assert not work(page).prompts.boxes, "what the canvas reported before brings nothing back"


def test_a_drawing_that_comes_with_an_edit_counts_before_it(page):
    first = work(page).prompts
    page.button(key="undo_mask-stability").click()
    draw(page, work(page), POINT | {"left": 100, "top": 100})
    assert work(page).prompts == first
    page.button(key=chip_key(page, "mask-stability", "box")).click()
    draw(page, work(page), POINT | {"left": 200, "top": 100})
    assert len(work(page).prompts.points) == 2 and not work(page).prompts.boxes


def test_prompts_from_a_file_and_a_sentence_for_a_file_that_holds_none(page):
    loaded = Prompts(points=[(0.25, 0.5, 0)], boxes=[(0.1, 0.2, 0.3, 0.4)])

    def load(name: str, content: str) -> None:
        page.file_uploader(key="load_mask-stability").set_value((name, content.encode(), "application/json")).run()

    load("prompts.json", loaded.to_json())
    assert work(page).prompts == loaded and len(chips(page)) == 2 and not page.error
    press(page, "undo_mask-stability")
    assert work(page).prompts != loaded, "the file that still lies there is not read again"
    load("other.json", "[]")
    assert "must be a JSON object" in page.error[0].value and not page.exception


def test_prompts_that_look_alike_have_buttons_of_their_own(page):
    alike = Prompts(points=[(0.25, 0.5, 1), (0.25, 0.5, 1), (0.2500001, 0.5, 1)])
    work(page).edit(alike)
    page.run()
    assert not page.exception and len(chips(page)) == 3
    for count in (2, 1, 0):
        press(page, chip_key(page, "mask-stability", "point"))
        assert work(page).prompts.count == count


def test_all_of_many_prompts_have_buttons(page):
    work(page).edit(Prompts(points=[(i / 64, 0.5, 1) for i in range(40)]))
    page.run()
    assert len(chips(page)) == 40
    press(page, chip_key(page, "mask-stability", "point", 39))
    assert work(page).prompts.count == 39 and 39 / 64 not in [x for x, _, _ in work(page).prompts.points]


def test_a_model_that_is_not_there_is_a_sentence(page):
    work(page).model_ref = "sam2.1_hiera_large"
    page.run()
    assert not page.exception and "download" in page.error[0].value


def test_refined_edges_are_said_to_be_no_output_of_the_model(page):
    before = encodings()
    page.toggle(key="knob_mask-stability_refine_edges").set_value(True).run()
    result = last_result()
    assert result.params.refine_edges and "mask_unrefined" in result.masks and encodings() == before
    assert any("not its own output" in caption.value for caption in page.caption) and not page.error
    page.toggle(key="knob_mask-stability_refine_edges").set_value(False).run()
    assert not any("not its own output" in caption.value for caption in page.caption)


def test_jitter_draws_its_map(page):
    page.toggle(key="knob_mask-stability_jitter").set_value(True).run()
    work(page).params["mask-stability"]["view"] = "Jitter"
    page.run()
    result = last_result()
    assert result.params.jitter_copies == 16 and "jitter_map" in result.arrays and not page.error


def test_keeping_a_run_and_opening_its_link(page, tmp_path):
    page.slider(key="knob_mask-stability_thresholds").set_value((-2.0, 4.0)).run()
    page.text_input(key="keep_name_mask-stability").set_value("kept in a test").run()
    press(page, "keep_mask-stability")
    assert not page.error, page.error[0].value
    run = work(page).last_kept["mask-stability"][1].run
    again = new_app()
    again.query_params["run"] = run.run_id
    again.run().switch_page(PAGE)
    again.query_params["run"] = run.run_id
    again.run()
    assert not again.error and not again.exception
    assert again.slider(key="knob_mask-stability_thresholds").value == (-2.0, 4.0)
    assert work(again).picture == load_sample("coffee") and work(again).prompts == work(page).prompts


def test_a_run_made_with_another_file_of_the_same_name_says_so(page, app, monkeypatch):
    from samkit.tracking.store.store import RunStore

    press(page, "keep_mask-stability")
    run = work(page).last_kept["mask-stability"][1].run
    load = RunStore.load

    def load_as_if_from_elsewhere(store, run_id, folder, **how):
        bundle = load(store, run_id, folder, **how)
        model = bundle.record.model.model_copy(update={"sha256": "0" * 64})
        return replace(bundle, record=bundle.record.model_copy(update={"model": model}))

    monkeypatch.setattr(RunStore, "load", load_as_if_from_elsewhere)
    app.query_params["run"] = run.run_id
    app.run()
    assert (
        any("another file called nano-sam2" in warning.value.replace("\\", "") for warning in app.warning)
        and not app.error
    )


def test_what_is_remembered_is_bounded_in_bytes(page, monkeypatch):
    part_memory().clear()
    monkeypatch.setattr(part_memory(), "_limit", 1)
    press(page, chip_key(page, "mask-stability", "box"))
    assert part_memory().state().entries == 0 and not page.error and not page.exception


def test_the_command_names_a_sample_as_the_command_line_does(page):
    (command,) = [code.value for code in page.code if "samkit run" in code.value]
    assert "--image sample:coffee " in command and "--image-b" not in command


def test_a_link_to_nothing_is_a_sentence(app):
    app.run().switch_page(PAGE)
    app.query_params["run"] = "../../etc/passwd"
    app.run()
    assert not app.exception and "is not a run's id" in app.error[0].value


def test_the_store_being_away_is_said_and_nothing_is_lost(page, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    press(page, "keep_mask-stability")
    assert any("safe in the spool (1 waiting)" in warning.value for warning in page.warning) and not page.error
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    page.run()
    press(page, "deliver_spool")
    from samkit.tracking.store.spool import Spool
    from samkit.tracking.store.store import RunStore

    assert not Spool().waiting() and len(RunStore().runs()) == 1
