"""Cross-image segmentation: what is remembered and tracked against the model's own steps, the measures against numpy,
and what is refused.
"""

from dataclasses import replace

import numpy as np
import pytest

import samkit
from samkit.errors import BadInput, ParamsError, PromptError
from samkit.experiments.cross_image import Params, point_and_box_prompts, run
from samkit.experiments.inputs import Inputs
from samkit.experiments.measures.jitter import jitter_prompts, jitter_shifts
from samkit.experiments.measures.pair_track import follow, remembered
from samkit.experiments.params import build_params
from samkit.media.masks import mask_iou, stability_score
from samkit.media.pictures import Picture
from samkit.media.refine import refine_edges
from samkit.media.samples import load_sample
from samkit.models.memory_bank import MemoryBank
from samkit.prompts import Prompts
from samkit.work.lab import Lab
from tests.random_models import SMALL_SAM1, SMALL_SAM2, save_random_model

RNG = np.random.default_rng(0)
A = Picture.from_array(RNG.integers(0, 256, (90, 140, 3), dtype=np.uint8), "a.png")
B = Picture.from_array(RNG.integers(0, 256, (120, 80, 3), dtype=np.uint8), "b.png")
CLICK = Prompts(points=[(0.4, 0.6, 1)])
PAIR = Inputs(A, CLICK, B)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Random, of a seed that holds the object to be present in both pictures, so that masks are not empty."""
    folder = tmp_path_factory.mktemp("models")
    for seed in range(40):
        loaded = samkit.load_model(save_random_model(folder / f"{seed}.safetensors", SMALL_SAM2, seed), device="cpu")
        result = run(loaded, PAIR, Params(repeats=3), Lab())
        if (
            min(row["object_score"] for row in result.tables["passes"]) > 0
            and result.masks["mask_tracked"].pixels.any()
            and result.masks["mask_prompted"].pixels.any()
        ):
            return loaded
    raise AssertionError("no seed follows anything")


def by_hand(model, source: Picture, target: Picture, prompts: Prompts, passes: int, index: int | None = None):
    """The predictions on both pictures, and the bank, step by step through the model alone."""
    encodings = [model.encode_image(picture.rgb) for picture in (source, target)]
    prompted = model.predict_masks(encodings[0], prompts)
    bank = MemoryBank()
    bank.add_prompt(model.encode_memory(encodings[0], prompted, prompted.best if index is None else index))
    steps = []
    for _ in range(passes):
        steps.append(model.track(encodings[1], bank))
        bank.add_frame(model.encode_memory(encodings[1], steps[-1], steps[-1].best))
    return prompted, steps, bank


def test_run_gives_what_it_promises(model):
    result = run(model, PAIR, Params(), Lab())
    assert result.experiment == "cross-image"
    names = {f"mask_{name}{suffix}" for name in ("prompted", "tracked") for suffix in ("", "_0", "_1", "_2", "_3")}
    assert set(result.masks) == names and all(mask.pixels.dtype == bool for mask in result.masks.values())
    assert set(result.images) == {"prompted", "tracked", "cut_out"} and result.images["cut_out"].shape == (*B.size, 4)
    numbers = (*(metric.value for metric in result.metrics.values()), *result.timings.values())
    assert all(type(value) is float and np.isfinite(value) for value in numbers)
    assert set(result.facts) == {"mask_index", "tracked_index"}
    assert {type(fact) for fact in result.facts.values()} == {int}
    assert set(result.tables) == {"prompted_masks", "tracked_masks", "passes", "contours"}


@pytest.mark.parametrize("prompt_on", ["a", "b"])
def test_every_mask_lies_on_its_own_picture(model, prompt_on):
    result = run(model, PAIR, Params(prompt_on=prompt_on, point_and_box=True), Lab())
    prompted_on = {"a": "image", "b": "image_b"}[prompt_on]
    for name, mask in result.masks.items():
        assert name.startswith("mask_") and (mask.on == prompted_on) == ("prompted" in name)
        assert mask.pixels.shape == {"image": A.size, "image_b": B.size}[mask.on] and mask.index == 0


def test_one_pass_is_what_the_model_tracks(model):
    result = run(model, PAIR, Params(), Lab())
    prompted, (step,), _ = by_hand(model, A, B, CLICK, 1)
    assert (result.arrays["logits_prompted"] == prompted.logits.numpy()).all() and (
        result.arrays["logits_tracked"] == step.logits.numpy()
    ).all()
    assert all((result.masks[f"mask_tracked_{i}"].pixels == step.mask(i)).all() for i in range(4))
    assert result.index() == prompted.best and result.facts["tracked_index"] == step.best
    assert result.value("object_score") == step.object_score and result.value("predicted_iou") == float(
        step.iou[step.best]
    )
    assert (result.masks["mask_tracked"].pixels == step.mask(step.best)).all() and (
        result.masks["mask_prompted"].pixels == prompted.mask(prompted.best)
    ).all()


def test_repeats_remember_what_was_found(model):
    result = run(model, PAIR, Params(repeats=3), Lab())
    _, steps, _ = by_hand(model, A, B, CLICK, 4)
    rows = result.tables["passes"]
    assert [row["object_score"] for row in rows] == [step.object_score for step in steps]
    assert [row["predicted_iou"] for row in rows] == [float(step.iou[step.best]) for step in steps]
    masks = [step.mask(step.best) for step in steps]
    assert rows[0]["change"] is None
    assert [row["change"] for row in rows[1:]] == [
        1 - mask_iou(mask, before) for before, mask in zip(masks, masks[1:], strict=False)
    ]
    assert result.value("repeat_iou") == rows[-1]["iou_with_first"] == mask_iou(masks[-1], masks[0])
    assert (steps[0].logits != steps[-1].logits).any()
    assert (result.arrays["logits_tracked"] == steps[-1].logits.numpy()).all()


def test_the_memory_bank_is_kept_as_a_file(model, tmp_path):
    result = run(model, PAIR, Params(repeats=1), Lab())
    (tmp_path / "bank.safetensors").write_bytes(result.files["memory_bank.safetensors"])
    _, _, bank = by_hand(model, A, B, CLICK, 2)
    assert MemoryBank.load(tmp_path / "bank.safetensors").sha256 == bank.sha256


def test_either_picture_may_be_prompted(model):
    result = run(model, PAIR, Params(prompt_on="b"), Lab())
    prompted, (step,), _ = by_hand(model, B, A, CLICK, 1)
    assert result.masks["mask_prompted"].pixels.shape == B.size and result.masks["mask_tracked"].pixels.shape == A.size
    assert (result.masks["mask_tracked"].pixels == step.mask(step.best)).all() and (
        result.masks["mask_prompted"].pixels == prompted.mask(prompted.best)
    ).all()


def test_the_remembered_and_the_shown_mask_are_the_users(model):
    best = run(model, PAIR, Params(), Lab()).index()
    other = 1 + best % 3
    result = run(model, PAIR, Params(mask_index=other, tracked_index=0), Lab())
    _, (step,), _ = by_hand(model, A, B, CLICK, 1, other)
    assert (result.masks["mask_prompted"].pixels == result.masks[f"mask_prompted_{other}"].pixels).all() and (
        result.masks["mask_tracked"].pixels == step.mask(0)
    ).all()
    assert result.index() == other and result.facts["tracked_index"] == 0


def test_the_threshold_cuts_and_is_not_remembered(model):
    plain, cut = (
        run(model, PAIR, Params(repeats=1), Lab()),
        run(model, PAIR, Params(repeats=1, threshold=0.3, stability_offset=0.2), Lab()),
    )
    assert (plain.arrays["logits_tracked"] == cut.arrays["logits_tracked"]).all()
    prompted, steps, _ = by_hand(model, A, B, CLICK, 2)
    step = steps[-1]
    assert (cut.masks["mask_tracked"].pixels == (step.logits_at(step.best) > 0.3)).all() and (
        cut.masks["mask_prompted"].pixels == (prompted.logits_at(prompted.best) > 0.3)
    ).all()
    found, remembered = step.logits_at(step.best), prompted.logits_at(prompted.best)
    assert cut.value("stability_at_0.2_about_0.3") == stability_score(found, 0.3, 0.2)
    assert cut.value("prompted_stability_at_0.2_about_0.3") == stability_score(remembered, 0.3, 0.2)
    assert cut.value("stability_score") == plain.value("stability_score") == stability_score(found)
    assert cut.value("prompted_stability_score") == stability_score(remembered)
    assert plain.value("stability_at_2") == stability_score(found, 0.0, 2.0)
    assert cut.tables["passes"][0]["area_share"] == (steps[0].logits_at(steps[0].best) > 0.3).mean()


def test_refined_masks_are_cut_from_the_logits(model):
    inputs = Inputs(
        load_sample("coffee"), Prompts(points=[(0.4, 0.6, 1)], boxes=[(0.2, 0.2, 0.8, 0.9)]), load_sample("chelsea")
    )
    own, result = run(model, inputs, Params(), Lab()), run(model, inputs, Params(refine_edges=True), Lab())
    prompted, (step,), _ = by_hand(model, inputs.image, inputs.image_b, inputs.prompts, 1)
    assert (result.masks["mask_tracked"].pixels == refine_edges(inputs.image_b.rgb, step.logits_at(step.best))).all()
    assert (
        result.masks["mask_prompted"].pixels
        == refine_edges(inputs.image.rgb, prompted.logits_at(prompted.best), inputs.prompts.boxes[0])
    ).all()
    assert (result.arrays["logits_tracked"] == own.arrays["logits_tracked"]).all()
    assert (
        result.value("refine_iou") == mask_iou(result.masks["mask_tracked"].pixels, own.masks["mask_tracked"].pixels)
        and "refine_iou" not in own.metrics
    )


def test_contours_and_cut_out_are_of_what_was_found(model):
    result = run(model, PAIR, Params(), Lab())
    mask, cut = result.masks["mask_tracked"].pixels, result.images["cut_out"]
    assert ((cut[..., 3] == 255) == mask).all() and (cut[mask][:, :3] == B.rgb[mask]).all() and not cut[~mask].any()
    points = np.concatenate([row["points_xy"] for row in result.tables["contours"]]).astype(int)
    assert mask[points[:, 1], points[:, 0]].all()


def test_point_and_box_are_taken_from_the_mask_or_from_the_user():
    mask = np.zeros((50, 100), bool)
    mask[10:31, 20:61] = True
    derived = point_and_box_prompts(Prompts(points=[(0.9, 0.9, 0)]), mask)
    assert derived["box"] == Prompts(boxes=[(0.2, 0.2, 0.61, 0.62)])
    assert derived["point"].points[0] == (0.9, 0.9, 0) and derived["point"].points[1][1] == 20.5 / 50
    prompts = Prompts(points=[(0.3, 0.4, 1)], boxes=[(0.1, 0.1, 0.7, 0.7)])
    assert point_and_box_prompts(prompts, np.zeros((5, 5), bool)) == {
        "point": Prompts(points=prompts.points),
        "box": Prompts(boxes=prompts.boxes),
    }
    with pytest.raises(PromptError, match="remembered mask is empty"):
        point_and_box_prompts(CLICK, np.zeros((5, 5), bool))


def test_the_same_object_by_point_and_by_box(model):
    result = run(model, PAIR, Params(point_and_box=True, repeats=1), Lab())
    for kind, own in point_and_box_prompts(CLICK, result.masks["mask_prompted"].pixels).items():
        prompted, steps, _ = by_hand(model, A, B, own, 2)
        assert (result.masks[f"mask_by_{kind}_prompted"].pixels == prompted.mask(prompted.best)).all()
        assert (result.masks[f"mask_by_{kind}_tracked"].pixels == steps[-1].mask(steps[-1].best)).all()
    by_point, by_box = (result.masks[f"mask_by_{kind}_tracked"].pixels for kind in ("point", "box"))
    assert (by_point == result.masks["mask_tracked"].pixels).all(), "the user's own prompt is a point"
    assert result.value("point_box_iou") == mask_iou(by_point, by_box)
    assert [row["by"] for row in result.tables["point_and_box"]] == ["point", "box"] and {"by_point", "by_box"} <= set(
        result.images
    )


def test_jitter_counts_both_pictures(model):
    params = Params(jitter_copies=4, jitter_px=6.0, seed=3, repeats=1)
    result = run(model, PAIR, params, Lab())
    index = result.index()
    copies = [
        by_hand(model, A, B, moved, 1, index) for moved in jitter_prompts(CLICK, jitter_shifts(4, 6.0, 3), A.size)
    ]
    prompted = np.mean([prediction.mask(index) for prediction, _, _ in copies], axis=0)
    tracked = [steps[0].mask(steps[0].best) for _, steps, _ in copies]
    np.testing.assert_allclose(result.arrays["jitter_map_prompted"].astype(float), prompted, atol=1e-3)
    np.testing.assert_allclose(result.arrays["jitter_map_tracked"].astype(float), np.mean(tracked, axis=0), atol=1e-3)
    _, (first,), _ = by_hand(model, A, B, CLICK, 1)
    assert result.value("jitter_iou") == pytest.approx(
        np.mean([mask_iou(mask, first.mask(first.best)) for mask in tracked])
    )
    assert result.value("jitter_found") == np.mean([steps[0].object_score > 0 for _, steps, _ in copies])
    still = run(model, PAIR, Params(jitter_copies=2, jitter_px=0), Lab())
    assert still.value("jitter_iou") == still.value("prompted_jitter_iou") == 1.0


def test_what_was_followed_before_is_not_followed_again(model, calls):
    lab = Lab()
    first = run(model, PAIR, Params(repeats=1), lab)
    assert calls["track"] == 2
    run(model, PAIR, Params(repeats=1, threshold=2, tracked_index=0, refine_edges=True, stability_offset=1), lab)
    assert calls["track"] == 2
    more = run(model, PAIR, Params(repeats=3), lab)
    assert calls["track"] == 4
    again = run(model, PAIR, Params(repeats=1), lab)
    assert calls["track"] == 4 and (again.arrays["logits_tracked"] == first.arrays["logits_tracked"]).all()
    assert again.files == first.files
    fresh = run(model, PAIR, Params(repeats=3), Lab())
    assert (fresh.arrays["logits_tracked"] == more.arrays["logits_tracked"]).all()
    before = calls["track"]
    run(model, Inputs(A, CLICK, A), Params(repeats=1), lab)
    run(model, PAIR, Params(repeats=1, side=64), lab)
    assert calls["track"] == before + 4


def test_another_remembered_mask_decodes_nothing_again(model, calls):
    lab = Lab()
    best = run(model, PAIR, Params(), lab).index()
    calls.clear()
    run(model, PAIR, Params(mask_index=best), lab)
    assert not calls.taken(), "the best one by its number is the same mask"
    run(model, PAIR, Params(mask_index=1 + best % 3), lab)
    assert calls.taken() == {"encode_memory": 2, "track": 1}


def test_more_copies_begin_with_those_there_were(model, calls):
    lab = Lab()
    run(model, PAIR, Params(jitter_copies=2), lab)
    calls.clear()
    run(model, PAIR, Params(jitter_copies=3), lab)
    assert calls.taken() == {"predict_masks": 1, "encode_memory": 1, "track": 1}


def test_the_same_run_twice_is_the_same(model):
    params = Params(repeats=2, point_and_box=True, jitter_copies=2, refine_edges=True)
    first, second = run(model, PAIR, params, Lab()), run(model, PAIR, params, Lab())
    assert all((first.masks[name].pixels == second.masks[name].pixels).all() for name in first.masks)
    assert first.metrics == second.metrics


def test_side_and_fit_reach_both_pictures(model):
    result = run(model, PAIR, Params(side=64, fit="aspect"), Lab())
    assert result.arrays["logits_prompted"].shape[1:] != result.arrays["logits_tracked"].shape[1:]


def test_progress_rises_to_the_end(model):
    seen = []
    lab = Lab(progress=lambda share, line: seen.append((share, line)))
    run(model, PAIR, Params(repeats=2, point_and_box=True, jitter_copies=2), lab)
    shares = [share for share, _ in seen]
    assert shares == sorted(shares) and shares[0] == 0.0 and shares[-1] == 1.0 and all(line for _, line in seen)


def test_what_can_not_be_run_is_a_sentence(model, tmp_path):
    with pytest.raises(BadInput, match="needs two pictures"):
        run(model, Inputs(A, CLICK), Params(), Lab())
    with pytest.raises(PromptError, match="nothing to follow"):
        run(model, Inputs(A, image_b=B), Params(), Lab())
    first_generation = samkit.load_model(save_random_model(tmp_path / "sam1.safetensors", SMALL_SAM1), device="cpu")
    with pytest.raises(BadInput, match="SAM v1 model, which has no memory"):
        run(first_generation, PAIR, Params(), Lab())
    image_side = replace(SMALL_SAM2, memory=None)
    segments_only = samkit.load_model(save_random_model(tmp_path / "image.safetensors", image_side), device="cpu")
    with pytest.raises(BadInput, match="no memory side"):
        run(segments_only, PAIR, Params(), Lab())
    with pytest.raises(ParamsError, match='"repeats" can\'t be 13'):
        build_params(Params, {"repeats": 13})
    with pytest.raises(ParamsError, match='"prompt_on" can\'t be'):
        build_params(Params, {"prompt_on": "c"})


def test_a_pair_track_makes_each_pass_once(model):
    lab = Lab()
    source, target = (lab.encoding(model, picture) for picture in (A, B))
    first, three, two = (follow(model, source, target, CLICK, None, None, count, lab) for count in (1, 3, 2))
    assert three.passes[0] is first.passes[0] and len(three.passes) == 3
    assert two.passes == three.passes[:2] and len(two.bank.frames) == 2
    assert two.bank.sha256 == remembered(three.start, three.passes[:2]).sha256
