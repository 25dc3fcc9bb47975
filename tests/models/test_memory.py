"""The memory bank's clock, limits and file; remembering and following with a small random model; what is refused, and
how.
"""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import samkit
from samkit.errors import BadInput, CheckpointError
from samkit.models.files.checkpoint import read_checkpoint
from samkit.models.memory_bank import Memory, MemoryBank
from samkit.models.network import linear, memory_attention
from tests.random_models import SMALL_SAM1, SMALL_SAM2, random_state, save_random_model

POINT = samkit.Prompts(points=[(0.5, 0.5, 1)])


def memory(value: float = 1.0, model: str = "model", score: float = 1.0) -> Memory:
    return Memory(torch.full((2, 3, 4), value, dtype=torch.bfloat16), torch.full((8,), float(value)), score, model)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return samkit.load_model(
        save_random_model(tmp_path_factory.mktemp("models") / "small.safetensors", SMALL_SAM2), device="cpu"
    )


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (90, 130, 3), dtype=np.uint8) for _ in range(4)]


def prompted(model, rgb, **limits) -> MemoryBank:
    bank = MemoryBank(**limits)
    encoding = model.encode_image(rgb)
    bank.add_prompt(model.encode_memory(encoding, model.predict_masks(encoding, POINT)))
    return bank


def test_frames_roll_and_prompts_stay():
    bank = MemoryBank(max_frames=3, max_pointers=5)
    bank.add_prompt(memory(0))
    for value in range(1, 10):
        bank.add_frame(memory(value))
    assert bank.frame == 9
    assert [(float(features[0, 0, 0]), distance) for features, distance in bank.maps()] == [
        (0, None),
        (7, 3),
        (8, 2),
        (9, 1),
    ]
    # Four frames and the prompt; times are shares of four.
    assert [(float(pointer[0]), share) for pointer, share in bank.pointers()] == [
        (0, 10 / 4),
        (9, 0.25),
        (8, 0.5),
        (7, 0.75),
        (6, 1.0),
    ]
    assert [frame for frame, _ in bank.frames] == [6, 7, 8, 9] and bank.frames[0][1].features is None


def test_skipped_frames_leave_a_gap():
    bank = MemoryBank()
    bank.add_prompt(memory(0))
    bank.add_frame(memory(1))
    bank.skip_frame()
    assert bank.frame == 2 and [distance for _, distance in bank.maps()] == [None, 2]
    for _ in range(5):
        bank.skip_frame()
    assert [distance for _, distance in bank.maps()] == [None]


def test_a_prompt_replaces_what_was_predicted_on_its_frame():
    bank = MemoryBank()
    bank.add_prompt(memory(0))
    bank.add_frame(memory(1))
    bank.add_prompt(memory(5))
    assert bank.frames == () and [prompt.frame for prompt in bank.prompts] == [0, 1]


def test_priors_have_no_frame_and_do_not_age():
    bank = MemoryBank()
    bank.add_prompt(memory(3), prior=True)
    for _ in range(40):
        bank.skip_frame()
    assert bank.prompts[0].prior and bank.pointers()[0][1] == pytest.approx(1 / 15)


def test_prompts_ahead_lend_their_map_but_no_pointer():
    bank = MemoryBank()
    bank.add_prompt(memory(0))
    bank.add_prompt(memory(1), frame=3)
    assert len(bank.maps()) == 2 and len(bank.pointers()) == 1
    for _ in range(2):
        bank.skip_frame()
    assert [share for _, share in bank.pointers()] == [3 / 15, 0.0]


def test_a_memory_that_is_there_twice_is_saved_twice(tmp_path):
    bank, twice = MemoryBank(), memory(3)
    for _ in range(2):
        bank.add_prompt(twice, prior=True)
    bank.save(tmp_path / "twice.safetensors")
    loaded = MemoryBank.load(tmp_path / "twice.safetensors")
    assert loaded.sha256 == bank.sha256 and len(loaded.prompts) == 2


def test_limits_of_zero_forget_everything_but_prompts():
    bank = MemoryBank(max_frames=0, max_pointers=0)
    bank.add_prompt(memory(0))
    bank.add_frame(memory(1))
    assert len(bank.maps()) == 1 and bank.pointers() == [] and bank.frames == ()


def test_reset_and_copy():
    bank = MemoryBank()
    bank.add_prompt(memory(0))
    bank.add_prompt(memory(1))
    bank.add_frame(memory(2))
    other = bank.copy()
    bank.reset_frames()
    assert len(bank) == 2 and len(other) == 3


def test_saved_and_loaded_it_is_the_same(tmp_path):
    bank = MemoryBank(max_frames=2, max_pointers=4)
    bank.add_prompt(memory(0.5), prior=True)
    bank.add_prompt(memory(1.5))
    for value in range(5):
        bank.add_frame(memory(value, score=-value))
    bank.save(tmp_path / "bank.safetensors")
    loaded = MemoryBank.load(tmp_path / "bank.safetensors")
    assert loaded.sha256 == bank.sha256 and loaded.frame == 5 and len(loaded) == len(bank)
    for (a, p), (b, q) in zip(bank.maps(), loaded.maps(), strict=True):
        assert torch.equal(a, b) and p == q
    assert [share for _, share in loaded.pointers()] == [share for _, share in bank.pointers()]
    assert [kept.object_score for _, kept in loaded.frames] == [kept.object_score for _, kept in bank.frames]


def test_the_hash_tells_banks_apart():
    hashes = set()
    for value, prior, score in ((0, False, 1.0), (1, False, 1.0), (0, True, 1.0), (0, False, -1.0)):
        bank = MemoryBank()
        bank.add_prompt(memory(value, score=score), prior=prior)
        hashes.add(bank.sha256)
    assert len(hashes) == 4


def test_an_empty_bank_is_saved_too(tmp_path):
    MemoryBank().save(tmp_path / "empty.safetensors")
    assert len(MemoryBank.load(tmp_path / "empty.safetensors")) == 0


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text").write_text("no bank")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    save_file(
        {"a": torch.zeros(1)},
        tmp_path / "cut.safetensors",
        metadata={"samkit-memory-bank": '{"version": 1, "frame": 0}'},
    )
    for name, words in (
        ("text", "can't be read"),
        ("missing", "can't be read"),
        ("other.safetensors", "not a memory bank"),
        ("cut.safetensors", "damaged"),
    ):
        with pytest.raises(BadInput, match=words):
            MemoryBank.load(tmp_path / name)
    with pytest.raises(BadInput, match="can't be written"):
        MemoryBank().save(tmp_path / "no" / "folder")


RECORD = {"version": 1, "frame": 2, "max_frames": 6, "max_pointers": 16}
ENTRY = {"kind": "prompt", "frame": None, "object_score": 1.0, "model_sha256": "model"}
MAP, POINTER = torch.ones(2, 3, 4), torch.ones(8)


@pytest.mark.parametrize(
    ("record", "entry", "features", "pointer"),
    [
        ({"frame": -1}, {}, MAP, POINTER),
        ({"max_frames": 10**12}, {}, MAP, POINTER),
        ({"max_pointers": 1e999}, {}, MAP, POINTER),
        ({"max_frames": True}, {}, MAP, POINTER),
        ({"entries": {}}, {}, MAP, POINTER),
        ({"entries": [ENTRY] * 2}, {}, MAP, POINTER),
        ({"version": "1"}, {}, MAP, POINTER),
        ({"rules": {"name": "x", "mask_way": "other"}}, {}, MAP, POINTER),
        ({"rules": {"name": "x", "nearest_prompts": -1}}, {}, MAP, POINTER),
        ({}, {"frame": "2"}, MAP, POINTER),
        ({}, {"object_score": float("nan")}, MAP, POINTER),
        ({}, {"model_sha256": "x" * 10**5}, MAP, POINTER),
        ({}, {"kind": "other"}, MAP, POINTER),
        # A frame of the future would take another one's place in the table of times.
        ({}, {"kind": "frame", "frame": 9}, MAP, POINTER),
        ({}, {}, MAP * float("nan"), POINTER),
        ({}, {}, MAP, POINTER / 0),
        ({}, {}, MAP.int(), POINTER),
        ({}, {}, torch.ones(0, 3, 4), POINTER),
        ({}, {}, torch.ones(4), POINTER),
        ({}, {}, MAP, MAP + 1),
    ],
    ids=range(20),
)
def test_a_file_that_lies_is_refused(tmp_path, record, entry, features, pointer):
    content = RECORD | {"entries": [ENTRY | entry]} | record
    save_file(
        {"0.features": features, "0.pointer": pointer},
        tmp_path / "bank",
        metadata={"samkit-memory-bank": json.dumps(content)},
    )
    with pytest.raises(BadInput, match="damaged") as refused:
        MemoryBank.load(tmp_path / "bank")
    assert len(str(refused.value)) < 600


def test_a_bank_is_read_once_and_only_from_a_file(tmp_path):
    bank = MemoryBank()
    bank.add_prompt(memory())
    path = tmp_path / "bank"
    bank.save(path)
    loaded = MemoryBank.load(path)
    os.truncate(path, 0)
    assert loaded.sha256 == bank.sha256 and float(loaded.maps()[0][0].sum()) == 24
    os.mkfifo(tmp_path / "pipe")
    for place in (path, tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(BadInput, match="can't be read"):
            MemoryBank.load(place)


def test_memories_of_other_widths_under_this_models_name(model, frames):
    bank = MemoryBank()
    bank.add_prompt(memory(model=model.info.sha256))
    with pytest.raises(BadInput, match="widths"):
        model.track(model.encode_image(frames[0]), bank)


def test_memories_of_two_models_do_not_mix(model, frames):
    bank = MemoryBank()
    bank.add_prompt(memory())
    with pytest.raises(BadInput, match="another model"):
        bank.add_frame(memory(model="other"))
    with pytest.raises(BadInput, match="another model"):
        model.track(model.encode_image(frames[0]), bank)


def test_following_needs_a_prompt(model, frames):
    with pytest.raises(BadInput, match="remember a prompt first"):
        model.track(model.encode_image(frames[0]), MemoryBank())


def test_a_bank_with_more_frames_than_the_model_has_times_for_is_refused(model, frames):
    bank = prompted(model, frames[0], max_frames=9)
    encoding = model.encode_image(frames[1])
    for _ in range(7):
        bank.add_frame(model.encode_memory(encoding, np.ones((90, 130), bool)))
    with pytest.raises(BadInput, match="set max_frames to 6"):
        model.track(encoding, bank)


def test_masks_that_do_not_fit_are_refused(model, frames):
    encoding = model.encode_image(frames[0])
    prediction = model.predict_masks(encoding, POINT)
    with pytest.raises(BadInput, match="must be the same"):
        model.encode_memory(encoding, np.ones((10, 10), bool))
    with pytest.raises(BadInput, match="bool array"):
        model.encode_memory(encoding, np.ones((90, 130), np.uint8))
    with pytest.raises(BadInput, match="no mask 7"):
        model.encode_memory(encoding, prediction, 7)
    with pytest.raises(BadInput, match="another encoding"):
        model.encode_memory(model.encode_image(frames[0], side=64), prediction, 0)


def test_sam1_has_no_memory(tmp_path, frames):
    model = samkit.load_model(save_random_model(tmp_path / "one.safetensors", SMALL_SAM1), device="cpu")
    encoding = model.encode_image(frames[0])
    with pytest.raises(BadInput, match="choose a SAM v2"):
        model.encode_memory(encoding, np.ones((90, 130), bool))


def test_a_file_of_the_image_side_alone_segments_but_does_not_follow(tmp_path, frames):
    model = samkit.load_model(
        save_random_model(tmp_path / "image.safetensors", replace(SMALL_SAM2, memory=None)), device="cpu"
    )
    encoding = model.encode_image(frames[0])
    assert model.predict_masks(encoding, POINT).logits.shape[0] == 4
    with pytest.raises(BadInput, match="no memory side"):
        model.track(encoding, MemoryBank())


def test_a_memory_side_that_was_cut_is_refused(tmp_path):
    state = random_state(SMALL_SAM2)
    del state["memory_encoder.out_proj.weight"]
    torch.save(state, tmp_path / "cut.pt")
    with pytest.raises(CheckpointError, match=r"memory_encoder\.out_proj\.weight"):
        samkit.load_model(tmp_path / "cut.pt")


def test_tracking_leaves_the_bank_alone_and_repeats_itself(model, frames):
    bank = prompted(model, frames[0])
    before = bank.sha256
    encoding = model.encode_image(frames[1])
    first, second = model.track(encoding, bank), model.track(encoding, bank)
    assert bank.sha256 == before and torch.equal(first.logits, second.logits)


def test_objects_followed_together_are_what_each_is_alone(model, frames):
    banks = {"a": prompted(model, frames[0]), "b": prompted(model, frames[1])}
    alone = {
        name: [step.prediction.logits for step in model.track_video(frames[1:], bank.copy())]
        for name, bank in banks.items()
    }
    for step in model.track_video(frames[1:], banks):
        for name, prediction in step.predictions.items():
            assert torch.equal(prediction.logits, alone[name][step.index])


def test_each_frame_is_encoded_once_for_all_objects(model, frames, monkeypatch):
    calls = []
    encode = type(model).encode_image
    monkeypatch.setattr(
        type(model), "encode_image", lambda self, *rgb, **options: calls.append(1) or encode(self, *rgb, **options)
    )
    banks = {str(index): prompted(model, frames[0]) for index in range(3)}
    calls.clear()
    list(model.track_video(frames[1:], banks))
    assert len(calls) == len(frames) - 1


def test_absent_objects_are_hidden_and_can_be_left_unremembered(model, frames, tmp_path):
    state = random_state(SMALL_SAM2)
    state["sam_mask_decoder.pred_obj_score_head.layers.2.bias"] -= 1000
    path = save_random_model(tmp_path / "absent.safetensors", SMALL_SAM2)
    save_file(state, path, metadata={"samkit": json.dumps(read_checkpoint(path).metadata)})
    blind = samkit.load_model(path, device="cpu")
    bank = MemoryBank()
    bank.add_prompt(blind.encode_memory(blind.encode_image(frames[0]), np.ones((90, 130), bool)))
    (step, *_) = list(blind.track_video(frames[1:], bank, skip_absent=True))
    assert (
        step.prediction.object_score < 0
        and (step.prediction.logits == -1024).all()
        and not step.prediction.mask(1).any()
    )
    assert step.prediction.decoded_logits.std() > 0
    assert bank.frame == 3 and bank.frames == ()


def test_remembering_nothing_keeps_the_bank_to_its_prompts(model, frames):
    bank = prompted(model, frames[0])
    list(model.track_video(frames[1:], bank, remember=False))
    assert len(bank) == 1 and bank.frame == 3


@pytest.mark.parametrize("fit, side", [("aspect", 128), ("native", 64)])
def test_memories_of_another_resolution_can_be_looked_at(model, frames, fit, side):
    bank = prompted(model, frames[0])
    prediction = model.track(model.encode_image(frames[1], side=side, fit=fit), bank)
    assert prediction.logits.isfinite().all() and prediction.mask(1).shape == (90, 130)


def test_clicks_correct_a_tracked_frame(model, frames):
    bank = prompted(model, frames[0])
    encoding = model.encode_image(frames[1])
    plain = model.track(encoding, bank)
    corrected = model.track(encoding, bank, POINT, plain.logits[plain.best].clamp(-32, 32))
    assert not torch.equal(plain.decoded_logits, corrected.decoded_logits)


def test_the_bank_stays_small_in_a_long_film(model, frames):
    bank, sizes = prompted(model, frames[0]), []
    for _ in model.track_video((frames[index % 4] for index in range(60)), bank):
        sizes.append(
            sum(kept.pointer.nbytes + (0 if kept.features is None else kept.features.nbytes) for _, kept in bank.frames)
        )
    assert sizes[20] == sizes[-1] == max(sizes)


def test_packed_and_plain_attention_agree(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    q, k, values = (
        torch.randn(*shape, generator=generator) for shape in ((1, 2, 300, 16), (1, 2, 500, 16), (1, 500, 24))
    )
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, values[:, None].expand(-1, 2, -1, -1))
    with torch.no_grad():
        plain = memory_attention.average(q, k, values)
        monkeypatch.setattr(linear, "WORTH_PACKING", 0)
        monkeypatch.setattr(memory_attention, "SCORES_HELD", 500 * 7)
        packed = memory_attention.average(q, k, values)
    torch.testing.assert_close(plain, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(packed, expected, atol=1e-5, rtol=1e-5)
