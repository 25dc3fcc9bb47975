"""A kept run opened again shows the parameters that were kept, all of them, or says which it can't show; what is
missing is waited for.
"""

import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some
from pydantic import ValidationError
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from streamlit.testing.v1 import AppTest

from samkit.errors import BadInput, SamkitError, StoreError
from samkit.experiments.inputs import Inputs, Prior
from samkit.experiments.params import PlainParams, build_params
from samkit.experiments.registry import NAMES, find_experiment
from samkit.media.colormaps import COLORMAPS
from samkit.media.pictures import Picture
from samkit.media.sample_videos import SAMPLE_VIDEOS, load_sample_video
from samkit.media.samples import load_sample
from samkit.models.files.catalogue import catalogue
from samkit.models.files.folders import assets_folder
from samkit.models.files.hashes import file_sha256
from samkit.prompts import Prompts
from samkit.tracking.bundle.record import FilmEntry, ModelEntry, PictureEntry
from samkit.tracking.store.store import RunStore
from samkit.ui.state.store_state import store_answers
from tests.pages.app import new_app, page_path

FOLLOWING = ("cross-image", "video-priors")
PROMPTS = Prompts(points=[(0.4, 0.4, 1)])
SHA = {entry.name: entry.sha256 for entry in catalogue()}


def picture_entry(picture: Picture | None) -> PictureEntry | None:
    if picture is None:
        return None
    return PictureEntry(name=picture.name, sha256=picture.sha256, width=picture.width, height=picture.height)


class Opened:
    """Opens runs that no store holds, on the real pages, up to where the model would run; tells the parameters it would
    run with.
    """

    def __init__(self, monkeypatch):
        self.params = None
        monkeypatch.setattr("samkit.ui.bench.tables.table.shown_result", self._stop)
        monkeypatch.setattr("samkit.ui.bench.tables.film.shown_spec", self._stop)
        monkeypatch.setattr("samkit.ui.bench.tables.film._first_visit", lambda *arguments: None)
        monkeypatch.setattr(RunStore, "load", lambda store, run_id, folder, **how: self.bundle)

    def _stop(self, *arguments):
        (self.params,) = (each for each in arguments if isinstance(each, PlainParams))
        raise SamkitError("Stopped here.")

    def open(
        self,
        name: str,
        params: dict,
        model: str = "nano-sam2",
        app: AppTest | None = None,
        missing=(),
        sha256: str | None = None,
        dtype="float32",
    ) -> AppTest:
        """missing: fields of Inputs that the store has lost, and "video" where its film can't be opened."""
        image, other = load_sample("chelsea"), load_sample("coins")
        whole = Inputs(image, PROMPTS) if name != "position-encoding" else Inputs()
        if name in ("cross-image", "semantic-similarity"):
            whole = Inputs(image, PROMPTS, image_b=other)
        if name == "video-priors":
            whole = Inputs(image, PROMPTS, video=load_sample_video("coin"), priors=(Prior(image, PROMPTS),))
        record = SimpleNamespace(
            model=ModelEntry(name=model, sha256=sha256 or SHA[model]),
            picture=picture_entry(whole.image),
            picture_b=picture_entry(whole.image_b),
            video=None,
            dtype=dtype,
            mask_hint=None,
            truth=None,
            truth_b=None,
        )
        if "video" in missing:
            record.video = FilmEntry(name="coin", sha256=whole.video.sha256, width=480, height=270, place="sample:coin")
        present = replace(whole, **{field: None for field in missing if field != "video"})

        def inputs() -> Inputs:
            if "video" in missing:
                raise BadInput("The film of this run, coin, is gone.")
            return present

        self.bundle = SimpleNamespace(
            experiment=name,
            name="kept",
            params=params,
            prompts=whole.prompts,
            record=record,
            inputs=inputs,
            tables=dict,
        )
        app = app or new_app().run()
        app.switch_page(page_path(name))
        app.query_params["run"] = "0" * 32
        if "samkit.workspace" in app.session_state:
            app.session_state["samkit.workspace"].forget_link()
        self.params = None
        app.run()
        assert not app.exception and all("inside the app" not in error.value for error in app.error), [
            error.value for error in app.error
        ]
        return app


def text_of(app) -> str:
    return " ".join(element.value for kind in ("warning", "error", "caption") for element in app.get(kind)).replace(
        "\\", ""
    )


@pytest.fixture(scope="module")
def imported() -> None:
    """The canvas can be imported by a running app only."""
    app = new_app().run()
    for name in NAMES:
        app.switch_page(page_path(name)).run()


@pytest.fixture
def opened(imported, monkeypatch, tmp_path) -> Opened:
    monkeypatch.setenv("SAMKIT_HOME", str(tmp_path))
    return Opened(monkeypatch)


def field_values(schema: dict):
    """A strategy of the values that a field's JSON schema allows."""
    if "anyOf" in schema:
        return some.one_of(*map(field_values, schema["anyOf"]))
    if "enum" in schema:
        return some.sampled_from(schema["enum"])
    low, high = (
        next((schema[key] for key in keys if key in schema), None)
        for keys in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum"))
    )
    match schema["type"]:
        case "null":
            return some.none()
        case "boolean":
            return some.booleans()
        case "integer":
            near = some.integers(low, low + 40 if high is None else high)
            return (
                near
                if high is not None
                else some.one_of(near, some.integers(low, 2**60), near.map(lambda value: 32 * value))
            )
        case "number":
            bounds = dict(exclude_min="exclusiveMinimum" in schema, exclude_max="exclusiveMaximum" in schema)
            return some.floats(low, high, allow_nan=False, allow_subnormal=False, **bounds)
        case "string":
            return some.sampled_from(("nano-sam1", "nano-sam2", "elsewhere.pt"))
        case "array":
            return some.lists(some.integers(1, 32), max_size=5)
    raise AssertionError(f"no strategy for {schema}")


def valid_params(name: str):
    """A strategy of whole parameters of an experiment, as run.json holds them."""
    params_class = find_experiment(name).Params
    properties = params_class.model_json_schema()["properties"]

    def valid(values: dict) -> dict | None:
        for pair in (("lower_threshold", "upper_threshold"), ("range_low", "range_high")):
            if pair[0] in values:
                values |= dict(zip(pair, sorted(values[key] for key in pair), strict=True))
        try:
            return params_class(**values).model_dump(mode="json")
        except ValidationError:
            return None

    return (
        some.fixed_dictionaries({key: field_values(schema) for key, schema in properties.items()})
        .map(valid)
        .filter(bool)
    )


@pytest.mark.parametrize("name", NAMES)
def test_an_opened_run_has_the_parameters_that_were_kept_or_says_which_it_cannot_show(opened, name):
    app = new_app().run()

    # An example is two runs of a page: looking for a simpler one that fails too takes minutes.
    @settings(
        max_examples=25,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(
        params=valid_params(name),
        model=some.sampled_from(["nano-sam2"] if name in FOLLOWING else ["nano-sam1", "nano-sam2"]),
    )
    def check(params, model):
        opened.open(name, params, model, app)
        kept, shown = build_params(find_experiment(name).Params, params), opened.params
        assert shown is not None, text_of(app)
        for field in type(kept).model_fields:
            if getattr(kept, field) != getattr(shown, field):
                refused = field == "window_sizes" and "The model's own windows are shown" in text_of(app)
                assert refused or f"has {field.replace('_', ' ')} " in text_of(app), (
                    field,
                    getattr(kept, field),
                    getattr(shown, field),
                    text_of(app),
                )
        app.run()
        assert opened.params == shown, "and so it stays"

    check()


CASES = (
    ("mask-stability", {"max_delta": 0.3, "stability_offset": 2.0, "seed": 7, "input_scale": 0.01}),
    ("mask-stability", {"jitter_copies": 100, "side": 1152, "jitter_px": 700.0}),
    ("mask-stability", {"jitter_copies": 3, "side": 512, "mask_index": 2, "refine_edges": True}),
    ("semantic-similarity", {"min_area": 0.9, "range_low": 0.5, "range_high": 0.51, "seed": 3}),
    ("semantic-similarity", {"min_area": 0.07, "level": 3, "features": "raw"}),
    ("block-norms", {"outlier_factor": 55.0, "block": None}),
    ("block-norms", {"block": 3, "channel": 5}),
    ("window-size", {"sweep_stage": 2, "sweep_sizes": [2, 4, 6], "sweep_repeats": 1, "repeats": 20}),
    ("window-size", {"window_sizes": [8, 4, 14, 8]}),
    ("position-encoding", {"height": None, "width": 20, "row": 3, "column": 19}),
    ("cross-image", {"prompt_on": "b", "stability_offset": 3.0, "seed": 9, "jitter_copies": 70, "tracked_index": 1}),
    (
        "video-priors",
        {"max_pointers": 60, "reset_every": 1, "remember": False, "count": 7, "start": 2, "mask_index": 1},
    ),
)


@pytest.mark.parametrize(("name", "params"), CASES)
def test_what_a_page_can_run_it_shows_exactly(opened, name, params):
    kept = build_params(find_experiment(name).Params, params)
    app = opened.open(name, kept.model_dump(mode="json"))
    assert opened.params == kept and "can't be set here" not in text_of(app)


def test_what_a_run_has_without_a_knob_is_said_and_taken_back(opened):
    app = opened.open("mask-stability", {"seed": 7, "stability_offset": 2.0})
    assert "Kept from the opened run, though this page has no knob for it: stability offset 2.0, seed 7." in text_of(
        app
    )
    app.button(key="without_run_mask-stability").click().run()
    assert (opened.params.seed, opened.params.stability_offset) == (0, 1.0) and "without a knob" not in text_of(app)


def test_a_value_that_cannot_be_is_told_until_its_knob_is_moved(opened):
    app = opened.open("block-norms", {"block": 30})
    assert "has block 30, which can't be set here" in text_of(app) and opened.params.block == 9
    app.run()
    assert "has block 30" in text_of(app)
    (knob,) = [slider for slider in app.select_slider if re.match(r"knob_block-norms_block(_\d+)?$", slider.key)]
    knob.set_value(2).run()
    assert opened.params.block == 2 and "has block 30" not in text_of(app)


def test_a_slider_that_was_made_longer_is_its_usual_length_when_set_anew(opened):
    app = opened.open("block-norms", {"outlier_factor": 55.0})
    slider = app.slider[0]
    assert (slider.min, slider.max, slider.value) == (1.1, 55.0, 55.0)
    slider.set_value(4.0).run()
    assert opened.params.outlier_factor == 4.0 and app.slider[0].max == 55.0, "it does not change under the hand"
    app.button(key="try_block-norms").click().run()
    assert app.slider[0].max == 10.0 and opened.params.outlier_factor == 2.0


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"max_delta": 99.0}, "can't be opened"),
        ({"max_delta": "x"}, "can't be opened"),
        ({"gone": 1}, 'its parameter "gone" is not'),
    ],
)
def test_parameters_that_no_run_can_have_are_a_sentence_and_leave_the_page_whole(opened, params, word):
    app = opened.open("mask-stability", params)
    assert word in app.error[0].value
    del app.query_params["run"]
    app.run()
    assert opened.params == find_experiment("mask-stability").Params() and COLORMAPS[0] == opened.params.colormap


def shown_errors(app) -> list[str]:
    return [error.value for error in app.error]


def test_a_link_is_followed_when_the_store_is_back(opened, monkeypatch):
    """Until then the page shows why it can't be, and asks the store no more than the visitor does."""
    load, asked = RunStore.load, []

    def away(*arguments, **how):
        asked.append(arguments)
        raise StoreError("The run store does not answer: start it.")

    monkeypatch.setattr(RunStore, "load", away)
    app = opened.open("mask-stability", {"max_delta": 0.3})
    assert shown_errors(app) == ["The run store does not answer: start it."]
    for _ in range(3):
        app.run()
        assert shown_errors(app) == ["The run store does not answer: start it."] and opened.params is None
    assert len(asked) == 1
    app.button(key="open_again").click().run()
    assert len(asked) == 2 and opened.params is None and len(shown_errors(app)) == 1
    monkeypatch.setattr(RunStore, "load", load)
    app.button(key="open_again").click().run()
    assert opened.params.max_delta == 0.3 and "The run store" not in text_of(app)
    assert "open_again" not in [button.key for button in app.button]


def test_a_store_that_did_not_answer_is_asked_when_the_visitor_tries_again(opened, monkeypatch):
    answers = [False, True]
    monkeypatch.setattr(RunStore, "reachable", lambda *arguments: answers.pop(0))
    store_answers.clear()
    app = opened.open("mask-stability", {"max_delta": 0.3})
    assert "does not answer" in text_of(app) and opened.params is None
    app.button(key="open_again").click().run()
    assert opened.params.max_delta == 0.3 and not answers
    store_answers.clear()


def test_a_visitor_goes_on_without_a_run_that_can_not_be_opened(opened):
    app = opened.open("mask-stability", {"gone": 1})
    app.button(key="leave_run").click().run()
    assert "run" not in app.query_params and "can't be opened" not in text_of(app)
    assert opened.params == find_experiment("mask-stability").Params()
    app.query_params["run"] = "0" * 32
    app.run()
    assert "can't be opened" in text_of(app), "the link can be followed again"


def test_what_goes_wrong_unexpectedly_while_a_run_is_opened_stays_a_sentence(opened, monkeypatch):
    asked = []

    def broken(*arguments, **how):
        asked.append(arguments)
        raise RuntimeError("a secret detail")

    app = new_app().run()
    app.switch_page(page_path("mask-stability"))
    app.query_params["run"] = "0" * 32
    monkeypatch.setattr(RunStore, "load", broken)
    for _ in range(3):
        app.run()
        (sentence,) = shown_errors(app)
        assert "RuntimeError" in sentence and "secret" not in sentence and opened.params is None
    assert len(asked) == 1


def workspace_of(app):
    return app.session_state["samkit.workspace"]


def test_a_model_that_comes_later_shows_the_run_as_it_was_kept(opened, monkeypatch, tmp_path):
    monkeypatch.setenv("SAMKIT_EXTRA_MODELS", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    params = {"side": 1040, "window_sizes": [14, 14, 14, 14]}
    source = assets_folder() / "nano-sam1.safetensors"
    changed = tmp_path / "stranger.safetensors"
    # Another file with the same weights: its SHA-256 is its own.
    with safe_open(source, "pt") as file:
        metadata = dict(file.metadata())
    save_file(load_file(source), changed, metadata | {"note": "another file"})
    app = opened.open("window-size", params, "stranger", sha256=file_sha256(changed))
    assert "stranger, which is not on this machine" in text_of(app)
    assert opened.params.side is None, "the present model takes no 1040"
    app.run()
    assert "stranger, which is not on this machine" in text_of(app), "as long as it is missing"
    shutil.move(changed, tmp_path / "own" / "stranger.safetensors")
    app.run()
    assert workspace_of(app).model_ref.endswith("stranger.safetensors") and "not on this machine" not in text_of(app)
    assert (opened.params.side, opened.params.window_sizes) == (1040, (14, 14, 14, 14)) and workspace_of(
        app
    ).prompts == PROMPTS


@pytest.mark.parametrize("lost", ["image", "image_b"])
@pytest.mark.parametrize("prompt_on", ["a", "b"])
def test_either_of_two_pictures_may_come_later(opened, lost, prompt_on):
    app = opened.open("cross-image", {"prompt_on": prompt_on, "repeats": 2}, missing=[lost])
    name = "chelsea" if lost == "image" else "coins"
    assert f"The run's picture {name}" in text_of(app)
    pair = app.session_state["samkit.picture_pair"]
    prompted, other = (pair.a, pair.b) if prompt_on == "a" else (pair.b, pair.a)
    assert (
        prompted.prompts == (Prompts() if (lost == "image") == (prompt_on == "a") else PROMPTS)
        and other.prompts.is_empty
    )
    next(slider for slider in app.slider if "repeats" in slider.key).set_value(0).run()
    (pair.a if lost == "image" else pair.b).show_picture(Picture(load_sample(name).rgb, "found again.png"))
    app.run()
    assert prompted.prompts == PROMPTS and other.prompts.is_empty and "The run's picture" not in text_of(app)
    assert opened.params.repeats == 2 and opened.params.prompt_on == prompt_on


def test_what_is_missing_can_be_gone_on_without(opened):
    app = opened.open("semantic-similarity", {}, missing=["image_b"])
    assert (
        "The run's picture coins" in text_of(app)
        and app.session_state["samkit.workspace"].params["semantic-similarity"]["compare_with"] == "Another picture"
    )
    app.button(key="forget_pending").click().run()
    assert "The run's picture" not in text_of(app) and workspace_of(app).pending is None
    app.session_state["samkit.picture_pair"].b.show_picture(load_sample("coins"))
    app.run()
    assert opened.params is not None and not workspace_of(app).prompts.is_empty


def test_the_number_type_of_the_run_is_that_of_the_page(opened):
    app = opened.open("mask-stability", {})
    opened.open("mask-stability", {}, app=app, dtype="bfloat16")
    assert workspace_of(app).dtype == "bfloat16"
    app.run()
    assert workspace_of(app).dtype == "bfloat16"
    opened.open("mask-stability", {}, app=app, dtype="float64")
    assert workspace_of(app).dtype == "bfloat16" and "float64" in text_of(app)


def test_parameters_of_a_film_that_comes_later(opened):
    app = new_app().run().switch_page(page_path("video_priors")).run()
    film = app.session_state["samkit.film_table"].video
    short = next(sample for sample in map(load_sample_video, SAMPLE_VIDEOS) if sample.sha256 != film.sha256)
    app.session_state["samkit.film_table"].show_film(short)
    opened.open("video-priors", {"start": film.length - 1, "max_frames": 2}, app=app, missing=["video"])
    assert "The run's film 'coin' is missing" in text_of(app) and opened.params.max_frames == 2
    next(slider for slider in app.slider if "max_frames" in slider.key).set_value(5).run()
    app.session_state["samkit.film_table"].show_film(film)
    app.run()
    assert "is missing" not in text_of(app) and (opened.params.start, opened.params.max_frames) == (film.length - 1, 2)
