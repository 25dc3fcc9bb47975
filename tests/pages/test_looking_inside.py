"""The pages that look inside a model, without a browser: every control changes what it should and encodes only where it
must.
"""

import base64
import io
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

import samkit
from samkit.cli import app as command_line
from samkit.experiments.position_encoding import base_grid
from samkit.experiments.window_size import possible_windows
from samkit.media.colormaps import color_map
from samkit.media.samples import load_sample
from samkit.prompts import Prompts
from samkit.tracking.bundle.bundle import read_bundle
from samkit.tracking.store.store import RunStore
from samkit.ui.controls import token_map
from tests.pages.app import SHOWN, clear_memories, encodings, last_result, new_app, page_path
from tests.random_models import SMALL_MODELS, SMALL_SAM3, save_random_model

NORMS, POSITIONS, WINDOWS, SIMILARITY = "block-norms", "position-encoding", "window-size", "semantic-similarity"
PAGES = (NORMS, POSITIONS, WINDOWS, SIMILARITY)
KINDS = ("select_slider", "slider", "toggle", "selectbox", "number_input", "button_group")


class Page:
    """One page of the app, and its knobs by name. A knob that was set by a button has a number after its key."""

    def __init__(self, app: AppTest, name: str):
        self.app, self.name = app, name
        app.switch_page(page_path(name)).run()
        self.check()

    def check(self) -> None:
        assert not self.app.exception and not self.app.error, [error.value for error in self.app.error]

    def knobs(self) -> str:
        """The keys of all knobs."""
        return " ".join(getattr(widget, "key", None) or "" for kind in KINDS for widget in self.app.get(kind))

    def knob(self, name: str):
        pattern = re.compile(rf"knob_{self.name}_{name}(_\d+)?")
        (knob,) = [
            widget
            for kind in KINDS
            for widget in self.app.get(kind)
            if pattern.fullmatch(getattr(widget, "key", None) or "")
        ]
        return knob

    def turn(self, name: str, value, fine: bool = True) -> None:
        self.knob(name).set_value(value).run()
        if fine:
            self.check()

    def press(self, key: str) -> None:
        self.app.button(key=key).click().run()
        self.check()

    def views(self) -> list[str]:
        return list(self.knob("view").options)

    @property
    def result(self):
        return last_result()

    @property
    def params(self):
        assert self.result.experiment == self.name
        return self.result.params

    @property
    def work(self):
        return self.app.session_state["samkit.workspace"]

    def text(self) -> str:
        return " ".join(
            element.value
            for kind in ("caption", "info", "warning", "error", "markdown")
            for element in self.app.get(kind)
        )

    def downloads(self) -> set[str]:
        return {button.key for button in self.app.get("download_button")}


@pytest.fixture(autouse=True)
def clean(home_with_store):
    clear_memories()


@pytest.fixture
def app():
    return new_app().run()


@pytest.fixture
def own_models(monkeypatch, tmp_path) -> dict[str, str]:
    """A small random model of each family, in the folder of the user's own."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("SAMKIT_EXTRA_MODELS", str(folder))
    return {
        family: str(save_random_model(folder / f"{family}.safetensors", config))
        for family, config in SMALL_MODELS.items()
    }


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("family", ["sam1", "sam2"])
def test_both_families_in_every_view(app, own_models, name, family):
    app.session_state["samkit.workspace"].model_ref = own_models[family]
    page = Page(app, name)
    if name == SIMILARITY:
        page.turn("find_objects", True)
    for view in page.views():
        page.turn("view", view)
    page.press(f"try_{name}")
    assert page.result.experiment == name and page.app.title[0].value


@pytest.mark.parametrize("name", PAGES)
def test_a_kept_run_is_what_the_page_shows_and_opens_again(app, name, tmp_path):
    page = Page(app, name)
    page.press(f"try_{name}")
    page.press(f"keep_{name}")
    shown, run = page.result, page.work.last_kept[name][1].run
    bundle = RunStore().load(run.run_id, tmp_path / "back")
    assert bundle.params == shown.params.model_dump(mode="json")
    again = new_app().run()
    again.query_params["run"] = run.run_id
    opened = Page(again, name)
    assert opened.params == shown.params
    for key, array in shown.arrays.items():
        np.testing.assert_array_equal(opened.result.arrays[key], array)


def test_the_colour_scale_is_one_on_all_pages(app):
    for name, colormap in zip(PAGES, ("magma", "turbo", "grey", "spectral"), strict=True):
        before = app.session_state["samkit.workspace"].shared_params.get("colormap", "viridis")
        page = Page(app, name)
        assert page.params.colormap == before == page.knob("colormap").value
        encodings_before = encodings()
        page.turn("colormap", colormap)
        assert page.params.colormap == colormap and encodings() == encodings_before
    assert (
        app.switch_page(page_path("mask_stability")).run().selectbox(key="knob_mask-stability_colormap").value
        == "spectral"
    )


def test_block_norms_knobs_encode_nothing(app):
    page = Page(app, NORMS)
    before = encodings()
    picture = load_sample("coffee").rgb
    model = samkit.load_model("nano-sam2", device="cpu")
    blocks = model.encode_image(picture, keep_blocks=True).blocks
    page.turn("view", "One block")
    page.turn("block", 4)
    np.testing.assert_allclose(page.result.arrays["map"], blocks[4].norm(dim=-1).numpy(), rtol=1e-5)
    assert "png_block_map_a" in page.downloads() and "npy_block_map_a" in page.downloads()
    page.turn("one_channel", True)
    page.turn("channel", 7)
    assert (page.params.block, page.params.channel) == (4, 7)
    np.testing.assert_allclose(page.result.arrays["map"], blocks[4][..., 7].numpy(), atol=1e-6)
    page.turn("one_channel", False)
    page.turn("outlier_factor", 1.2)
    norms = [tokens.norm(dim=-1).numpy() for tokens in blocks]
    assert page.result.value("outliers") == sum(int((each > 1.2 * np.median(each)).sum()) for each in norms) > 0
    assert "csv_outliers_a" in page.downloads()
    page.turn("view", "All blocks")
    page.turn("same_range_a", True)
    assert encodings() == before
    page.turn("side", 128)
    assert encodings() == before + 1 and page.params.side == 128
    page.turn("side", model.info.native_side)
    assert encodings() == before + 1 and page.params.side is None


def test_outliers_are_outlined_on_the_picture(app, own_models):
    app.session_state["samkit.workspace"].model_ref = own_models["sam1"]
    page = Page(app, NORMS)
    page.turn("outlier_factor", 1.1)
    page.turn("view", "Outliers")
    last = page.result.arrays["norms_03"]
    count = int((last > 1.1 * np.median(last)).sum())
    assert count > 0 and f"The picture with the {count} outliers of block 3" in " ".join(
        element.proto.body for element in app.get("html")
    )


def test_a_channel_beyond_the_block_is_the_first_one_again(app):
    page = Page(app, NORMS)
    page.turn("one_channel", True)
    page.turn("channel", 300)
    page.turn("block", 0)
    assert (
        page.params.channel == 0
        and len(page.knob("channel").options) == samkit.load_model("nano-sam2", device="cpu").info.channels_per_stage[0]
    )


@pytest.mark.parametrize("name", [NORMS, POSITIONS])
def test_two_models_side_by_side(app, own_models, name):
    page = Page(app, name)
    page.turn("beside", "Models")
    page.turn("model_b", own_models["sam1"])
    first, second = (each.result for each in SHOWN[-2:])
    assert first.experiment == second.experiment == name and "B · sam1" in page.text()
    for view in page.views():
        page.turn("view", view)
    if name == NORMS:
        assert len(first.tables["blocks"]) == 10 and len(second.tables["blocks"]) == 4
    else:
        base = samkit.load_model("nano-sam2", device="cpu").info.native_side // 4
        assert first.arrays["norm"].shape == (base, base) and second.arrays["norm"].shape == (8, 8)
    page.press(f"keep_{name}")
    assert len(RunStore().runs()) == 2


def test_two_pictures_side_by_side(app):
    page = Page(app, NORMS)
    page.turn("beside", "Pictures")
    encodings_before = encodings()
    for view in page.views():
        page.turn("view", view)
    assert encodings() == encodings_before
    first, second = (each.result for each in SHOWN[-2:])
    assert not np.array_equal(first.arrays["norms_09"], second.arrays["norms_09"])


def test_a_fixed_colour_range_stays_when_the_map_changes(app, monkeypatch):
    drawn = []
    monkeypatch.setattr(token_map, "_component", lambda data, **options: drawn.append(data))
    page = Page(app, NORMS)
    page.turn("view", "One block")
    assert drawn[-1]["range"] is None
    page.turn("block_map_a_range", "Fixed")
    low, high = drawn[-1]["maps"][0]["low"], drawn[-1]["maps"][0]["high"]
    assert drawn[-1]["range"] == pytest.approx((low, high))
    page.turn("block_map_a_high", 60.0)
    page.turn("block", 2)
    assert drawn[-1]["range"] == pytest.approx((low, 60.0)) and drawn[-1]["maps"][0]["high"] < 60
    page.turn("block_map_a_low", 70.0)
    assert drawn[-1]["range"] is None and "must be less than" in page.text()
    page.turn("block_map_a_range", "Automatic")
    assert drawn[-1]["range"] is None


def test_what_is_sent_and_downloaded_of_a_map():
    values = np.random.default_rng(0).normal(size=(16, 24)).astype(np.float32)
    sent = token_map._packed(token_map.TokenMap("A map", values, marks=[(3, 4)]))
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(sent["values"]), "<f4").reshape(16, 24), values)
    np.testing.assert_array_equal(np.load(io.BytesIO(token_map._npy(values)), allow_pickle=False), values)
    pixels = np.asarray(Image.open(io.BytesIO(token_map._png(values, (-1.0, 1.0), "magma"))))
    factor = pixels.shape[0] // 16
    assert pixels.shape == (16 * factor, 24 * factor, 3)
    np.testing.assert_array_equal(
        pixels[factor // 2 :: factor, factor // 2 :: factor], color_map(values, -1.0, 1.0, "magma")
    )


def test_a_tile_of_a_large_map_keeps_its_largest_token():
    values = np.ones((256, 100), np.float32)
    values[130, 7] = 50
    tile = token_map._shrunk(token_map.TokenMap("0", values))
    assert (
        tile.cell == 4
        and tile.values.shape == (64, 25)
        and tile.values[32, 1] == 50
        and tile.values.sum() == 64 * 25 + 49
    )


def test_the_number_type_is_not_for_a_page_that_encodes_nothing(app):
    app.session_state["samkit.workspace"].take_dtype("bfloat16")
    page = Page(app, POSITIONS)
    (choice,) = [box for box in page.app.selectbox if box.label == "Number type"]
    assert choice.disabled and page.result.value("bfloat16_error") > 0
    assert not any("--dtype" in code.value for code in page.app.code)


def test_position_encoding_knobs(app):
    page = Page(app, POSITIONS)
    before = encodings()
    assert page.params.height is None and page.knob("height").disabled
    page.turn("stretch_grid", True)
    page.turn("height", 2)
    model = samkit.load_model("nano-sam2", device="cpu")
    base = base_grid(model)
    page.turn("width", 2 * base)
    page.turn("channel", 5)
    page.turn("window_tiling", False)
    params = page.params
    assert (params.height, params.width, params.channel, params.window_tiling) == (2, 2 * base, 5, False)
    direct = model.position_encoding(2, 2 * base, False)
    np.testing.assert_allclose(page.result.arrays["norm"], direct.norm(dim=0).numpy(), rtol=1e-5)
    np.testing.assert_allclose(page.result.arrays["channel"], direct[5].numpy(), atol=1e-6)
    assert {"png_norm_a", "npy_norm_a", "npy_channel_a", "npy_bfloat16_a", "csv_channels_a"} <= page.downloads()
    assert any("Memory attention" in each.value for each in page.app.markdown), "the tab of rotary positions"
    page.work.params[POSITIONS] |= {"row": 40, "column": base + 26}
    page.turn("view", "Similarity")
    assert (page.params.row, page.params.column) == (1, base + 26)
    page.turn("stretch_grid", False)
    assert page.params.height is None and page.params.column == base - 1 and encodings() == before


def test_the_first_try_of_the_position_encoding_fits_the_model(app, own_models):
    page = Page(app, POSITIONS)
    page.press(f"try_{POSITIONS}")
    base = base_grid(samkit.load_model("nano-sam2", device="cpu"))
    assert (page.params.height, page.params.width) == (2 * base, base)
    page.work.model_ref = own_models["sam1"]
    page.app.run()
    page.press(f"try_{POSITIONS}")
    assert (page.params.height, page.params.width) == (16, 8)


def test_rotary_positions_of_sam3_are_shown_and_measured(app, own_models):
    page = Page(app, POSITIONS)
    assert "rotary_on" not in page.knobs(), "nothing to measure"
    page.work.model_ref = str(save_random_model(Path(own_models["sam2"]).with_name("sam3.safetensors"), SMALL_SAM3))
    page.app.run()
    assert "Image encoder" in page.text() and "csv_rotary_blocks_a" not in page.downloads()
    page.turn("rotary_on", "chelsea")
    page.turn("rotary_block_a", 1)
    assert "measured on the sample chelsea" in page.text() and "csv_rotary_blocks_a" in page.downloads()


def test_window_size_encodes_once_a_setting(app):
    page = Page(app, WINDOWS)
    before = encodings()
    page.turn("window_3", 16)
    assert page.params.window_sizes == (8, 4, 16, 4) and encodings() == before + 1
    assert "default in" in page.text() and page.result.value("drift") > 0
    page.press("windows_default")
    assert page.params.window_sizes is None and "the default" in page.text()
    page.turn("window_3", 16)
    for view in page.views():
        page.turn("view", view)
    page.press(f"mask_button_{WINDOWS}_0")
    assert page.params.mask_index == 0 and encodings() == before + 1
    page.turn("repeats", 3)
    assert page.params.repeats == 3 and "median of 3" in page.text() and encodings() == before + 1
    page.turn("view", "Drift")
    assert "npy_drift" in page.downloads()


@pytest.mark.parametrize("family", ["sam1", "sam2"])
def test_impossible_windows_are_refused_with_one_that_would_work(app, own_models, family):
    app.session_state["samkit.workspace"].model_ref = own_models[family]
    page = Page(app, WINDOWS)
    model = samkit.load_model(own_models[family], device="cpu")
    own, size = model.info.window_sizes, (model.info.native_side,) * 2
    possible = possible_windows(model, own, 1, size)
    assert [option for option in page.knob("window_1").options if not option.isdigit()] == [f"{own[0]}, default"]
    refused = next((window for window in range(1, 33) if window not in possible), None)
    if refused is None:
        assert family == "sam1"
        return
    encodings_before = encodings()
    page.turn("window_1", refused, fine=False)
    (error,) = page.app.error
    would = re.search(r"stage 1 could take ([\d, ]+)", error.value)
    assert not page.app.exception and error.value.endswith("The model's own windows are shown.")
    assert [int(window) for window in would[1].strip(", ").split(", ")] == possible
    assert page.params.window_sizes is None and encodings() == encodings_before
    page.turn("window_1", possible[-1] if possible[-1] != own[0] else possible[0])
    assert page.params.window_sizes is not None and not page.app.error


def test_windows_and_side_left_at_their_defaults_follow_the_model(app, own_models):
    page = Page(app, WINDOWS)
    assert page.params.window_sizes is None and page.params.side is None
    for family in ("sam1", "sam2"):
        page.work.model_ref = own_models[family]
        page.app.run()
        page.check()
        assert (
            page.params.window_sizes is None
            and page.params.side is None
            and page.knob("window_1").value == SMALL_MODELS[family].encoder.window_sizes[0]
        )


def test_windows_of_sam3_are_read_in_both_ways_side_by_side(app, own_models):
    page = Page(app, WINDOWS)
    assert page.params.window_reading == "step" and "window_reading" not in page.knobs(), "it has no choice"
    page.turn("side", 160)
    page.work.model_ref = str(save_random_model(Path(own_models["sam2"]).with_name("sam3.safetensors"), SMALL_SAM3))
    page.app.run()
    assert page.params.side == 154, "the nearest multiple of 14"
    page.turn("window_2", 72)
    page.turn("window_reading", "span")
    page.turn("both_readings", True)
    assert (page.params.window_reading, page.params.window_sizes) == ("span", (4, 72, 4, 4))
    for view in page.views():
        page.turn("view", view)
    page.turn("view", "Drift")
    assert "npy_drift_step" in page.downloads() and "npy_drift_span" in page.downloads()
    assert "read as span" in page.text() and "csv_window_readings" in page.downloads()
    page.work.model_ref = own_models["sam2"]
    page.app.run()
    page.check()
    assert page.params.window_reading == "step" and not page.params.both_readings


def turn_block_norms(page: Page) -> None:
    page.work.take_dtype("bfloat16")
    page.turn("block", 3)
    page.turn("one_channel", True)
    page.turn("channel", 5)
    page.turn("outlier_factor", 1.3)


def turn_position_encoding(page: Page) -> None:
    page.turn("stretch_grid", True)
    page.turn("height", 10)
    page.turn("width", 40)
    page.turn("channel", 3)
    page.turn("window_tiling", False)
    page.work.params[POSITIONS] |= {"row": 9, "column": 0}


def turn_window_size(page: Page) -> None:
    page.work.edit(AWKWARD_PROMPTS)
    page.turn("window_3", 16)
    page.turn("refine_edges", True)
    page.press(f"mask_button_{WINDOWS}_3")


def turn_semantic_similarity(page: Page) -> None:
    page.work.edit(AWKWARD_PROMPTS)
    page.turn("compare_with", "Another picture")
    page.turn("features", "raw")
    page.turn("prototypes", 3)
    page.turn("threshold", 0.57)
    page.turn("min_area", 0.35)
    page.turn("own_range", False)
    page.turn("range", (-0.35, 0.9))
    page.turn("find_objects", True)
    page.turn("mirrored", True)
    page.turn("zoom", True)
    page.press(f"mask_button_{SIMILARITY}_1")


AWKWARD_PROMPTS = Prompts(
    points=[(1 / 3, 0.1 + 0.2, 1), (0.9, 1e-6, 0)], boxes=[(0.2, 0.1, 0.7, 2 / 3), (0.0, 0.5, 0.5, 1.0)]
)
TURNED = {
    NORMS: turn_block_norms,
    POSITIONS: turn_position_encoding,
    WINDOWS: turn_window_size,
    SIMILARITY: turn_semantic_similarity,
}


@pytest.mark.parametrize(
    ("name", "ref"), [(NORMS, "nano-sam1"), (POSITIONS, "nano-sam2"), (WINDOWS, "nano-sam2"), (SIMILARITY, "nano-sam1")]
)
def test_the_copied_command_makes_the_same_run(app, tmp_path, name, ref):
    app.session_state["samkit.workspace"].model_ref = ref
    page = Page(app, name)
    if name != POSITIONS:
        page.turn("side", 128)
        page.turn("fit", "aspect")
    TURNED[name](page)
    page.turn("colormap", "magma")
    (command,) = [code.value for code in page.app.code if code.value.startswith("python -m samkit run ")]
    words = shlex.split(command)
    assert words[-2:] == ["--out", "run"]
    done = CliRunner().invoke(command_line, [*words[3:-1], str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    shown, kept = page.result, read_bundle(tmp_path / "run")
    assert kept.params == shown.params.model_dump(mode="json") and kept.record.dtype == (
        "bfloat16" if name == NORMS else "float32"
    )
    turned = {knob for knob, value in shown.params if value != getattr(type(shown.params)(), knob)}
    assert all(f"{knob}=" in command for knob in turned) and command.count("--set ") == len(turned) > 4
    assert kept.record.metrics == dict(shown.metrics) and kept.record.facts == dict(shown.facts)
    masks, arrays, tables = kept.masks(), kept.arrays(), kept.tables()
    assert set(masks) == set(shown.masks) and set(arrays) == set(shown.arrays) and set(tables) == set(shown.tables)
    for name_of_mask, mask in shown.masks.items():
        np.testing.assert_array_equal(masks[name_of_mask], mask.pixels, err_msg=name_of_mask)
    for array, values in shown.arrays.items():
        np.testing.assert_array_equal(arrays[array], values, err_msg=array)
    for table, rows in shown.tables.items():
        assert tables[table] == rows, table


def test_similarity_knobs_encode_nothing(app):
    page = Page(app, SIMILARITY)
    before = encodings()
    page.turn("level", 2)
    page.turn("features", "raw")
    page.turn("level", 3)
    page.turn("prototypes", 3)
    page.turn("threshold", 0.5)
    page.turn("min_area", 0.5)
    assert page.params.own_range and page.knob("range").disabled
    page.turn("own_range", False)
    page.turn("range", (-0.5, 0.9))
    page.turn("find_objects", True)
    page.press(f"mask_button_{SIMILARITY}_0")
    params = page.params
    assert (params.features, params.level, params.prototypes, params.threshold) == ("raw", 3, 3, 0.5)
    assert (params.min_area, params.range_low, params.range_high, params.mask_index) == (
        0.005,
        -0.5,
        0.9,
        0,
    ) and params.find_objects
    base = samkit.load_model("nano-sam2", device="cpu").info.native_side // 4
    assert (
        page.result.arrays["similarity"].shape == (base, base)
        and page.result.arrays["prototypes"].shape[0] == 3
        and encodings() == before
    )
    assert len(page.result.tables["regions"]) == page.result.value("regions") and "coco" in page.downloads()
    page.turn("mirrored", True)
    assert encodings() == before + 1
    page.turn("zoom", True)
    assert encodings() == before + 3 and page.params.zoom and page.params.mirrored
    page.turn("mirrored", False)
    page.turn("zoom", False)
    assert encodings() == before + 3


@pytest.mark.parametrize("features", ["projected", "raw"])
@pytest.mark.parametrize("other", [False, True])
def test_all_combinations_on_the_same_and_on_another_picture(app, features, other):
    page = Page(app, SIMILARITY)
    page.turn("features", features)
    if other:
        page.turn("compare_with", "Another picture")
        assert load_sample("coffee-mirrored") == page.app.session_state["samkit.picture_pair"].b.picture
    for level in range(3 if features == "projected" else 4):
        page.turn("level", level)
        for mirrored, zoom in ((True, False), (True, True), (False, True), (False, False)):
            page.knob("mirrored").set_value(mirrored)
            page.turn("zoom", zoom)
            assert (page.params.level, page.params.mirrored, page.params.zoom) == (level, mirrored, zoom)
    assert np.isfinite(page.result.arrays["similarity"]).all()


def test_swap_takes_the_prompts_along(app):
    page = Page(app, SIMILARITY)
    page.turn("compare_with", "Another picture")
    pair = page.app.session_state["samkit.picture_pair"]
    first, second, prompts = pair.a.picture, pair.b.picture, pair.a.prompts
    page.press("swap_similarity")
    assert (pair.a.picture, pair.b.picture) == (second, first) and pair.b.prompts == prompts
    assert "Mark one thing" in page.text()
    page.press("swap_similarity")
    assert (
        (pair.a.picture, pair.b.picture) == (first, second)
        and pair.a.prompts == prompts
        and "Mark one thing" not in page.text()
    )


def test_coins_are_counted_beside_the_true_number(app):
    page = Page(app, SIMILARITY)
    page.press(f"try_{SIMILARITY}")
    result = page.result
    assert page.params.side == 512 and page.params.find_objects and page.knob("view").value == "Objects"
    assert result.facts["known_count"] == 24
    said = "24 regions above 0.70, on 24 of the 24 objects in the picture · 24 masks, hitting 24 of the 24"
    assert said in page.text()
    assert "A mask for each region" in " ".join(element.proto.body for element in page.app.get("html"))


def test_without_a_prompt_similarity_says_what_to_do(app):
    page = Page(app, SIMILARITY)
    page.work.edit(Prompts())
    page.app.run()
    page.check()
    assert "Mark one thing in the picture" in page.text()
    page.work.edit(Prompts(boxes=[(0.2, 0.1, 0.7, 0.6)]))
    page.app.run()
    page.turn("threshold", 1.0)
    assert "No region is above the threshold" in page.text() and page.result.value("regions") == 0
