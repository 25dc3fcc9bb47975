"""Pages of sweeps, without a browser: started from an experiment's page, listed, looked at, compared, opened again."""

import numpy as np
import pytest

from samkit.media.mask_files import mask_png
from samkit.media.pictures import array_to_png
from samkit.media.samples import load_sample
from samkit.ui.bench.sweeping.draft import AS_GIVEN, ON_ALL
from samkit.ui.state import sweeps
from samkit.work.sweep.results import find_sweep, sweep_names
from samkit.work.sweep.spec import spec_from_text
from tests.pages.app import last_result, new_app, page_path
from tests.work.sweep.made_up import made_up_sweep


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path))


def visit(page: str, **query: str):
    app = new_app()
    app.run()
    app.switch_page(page_path(page))
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    return app


def texts(app) -> str:
    return " ".join(element.value for kind in ("markdown", "caption", "info", "error") for element in app.get(kind))


def keys(app) -> set[str]:
    return {element.key for element in app.button if element.key}


def test_a_sweep_is_thought_of_priced_started_and_opened_again(here):
    app = visit("mask-stability")
    app.button(key="open_sweep").click().run()
    assert "**1 cell**, 1 encoding" in texts(app)
    app.multiselect(key="sweep_knobs_mask-stability").set_value(["mask_index"]).run()
    assert "**1 cell**" in texts(app), "a knob begins with the value of the page"
    assert "One value is no sweep" in texts(app) and "Nothing varies yet" in texts(app)
    assert app.button(key="start_sweep").disabled
    app.text_input(key="sweep_values_mask-stability_mask_index").set_value("").run()
    missing = "Write down the values of Mask."
    assert [each.value for each in app.error] == [missing], "not a cell before it is clear what is asked for"
    assert app.multiselect(key="sweep_models").value, "and what stands beside it stays"
    assert app.button(key="start_sweep").disabled
    assert missing in [each.value for each in app.caption], "and at the button, for the top may be out of sight"
    app.text_input(key="sweep_values_mask-stability_mask_index").set_value("0 to 1").run()
    app.text_input(key="sweep_name").set_value("Which mask").run()
    assert "**2 cells**, 1 encoding" in texts(app)
    assert "2 values: 0, 1" in texts(app) and "No true masks" in texts(app), "and how to give one"
    written = next(code.value for code in app.code if "experiment:" in code.value)
    assert spec_from_text(written).params == {"mask_index": {"from": 0, "to": 1, "step": 1}}
    app.button(key="start_sweep").click().run()
    sweep = find_sweep("latest")
    sweeps.server_sweeps().get(sweep.id).join()
    assert sweep.state() == "done" and sweep.spec.name == "Which mask" and len(sweep.outcomes()) == 2
    assert app.title[0].value == "Which mask" and not app.error

    cell = sweep.cells[0]
    app = visit("mask-stability", cell=f"{sweep.id}.{cell.id}")
    assert (
        not app.error
        and last_result().params.mask_index == 0
        and app.session_state["samkit.workspace"].prompts == (cell.prompts)
    )


def test_ones_own_pictures_without_masks_are_no_dead_end(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(2):
        (photos / f"{number}.png").write_bytes(array_to_png(load_sample("coins").rgb))
    app = visit("mask-stability")
    app.button(key="open_sweep").click().run()
    app.text_input(key="sweep_masks").set_value(str(photos)).run()
    assert app.warning[0].value.startswith("The pictures are missing"), "masks alone are not passed over"
    app.text_input(key="sweep_masks").set_value("").run()
    app.text_input(key="sweep_files").set_value(str(photos)).run()
    assert "2 pictures without true masks." in texts(app) and f"Choose “{ON_ALL}” under Prompts" in texts(app)
    app.multiselect(key="sweep_prompts").set_value([ON_ALL]).run()
    assert "**3 cells**, 3 encodings" in texts(app) and "start_sweep" in keys(app)


def test_ones_own_pictures_with_masks_are_ready_to_be_swept(tmp_path):
    for name, pixels in (("photos", load_sample("coins").rgb), ("masks", np.eye(*load_sample("coins").size) > 0)):
        (tmp_path / name).mkdir()
        content = mask_png(pixels) if name == "masks" else array_to_png(pixels)
        (tmp_path / name / "0.png").write_bytes(content)
    app = visit("mask-stability")
    app.button(key="open_sweep").click().run()
    assert app.checkbox(key="sweep_at_hand").value and app.multiselect(key="sweep_prompts").value == [AS_GIVEN]
    app.text_input(key="sweep_files").set_value(str(tmp_path / "photos")).run()
    app.text_input(key="sweep_masks").set_value(str(tmp_path / "masks")).run()
    assert app.multiselect(key="sweep_prompts").value == ["true box"] and not app.error
    assert not app.checkbox(key="sweep_at_hand").value and "coffee has no true mask, and is left out" in texts(app)
    assert "1 object on 1 of 1 picture." in texts(app) and "**1 cell**" in texts(app)
    app.multiselect(key="sweep_prompts").set_value(["innermost pixel", "true box"]).run()
    app.text_input(key="sweep_masks").set_value("").run()
    assert app.multiselect(key="sweep_prompts").value == ["innermost pixel", "true box"], "chosen by hand"


def test_a_sweep_is_cancelled_and_goes_on(here, monkeypatch):
    monkeypatch.setattr(here, "until", 1)
    sweep = made_up_sweep("goes on", computed=9)
    app = visit("sweep", id=sweep.id)
    assert "Stopped: 9 of 12 cells" in app.get("progress")[0].proto.text
    app.button(key="resume_sweep_page").click().run()
    run = sweeps.server_sweeps().get(sweep.id)
    assert run.active and "cancel_sweep" in keys(app) and app.button(key="delete_sweep").disabled
    app.button(key="cancel_sweep").click().run()
    run.join()
    assert sweep.state() == "cancelled" and len(sweep.outcomes()) in (9, 10)
    monkeypatch.setattr(here, "until", None)
    app.run()
    app.button(key="resume_sweep_page").click().run()
    sweeps.server_sweeps().get(sweep.id).join()
    assert sweep.state() == "done"


def test_a_cell_is_looked_at_among_charts_and_tables():
    sweep = made_up_sweep("charts", models="nano-sam1, nano-sam2", failed=2)
    app = visit("sweep", id=sweep.id)
    assert "**Best true IoU:** model Nano SAM 1, prompts inside, side 512" in texts(app) or "side 512" in texts(app)
    assert "Against the next one (" in texts(app) and "too few for an interval" in texts(app), "case by case"
    assert ", too few pictures for intervals" in texts(app), "above the chart, which has no error bars"
    assert len(app.get("plotly_chart")) == 2 and "Click a point" in texts(app)
    app.session_state[f"samkit.sweep_cell.{sweep.id}"] = sweep.cells[5].id
    app.run()
    assert f"**{sweep.cells[5].case.name}**" in texts(app)
    for tab in ("Worst pictures", "By size", "Heat map", "Failures (2)", "Cells"):
        app.get("button_group")[-1].set_value(tab).run()
        assert not app.exception and not app.error, tab
    app.selectbox(key=f"metric_{sweep.id}").set_value("time.encode_ms").run()
    assert not app.error


def test_sweeps_are_listed_compared_and_deleted_after_a_question():
    base, tuned = made_up_sweep("base"), made_up_sweep("tuned", "nano-sam1", better=0.02)
    app = visit("sweeps")
    names = [element.proto.label for element in app.get("page_link")]
    assert {"**base**", "**tuned**"} <= set(names)
    app = visit("two_sweeps", a=base.id, b=tuned.id)
    assert "+0.02" in texts(app) and "3 pictures or films are too few for an interval" in texts(app) and not app.error
    assert "All sweeps" in [element.proto.label for element in app.get("page_link")], "the way back"
    assert "Left out" not in texts(app)
    fewer = made_up_sweep("base", computed=1)
    app = visit("two_sweeps", a=base.id, b=fewer.id)
    assert "over 1 cell on 1 picture" in texts(app) and "no such cell: 11 cells of A." in texts(app)
    labels = [element.proto.label for element in app.get("page_link")]
    assert len([label for label in labels if "base · 20" in label]) == 2, "one name: when each was made"
    app = visit("sweeps")
    app.button(key=f"delete_{base.id}").click().run()
    app.button(key="confirm_delete_sweep").click().run()
    assert set(sweep_names()) == {tuned.id, fewer.id}


def test_the_button_says_when_a_sweep_is_kept():
    app = visit("sweep", id=made_up_sweep("base").id)
    assert app.button(key="keep_sweep").label == "Keep"
    app.button(key="keep_sweep").click().run()
    assert app.button(key="keep_sweep").label == "Kept" and "is kept as run" in app.toast[0].value and not app.error


def test_memory_length_on_films_is_started_from_the_film_page(here, monkeypatch):
    monkeypatch.setattr(here, "until", 0)
    app = visit("video-priors")
    app.button(key="open_sweep").click().run()
    assert "**1 cell**." in texts(app) and not app.error, "before a film was segmented"
    app.multiselect(key="sweep_knobs_video-priors").set_value(["max_frames"]).run()
    app.text_input(key="sweep_values_video-priors_max_frames").set_value("0 6").run()
    app.multiselect(key="sweep_film_samples").set_value(["cup"]).run()
    assert "**4 cells**." in texts(app)
    app.button(key="start_sweep").click().run()
    sweep = find_sweep("latest")
    run = sweeps.server_sweeps().get(sweep.id)
    run.cancel()
    run.join()
    assert [cell.params["max_frames"] for cell in sweep.cells] == [0, 6, 0, 6] and not app.error
    assert {cell.case.film.ref for cell in sweep.cells} == {"sample:coin", "sample:cup"}
