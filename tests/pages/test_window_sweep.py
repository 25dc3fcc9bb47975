"""The sweep on the Window size page: one of the general sweeps, started, followed, stopped and kept from there."""

import pytest

import samkit
from samkit.experiments.inputs import Inputs
from samkit.experiments.window_size import Params, refusal, run, swept_windows
from samkit.media.samples import load_sample
from samkit.prompts import Prompts
from samkit.tracking.bundle.bundle import write_bundle
from samkit.tracking.store.store import RunStore
from samkit.ui.bench.sweeping import page_sweep
from samkit.ui.state import sweeps
from samkit.work.lab import Lab
from samkit.work.sweep.keeping import SweepKept
from samkit.work.sweep.results import find_sweep, sweep_names
from tests.pages.app import clear_memories, last_result, new_app, page_path
from tests.random_models import SMALL_SAM2, SMALL_SAM3, save_random_model

WINDOWS = "window-size"
CLICK = Prompts(points=[(0.5, 0.4, 1)])


@pytest.fixture
def model(monkeypatch, tmp_path):
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SAMKIT_EXTRA_MODELS", str(tmp_path))
    clear_memories()
    return str(save_random_model(tmp_path / "small.safetensors", SMALL_SAM2))


@pytest.fixture
def app(model):
    """The page with a small model, one encoding for each size."""
    app = new_app().run()
    work = app.session_state["samkit.workspace"]
    work.model_ref = model
    work.params[WINDOWS] = {"sweep_choice": "1", "sweep_turns": 1, "view": "Sweep"}
    return checked(app.switch_page(page_path(WINDOWS)).run())


def checked(app):
    assert not app.exception and not app.error, [error.value for error in app.error]
    return app


def press(app, key):
    return checked(app.button(key=key).click().run())


def swept(app):
    """The sweep that was started last, come to rest and shown."""
    sweep = find_sweep("latest")
    sweeps.server_sweeps().get(sweep.id).join()
    checked(app.run())
    return sweep


def rows(app):
    """The table in the tab; None where there is none."""
    tables = [frame.value for frame in app.dataframe if "refused" in frame.value.columns]
    return tables[0].to_dict("records") if tables else None


def drifts(app):
    return [(row["window"], str(row["drift"])) for row in rows(app)]


def text(app) -> str:
    return " ".join(element.value for kind in ("markdown", "caption", "info", "warning") for element in app.get(kind))


def test_a_sweep_is_one_of_the_sweeps_and_shows_under_its_tab(app, model, here, monkeypatch):
    press(app, "run_sweep")
    sweep = swept(app)
    network = samkit.load_model(model, device="cpu")
    own, size = network.info.window_sizes, (network.info.native_side,) * 2
    shown = {row["window"]: row for row in rows(app)}
    refused = {each: refusal(network, swept_windows(own, 1, each), size) or "" for each in shown}
    assert {each: row["refused"] for each, row in shown.items()} == refused and any(refused.values())
    assert len(sweep.cells) == sum(not reason for reason in refused.values()) and not sweep.cells[0].params.get("side")
    work = app.session_state["samkit.workspace"]
    inputs = Inputs(work.picture, work.prompts)
    direct = run(network, inputs, Params(sweep_stage=1, sweep_sizes=tuple(shown), sweep_repeats=1), Lab())
    for row in direct.tables["sweep"]:
        if not row["refused"]:
            assert shown[row["window"]]["drift"] == pytest.approx(row["drift"], rel=1e-3, abs=1e-6)
            assert shown[row["window"]]["iou_2"] == pytest.approx(row["iou_2"], abs=1e-3)
    assert last_result().params.sweep_sizes == (), "the page's run is one thing, and its sweep another"
    kept = []
    monkeypatch.setattr(page_sweep, "keep_sweep", lambda each: kept.append(each.id) or SweepKept(None, 0, "It waits."))
    press(app, "keep_page_sweep")
    assert kept == [sweep.id]


def test_both_readings_of_sam3_are_swept_and_drawn_as_two_curves(app, here, tmp_path):
    work = app.session_state["samkit.workspace"]
    work.model_ref = str(save_random_model(tmp_path / "sam3.safetensors", SMALL_SAM3))
    checked(app.run())
    checked(app.toggle(key="knob_window-size_both_readings").set_value(True).run())
    press(app, "run_sweep")
    sweep = swept(app)
    shown = {(row["window"], row["reading"]): row for row in rows(app)}
    assert len(shown) == len(sweep.cells) and {reading for _, reading in shown} == {"step", "span"}
    assert {sizes for sizes, _ in shown} >= {4, 72}
    assert shown[4, "step"]["drift"] == shown[4, "span"]["drift"] == 0, "at the model's own windows both are one"
    assert shown[8, "step"]["drift"] != shown[8, "span"]["drift"] > 0


def test_a_sweep_goes_on_while_the_visitor_is_elsewhere_and_is_stopped_and_resumed(app, here, monkeypatch):
    monkeypatch.setattr(here, "until", 1)
    press(app, "run_sweep")
    assert "run_sweep" not in {button.key for button in app.button}
    checked(app.switch_page(page_path("block-norms")).run())
    checked(app.switch_page(page_path(WINDOWS)).run())
    press(app, "stop_page_sweep")
    sweep = swept(app)
    assert sweep.state() == "cancelled" and len(sweep.outcomes()) <= 1
    monkeypatch.setattr(here, "until", None)
    press(app, "resume_page_sweep")
    swept(app)
    assert sweep.state() == "done" and sweep_names() == [sweep.id] and "go on" not in text(app)
    assert sum(not row["refused"] for row in rows(app)) == len(sweep.cells)


def other_prompts(work):
    work.edit(CLICK)


def another_picture(work):
    work.show_picture(load_sample("chelsea"), work.prompts)


def another_model(work):
    work.model_ref = "nano-sam1"


@pytest.mark.parametrize("change", [other_prompts, another_picture, another_model])
def test_a_sweep_of_something_else_is_not_shown_and_says_so(app, here, change):
    work = app.session_state["samkit.workspace"]
    before = work.picture, work.prompts, work.model_ref
    press(app, "run_sweep")
    swept(app)
    shown = drifts(app)
    change(work)
    checked(app.run())
    words = change.__name__.replace("_", " ")
    assert f"This sweep used {words}: run it again." in text(app) and rows(app) is None
    work.show_picture(before[0], before[1])
    work.model_ref = before[2]
    checked(app.run())
    assert drifts(app) == shown and "run it again" not in text(app)


def test_a_running_sweep_of_something_else_says_so_and_goes_on(app, here, monkeypatch):
    monkeypatch.setattr(here, "until", 1)
    press(app, "run_sweep")
    other_prompts(app.session_state["samkit.workspace"])
    checked(app.run())
    assert "The running sweep uses other prompts." in text(app)
    press(app, "stop_page_sweep")
    swept(app)


def test_sizes_that_all_are_refused_are_said(app, monkeypatch):
    monkeypatch.setattr("samkit.ui.experiments.window_sweep.refusal", lambda *arguments: "Too odd.")
    app.button(key="run_sweep").click().run()
    assert "None of these sizes can be run in this stage" in app.error[-1].value and not sweep_names()


def test_a_kept_run_with_a_sweep_shows_it_until_another_one_is_started(app, model, here, tmp_path, monkeypatch):
    network = samkit.load_model(model, device="cpu")
    inputs = Inputs(load_sample("chelsea"), CLICK)
    result = run(network, inputs, Params(sweep_stage=3, sweep_sizes=(4, 5, 8), sweep_repeats=1), Lab())
    bundle = write_bundle(
        tmp_path / "run", result=result, inputs=inputs, model_info=network.info, device="cpu", dtype="float32"
    )
    monkeypatch.setattr(RunStore, "load", lambda store, run_id, folder, **how: bundle)
    app.query_params["run"] = "0" * 32
    checked(app.run())
    assert last_result().params.sweep_sizes == (4, 5, 8) and [row["window"] for row in rows(app)] == [4, 5, 8]
    press(app, "run_sweep")
    swept(app)
    assert last_result().params.sweep_sizes == () and len(rows(app)) > 3
