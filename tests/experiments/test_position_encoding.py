"""The position encoding's measures, against direct numpy computation and patterns whose answer is known."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from typer.testing import CliRunner

import samkit
from samkit.cli import app
from samkit.errors import ParamsError
from samkit.experiments.inputs import Inputs
from samkit.experiments.params import build_params
from samkit.experiments.position_encoding import (
    Params,
    base_grid,
    channel_frequencies,
    principal_components,
    run,
    similarity_to,
)
from samkit.tracking.bundle.bundle import read_bundle, write_bundle
from samkit.work.lab import Lab
from samkit.work.replay import replay
from tests.random_models import SMALL_SAM1, save_random_model


@pytest.fixture(scope="module")
def model():
    return samkit.load_model("nano-sam2", device="cpu")


def wave(height: int, width: int, down: int, across: int) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing="ij")
    return torch.cos(2 * torch.pi * (down * y + across * x))


def test_the_strongest_frequency_of_a_wave_is_its_own():
    encoding = torch.stack([wave(32, 48, 3, 5), wave(32, 48, 3, -5) + 7, wave(32, 48, 0, 9), wave(32, 48, 4, 0)])
    vertical, horizontal, mean = channel_frequencies(encoding)
    np.testing.assert_allclose(vertical, [3, 3, 0, 4])
    np.testing.assert_allclose(horizontal, [5, -5, 9, 0])
    np.testing.assert_allclose(mean, [np.hypot(3, 5), np.hypot(3, 5), 9, 4], rtol=1e-4)


def test_frequencies_weigh_both_halves_of_the_spectrum():
    encoding = (wave(16, 16, 0, 2) + 0.5 * wave(16, 16, 0, 8))[None]
    power = np.abs(np.fft.fft2(encoding[0].numpy())) ** 2
    radius = np.hypot(
        *np.meshgrid(np.abs(np.fft.fftfreq(16, 1 / 16)), np.abs(np.fft.fftfreq(16, 1 / 16)), indexing="ij")
    )
    assert channel_frequencies(encoding)[2][0] == pytest.approx((power * radius).sum() / power.sum(), rel=1e-4)


def test_components_find_the_directions_that_were_put_in():
    generator = torch.Generator().manual_seed(0)
    directions = torch.linalg.qr(torch.randn(10, 3, generator=generator))[0]
    patterns = torch.stack([9 * wave(20, 24, 1, 0), 4 * wave(20, 24, 0, 1), 2 * wave(20, 24, 2, 2)])
    colors, shares = principal_components(torch.einsum("cd,dhw->chw", directions, patterns))
    np.testing.assert_allclose(shares, np.array([81, 16, 4]) / 101, atol=1e-4)
    for index, pattern in enumerate(patterns):
        assert abs(np.corrcoef(colors[..., index].ravel(), pattern.ravel())[0, 1]) > 0.99


def test_similarity_is_the_cosine():
    encoding = torch.randn(6, 5, 7, generator=torch.Generator().manual_seed(1))
    wanted = F.cosine_similarity(encoding, encoding[:, 2:3, 4:5].expand_as(encoding), dim=0)
    similarity = similarity_to(encoding, 2, 4)
    np.testing.assert_allclose(similarity, wanted, atol=1e-6)
    assert similarity[2, 4] == pytest.approx(1)


def test_a_run_measures_the_models_own_encoding(model):
    result = run(model, Inputs(), Params(height=20, width=30, channel=5, row=3, column=4), Lab())
    encoding = model.position_encoding(20, 30).numpy()
    np.testing.assert_allclose(result.arrays["norm"], np.linalg.norm(encoding, axis=0), rtol=1e-5)
    np.testing.assert_array_equal(result.arrays["channel"], encoding[5])
    rounded = model.position_encoding(20, 30, dtype="bfloat16").numpy()
    assert result.value("bfloat16_error") == pytest.approx(
        np.linalg.norm(encoding - rounded) / np.linalg.norm(encoding), rel=1e-4
    )
    assert 0 < result.value("bfloat16_error") < 0.05 and len(result.tables["channels"]) == len(encoding)
    assert result.images["components"].shape == (20, 30, 3) and result.arrays["similarity"][3, 4] == pytest.approx(1)


def test_without_its_windows_the_encoding_is_smoother(model):
    tiled, plain = (run(model, Inputs(), Params(window_tiling=tiling), Lab()) for tiling in (True, False))
    assert tiled.facts["height"] == base_grid(model) == model.info.native_side // 4
    assert plain.value("mean_frequency") < 0.6 * tiled.value("mean_frequency")


def test_a_knob_recomputes_nothing(model, calls):
    lab = Lab()
    first = run(model, Inputs(), Params(), lab)
    measured = calls.taken()
    again = run(model, Inputs(), Params(channel=3, row=0, column=0), lab)
    assert not calls.taken() and again.arrays["norm"] is first.arrays["norm"]
    run(model, Inputs(), Params(window_tiling=False), lab)
    assert calls.taken() == measured


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"height": 200}, "beyond twice"),
        ({"row": 99}, "no row 99"),
        ({"width": 2, "column": 2}, "no column 2"),
        ({"channel": 48}, "no channel 48"),
    ],
)
def test_what_the_model_does_not_have_is_refused(model, values, words):
    assert 2 * base_grid(model) < 200 and base_grid(model) < 99
    with pytest.raises(ParamsError, match=words):
        run(model, Inputs(), Params(**values), Lab())


def test_grids_from_the_smallest_to_the_largest(model):
    largest = 2 * base_grid(model)
    for height, width in ((2, 2), (2, largest), (largest, 3)):
        assert run(model, Inputs(), Params(height=height, width=width), Lab()).arrays["norm"].shape == (height, width)
    with pytest.raises(ParamsError, match="height"):
        build_params(Params, {"height": 1})


def test_a_run_without_a_picture_is_kept_and_replayed(model, tmp_path):
    result = run(model, Inputs(), Params(height=12), Lab())
    bundle = write_bundle(
        tmp_path / "run", result=result, inputs=Inputs(), model_info=model.info, device=model.device, dtype=model.dtype
    )
    assert bundle.name == "position-encoding nano-sam2" and "picture" not in bundle.record
    read = read_bundle(tmp_path / "run")
    assert read.inputs() == Inputs()
    outcome = replay(read)
    assert outcome.identical and not outcome.metric_differences


def test_the_command_line_gives_the_same_and_takes_no_picture(model, tmp_path):
    words = ["run", "position-encoding", "--model", "nano-sam2", "--set", "height=16", "--json", "--out"]
    done = CliRunner().invoke(app, [*words, str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    metrics = run(model, Inputs(), Params(height=16), Lab()).metrics
    assert json.loads(done.stdout)["metrics"] == {name: metric.value for name, metric in metrics.items()}
    refused = CliRunner().invoke(app, [*words, str(tmp_path / "other"), "--image", "sample:coffee"])
    assert refused.exit_code != 0


def test_bfloat16_of_a_v1_table(tmp_path):
    path = save_random_model(tmp_path / "v1.safetensors", SMALL_SAM1)
    result = run(samkit.load_model(path, device="cpu"), Inputs(), Params(height=5, width=7, window_tiling=False), Lab())
    assert result.value("bfloat16_error") > 0 and result.arrays["norm"].shape == (5, 7)
