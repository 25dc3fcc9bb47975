"""By which rules frames are remembered and looked at: which of them, by what time, and how a mask goes into memory."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import samkit
from samkit.models.memory_bank import Memory, MemoryBank
from samkit.models.memory_rules import (
    RULES,
    SAM2_RULES,
    SAM3_EVERY_FRAME,
    SAM3_RULES,
    TRANSFORMERS_RULES,
    MemoryRules,
)
from tests.random_models import SMALL_SAM2, save_random_model


def memory(value: float, score: float = 10.0, iou: float | None = 0.9, rules: MemoryRules = SAM3_RULES) -> Memory:
    return Memory(
        torch.full((2, 3, 4), value, dtype=torch.bfloat16), torch.full((8,), float(value)), score, "x", iou, rules
    )


def maps(bank: MemoryBank) -> list[tuple[float, int | None]]:
    return [(float(features[0, 0, 0]), time) for features, time in bank.maps()]


def pointers(bank: MemoryBank) -> list[tuple[float, int]]:
    return [(float(pointer[0]), round(share * (bank.max_pointers - 1))) for pointer, share in bank.pointers()]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    return samkit.load_model(save_random_model(path, SMALL_SAM2), device="cpu")


def test_a_bank_follows_the_rules_of_its_first_memory_unless_it_has_its_own():
    bank, own = MemoryBank(), MemoryBank(rules=SAM2_RULES)
    assert bank.rules == SAM2_RULES
    for each in (bank, own):
        each.add_prompt(memory(0))
    assert bank.rules == bank.copy().rules == SAM3_RULES and own.rules == own.copy().rules == SAM2_RULES


def test_frames_that_are_not_sure_are_passed_over_and_the_others_count_by_rank():
    bank = MemoryBank(max_frames=3, max_pointers=5)
    bank.add_prompt(memory(0))
    for value, score, iou in ((1, 8, 0.9), (2, -3, 0.9), (3, 8, 0.9), (4, 8, 0.001), (5, 0.01, 0.5)):
        bank.add_frame(memory(value, score, iou))
    # The one just before counts whatever it is.
    assert maps(bank) == [(0, None), (1, 3), (3, 2), (5, 1)]
    assert pointers(bank) == [(0, 6), (5, 1), (3, 2), (1, 3)]
    bank.skip_frame()
    assert maps(bank) == [(0, None), (1, 2), (3, 1)]
    every = MemoryBank(max_frames=3, rules=SAM3_EVERY_FRAME)
    for _, each in bank.frames:
        every.add_frame(each)
    assert [time for _, time in maps(every)] == [len(bank.frames) - place for place in range(len(bank.frames))]


def test_frames_that_are_sure_are_remembered_however_long_ago_they_were():
    bank = MemoryBank(max_frames=2, max_pointers=4)
    bank.add_prompt(memory(0))
    for value in range(1, 5):
        bank.add_frame(memory(value))
    for value in range(5, 60):
        bank.add_frame(memory(value, score=-1))
    assert maps(bank) == [(0, None), (4, 2), (59, 1)]
    assert pointers(bank)[1:] == [(59, 1), (4, 2), (3, 3)]
    assert len(bank.frames) <= 4, "what nothing will look at is forgotten"
    bank.add_frame(memory(60))
    assert maps(bank) == [(0, None), (4, 2), (60, 1)]


def test_a_frame_without_a_predicted_iou_counts_by_its_object_score():
    assert memory(0, 10.0, None).quality == pytest.approx(1, abs=1e-3)
    assert memory(0, 1.0, 0.5).quality == pytest.approx(0.5 * (2 / (1 + np.exp(-1)) - 1))
    assert memory(0, -1.0, 0.9).quality == 0


def test_the_nearest_prompts_are_looked_at_and_the_others_count_as_frames():
    bank = MemoryBank(rules=SAM3_EVERY_FRAME)
    for frame in (0, 2, 4, 6, 8, 20):
        bank.add_prompt(memory(frame), frame=frame)
    bank.frame = 9
    # The nearest before (8), the nearest ahead (20), then by distance; 2 is eight frames back and so out of reach.
    assert maps(bank) == [(4, None), (6, None), (8, None), (20, None)]
    assert [value for value, _ in pointers(bank)] == [0, 2, 4, 6, 8]
    near = MemoryBank(rules=SAM3_EVERY_FRAME)
    for frame in range(5):
        near.add_prompt(memory(frame), frame=frame)
    near.frame = 4
    assert maps(near) == [(1, None), (2, None), (3, None), (4, None), (0, 5)]


def test_of_many_priors_the_last_ones_are_looked_at_and_a_correction_always():
    bank = MemoryBank(rules=SAM3_RULES)
    for value in range(1, 7):
        bank.add_prompt(memory(value), prior=True)
    assert [value for value, _ in maps(bank)] == [3, 4, 5, 6]
    bank.add_prompt(memory(9), frame=0)
    assert [value for value, _ in maps(bank)] == [4, 5, 6, 9]
    assert len(pointers(bank)) == 7


def test_rules_and_predicted_ious_are_saved(tmp_path):
    bank = MemoryBank()
    bank.add_prompt(memory(0))
    for value, iou in ((1, 0.9), (2, 0.001), (3, 0.8)):
        bank.add_frame(memory(value, iou=iou))
    bank.save(tmp_path / "bank.safetensors")
    loaded = MemoryBank.load(tmp_path / "bank.safetensors")
    assert loaded.rules == SAM3_RULES and loaded.sha256 == bank.sha256
    assert maps(loaded) == maps(bank) == [(0, None), (1, 2), (3, 1)]
    assert [each.iou for _, each in loaded.frames] == [0.9, 0.8]


def test_what_follows_sam_2s_rules_is_saved_as_it_always_was():
    bank = MemoryBank()
    bank.add_prompt(memory(0, rules=SAM2_RULES))
    record, _ = bank._contents()
    assert set(record) == {"version", "frame", "max_frames", "max_pointers", "entries"}
    assert set(record["entries"][0]) == {"kind", "frame", "object_score", "model_sha256"}


@pytest.mark.parametrize("rules", RULES.values(), ids=list(RULES))
def test_rules_are_json(rules):
    assert MemoryRules.from_json(rules.to_json()) == rules
    assert MemoryRules.from_json(rules.to_json() | {"unknown": 1}) == rules


def test_where_the_input_is_16_times_the_grid_the_ways_of_a_mask_are_one(model):
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (90, 130, 3), dtype=np.uint8)
    encoding = model.encode_image(rgb)
    prediction = model.predict_masks(encoding, samkit.Prompts(points=[(0.5, 0.5, 1)]))
    mask = np.zeros(rgb.shape[:2], bool)
    mask[20:70, 30:90] = True
    uncut = [replace(rules, cut_prompted=False) for rules in RULES.values()]
    predicted = [model.encode_memory(encoding, prediction, rules=rules).features for rules in uncut]
    assert all(torch.equal(predicted[0], each) for each in predicted[1:])
    given = [model.encode_memory(encoding, mask, rules=replace(SAM2_RULES, mask_way=way)) for way in ("sam2", "sam3")]
    torch.testing.assert_close(given[0].features.float(), given[1].features.float(), rtol=0, atol=1e-2)


def test_a_prompted_frames_mask_is_cut_where_the_rules_say_so(model):
    rgb = np.random.default_rng(1).integers(0, 256, (90, 130, 3), dtype=np.uint8)
    encoding = model.encode_image(rgb)
    prediction = model.predict_masks(encoding, samkit.Prompts(points=[(0.5, 0.5, 1)]))
    prediction = replace(prediction, object_score=1.0)
    tracked = replace(prediction, prompted=False)
    soft, hard = (model.encode_memory(encoding, prediction, rules=each) for each in (SAM2_RULES, TRANSFORMERS_RULES))
    assert not torch.equal(soft.features, hard.features) and torch.equal(soft.pointer, hard.pointer)
    followed = model.encode_memory(encoding, tracked, rules=TRANSFORMERS_RULES)
    assert torch.equal(followed.features, soft.features)
    assert hard.iou == pytest.approx(float(prediction.iou[prediction.best])) and hard.rules == TRANSFORMERS_RULES
