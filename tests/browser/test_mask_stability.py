"""The main path in a real browser: prompt with the mouse, turn knobs, keep the run, find it again in MLflow."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from samkit.media.samples import load_sample
from tools.running_app import running_mlflow

pytestmark = pytest.mark.browser

PAGE = "mask-stability"


def masks(page) -> list[str]:
    return [image.get_attribute("src") for image in page.locator("img[data-mask]").all()]


def test_a_frame_of_a_film_becomes_the_picture(visitor, page):
    visitor.open(PAGE)
    page.get_by_role("button", name="Picture", exact=True).click()
    page.get_by_role("dialog").get_by_text("A frame of a film").click()
    preview = page.locator("[role=dialog] .samkit-preview")
    preview.wait_for()
    visitor.rest()
    slider = page.locator('[class*="st-key-frame_index"] input[type=range]')
    slider.focus()
    slider.press("ArrowRight")
    page.get_by_text("0.08 s of 3.00 s").wait_for()
    page.locator('[role=dialog] .samkit-preview[alt="coin, frame 1"]').wait_for()
    visitor.rest()
    page.get_by_role("button", name="Use this frame").click()
    page.get_by_text("coin, frame 1 · 480 × 270 px").wait_for()
    visitor.rest()
    assert visitor.chips(PAGE) == [] and page.get_by_role("dialog").count() == 0


def test_first_visit_shows_a_result(visitor, page):
    visitor.open(PAGE)
    assert len(visitor.chips(PAGE)) == 2
    page.locator(".js-plotly-plot").nth(1).wait_for()
    assert page.get_by_text("Page not found").count() == 0


def test_prompt_keep_reload_and_find_it_in_mlflow(visitor, page, home, tmp_path):
    visitor.open(PAGE)
    visitor.clear(PAGE)
    assert visitor.chips(PAGE) == []

    before = masks(page)
    visitor.pick_tool(PAGE, "Box")
    visitor.drag(PAGE, 0.28, 0.06, 0.72, 0.6)
    assert len(visitor.chips(PAGE)) == 1
    visitor.pick_tool(PAGE, "Foreground")
    visitor.click(PAGE, 0.46, 0.3)
    assert len(visitor.chips(PAGE)) == 2
    visitor.pick_tool(PAGE, "Background")
    visitor.click(PAGE, 0.9, 0.9)
    drawn = visitor.chips(PAGE)
    assert len(drawn) == 3
    assert drawn[0].startswith("+ 0.46, 0.30") and drawn[1].startswith("− 0.90, 0.90"), drawn
    assert masks(page) != before

    slider = page.locator(".st-key-knob_mask-stability_thresholds input[type=range]")
    slider.nth(1).focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    page.get_by_text("0.00").first.wait_for()
    visitor.rest()

    run_id = visitor.keep(PAGE, "browser test")
    page.get_by_role("button", name="Copy link").click()
    shown = page.locator("code", has_text=re.compile(r"\?run=[0-9a-f]{32}$")).first
    shown.wait_for()
    link = shown.inner_text().strip()
    assert link.rpartition("=")[2] == run_id

    from mlflow import MlflowClient

    store = f"sqlite:///{home / 'mlflow.db'}"
    client = MlflowClient(store)
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED" and run.info.run_name == "browser test"
    assert run.data.params["upper_threshold"] == "0.0" and run.data.params["lower_threshold"] == "-2.0"
    assert (
        run.data.tags["samkit.experiment"] == "mask-stability"
        and run.data.tags["samkit.picture_sha256"] == load_sample("coffee").sha256
    )
    prompts = json.loads(Path(client.download_artifacts(run_id, "inputs/prompts.json", str(tmp_path))).read_text())
    np.testing.assert_allclose(prompts["points"], [[0.46, 0.3, 1], [0.9, 0.9, 0]], atol=0.004)
    np.testing.assert_allclose(prompts["boxes"], [[0.28, 0.06, 0.72, 0.6]], atol=0.012)
    kept = cv2.imread(client.download_artifacts(run_id, "outputs/mask_1.png", str(tmp_path)), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(kept > 127, predicted_again(prompts, 1))

    page.reload()
    visitor.follow(PAGE, link)
    assert visitor.chips(PAGE) == drawn
    page.get_by_text("0.00").first.wait_for()

    with running_mlflow("ui", ["--backend-store-uri", store], tmp_path) as mlflow_url:
        page.goto(f"{mlflow_url}/#/experiments/{run.info.experiment_id}/runs/{run_id}/artifacts/outputs/mask_1.png")
        page.wait_for_function(
            "() => [...document.images].some(i => i.naturalWidth === 600 && i.naturalHeight === 400)", timeout=60_000
        )


def predicted_again(prompts: dict, index: int) -> np.ndarray:
    """The same mask from the library alone: bool [H, W]."""
    import samkit

    model = samkit.load_model("nano-sam2", device="cpu")
    encoding = model.encode_image(load_sample("coffee").rgb)
    return model.predict_masks(encoding, samkit.Prompts.from_dict(prompts)).mask(index)


def test_chips_undo_and_leaving_the_page(visitor, page):
    visitor.open(PAGE)
    first = visitor.chips(PAGE)
    visitor.remove(PAGE, first[0])
    assert visitor.chips(PAGE) == first[1:]
    visitor.undo(PAGE)
    assert visitor.chips(PAGE) == first
    visitor.remove(PAGE, first[0])
    assert visitor.chips(PAGE) == first[1:]
    visitor.go_to("Home")
    page.get_by_role("heading", name="SAM workbench").wait_for()
    visitor.go_to("Mask stability", PAGE)
    assert visitor.chips(PAGE) == first[1:]


def test_narrow_window_keeps_everything_inside(visitor, page):
    page.set_viewport_size({"width": 800, "height": 1000})
    visitor.open(PAGE)
    widths = page.evaluate("() => [document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1]
    frame, canvas = page.locator(".st-key-canvas_frame").bounding_box(), visitor.canvas(PAGE).bounding_box()
    assert canvas["x"] + canvas["width"] <= frame["x"] + frame["width"] + 1
