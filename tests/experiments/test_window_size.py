"""Window size: what a setting does, against the library used directly; sweeps, refusals, repeats."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import samkit
from samkit.cli import app
from samkit.errors import ParamsError
from samkit.experiments.inputs import Inputs
from samkit.experiments.params import build_params
from samkit.experiments.window_size import (
    TIMES,
    Params,
    possible_windows,
    refusal,
    row_of_run,
    run,
    swept_windows,
)
from samkit.media.given_masks import Truth
from samkit.media.samples import SAMPLES, load_sample
from samkit.tracking.bundle.bundle import write_bundle
from samkit.work.lab import Lab
from samkit.work.memory import Memory
from samkit.work.replay import replay
from tests.random_models import SMALL_SAM1, SMALL_SAM2, SMALL_SAM3, save_random_model


@pytest.fixture(scope="module")
def model():
    return samkit.load_model("nano-sam2", device="cpu")


@pytest.fixture(scope="module", params=["sam1", "sam2"])
def small(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / f"{request.param}.safetensors"
    return samkit.load_model(
        save_random_model(path, {"sam1": SMALL_SAM1, "sam2": SMALL_SAM2}[request.param]), device="cpu"
    )


@pytest.fixture(scope="module")
def inputs():
    return Inputs(load_sample("coffee"), SAMPLES["coffee"].prompts)


@pytest.fixture
def encoded(model, monkeypatch):
    """The window sizes of every encoding that a test makes, and how long each took."""
    encoded, encode_image = [], type(model).encode_image

    def noting(self, *arguments, **options):
        encoding = encode_image(self, *arguments, **options)
        encoded.append((options["window_sizes"], encoding.encode_ms))
        return encoding

    monkeypatch.setattr(type(model), "encode_image", noting)
    return encoded


def test_the_default_windows_change_nothing(model, inputs):
    for windows in (None, model.info.window_sizes):
        result = run(model, inputs, Params(window_sizes=windows), Lab())
        assert result.value("iou_default") == 1 and result.value("drift") == 0 and not result.arrays["drift_map"].any()


def test_a_setting_is_what_the_library_gives(model, inputs):
    windows = (8, 8, 16, 8)
    result = run(model, inputs, Params(window_sizes=windows, mask_index=2), Lab())
    encodings = [model.encode_image(inputs.image.rgb, window_sizes=sizes) for sizes in (windows, None)]
    masks = [model.predict_masks(each, inputs.prompts).mask(2) for each in encodings]
    np.testing.assert_array_equal(result.masks["mask_chosen"].pixels, masks[0])
    np.testing.assert_array_equal(result.masks["mask_default_2"].pixels, masks[1])
    assert result.value("iou_default") == pytest.approx((masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum())
    flat = [torch.cat([level.flatten() for level in each.features]).double() for each in encodings]
    assert result.value("drift") == pytest.approx(float((flat[0] - flat[1]).norm() / flat[1].norm()), rel=1e-5)
    assert [result.facts[f"window_{stage}"] for stage in range(1, 5)] == list(windows) and result.value("drift") > 0.01


def test_v1_groups_take_windows_of_their_own(small, inputs):
    windows = (4, 4, 4, 5)
    result = run(small, inputs, Params(window_sizes=windows), Lab())
    assert result.value("drift") > 0 and result.masks["mask_chosen"].pixels.shape == inputs.image.size


def test_impossible_windows_are_refused_with_what_would_work(model, inputs):
    with pytest.raises(ParamsError, match=r"Make stage 1's window even.*stage 1 could take 2, 4, 6, 8"):
        run(model, inputs, Params(window_sizes=(7, 4, 8, 4)), Lab())
    with pytest.raises(ParamsError, match=r"stage 1 could take 2, 4, 6, 8.* and stage 2 could take 2, 4"):
        run(model, inputs, Params(window_sizes=(7, 3, 8, 4)), Lab())
    for unlisted in (8, "8,4,8,4"):
        with pytest.raises(ParamsError, match=r"list of whole numbers in brackets, such as \[8, 4, 14, 7\]"):
            build_params(Params, {"window_sizes": unlisted})
    with pytest.raises(ParamsError, match="needs 4 numbers"):
        run(model, inputs, Params(window_sizes=(8, 4, 8)), Lab())
    with pytest.raises(ParamsError, match="from 1 to 72"):
        build_params(Params, {"window_sizes": [8, 4, 8, 73]})
    with pytest.raises(ParamsError, match="from 1 to 32"):
        run(model, inputs, Params(window_sizes=(8, 4, 8, 33)), Lab())


def test_sam3_windows_are_read_in_two_ways_and_compared(tmp_path, inputs):
    model = samkit.load_model(save_random_model(tmp_path / "sam3.safetensors", SMALL_SAM3), device="cpu")
    lab, wide = Lab(), (6,) * 4
    step, span = (
        run(model, inputs, Params(window_sizes=wide, window_reading=reading, both_readings=True), lab)
        for reading in ("step", "span")
    )
    np.testing.assert_array_equal(step.arrays["other_logits"], span.arrays["picture_logits"])
    np.testing.assert_array_equal(span.arrays["other_drift_map"], step.arrays["drift_map"])
    assert step.tables["readings"] == span.tables["readings"] and len(step.tables["readings"]) == 2
    alone = model.encode_image(inputs.image.rgb, window_sizes=wide, window_reading="span")
    masks = [model.predict_masks(alone, inputs.prompts).mask(index) for index in range(4)]
    np.testing.assert_array_equal(step.masks["mask_other_2"].pixels, masks[2])
    assert span.value("drift") != step.value("drift") and step.value("iou_readings") == span.value("iou_readings")
    same = run(model, inputs, Params(both_readings=True), lab)
    assert same.value("iou_readings") == 1 and not same.arrays["other_drift_map"].any()
    assert run(model, inputs, Params(window_sizes=(72,) * 4), lab).facts["window_4"] == 72


def test_a_model_with_one_way_to_read_windows_says_so(model, inputs):
    for asked in ({"window_reading": "span"}, {"both_readings": True}):
        with pytest.raises(ParamsError, match="leave (window_reading|both_readings)"):
            run(model, inputs, Params(**asked), Lab())


def test_possible_windows_are_those_that_run(model, inputs):
    own, size = model.info.window_sizes, (model.info.native_side,) * 2
    possible = possible_windows(model, own, 2, size)
    for window in range(1, 33):
        windows = swept_windows(own, 2, window)
        assert (refusal(model, windows, size) is None) == (window in possible)
    assert 4 in possible and len(possible) < 32


def test_a_sweep_in_a_run_measures_every_size_once(model, inputs, encoded):
    """As runs have it that were kept with one."""
    encodings = Memory(2**30)
    lab, own = Lab(encodings), model.info.window_sizes
    params = Params(sweep_stage=3, sweep_sizes=(1, 8, 16), sweep_repeats=2)
    first = run(model, inputs, params, lab)
    rows = {row["window"]: row for row in first.tables["sweep"]}
    assert rows[8]["drift"] == 0 and rows[8]["iou_1"] == 1 and rows[16]["drift"] > 0 and rows[1]["refused"]
    assert rows[1]["encode_ms"] is None and rows[1]["encode_ms_high"] is None
    assert rows[16]["encode_ms_low"] <= rows[16]["encode_ms"] <= rows[16]["encode_ms_high"]
    wide = swept_windows(own, 3, 16)
    assert [windows for windows, _ in encoded] == [None, own, own, wide, wide, wide], (
        "each setting twice after its first encoding"
    )
    assert encodings.state().entries == 1, "swept encodings would push out others"
    again = run(model, inputs, params, lab)
    assert again.tables["sweep"] == first.tables["sweep"] and len(encoded) == 6
    direct = run(model, inputs, Params(window_sizes=wide), Lab())
    assert rows[16]["drift"] == direct.value("drift") and rows[16]["iou_2"] == direct.value("iou_default_2")


def test_a_run_says_of_its_windows_what_a_row_of_a_sweep_says(model, inputs):
    """So that a sweep whose cells are runs has the same table."""
    truth = Truth(np.ones(inputs.picture.size, bool))
    marked = Inputs(inputs.picture, inputs.prompts, truth=truth)
    wide = swept_windows(model.info.window_sizes, 3, 16)
    (swept,) = run(model, marked, Params(sweep_stage=3, sweep_sizes=(16,), sweep_repeats=1), Lab()).tables["sweep"]
    result = run(model, marked, Params(window_sizes=wide), Lab())
    row = row_of_run(16, wide, {name: metric.value for name, metric in result.metrics.items()}, result.timings)
    assert row.keys() == swept.keys() and {name for name in row if row[name] != swept[name]} <= set(TIMES)


def test_the_range_is_that_of_the_repeats(model, inputs, encoded):
    timings = run(model, inputs, Params(repeats=3), Lab()).timings
    measured = sorted(milliseconds for _, milliseconds in encoded[1:])
    assert [timings[name] for name in TIMES] == [measured[1], measured[0], measured[2]]


def test_the_time_is_the_median_of_the_repeats(model, inputs, encoded):
    result = run(model, inputs, Params(repeats=5), Lab())
    measured = [milliseconds for _, milliseconds in encoded[1:]]
    assert len(measured) == 5 and result.timings["encode_ms"] == sorted(measured)[2]


def test_repeats_take_turns_after_an_encoding_that_does_not_count(model, inputs, encoded):
    windows, own = (8, 8, 16, 8), model.info.window_sizes
    result = run(model, inputs, Params(window_sizes=windows, repeats=3), Lab())
    assert [each for each, _ in encoded] == [None, windows, own, windows, own, windows, own, windows]
    assert result.timings["default_encode_ms"] == sorted(milliseconds for _, milliseconds in encoded[2::2])[1]


def test_times_of_another_number_of_threads_are_kept_apart(model, inputs, encoded):
    lab, threads = Lab(), torch.get_num_threads()
    try:
        for count, encodings in ((1, 3), (2, 3), (1, 0)):
            encoded.clear()
            torch.set_num_threads(count)
            run(model, inputs, Params(repeats=2), lab)
            assert len(encoded) == encodings
    finally:
        torch.set_num_threads(threads)


def test_more_repeats_add_to_those_there_were(model, inputs, encoded):
    lab = Lab()
    for repeats, encodings in ((3, 4), (5, 2), (3, 0), (1, 0)):
        encoded.clear()
        run(model, inputs, Params(repeats=repeats), lab)
        assert len(encoded) == encodings


def test_runs_are_replayed_and_the_command_line_gives_the_same(model, inputs, tmp_path):
    params = Params(window_sizes=(8, 8, 16, 8), sweep_stage=3, sweep_sizes=(8, 16))
    result = run(model, inputs, params, Lab())
    bundle = write_bundle(
        tmp_path / "run", result=result, inputs=inputs, model_info=model.info, device=model.device, dtype=model.dtype
    )
    outcome = replay(bundle)
    assert outcome.identical and not outcome.metric_differences
    words = [
        "run",
        "window-size",
        "--model",
        "nano-sam2",
        "--image",
        "sample:coffee",
        "--prompts",
        str(bundle.path / "inputs" / "prompts.json"),
        "--json",
    ]
    settings = [
        "--set",
        "window_sizes=[8,8,16,8]",
        "--set",
        "sweep_stage=3",
        "--set",
        "sweep_sizes=[8,16]",
        "--out",
        str(tmp_path / "cli"),
    ]
    done = CliRunner().invoke(app, words + settings)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["metrics"] == {name: metric.value for name, metric in result.metrics.items()}
