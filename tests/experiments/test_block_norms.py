"""Block norms against direct computation and against hooks on the official packages; outliers that were planted; what
is refused.
"""

import json

import numpy as np
import pytest
import torch

import samkit
from samkit.errors import ParamsError
from samkit.experiments.block_norms import (
    Params,
    block_kinds,
    channel_map,
    outlier_rows,
    outliers,
    run,
    token_norms,
)
from samkit.experiments.inputs import Inputs
from samkit.media.pictures import Picture
from samkit.models.geometry import plan_geometry
from samkit.tracking.bundle.bundle import read_bundle, write_bundle
from samkit.work.lab import Lab
from samkit.work.memory import Memory
from samkit.work.replay import replay
from tests.parity.cases import PICTURES, load_pair
from tests.random_models import SMALL_MODELS, save_random_model

PICTURE = Picture.from_array(np.random.default_rng(0).integers(0, 256, (90, 140, 3), dtype=np.uint8), "noise")


@pytest.fixture(scope="module", params=SMALL_MODELS)
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return samkit.load_model(
        save_random_model(folder / f"{request.param}.safetensors", SMALL_MODELS[request.param]), device="cpu"
    )


def test_every_figure_is_what_numpy_gives(model):
    result = run(model, Inputs(PICTURE), Params(block=1, outlier_factor=1.2), Lab())
    blocks = model.encode_image(PICTURE.rgb, keep_blocks=True).blocks
    rows = result.tables["blocks"]
    assert result.facts["blocks"] == len(blocks) == len(rows)
    for index, (tokens, row) in enumerate(zip(blocks, rows, strict=True)):
        norms = np.sqrt((tokens.numpy().astype(np.float64) ** 2).sum(-1))
        np.testing.assert_allclose(result.arrays[f"norms_{index:02d}"], norms, rtol=1e-5)
        assert (row["height"], row["width"], row["channels"]) == tokens.shape
        assert (row["min"], row["median"], row["max"]) == pytest.approx(
            (norms.min(), np.median(norms), norms.max()), rel=1e-5
        )
        assert row["outliers"] == (norms > 1.2 * np.median(norms)).sum()
    np.testing.assert_array_equal(result.arrays["map"], result.arrays["norms_01"])
    assert result.value("max_norm") == max(row["max"] for row in rows) == rows[result.facts["max_norm_block"]]["max"]
    json.dumps(result.tables, allow_nan=False)


@pytest.mark.parametrize("name", ["shrunken 1", "shrunken 2.1"])
def test_norms_are_those_of_the_official_packages_blocks(name, tmp_path):
    pair, theirs = load_pair(name, tmp_path), []
    trunk = pair.official.image_encoder if pair.family == "sam1" else pair.official.image_encoder.trunk
    hooks = [
        block.register_forward_hook(lambda module, arguments, output: theirs.append(output[0]))
        for block in trunk.blocks
    ]
    from tests.parity.cases import _official_features

    with torch.no_grad():
        _official_features(pair, pair.official, PICTURES["wide"], None)
    for hook in hooks:
        hook.remove()
    result = run(pair.model, Inputs(Picture.from_array(PICTURES["wide"])), Params(), Lab())
    for index, tokens in enumerate(theirs):
        np.testing.assert_allclose(
            result.arrays[f"norms_{index:02d}"], tokens.norm(dim=-1).numpy(), atol=1e-3, rtol=1e-4
        )


def test_blocks_are_marked_with_stage_and_attention(model):
    kinds = block_kinds(model, model.info.window_sizes)
    assert [kind.index for kind in kinds if kind.window == 0] == list(model.info.global_blocks)
    assert [sum(kind.stage == stage for kind in kinds) for stage in (1, 2, 3, 4)] == list(model.info.blocks_per_stage)


def test_planted_outliers_are_found_where_they_are():
    tokens = torch.ones(4, 8, 3)
    tokens[1, 6] *= 10
    norms = token_norms(tokens)
    assert np.argwhere(outliers(norms, 3)).tolist() == [[1, 6]] and not outliers(norms, 11).any()
    (row,) = outlier_rows([norms], 3, plan_geometry((64, 64), "sam2", 64, "native", 32))
    assert (row["row"], row["column"], row["x"], row["y"]) == (1, 6, 6.5 / 8, 1.5 / 4) and row[
        "times_median"
    ] == pytest.approx(10)


def test_places_of_outliers_are_those_on_the_picture():
    """A picture half as high as wide fills the upper half of a v1 model's input; what lies below is padding."""
    norms = np.ones((8, 8), np.float32)
    norms[3, 2] = norms[6, 2] = 9
    on, beside = outlier_rows([norms], 3, plan_geometry((50, 100), "sam1", 128, "native", 16))
    assert (on["x"], on["y"]) == (2.5 / 8, 3.5 / 4) and beside["y"] == 6.5 / 4


def test_measures_that_are_kept_need_no_encoding(model, calls):
    lab, inputs = Lab(encodings=Memory(1)), Inputs(PICTURE)
    first = run(model, inputs, Params(), lab)
    again = run(model, inputs, Params(outlier_factor=1.1, block=0, colormap="magma"), lab)
    assert calls["encode_image"] == 1 and again.timings["encode_ms"] == first.timings["encode_ms"]
    run(model, inputs, Params(channel=1), lab)
    assert calls["encode_image"] == 1, "the block that was shown is kept"
    for channel in (1, 2):
        shown = run(model, inputs, Params(block=0, channel=channel), lab)
    assert calls["encode_image"] == 2
    np.testing.assert_array_equal(
        shown.arrays["map"], model.encode_image(PICTURE.rgb, keep_blocks=True).blocks[0][..., 2].numpy()
    )


def test_a_channel_is_shown_and_one_that_is_not_there_refused(model):
    result = run(model, Inputs(PICTURE), Params(block=0, channel=2), Lab())
    blocks = model.encode_image(PICTURE.rgb, keep_blocks=True).blocks
    np.testing.assert_array_equal(result.arrays["map"], blocks[0][..., 2].numpy())
    with pytest.raises(ParamsError, match="no channel 9999"):
        channel_map(blocks[0], 9999)
    with pytest.raises(ParamsError, match="no block 99"):
        run(model, Inputs(PICTURE), Params(block=99), Lab())


def test_a_kept_run_replays(model, tmp_path):
    result = run(model, Inputs(PICTURE), Params(), Lab())
    write_bundle(
        tmp_path / "run", result=result, inputs=Inputs(PICTURE), model_info=model.info, device="cpu", dtype="float32"
    )
    outcome = replay(read_bundle(tmp_path / "run"), model=model)
    assert outcome.identical and not outcome.metric_differences and outcome.mask_count == 0
