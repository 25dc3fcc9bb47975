"""What the experiments see in a model with a stage of convolutions, and attention biases in place of a table."""

import numpy as np
import pytest

from samkit.errors import ParamsError
from samkit.experiments import block_norms, position_encoding, window_size
from samkit.experiments.inputs import Inputs
from samkit.media.pictures import Picture
from samkit.models.sam import load_model
from samkit.prompts import Prompts
from samkit.work.lab import Lab
from tests.random_models import SMALL_MOBILE_SAM, save_random_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(
        save_random_model(tmp_path_factory.mktemp("models") / "mobile.safetensors", SMALL_MOBILE_SAM), device="cpu"
    )


@pytest.fixture(scope="module")
def inputs():
    rgb = np.random.default_rng(0).integers(0, 256, (60, 96, 3), dtype=np.uint8)
    return Inputs(Picture.from_array(rgb, "noise"), prompts=Prompts(points=((0.5, 0.5, 1),)))


def test_every_block_has_its_norms_and_says_what_it_is(model, inputs):
    result = block_norms.run(model, inputs, block_norms.Params(), Lab())
    rows = result.tables["blocks"]
    assert [row["attention"] for row in rows] == ["convolution", "window 3", "window 5", "window 5", "window 3"]
    assert [(row["height"], row["channels"]) for row in rows] == [(32, 8), (16, 16), (8, 24), (8, 24), (8, 32)]
    encoding = model.encode_image(inputs.picture.rgb, keep_blocks=True)
    for row, block in zip(rows, encoding.blocks, strict=True):
        assert row["max"] == pytest.approx(float(block.norm(dim=-1).max()))


def test_positions_are_the_heads_biases_by_distance(model):
    heads = position_encoding.attention_heads(model)
    assert heads == [
        (1, 0),
        (1, 1),
        *((block, head) for block in (2, 3) for head in range(3)),
        *((4, i) for i in range(4)),
    ]
    channel = heads.index((3, 1))
    result = position_encoding.run(model, Inputs(), position_encoding.Params(channel=channel), Lab())
    table = model.network.image_encoder.layers[2].blocks[1].attn.attention_biases[1].view(5, 5).numpy()
    np.testing.assert_array_equal(result.arrays["channel"], table)
    row = result.tables["channels"][channel]
    assert (row["block"], row["head"], result.index("channels")) == (3, 1, len(heads))


def test_windows_are_those_of_the_stages_that_have_attention(model, inputs):
    same = window_size.run(model, inputs, window_size.Params(window_sizes=(20, 3, 5, 3)), Lab())
    other = window_size.run(model, inputs, window_size.Params(window_sizes=(7, 8, 4, 6)), Lab())
    assert same.value("drift") == 0 and other.value("drift") > 0
    with pytest.raises(ParamsError, match=r"Stage 1 of this model is made of convolutions and has no windows: sweep"):
        window_size.run(model, inputs, window_size.Params(sweep_stage=1, sweep_sizes=(4,)), Lab())
    swept = window_size.run(model, inputs, window_size.Params(sweep_sizes=(3, 8), sweep_repeats=1), Lab())
    assert [row["refused"] for row in swept.tables["sweep"]] == ["", ""]


def test_bfloat16_and_memory_in_advance(model, inputs):
    from samkit.models.encoding_cost import encoding_cost

    assert encoding_cost(model.config, (1024, 1024), model.info.window_sizes).memory < 200_000_000
    half = load_model(model.info.path, device="cpu", dtype="bfloat16").encode_image(inputs.picture.rgb)
    exact = model.encode_image(inputs.picture.rgb)
    difference = (half.features[0].float() - exact.features[0]).abs().mean()
    assert float(difference) < 0.05 * float(exact.features[0].abs().mean())
