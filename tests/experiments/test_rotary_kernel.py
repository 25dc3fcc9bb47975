"""How rotary positions make attention fall with distance: the expected and the measured kernel."""

import numpy as np
import pytest
import torch

import samkit
from samkit.errors import ParamsError
from samkit.experiments.inputs import Inputs
from samkit.experiments.measures.rotary_blocks import encoder_parts, memory_part
from samkit.experiments.measures.rotary_kernel import (
    expected_kernel,
    joined_curves,
    kernel_curve,
    measured_kernel,
    rotary_frequencies,
)
from samkit.experiments.position_encoding import Params, run
from samkit.media.samples import load_sample
from samkit.models.network.rope import rotary_turns, turn
from samkit.work.lab import Lab
from tests.random_models import SMALL_SAM3, save_random_model


def pair_by_pair(queries, keys, valid):
    """The mean cosine at each offset, with nothing but loops."""
    windows, heads, rows, columns, _ = queries.shape
    total, pairs = np.zeros((2 * rows - 1, 2 * columns - 1)), np.zeros((2 * rows - 1, 2 * columns - 1))
    places = [(row, column) for row in range(rows) for column in range(columns)]
    for window in range(windows):
        for y, x in places:
            for other_y, other_x in places:
                if not (valid[window, y, x] and valid[window, other_y, other_x]):
                    continue
                offset = other_y - y + rows - 1, other_x - x + columns - 1
                pairs[offset] += 1
                for head in range(heads):
                    query, key = queries[window, head, y, x], keys[window, head, other_y, other_x]
                    total[offset] += float(torch.cosine_similarity(query, key, dim=0)) / heads
    with np.errstate(invalid="ignore"):
        return total / pairs, pairs


@pytest.mark.parametrize("cut", [False, True])
def test_the_measured_kernel_is_the_mean_over_all_pairs_at_an_offset(cut):
    generator = torch.Generator().manual_seed(3)
    queries, keys = torch.randn(2, 2, 2, 3, 4, 8, generator=generator, dtype=torch.float64)
    valid = torch.ones(2, 3, 4, dtype=torch.bool)
    if cut:
        # The second window is padded below and to the right, so the farthest offsets are seen in the first alone.
        valid[1, 2:], valid[1, :, 2:] = False, False
        valid[0, 0] = False
    kernel = measured_kernel(queries, keys, valid if cut else None)
    values, pairs = pair_by_pair(queries, keys, valid)
    assert np.array_equal(kernel.pairs, pairs) and kernel.values.shape == (5, 7)
    np.testing.assert_allclose(kernel.values, values, atol=1e-6)


def test_padding_may_hold_anything():
    queries = torch.randn(1, 1, 4, 4, 8)
    valid = torch.zeros(1, 4, 4, dtype=torch.bool)
    valid[:, :2, :3] = True
    padded = queries.clone()
    padded[:, :, ~valid[0]] = 1e6
    inner = queries[:, :, :2, :3]
    kernel, alone = measured_kernel(padded, padded, valid), measured_kernel(inner, inner)
    np.testing.assert_allclose(kernel.values[2:5, 1:6], alone.values, atol=1e-6)
    assert np.isnan(kernel.values[0]).all() and kernel.pairs[0].sum() == 0


@pytest.mark.parametrize("step", [1.0, 1 / 3])
def test_equal_tokens_that_use_all_pairs_alike_give_the_expected_kernel(step):
    rows, columns, channels = 5, 6, 16
    turns = rotary_turns(rows, columns, channels, 10000.0, (step, step))
    same = torch.ones(1, 1, rows * columns, channels)
    turned = turn(same, turns).unflatten(2, (rows, columns))
    measured = measured_kernel(turned, turned)
    expected = expected_kernel(rotary_frequencies(channels, 10000.0), (rows, columns), (step, step))
    np.testing.assert_allclose(measured.values, expected.values, atol=1e-6)
    assert np.array_equal(measured.pairs, expected.pairs)


def test_a_smaller_step_stretches_the_expected_kernel():
    frequencies = rotary_frequencies(64, 10000.0)
    near, far = expected_kernel(frequencies, (24, 24)), expected_kernel(frequencies, (72, 72), (1 / 3, 1 / 3))
    assert near.values[23, 23] == 1.0 and near.values.max() == 1.0
    np.testing.assert_allclose(far.values[71::3, 71::3], near.values[23:, 23:], atol=1e-6)


def test_a_curve_is_the_mean_at_each_distance():
    kernel = expected_kernel(rotary_frequencies(8, 100.0), (3, 3))
    rows = kernel_curve(kernel, "expected")
    assert [row["distance"] for row in rows] == [0, 1, 2, 3] and rows[0]["expected"] == 1.0
    # Straight and diagonal neighbours: 4 x 6 and 4 x 4 pairs.
    straight, diagonal = kernel.values[2, 3], kernel.values[3, 3]
    assert rows[1]["expected"] == pytest.approx((24 * straight + 16 * diagonal) / 40) and rows[1]["pairs"] == 40


def test_curves_of_other_lengths_are_one_table():
    near, far = [{"distance": 0, "near": 1.0}], [{"distance": 0, "far": 0.9}, {"distance": 1, "far": 0.5}]
    assert joined_curves([("near", near), ("far", far)]) == [
        {"distance": 0, "near": 1.0, "far": 0.9},
        {"distance": 1, "near": None, "far": 0.5},
    ]


def test_the_memory_of_sam2_is_rotary_and_sam1_has_nothing_that_is():
    model = samkit.load_model("nano-sam2", device="cpu")
    part = memory_part(model)
    tokens = model.info.native_side // 16
    kernel = part.expected()
    assert part.name == "memory attention" and kernel.values.shape == (2 * tokens - 1, 2 * tokens - 1)
    # The angles are those that the network turns by.
    turns = rotary_turns(tokens, tokens, part.channels, part.theta)
    cosines = turns.real.reshape(tokens, tokens, -1).mean(dim=-1).numpy()
    np.testing.assert_allclose(kernel.values[tokens - 1 :, tokens - 1 :], cosines, atol=1e-5)
    assert encoder_parts(model) == {} and memory_part(samkit.load_model("nano-sam1", device="cpu")) is None
    with pytest.raises(ParamsError, match="leave rotary_on at nothing"):
        run(model, Inputs(), Params(rotary_on="coffee"), Lab())


@pytest.fixture(scope="module")
def sam3(tmp_path_factory):
    path = tmp_path_factory.mktemp("sam3") / "sam3.safetensors"
    return samkit.load_model(save_random_model(path, SMALL_SAM3), device="cpu")


def test_windowed_and_global_blocks_of_sam3_have_kernels_of_their_own(sam3):
    parts, grid = encoder_parts(sam3), 168 // 14
    assert set(parts) == {4, 0} and parts[4].size == (4, 4) and parts[0].size == (grid, grid)
    near, far = parts[4].expected().values, parts[0].expected().values
    # A global block's map is squeezed into a window: three steps of 12 tokens are one of 4.
    np.testing.assert_allclose(far[grid - 1 :: 3, grid - 1 :: 3], near[3:, 3:], atol=1e-6)


def test_what_a_block_of_sam3_compares_is_measured_on_a_picture(sam3):
    coffee, lab = load_sample("coffee"), Lab()
    result = run(sam3, Inputs(), Params(rotary_on="coffee"), lab)
    assert [row["attention"] for row in result.tables["rotary_blocks"]] == ["window 4", "global"] * 2
    # Block 2 is given what block 1 put out. 12 x 12 tokens are nine whole windows.
    tokens = sam3.encode_image(coffee.rgb, keep_blocks=True).blocks[1]
    block = sam3.network.image_encoder.trunk.blocks[2]
    with torch.no_grad():
        windows = block.norm1(tokens).unflatten(0, (3, 4)).unflatten(2, (3, 4)).transpose(1, 2).reshape(9, 4, 4, -1)
        qkv = block.attn.qkv(windows).reshape(9, 16, 3, block.attn.num_heads, -1).permute(2, 0, 3, 1, 4)
        turns = rotary_turns(4, 4, qkv.shape[-1], 10000.0, (1.0, 1.0))
        queries, keys = (turn(each, turns).unflatten(2, (4, 4)) for each in qkv[:2])
    measured = measured_kernel(queries, keys)
    np.testing.assert_allclose(result.arrays["rotary_02"], measured.values, atol=1e-5)
    curve = [row["block_02"] for row in result.tables["rotary"] if row["block_02"] is not None]
    np.testing.assert_allclose(curve, [row["similarity"] for row in kernel_curve(measured)], atol=1e-5)
    assert {"expected_global", "measured_window_4"} < set(result.tables["rotary"][0])
    assert "rotary" not in run(sam3, Inputs(), Params(), lab).tables
