"""The pages that look inside a model, in a real browser: one path each, and the kept run's values against samkit used
directly.
"""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import samkit
from samkit.experiments.window_size import relative_drift
from samkit.media.colormaps import color_map
from samkit.media.masks import mask_iou
from samkit.media.samples import SAMPLES, load_sample
from samkit.tracking.store.tags import FACT

pytestmark = pytest.mark.browser

NORMS, POSITIONS, WINDOWS, SIMILARITY = "block-norms", "position-encoding", "window-size", "semantic-similarity"


@pytest.fixture(scope="module")
def model():
    return samkit.load_model("nano-sam2", device="cpu")


def open_page(visitor, name: str) -> None:
    visitor.unanswered = True
    visitor.page.goto(f"{visitor.app_url}/{name.replace('-', '_')}")
    visitor.page.locator(f".st-key-keep_{name} button:visible").wait_for()
    visitor.rest()


def knob(page, name: str, which: str):
    return page.locator(f'[class*="st-key-knob_{name}_{which}"]')


def press_keys(visitor, name: str, which: str, *keys: str) -> None:
    knob(visitor.page, name, which).locator("input[type=range]").first.focus()
    for key in keys:
        visitor.page.keyboard.press(key)
    visitor.rest()


def choose(visitor, name: str, which: str, option: str) -> None:
    """One of a few, side by side."""
    knob(visitor.page, name, which).get_by_role("radio", name=option, exact=True).click()
    visitor.rest()


def switch(visitor, name: str, which: str) -> None:
    """A toggle."""
    knob(visitor.page, name, which).locator("label").first.click()
    visitor.rest()


def pick_colormap(visitor, name: str, colormap: str) -> None:
    knob(visitor.page, name, "colormap").get_by_role("combobox").click()
    visitor.page.get_by_role("option", name=colormap, exact=True).click()
    visitor.rest()


def hover(page, which: str, row: int, column: int, height: int, width: int) -> tuple[int, int, float]:
    """What a map says under the pointer: (row, column, value)."""
    canvas = page.locator(f".st-key-map_{which} .frame canvas").first
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + (column + 0.5) / width * box["width"], box["y"] + (row + 0.5) / height * box["height"])
    tip = page.locator(f".st-key-map_{which} .tip.shown")
    tip.wait_for()
    matched = re.fullmatch(r"row (\d+), column (\d+): (\S+) ?", tip.inner_text())
    return int(matched[1]), int(matched[2]), float(matched[3])


def downloaded(page, key: str) -> bytes:
    with page.expect_download() as coming:
        page.locator(f".st-key-{key} button:visible").click()
    return Path(coming.value.path()).read_bytes()


def keep(visitor, name: str, home: Path, folder: Path):
    """Keep what is on the page: (MLflow's run, its arrays by name, a function that fetches one of its files)."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    run = client.get_run(visitor.keep(name))
    assert run.info.status == "FINISHED"

    def file(path: str) -> Path:
        return Path(client.download_artifacts(run.info.run_id, path, str(folder)))

    with np.load(file("outputs/arrays.npz"), allow_pickle=False) as arrays:
        return run, dict(arrays), file


def fact(run, name: str) -> object:
    """A fact of the run, which MLflow holds as a tag."""
    return json.loads(run.data.tags[f"{FACT}{name}"])


def mask(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)) > 127


def test_block_norms(visitor, page, home, tmp_path, model):
    open_page(visitor, NORMS)
    page.locator(".st-key-tiles_blocks_a .frame").nth(4).click()
    visitor.rest()
    blocks = model.encode_image(load_sample("coffee").rgb, keep_blocks=True).blocks
    norms = [tokens.norm(dim=-1).numpy() for tokens in blocks]
    np.testing.assert_allclose(hover(page, "block_map_a", 3, 11, *norms[4].shape), (3, 11, norms[4][3, 11]), rtol=1e-3)
    assert page.evaluate("samkitViews.marked.size") == 1, "the token's place is marked on the picture"
    press_keys(visitor, NORMS, "outlier_factor", "Home")
    pick_colormap(visitor, NORMS, "magma")

    values = np.load(io.BytesIO(downloaded(page, "npy_block_map_a")), allow_pickle=False)
    np.testing.assert_allclose(values, norms[4], rtol=1e-5)
    pixels = np.asarray(Image.open(io.BytesIO(downloaded(page, "png_block_map_a"))))
    factor = len(pixels) // len(values)
    np.testing.assert_array_equal(pixels[::factor, ::factor], color_map(values, values.min(), values.max(), "magma"))

    run, arrays, file = keep(visitor, NORMS, home, tmp_path)
    params, metrics = run.data.params, run.data.metrics
    assert (params["block"], params["channel"], params["outlier_factor"], params["colormap"]) == (
        "4",
        "None",
        "1.1",
        "magma",
    )
    assert fact(run, "blocks") == 10
    assert metrics["max_norm"] == pytest.approx(max(each.max() for each in norms), rel=1e-5)
    assert metrics["outliers"] == sum(int((each > 1.1 * np.median(each)).sum()) for each in norms)
    for index, each in enumerate(norms):
        np.testing.assert_allclose(arrays[f"norms_{index:02d}"], each, rtol=1e-5)
    assert np.asarray(Image.open(file("outputs/map.png"))).shape[2] == 3


def test_position_encoding(visitor, page, home, tmp_path, model):
    open_page(visitor, POSITIONS)
    switch(visitor, POSITIONS, "stretch_grid")
    press_keys(visitor, POSITIONS, "height", "Home", "ArrowRight", "ArrowRight")
    press_keys(visitor, POSITIONS, "width", "Home", *["ArrowRight"] * 5)
    press_keys(visitor, POSITIONS, "channel", "ArrowRight", "ArrowRight")
    switch(visitor, POSITIONS, "window_tiling")
    direct = model.position_encoding(4, 7, False)
    norm = direct.norm(dim=0).numpy()
    np.testing.assert_allclose(hover(page, "norm_a", 2, 5, 4, 7), (2, 5, norm[2, 5]), rtol=1e-3)

    choose(visitor, POSITIONS, "view", "Similarity")
    box = page.locator(".st-key-map_similarity_a .frame").bounding_box()
    page.mouse.click(box["x"] + 1.5 / 7 * box["width"], box["y"] + 0.5 / 4 * box["height"])
    page.get_by_text("row 0, column 1 (framed)").wait_for()
    page.locator(".st-key-map_similarity_a .frame").focus()
    page.keyboard.press("ArrowDown")
    page.get_by_text("row 1, column 1 (framed)").wait_for()
    visitor.rest()

    run, arrays, _ = keep(visitor, POSITIONS, home, tmp_path)
    params = {name: run.data.params[name] for name in ("height", "width", "channel", "window_tiling", "row", "column")}
    assert params == {"height": "4", "width": "7", "channel": "2", "window_tiling": "False", "row": "1", "column": "1"}
    np.testing.assert_allclose(arrays["norm"], norm, rtol=1e-5)
    np.testing.assert_allclose(arrays["channel"], direct[2].numpy(), atol=1e-6)
    unit = (direct / direct.norm(dim=0)).numpy()
    np.testing.assert_allclose(arrays["similarity"], np.einsum("chw,c->hw", unit, unit[:, 1, 1]), atol=1e-5)
    assert run.data.metrics["mean_norm"] == pytest.approx(norm.mean(), rel=1e-5)


def test_window_size(visitor, page, home, tmp_path, model):
    open_page(visitor, WINDOWS)
    press_keys(visitor, WINDOWS, "window_1", "ArrowLeft")
    page.get_by_text("The model's own windows are shown.").wait_for()
    would = re.search(
        r"stage 1 could take ([\d, ]+\d)", page.get_by_text("The model's own windows are shown.").inner_text()
    )
    assert "10" in would[1].split(", ")
    # The other stages keep their windows while this one is impossible.
    press_keys(visitor, WINDOWS, "window_1", *["ArrowRight"] * 3)
    press_keys(visitor, WINDOWS, "window_3", "ArrowRight")
    page.get_by_text("windows 10 4 9 4").wait_for()
    press_keys(visitor, WINDOWS, "repeats", "ArrowRight", "ArrowRight")
    page.get_by_text("median of 3").wait_for()
    choose(visitor, WINDOWS, "view", "Drift")

    inputs = load_sample("coffee").rgb, SAMPLES["coffee"].prompts
    encoding, default = (model.encode_image(inputs[0], window_sizes=windows) for windows in ((10, 4, 9, 4), None))
    drift = (encoding.features[0] - default.features[0]).norm(dim=0).numpy()
    np.testing.assert_allclose(hover(page, "drift", 5, 6, *drift.shape), (5, 6, drift[5, 6]), rtol=1e-3)

    run, arrays, file = keep(visitor, WINDOWS, home, tmp_path)
    assert run.data.params["window_sizes"] == "[10, 4, 9, 4]" and run.data.params["repeats"] == "3"
    np.testing.assert_allclose(arrays["drift_map"], drift, atol=1e-4)
    prediction, other = (model.predict_masks(each, inputs[1]) for each in (encoding, default))
    best = prediction.best
    np.testing.assert_array_equal(mask(file("outputs/mask_chosen.png")), prediction.mask(best))
    metrics = run.data.metrics
    assert fact(run, "mask_index") == best and metrics["iou_default"] == pytest.approx(
        mask_iou(prediction.mask(best), other.mask(best))
    )
    assert metrics["drift"] == pytest.approx(relative_drift(encoding, default), rel=1e-4) and fact(run, "window_3") == 9


def test_semantic_similarity(visitor, page, home, tmp_path, model):
    open_page(visitor, SIMILARITY)
    page.get_by_role("button", name="About").locator("visible=true").click()
    page.locator(f".st-key-try_{SIMILARITY} button:visible").click()
    page.locator('img[alt="A mask for each region"]').wait_for()
    page.keyboard.press("Escape")
    page.get_by_text("24 objects in the picture").wait_for()
    press_keys(visitor, SIMILARITY, "level", "ArrowRight")
    press_keys(visitor, SIMILARITY, "threshold", "ArrowLeft", "ArrowLeft")
    choose(visitor, SIMILARITY, "view", "Similarity")

    coins = load_sample("coins")
    encoding = model.encode_image(coins.rgb, side=512)
    prompts = samkit.Prompts(boxes=[(0.815, 0.08, 0.935, 0.215)])
    chosen = model.predict_masks(encoding, prompts).mask(model.predict_masks(encoding, prompts).best)
    run, arrays, file = keep(visitor, SIMILARITY, home, tmp_path)
    similarity, vector = arrays["similarity"], arrays["prototypes"]
    np.testing.assert_allclose(
        hover(page, "similarity", 20, 9, *similarity.shape), (20, 9, similarity[20, 9]), rtol=1e-3
    )
    params, metrics = run.data.params, run.data.metrics
    assert (params["level"], params["threshold"], params["side"], params["find_objects"]) == (
        "1",
        "0.68",
        "512",
        "True",
    )
    np.testing.assert_array_equal(mask(file("outputs/mask_chosen.png")), chosen)
    tokens = encoding.features[1].numpy()
    assert vector.shape == (1, len(tokens)) and similarity.shape == tokens.shape[1:]
    cosine = np.einsum("chw,c->hw", tokens, vector[0]) / (np.linalg.norm(tokens, axis=0) * np.linalg.norm(vector[0]))
    np.testing.assert_allclose(similarity, cosine, atol=1e-4)
    assert fact(run, "known_count") == 24 and metrics["objects"] == len(
        json.loads(file("outputs/objects.coco.json").read_text())["annotations"]
    )


def test_the_browser_remembers_the_colour_scale(visitor, page):
    open_page(visitor, NORMS)
    pick_colormap(visitor, NORMS, "inferno")
    open_page(visitor, "mask-stability")
    assert knob(page, "mask-stability", "colormap").get_by_role("combobox").input_value() == "inferno"


def test_narrow_windows_keep_everything_inside(visitor, page):
    page.set_viewport_size({"width": 800, "height": 1000})
    for name in (NORMS, POSITIONS, WINDOWS, SIMILARITY):
        open_page(visitor, name)
        widths = page.evaluate("() => [document.documentElement.scrollWidth, window.innerWidth]")
        assert widths[0] <= widths[1], name
