"""The pages of kept runs without a browser: lists and filters, one run, comparisons, import, and what waits."""

import datetime
import io
import re
import shutil
import threading
import time
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import streamlit as st
from PIL import Image

import samkit
from samkit.errors import BadInput
from samkit.experiments.inputs import Inputs
from samkit.experiments.mask_stability import NAME, Params
from samkit.experiments.registry import find_experiment
from samkit.experiments.result import Mask, Result, higher
from samkit.media.pictures import Picture
from samkit.media.samples import load_sample
from samkit.prompts import Prompts
from samkit.tracking.bundle.archive import export_runs
from samkit.tracking.bundle.bundle import write_bundle
from samkit.tracking.store.edit import delete_run, note_run, read_run, tag_run
from samkit.tracking.store.search import Order
from samkit.tracking.store.spool import Spool
from samkit.tracking.store.store import RunStore
from samkit.tracking.store.tags import note_text, user_tags
from samkit.ui.parts.edge import _log
from samkit.ui.parts.markdown_text import plain_text
from samkit.ui.parts.metric_words import fact_text, metric_words
from samkit.ui.runs import replay_job, replay_panel
from samkit.ui.runs.columns import Column
from samkit.ui.state import store_state
from samkit.work.lab import Lab
from tests.made_up_model import made_up_info
from tests.pages.app import new_app, page_path
from tests.tracking.conftest import patience_of
from tests.tracking.schema_1 import old_run
from tests.tracking.test_film_runs import run_of_two_objects

LIST, RUN, COMPARE = page_path("runs"), page_path("kept_run"), page_path("compare")
INFO = made_up_info("nano-sam2", "0" * 64)


@pytest.fixture
def app(monkeypatch, home_with_store):
    monkeypatch.setattr(_log, "exception", lambda *words: pytest.fail("an error on a page that is no sentence"))
    return new_app(60)


@pytest.fixture
def keep(app, tmp_path):
    """Puts a run into the store and gives its id."""

    def put(name: str, picture: str = "coffee", experiment: str = NAME, info=INFO, **params) -> str:
        image = load_sample(picture)
        mask = np.zeros(image.rgb.shape[:2], bool)
        mask[50:150, 60 : 200 + len(name)] = True
        result = Result(
            experiment,
            Params(**params),
            masks={"mask_chosen": Mask(mask)},
            metrics={"predicted_iou": higher(0.5 + len(name) / 100, key=True)},
            facts={"mask_index": 2},
            timings={"encode_ms": 40.0},
        )
        parts = dict(
            inputs=Inputs(image, Prompts(points=[(0.4, 0.4, 1)])), model_info=info, device="cpu", dtype="float32"
        )
        folder = tmp_path / name
        return RunStore().keep(write_bundle(folder, result=result, name=name, note=f"note of {name}", **parts)).run_id

    return put


def page_box(app):
    return next(box for box in app.checkbox if box.label == "All on this page")


def listed(app) -> list[str]:
    return [box.label.removeprefix("Choose ") for box in app.checkbox if box.label.startswith("Choose ")]


def opened(app, page: str, **query):
    app.run().switch_page(page)
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception
    return app


def text_of(app) -> str:
    shown = [
        element.value
        for kind in ("markdown", "caption", "title", "subheader", "success", "warning", "info", "error")
        for element in app.get(kind)
    ]
    return " ".join([*shown, *(element.proto.body for element in app.get("html"))])


def press(app, key: str):
    return app.button(key=key).click().run()


def confirm(app, opener: str, label: str):
    """Answer the question that a press on `opener` asks. A dialog stays open by itself only in a browser."""
    assert app.button(key="confirm_delete").label == label
    app.button(key=opener).click()
    return press(app, "confirm_delete")


def box_of(app, name: str):
    return next(box for box in app.checkbox if box.label == f"Choose {name}")


def test_without_runs_the_list_says_how_to_make_one(app):
    opened(app, LIST)
    assert "Nothing is kept yet" in text_of(app) and listed(app) == []


def test_search_and_filters_narrow_the_list_and_are_taken_back(app, keep):
    keep("first cup"), keep("second cup", upper_threshold=4.0), keep("cat", picture="chelsea")
    opened(app, LIST)
    assert listed(app) == ["cat", "second cup", "first cup"]
    app.text_input(key="runs_search_text").set_value("cup").run()
    assert listed(app) == ["second cup", "first cup"]
    app.text_input(key="runs_search_text").set_value("cup params.upper_threshold = '4.0'").run()
    assert listed(app) == ["second cup"]
    app.text_input(key="runs_search_text").set_value("").run()
    app.selectbox(key="runs_search_picture").set_value("chelsea").run()
    assert listed(app) == ["cat"]
    app.date_input(key="runs_search_until").set_value(datetime.date(2020, 1, 1)).run()
    assert listed(app) == [] and "No runs match" in text_of(app)
    press(app, "clear_search")
    assert listed(app) == ["cat", "second cup", "first cup"] and app.text_input(key="runs_search_text").value == ""


def test_a_search_that_cannot_be_read_is_a_sentence(app, keep):
    keep("a run")
    opened(app, LIST)
    app.text_input(key="runs_search_text").set_value("metrics.predicted_iou > lots").run()
    assert [error.value for error in app.error if "can't be read" in error.value] and not app.exception


def test_chosen_runs_are_deleted_and_restored(app, keep):
    keep("stays"), keep("goes")
    opened(app, LIST)
    next(box for box in app.checkbox if box.label == "Choose goes").check().run()
    assert "**1** chosen" in text_of(app) and app.button(key="compare_chosen").disabled
    press(app, "delete_chosen")
    assert listed(app) == ["goes", "stays"] and "goes" in text_of(app), "it asks first"
    confirm(app, "delete_chosen", "Delete 1 run")
    assert listed(app) == ["stays"]
    app.toggle(key="runs_search_deleted").set_value(True).run()
    assert listed(app) == ["goes"]
    next(box for box in app.checkbox if box.label == "Choose goes").check().run()
    press(app, "restore_chosen")
    app.toggle(key="runs_search_deleted").set_value(False).run()
    assert listed(app) == ["goes", "stays"]


def test_what_is_chosen_stays_chosen_on_another_page_of_the_list(app, keep):
    for number in range(27):
        keep(f"run {number}")
    opened(app, LIST)
    assert len(listed(app)) == 25
    box_of(app, "run 26").check().run()
    press(app, "older_runs")
    assert listed(app) == ["run 1", "run 0"] and app.button(key="older_runs").disabled
    box_of(app, "run 1").check().run()
    assert "**2** chosen, 1 of them not on this page" in text_of(app)
    assert not app.button(key="compare_chosen").disabled
    press(app, "newer_runs")
    assert [box_of(app, name).value for name in ("run 26", "run 25")] == [True, False]
    page_box(app).check().run()
    assert "**26** chosen, 1 of them" in text_of(app) and all(box.value for box in app.checkbox)
    page_box(app).uncheck().run()
    assert "**1** chosen, 1 of them" in text_of(app)
    press(app, "choose_found")
    assert "**27** chosen, 2 of them" in text_of(app) and box_of(app, "run 4").value
    press(app, "delete_chosen")
    assert "and 21 more" in text_of(app)
    confirm(app, "delete_chosen", "Delete 27 runs")
    assert listed(app) == [] and not RunStore().runs()


def test_no_more_are_chosen_at_once_than_is_said(app, keep, monkeypatch):
    for number in range(3):
        keep(f"run {number}")
    monkeypatch.setattr("samkit.ui.runs.runs_list.MAX_CHOSEN", 2)
    opened(app, LIST)
    press(app, "choose_found")
    assert "**2** chosen" in text_of(app) and [box.value for box in app.checkbox] == [False, True, True, False]


def test_runs_are_sorted_by_a_column_and_by_any_metric_or_parameter(app, keep):
    keep("bb", upper_threshold=10.0), keep("a"), keep("ccc", upper_threshold=9.0)
    opened(app, LIST)
    assert listed(app) == ["ccc", "a", "bb"]
    press(app, "sort_metric_predicted_iou")
    assert listed(app) == ["ccc", "bb", "a"]
    press(app, "sort_metric_predicted_iou")
    assert listed(app) == ["a", "bb", "ccc"]
    press(app, "sort_name")
    assert listed(app) == ["a", "bb", "ccc"]
    order = app.selectbox(key="runs_order")
    order.set_value(Order("param", "upper_threshold")).run()
    assert listed(app) == ["bb", "ccc", "a"] and "upper threshold" in text_of(app), "a column for what is sorted by"
    press(app, "sort_created")
    assert listed(app) == ["ccc", "a", "bb"]


def test_columns_are_chosen(app, keep):
    keep("a", upper_threshold=10.0)
    opened(app, LIST)
    assert "encode, ms" not in text_of(app)
    columns = app.multiselect(key="runs_columns")
    columns.set_value([Column("metric", "encode_ms"), Column("param", "upper_threshold")]).run()
    assert "<b>40</b> <i>encode, ms</i>" in text_of(app) and "<b>10</b> <i>upper threshold</i>" in text_of(app)
    assert "predicted IoU" not in text_of(app)


def test_a_plain_name_is_followed_by_what_tells_the_run_from_others(app, keep):
    keep("Mask stability, coffee", upper_threshold=6.0), keep("mine")
    opened(app, LIST)
    shown = text_of(app)
    assert ">nano-sam2 · upper threshold 6 · note of Mask stability, coffee<" in shown
    assert ">Mask stability · nano-sam2 · coffee · note of mine<" in shown


def test_a_run_shows_everything_and_is_renamed_noted_and_tagged(app, keep):
    run_id = keep("cup", upper_threshold=4.0)
    opened(app, RUN, id=run_id)
    assert app.title[0].value == "cup" and "note of cup" in text_of(app)
    assert [tab.label for tab in app.tabs] == ["Parameters", "Prompts", "Model", "Files", "Timings", "run.json"]
    (metrics,) = [table.value for table in app.dataframe if "metric" in table.value]
    (facts,) = [table.value for table in app.dataframe if "fact" in table.value]
    assert metrics.to_dict("list") == {"metric": ["predicted IoU"], "value": ["0.53"]}
    assert facts.to_dict("list") == {"fact": ["mask"], "value": ["3"]}
    name, tags = (next(box for box in app.text_input if box.label == label) for label in ("Name", "Tags"))
    name.set_value("mug"), tags.set_value("keeper, figure=3")
    app.text_area[0].set_value("better")
    next(button for button in app.button if button.label == "Save").click().run()
    run = read_run(RunStore(), run_id)
    assert (run.name, run.tags["keeper"], run.tags["figure"], run.tags["mlflow.note.content"]) == (
        "mug",
        "",
        "3",
        "better",
    )
    assert app.title[0].value == "mug" and "figure" in text_of(app)


def field(app, label: str):
    return next(box for box in [*app.text_input, *app.text_area] if box.label == label)


def save(app):
    next(button for button in app.button if button.label == "Save").click().run()
    assert not app.exception


def test_what_was_not_changed_stays_as_it_is(app, keep):
    run_id, note = keep("cup"), "a note\n" + 900 * "0123456789"
    store, odd = RunStore(), {"k": "a, b=c", "x:y": "MLflow's own page takes this", "lines": "one\ntwo"}
    for key, value in {**odd, "mlflow.note.content": note_text(note)}.items():
        store.client().set_tag(run_id, key, value)
    opened(app, RUN, id=run_id)
    field(app, "Name").set_value("mug")
    save(app)
    run = read_run(store, run_id)
    assert (
        run.name == "mug"
        and user_tags(run.tags) == odd
        and run.tags["mlflow.note.content"] == note_text(note)
        and not app.error
    )
    assert field(app, "Note").disabled and "stays as it was kept" in text_of(app)
    field(app, "Name").set_value("jug"), field(app, "Tags").set_value('k="d, e"')
    save(app)
    assert not app.error and user_tags(read_run(store, run_id).tags) == {"k": "d, e"}
    field(app, "Name").set_value("pot"), field(app, "Tags").set_value('k="d')
    save(app)
    assert "can't be read" in app.error[0].value and (
        read_run(store, run_id).name,
        user_tags(read_run(store, run_id).tags),
    ) == ("pot", {"k": "d, e"})


def test_a_note_as_long_as_the_store_takes_is_edited_whole(app, keep):
    run_id, note = keep("cup"), 5000 * "n"
    note_run(RunStore(), run_id, note)
    opened(app, RUN, id=run_id)
    assert field(app, "Note").value == note
    field(app, "Note").set_value(note[:-1] + "!")
    save(app)
    assert read_run(RunStore(), run_id).tags["mlflow.note.content"] == note[:-1] + "!"


def test_names_are_no_markdown(app, keep):
    ids = [keep("[a](http://b) **c**"), keep("d")]
    opened(app, RUN, id=ids[0])
    assert app.title[0].value == "\\[a\\]\\(http:\u2060//b) \\*\\*c\\*\\*"
    opened(app, COMPARE, runs=",".join(ids))
    labels = [link.proto.label for link in app.get("page_link")]
    assert any(r"\*\*c\*\*" in label for label in labels) and not any("](http" in label for label in labels)


@pytest.mark.parametrize("wanted", ["mask_chosen", "image"])
def test_all_pixels_are_sent(app, tmp_path, monkeypatch, wanted):
    from streamlit.elements.lib import image_utils

    sent, send = [], image_utils._ensure_image_size_and_format
    monkeypatch.setattr(
        image_utils, "_ensure_image_size_and_format", lambda *arguments: sent.append(send(*arguments)) or sent[-1]
    )
    image = Picture(np.random.default_rng(0).integers(0, 256, (1200, 1800, 3), dtype=np.uint8), "large")
    mask = np.zeros((1200, 1800), bool)
    mask[300:600, 400:900] = True
    parts = dict(inputs=Inputs(image), model_info=INFO, device="cpu", dtype="float32")
    run_id = (
        RunStore()
        .keep(
            write_bundle(tmp_path / "large", result=Result(NAME, Params(), masks={"mask_chosen": Mask(mask)}), **parts)
        )
        .run_id
    )
    opened(app, RUN, id=run_id)
    app.selectbox(key="run_picture").set_value(wanted).run()
    if wanted != "image":
        app.toggle(key="run_mask_alone").set_value(True).run()
    shown = np.asarray(Image.open(io.BytesIO(sent[-1])).convert("RGB"))
    assert shown.shape == (1200, 1800, 3) and (
        (shown == image.rgb).all() if wanted == "image" else ((shown[..., 0] > 0) == mask).all()
    )


def test_newer_and_older_walk_through_what_the_list_shows(app, keep):
    ids = [keep("cup one"), keep("cat", picture="chelsea"), keep("cup two")]
    opened(app, LIST)
    app.text_input(key="runs_search_text").set_value("cup").run()
    opened(app, RUN, id=ids[2])
    assert app.button(key="run_newer").disabled
    press(app, "run_older")
    assert (
        app.title[0].value == "cup one"
        and app.query_params["id"] in (ids[0], [ids[0]])
        and app.button(key="run_older").disabled
    )


def test_a_deleted_run_says_so_and_comes_back(app, keep):
    run_id = keep("gone")
    opened(app, RUN, id=run_id)
    press(app, "delete_run")
    assert not read_run(RunStore(), run_id).deleted
    confirm(app, "delete_run", "Delete 1 run")
    assert "This run was deleted" in text_of(app)
    press(app, "restore_run")
    assert not read_run(RunStore(), run_id).deleted and "This run was deleted" not in text_of(app)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [({}, "Open a run from the list"), ({"id": "xyz"}, "is not a run's id"), ({"id": "0" * 32}, "There is no run")],
)
def test_a_run_that_is_not_there_is_a_sentence(app, query, sentence):
    opened(app, RUN, **query)
    assert sentence in text_of(app)


def test_a_run_whose_files_are_gone_shows_what_the_store_has(app, keep, tmp_path):
    run_id = keep("cup")
    shutil.rmtree(tmp_path / "home" / "mlartifacts")
    opened(app, RUN, id=run_id)
    assert len(app.error) == 1 and "those of the store" in app.error[0].value
    assert any("0.53" in str(value) for value in app.dataframe[0].value["value"])
    assert app.button(key="replay_run").disabled


def test_replay_says_identical_and_what_differs(app, tmp_path, monkeypatch):
    model, experiment, image = (
        samkit.load_model("nano-sam2", device="cpu"),
        find_experiment(NAME),
        load_sample("coffee"),
    )
    inputs = Inputs(image, Prompts(points=[(0.46, 0.3, 1)]))
    result = experiment.run(model, inputs, Params(), Lab())
    parts = dict(inputs=inputs, model_info=model.info, device="cpu", dtype="float32")
    whole = RunStore().keep(write_bundle(tmp_path / "whole", result=result, **parts)).run_id
    changed = result.masks["mask_chosen"].pixels.copy()
    changed[:3, :5] ^= True
    other = replace(
        result,
        masks={**result.masks, "mask_chosen": Mask(changed)},
        metrics={**result.metrics, "predicted_iou": higher(0.1)},
        facts={"mask_index": 0},
    )
    edited = RunStore().keep(write_bundle(tmp_path / "edited", result=other, **parts)).run_id
    opened(app, RUN, id=whole)
    press(app, "replay_run")
    assert "all metrics are identical" in text_of(app) and app.success
    opened(app, RUN, id=edited)
    press(app, "replay_run")
    assert "mask_chosen differs in 15 of 240000 pixels" in text_of(app) and app.warning
    (moved,) = [table.value for table in app.dataframe if "replayed" in table.value]
    assert moved["metric or fact"].tolist() == ["predicted iou", "mask index"] and moved["beyond tolerance"].all()


@pytest.fixture
def long_replay(monkeypatch):
    """A replay that reports a quarter of its work as often as it is let: (let it report, the reports it made)."""
    turn, reports = threading.Semaphore(0), []

    def replayed(bundle, *, model, progress):
        while turn.acquire(timeout=60):
            progress(0.25, "Frame 3 of 12")
            reports.append(bundle.run_uuid)
        raise AssertionError("nobody cancelled it")

    monkeypatch.setattr(replay_job, "replay", replayed)
    monkeypatch.setattr(replay_panel, "PATIENCE_S", 0)
    return turn, reports


def until(condition) -> None:
    while not condition():
        time.sleep(0.01)


def test_a_long_replay_shows_how_far_it_is_and_is_cancelled(app, keep, long_replay):
    turn, reports = long_replay
    run_id = keep("cup", info=samkit.load_model("nano-sam2", device="cpu").info)
    opened(app, RUN, id=run_id)
    press(app, "replay_run")
    job = app.session_state["samkit.runs"].replaying[run_id]
    turn.release()
    until(lambda: reports)
    app.run()
    assert job.share == 0.25 and job.line == "Frame 3 of 12" and job.active
    assert [bar.proto.text for bar in app.get("progress")] == ["Frame 3 of 12"]
    press(app, "cancel_replay")
    assert not app.session_state["samkit.runs"].replaying
    turn.release()
    until(lambda: not job.active)
    assert len(reports) == 1 and job.outcome is None, "it ended at its next report"
    assert not app.get("progress") and not app.error
    assert "cancel_replay" not in [button.key for button in app.button]


def test_a_replay_that_fails_says_so_until_the_next_one(app, keep, monkeypatch):
    def fail(*arguments, **how):
        raise BadInput("Its film is gone.")

    monkeypatch.setattr(replay_job, "replay", fail)
    opened(app, RUN, id=keep("cup", info=samkit.load_model("nano-sam2", device="cpu").info))
    press(app, "replay_run")
    app.run()
    assert [error.value for error in app.error] == ["Its film is gone."]


def test_a_run_of_a_model_that_is_not_here_is_not_replayed(app, keep):
    stranger = made_up_info("somebody's", "1" * 64)
    opened(app, RUN, id=keep("strange", info=stranger))
    press(app, "replay_run")
    assert [error.value for error in app.error if "somebody's, is not on this machine" in error.value]


def test_comparison_shows_what_differs_and_masks(app, keep):
    ids = [keep("a"), keep("bb", upper_threshold=4.0), keep("cat", picture="chelsea")]
    opened(app, COMPARE, runs=",".join(ids))
    shown = text_of(app)
    assert app.title[0].value == "Compare 3 runs" and "upper threshold" in shown and "lower threshold" not in shown
    assert shown.count('class="samkit-compared"') == 3 and "All outlines on the picture" in shown
    app.segmented_control(key="compare_way").set_value("Difference").run()
    shown = text_of(app)
    assert "Where the two masks differ" in shown and "IoU 0.9930" in shown and "only" in shown
    assert shown.count(">0.52<") == 1 and "among runs of one experiment on one picture: runs 1, 2" in shown
    app.toggle(key="compare_all_params").set_value(True).run()
    assert "lower threshold" in text_of(app)
    press(app, f"leave_{ids[2]}")
    assert "chelsea" not in text_of(app) and not app.exception


def test_compared_numbers_are_a_table_with_columns_to_choose(app, keep):
    opened(app, COMPARE, runs=",".join([keep("a"), keep("bb", upper_threshold=4.0)]))
    app.segmented_control(key="compare_numbers_as").set_value("One line a run").run()
    (table,) = [table.value for table in app.dataframe]
    assert table.columns.tolist() == ["run", "name", "upper_threshold", "predicted_iou", "encode_ms"]
    assert table["upper_threshold"].tolist() == [2.0, 4.0] and table["predicted_iou"].tolist() == [0.51, 0.52]
    app.multiselect(key="compare_columns").set_value(["predicted_iou"]).run()
    assert [table.value.columns.tolist() for table in app.dataframe] == [["run", "name", "predicted_iou"]]


def test_frames_of_films_are_compared(app, tmp_path):
    ids = [RunStore().keep(old_run(f"video-priors-{name}", tmp_path)).run_id for name in ("kept-film", "bank")]
    opened(app, COMPARE, runs=",".join(ids))
    app.selectbox(key="compare_mask").set_value("a frame of the film").run()
    assert app.select_slider(key="compare_frame").value is not None and not app.exception and not app.error
    assert 'class="samkit-compared"' in text_of(app)


def test_of_films_with_several_objects_one_is_chosen(app, tmp_path):
    bundle = run_of_two_objects(tmp_path)
    ids = [RunStore().keep(each).run_id for each in (bundle, old_run("video-priors-bank", tmp_path))]
    opened(app, COMPARE, runs=",".join(ids))
    choice = app.selectbox(key="compare_mask")
    assert choice.value == "a frame of the film"
    choice.select_index(1).run()
    assert "Run 1 follows 2 objects: choose “a frame of the film”" in text_of(app)
    app.selectbox(key="compare_mask").set_value("a frame of the film").run()
    assert "object 1" in text_of(app) and "object 2" in text_of(app) and "follows 2" not in text_of(app)
    tiles = text_of(app).count('class="samkit-compared"')
    app.selectbox(key="compare_object").set_value(2).run()
    assert text_of(app).count('class="samkit-compared"') == tiles - 1 and not app.error and not app.exception


def test_the_list_is_drawn_again_when_the_dialog_of_imports_is_closed(app):
    opened(app, LIST)
    press(app, "open_import")
    (dialog,) = app.get("dialog")
    assert dialog.proto.dialog.title == "Import runs" and dialog.proto.dialog.id, "closing it is told to the page"


@pytest.mark.parametrize("name", ["semantic-similarity-pair", "video-priors-kept-film", "position-encoding"])
def test_a_run_of_schema_1_is_shown_whole(app, tmp_path, name):
    old = old_run(name, tmp_path)
    run_id = RunStore().keep(old).run_id
    opened(app, LIST)
    assert listed(app) == [old.name]
    figures = [metric_words(metric) for metric, each in old.record.metrics.items() if each.key]
    assert all(f"<i>{figure}</i>" in text_of(app) for figure in figures)
    opened(app, RUN, id=run_id)
    assert app.title[0].value == plain_text(old.name) and not app.error
    tables = {column: table.value for table in app.dataframe for column in ("metric", "fact") if column in table.value}
    assert tables["metric"]["metric"].tolist() == [metric_words(metric) for metric in old.record.metrics]
    assert tables["fact"]["value"].tolist() == [fact_text(*fact) for fact in old.record.facts.items()]
    for mask in old.record.masks:
        app.selectbox(key="run_picture").set_value(mask).run()
        assert not app.exception and not app.error


def test_runs_of_schema_1_are_compared_on_their_own_pictures(app, tmp_path):
    ids = [RunStore().keep(old_run(f"cross-image-on-{name}", tmp_path)).run_id for name in "ab"]
    opened(app, COMPARE, runs=",".join(ids))
    assert text_of(app).count('class="samkit-compared"') == 4 and "prompt on" in text_of(app), "both masks of each"
    assert text_of(app).count("prompted") >= 2 and text_of(app).count("tracked") >= 2
    assert "All outlines" in text_of(app), "the prompted picture of one is that of the other"
    app.selectbox(key="compare_mask").set_value("mask_tracked").run()
    assert "No two of these masks lie on the same picture" in text_of(app) and not app.exception


def test_each_mask_has_the_room_of_its_column_whatever_the_others_sizes(app, keep):
    """Coffee has 600 x 400 pixels, chelsea 451 x 300; a square picture fills the height alone."""
    ids = [keep("a"), keep("cat", picture="chelsea"), keep("square", picture="astronaut")]
    opened(app, COMPARE, runs=",".join(ids))
    tiles = re.findall(
        r'class="samkit-compared" width="(\d+)" height="(\d+)" style="height:auto(?:;width:([\d.]+)%)?"', text_of(app)
    )
    assert [(width, share) for width, _, share in tiles[:2]] == [("420", ""), ("420", "")]
    width, height, share = tiles[2]
    assert height == "320" and float(share) == pytest.approx(100 * int(width) / 420, abs=0.05)


def test_of_more_runs_than_can_be_compared_some_are_taken_out(app, keep):
    ids = [keep(f"run {number}") for number in range(13)]
    opened(app, COMPARE, runs=",".join(ids))
    assert "At most 12 runs are compared: take 1 out" in text_of(app) and not app.error
    press(app, f"leave_{ids[4]}")
    assert (
        app.title[0].value == "Compare 12 runs"
        and "At most" not in text_of(app)
        and text_of(app).count('class="samkit-compared"') == 12
    )
    opened(app, COMPARE, runs=",".join([*ids, *(f"{number:032x}" for number in range(50))]))
    press(app, "compare_first_ones")
    assert app.title[0].value == "Compare 12 runs" and not app.error


@pytest.mark.parametrize(
    ("runs", "sentence"), [("", "Choose two runs or more"), ("0" * 32 + ",xyz", "at least two runs")]
)
def test_a_comparison_of_nothing_says_what_to_do(app, runs, sentence):
    opened(app, COMPARE, **({"runs": runs} if runs else {}))
    assert sentence in text_of(app)


def test_a_zip_of_runs_is_imported_once_and_a_hostile_one_not_at_all(app, keep, tmp_path):
    run_ids = [keep("one"), keep("two", upper_threshold=4.0)]
    exported = export_runs(
        [RunStore().load(run_id, tmp_path / "loaded" / run_id) for run_id in run_ids], tmp_path / "two.zip"
    ).read_bytes()
    delete_run(RunStore(), run_ids[0])
    opened(app, LIST)

    def give(content: bytes) -> None:
        press(app, "open_import")
        # A dialog stays open by itself only in a browser.
        app.file_uploader(key="import_runs_file").set_value(("two.zip", content, "application/zip"))
        app.button(key="open_import").click().run()
        app.button(key="import_runs").click()
        press(app, "open_import")
        assert not app.exception

    hostile = io.BytesIO(exported)
    with zipfile.ZipFile(hostile, "a") as archive:
        archive.writestr("../outside.zip", b"")
    for content in (hostile.getvalue(), exported[: len(exported) // 2], b""):
        give(content)
        assert app.error and not app.success and len(RunStore().runs()) == 1
    for sentence in ("1 imported, 1 already here.", "0 imported, 2 already here."):
        give(exported)
        assert [message.value for message in app.success] == [sentence]
    assert len(RunStore().runs()) == 2


def test_what_waits_is_listed_with_its_reason_and_delivered(app, keep, tmp_path):
    keep("there")
    from samkit.tracking.bundle.bundle import read_bundle

    bundle = read_bundle(tmp_path / "there")
    delete_run(RunStore(), RunStore().runs()[0].run_id)
    app.run()  # the first visit to a server sends what waits
    Spool().add(bundle)
    Spool().explain(bundle.run_uuid, "The run store was asleep.")
    opened(app, LIST)
    press(app, "open_spool")
    assert app.dataframe[0].value["why it waits"].tolist() == ["The run store was asleep."]
    press(app, "deliver_spool")
    assert not Spool().waiting() and len(RunStore().runs()) == 1


def test_a_run_whose_picture_is_gone_waits_for_it(app, keep, tmp_path):
    run_id = keep("cup", upper_threshold=4.0)
    for file in (tmp_path / "home" / "mlartifacts").rglob("image.png"):
        file.unlink()
    app.run()
    app.session_state["samkit.workspace"].show_picture(load_sample("astronaut"))
    opened(app, page_path("mask_stability"), run=run_id)
    assert [warning.value for warning in app.warning if "picture coffee (600 × 400 px) is missing" in warning.value]
    work = app.session_state["samkit.workspace"]
    assert work.prompts == Prompts(points=[(0.4, 0.4, 1)]) and app.slider(
        key="knob_mask-stability_thresholds"
    ).value == (-2.0, 4.0)
    work.show_picture(load_sample("chelsea"))
    assert work.prompts.is_empty
    work.show_picture(Picture(load_sample("coffee").rgb, "found again.png"))
    assert work.prompts == Prompts(points=[(0.4, 0.4, 1)]) and work.awaited is None


def test_tags_are_filtered_by(app, keep):
    keep("plain")
    tag_run(RunStore(), keep("tagged"), {"keeper": "yes"})
    opened(app, LIST)
    app.text_input(key="runs_search_tag").set_value("keeper=yes").run()
    assert listed(app) == ["tagged"]
    app.text_input(key="runs_search_tag").set_value("keeper=no").run()
    assert listed(app) == []


@pytest.fixture
def hanging_server():
    """A server that calls itself healthy and answers nothing else; gives its URL and what it was asked, health left
    out.
    """
    ended, asked = threading.Event(), []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/health":
                asked.append(self.path)
                ended.wait(240)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"OK")

        do_POST = do_GET

        def log_message(self, *words) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    ended.set()
    server.shutdown()


@pytest.mark.parametrize(
    "page, query", [(LIST, {}), (RUN, {"id": "a" * 32}), (COMPARE, {"runs": f"{'a' * 32},{'b' * 32}"})]
)
def test_a_server_that_hangs_keeps_no_page_waiting(app, hanging_server, monkeypatch, page, query):
    url, asked = hanging_server
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    waits = patience_of(monkeypatch, "probe-run-store")
    # However slow this machine is, its answer is not old yet when it is asked for again.
    answers = st.cache_data(show_spinner=False)(store_state.store_answers.__wrapped__)
    monkeypatch.setattr(store_state, "store_answers", answers)
    app.run()
    app.switch_page(page)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert [error.value for error in app.error] == [
        error.value for error in app.error if "does not answer" in error.value
    ] and len(app.error) == 1
    assert asked == [store_state.QUESTION] and waits == [store_state.PATIENCE_S]
    app.run()
    assert len(asked) == len(waits) == 1, "asked again at each rerun"
