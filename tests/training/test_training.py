"""A few steps of training, and the file that comes out of it."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import samkit
from tests.random_models import SMALL_SAM2
from tests.training.official_nano import build_official
from tests.training.pictures import draw_picture, write_data_folder
from training.augment import Sampler
from training.data import list_jobs, open_cache, write_cache
from training.evaluate import (
    Setting,
    beside_refined,
    draw_sheet,
    evaluate,
    filled_box,
    filled_ellipse,
    format_table,
    rank_correlation,
    tight_box,
)
from training.export import export_state, file_metadata
from training.held_out import HeldOutObject
from training.model import CONFIGS, NANO_SAM1, NANO_SAM2_WITH_MEMORY, build_network, plain_attention
from training.run import Recipe, Run
from training.train import ImageTask, accumulate_gradients, collate

QUICK = Recipe(warmup_steps=1, single_round_until=0.5)


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    root = write_data_folder(tmp_path_factory.mktemp("data") / "data", [("coco", "train")] * 4)
    write_cache(list_jobs(root), root / "cache", processes=1)
    sampler = Sampler(open_cache(root / "cache"), 0)
    return collate([sampler.draw(64, 3, clicks=2) for _ in range(4)])


@pytest.fixture(scope="module")
def exported():
    return export_state(build_network().state_dict(), NANO_SAM2_WITH_MEMORY)


def update(run, batch, elapsed, rng):
    """One step as the image task takes it."""
    rounds = run.recipe.count_rounds(elapsed, rng)
    return run.update(elapsed, len(batch.pixels), lambda: accumulate_gradients(run.network, batch, rounds))


def test_ten_steps_reduce_the_loss(batch):
    run, rng = Run(QUICK, build_network(SMALL_SAM2)), np.random.default_rng(0)
    with plain_attention():
        losses = [update(run, batch, 0.1, rng)[0] for _ in range(10)]
    assert losses[-1] < 0.9 * losses[0] and (run.step, run.seen) == (10, 40)


def test_later_rounds_reach_every_parameter(batch):
    run = Run(QUICK, build_network(SMALL_SAM2))
    before = [parameter.detach().clone() for parameter in run.parameters]
    torch.manual_seed(0)
    update(run, batch, 0.6, np.random.default_rng(0))
    still = [
        name for (name, new), old in zip(run.network.named_parameters(), before, strict=True) if torch.equal(new, old)
    ]
    # No background click was needed in this one step, or none was drawn; pictures have no use for the memory side.
    assert {name for name in still if not name.startswith("memory.")} <= {"prompt_encoder.point_embeddings.0.weight"}


def test_what_is_not_to_learn_stays_as_it_was(batch, tmp_path, monkeypatch):
    monkeypatch.setitem(CONFIGS, "nano-sam2", SMALL_SAM2)
    run = Run(QUICK, ImageTask(tmp_path, parts=("mask_decoder.", "prompt_encoder.mask_")).build())
    before = {name: parameter.detach().clone() for name, parameter in run.network.named_parameters()}
    update(run, batch, 0.1, np.random.default_rng(0))
    changed = {name for name, new in run.network.named_parameters() if not torch.equal(new, before[name])}
    assert changed and all(name.startswith(("mask_decoder.", "prompt_encoder.mask_")) for name in changed)


def test_a_resumed_run_goes_on_as_if_it_had_not_stopped(batch, tmp_path):
    run = Run(QUICK, build_network(SMALL_SAM2))
    update(run, batch, 0.1, np.random.default_rng(0))
    run.update_ema()
    run.save(tmp_path / "checkpoint0.pt")
    resumed = Run(QUICK, build_network(SMALL_SAM2, seed=1))
    resumed.resume(tmp_path / "checkpoint0.pt")
    for each in (run, resumed):
        update(each, batch, 0.1, np.random.default_rng(0))
        each.update_ema()
    assert (resumed.step, resumed.seen, resumed.start) == (run.step, run.seen, run.start)
    assert all(
        torch.allclose(a, b, atol=1e-6)
        for a, b in zip(resumed.parameters + resumed.ema, run.parameters + run.ema, strict=True)
    )


def test_the_schedule_follows_the_elapsed_time():
    recipe = Recipe()
    assert [recipe.stage(elapsed, step=0) for elapsed in (0, 0.14, 0.5, 1)] == [(96, 14), (128, 10), (192, 7), (256, 5)]
    assert (
        recipe.rate(0, 0) == pytest.approx(1e-3 / 150)
        and recipe.rate(0, 500) == pytest.approx(1e-3)
        and recipe.rate(1, 500) == pytest.approx(2e-5)
    )
    assert recipe.count_rounds(0.05, np.random.default_rng(0)) == 1
    assert {recipe.count_rounds(0.5, np.random.default_rng(seed)) for seed in range(9)} == {2, 3}


def test_plain_attention_is_attention():
    q, k, v = torch.randn(3, 2, 4, 5, 8).unbind(0)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    with plain_attention():
        torch.testing.assert_close(torch.nn.functional.scaled_dot_product_attention(q, k, v), expected)
    assert torch.equal(torch.nn.functional.scaled_dot_product_attention(q, k, v), expected)


def test_the_official_package_loads_the_exported_file_strictly(exported):
    build_official(NANO_SAM2_WITH_MEMORY).load_state_dict(
        {key: tensor.float() for key, tensor in exported.items()}, strict=True
    )


def test_samkit_loads_the_exported_file_and_reads_its_configuration(exported, tmp_path):
    path = tmp_path / "nano.safetensors"
    save_file(exported, path, metadata={"samkit": json.dumps(file_metadata("nano-sam2", "abc", {"box": 0.5}))})
    model = samkit.load_model(path, device="cpu")
    assert (
        model.config == NANO_SAM2_WITH_MEMORY
        and model.info.name == "nano-sam2"
        and model.info.parameters["memory"] > 10**6
    )


def test_nano_sam1_is_exported_loaded_and_prompted(tmp_path):
    path = tmp_path / "nano-sam1.safetensors"
    state = export_state(build_network(NANO_SAM1).state_dict(), NANO_SAM1)
    save_file(state, path, metadata={"samkit": json.dumps(file_metadata("nano-sam1", "abc", {}))})
    model = samkit.load_model(path, device="cpu")
    assert model.config == NANO_SAM1 and path.stat().st_size < 24e6
    rgb, _ = draw_picture(np.random.default_rng(0))
    prediction = model.predict_masks(model.encode_image(rgb), samkit.Prompts(points=[(0.5, 0.5, 1)]))
    assert prediction.logits.shape == (4, 96, 96) and prediction.object_score is None


def test_weights_that_half_precision_cannot_hold_are_refused():
    state = build_network().state_dict()
    state["no_mem_embed"] = torch.full_like(state["no_mem_embed"], 1e6)
    with pytest.raises(ValueError, match="no_mem_embed"):
        export_state(state, NANO_SAM2_WITH_MEMORY)


def test_evaluation_gives_figures_and_a_sheet(exported, tmp_path):
    path = tmp_path / "nano.safetensors"
    save_file(exported, path, metadata={"samkit": json.dumps(file_metadata("nano-sam2", "", {}))})
    rgb, ids = draw_picture(np.random.default_rng(0))
    items = [HeldOutObject("a.jpg", "coco", rgb, ids == 1), HeldOutObject("a.jpg", "coco", rgb, ids == 2)]
    figures, masks = evaluate(samkit.load_model(path, device="cpu"), items)
    assert {"box", "1 click, best of the four", "3 clicks", "5 clicks"} <= figures.keys() and all(
        -1 <= value <= 1 for value in figures.values()
    )
    assert figures["1 click, single mask"] <= figures["1 click, best of the four"]
    columns = beside_refined(figures)
    assert columns["refined"].keys() == {"box", "1 click, chosen by predicted IoU"} <= columns["model"].keys()
    assert "rank correlation of predicted IoU" in figures
    assert draw_sheet(items, masks, side=50).shape == (50, 300, 3)


def test_evaluation_at_another_side_and_other_windows(exported, tmp_path):
    path = tmp_path / "nano.safetensors"
    save_file(exported, path, metadata={"samkit": json.dumps(file_metadata("nano-sam2", "", {}))})
    model = samkit.load_model(path, device="cpu")
    rgb, ids = draw_picture(np.random.default_rng(0))
    items = [HeldOutObject("a.jpg", "coco", rgb, ids == 1)]
    masks = {
        str(setting): evaluate(model, items, setting)[1][0]
        for setting in (Setting(), Setting(side=128), Setting(windows=(4, 4, 4, 4)))
    }
    assert list(masks) == ["native", "128 px", "windows 4 4 4 4"]
    assert any((masks["128 px"][name] != masks["native"][name]).any() for name in ("box", "click"))
    assert any((masks["windows 4 4 4 4"][name] != masks["native"][name]).any() for name in ("box", "click"))


def test_predicted_ious_are_ranked_against_true_ones():
    true = np.array([0.1, 0.5, 0.7, 0.9])
    assert rank_correlation(np.stack([true**3, true], axis=1)) == pytest.approx(1)
    assert rank_correlation(np.stack([-true, true], axis=1)) == pytest.approx(-1)
    # One pair of neighbours swapped: 1 - 6 * 2 / (4 * 15).
    assert rank_correlation(np.stack([[0.1, 0.6, 0.5, 0.9], true], axis=1)) == pytest.approx(0.8)
    assert rank_correlation(np.stack([np.ones(4), true], axis=1)) == 0


def test_a_table_leaves_empty_what_a_column_lacks():
    lines = format_table({"model": {"box": 0.5, "click": 0.25}, "refined": {"box": 0.75}}).splitlines()
    assert [line.split() for line in lines] == [["model", "refined"], ["box", "0.500", "0.750"], ["click", "0.250"]]


def test_trivial_masks_fill_the_tight_box():
    mask = np.zeros((20, 40), bool)
    mask[5:15, 10:20] = np.eye(10, dtype=bool)
    assert tight_box(mask) == (0.25, 0.25, 0.5, 0.75)
    assert filled_box(mask).sum() == 100 and filled_box(mask)[5:15, 10:20].all()
    assert 70 < filled_ellipse(mask).sum() < 90 and not (filled_ellipse(mask) & ~filled_box(mask)).any()
