"""Clips, a few steps of memory training, and a short whole run that is stopped and taken up again."""

import argparse
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

import training.run
from samkit.models.memory_bank import Memory, MemoryBank
from tests.training.pictures import draw_picture, write_data_folder
from training.clips import ClipSampler, load_sequences
from training.data import list_jobs, open_cache, write_cache
from training.model import NANO_SAM2, build_network, plain_attention
from training.run import Lesson, Run, lessons, run_process, start_run
from training.train import RECIPES, ImageTask
from training.train_memory import RECIPES as MEMORY_RECIPES
from training.train_memory import MemoryTask, collate_clips, follow_clips


@pytest.fixture(autouse=True)
def same_threads_afterwards():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder with a cache, and a checkpoint of an untrained image side."""
    root = write_data_folder(tmp_path_factory.mktemp("memory") / "data", [("coco", "train")] * 4)
    write_cache(list_jobs(root), root / "cache", processes=1)
    for index in range(8):
        _, ids = draw_picture(np.random.default_rng(0))
        rgb = cv2.cvtColor(draw_picture(np.random.default_rng(0))[0], cv2.COLOR_RGB2BGR)
        for kind, image in (("JPEGImages", rgb), ("Annotations", ids.astype(np.uint8))):
            folder = root / "train_video" / kind / "moving"
            folder.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(
                str(folder / f"{index:05d}.{'jpg' if kind == 'JPEGImages' else 'png'}"),
                np.roll(image, 3 * index, axis=1),
            )
    torch.save({"ema": build_network(NANO_SAM2).state_dict()}, root / "image.pt")
    return root


@pytest.mark.parametrize("real_share", [0.0, 1.0], ids=["synthetic", "real"])
def test_clips_show_their_object_on_the_first_frame_and_move(data, real_share):
    sampler = ClipSampler(open_cache(data / "cache"), load_sequences(data / "train_video", 320), 0, real_share)
    clips = [sampler.draw(96, 5) for _ in range(6)]
    for clip in clips:
        assert (
            clip.frames.shape == (5, 96, 96, 3)
            and clip.masks.shape == (5, 96, 96)
            and clip.frames.dtype == clip.masks.dtype == np.float32
        )
        assert clip.frames.min() >= 0 and clip.frames.max() <= 255 and (clip.masks[0] > 0.5).sum() >= 12
    assert np.mean([np.abs(clip.masks[0] - clip.masks[-1]).mean() for clip in clips]) > 0.01


def test_some_clips_lose_their_object(data):
    sampler = ClipSampler(open_cache(data / "cache"), [], 0)
    gone = [(clip.masks.reshape(6, -1).max(axis=1) < 0.5).any() for clip in (sampler.draw(64, 6) for _ in range(40))]
    assert 0.2 < np.mean(gone) < 0.8


def test_left_out_sequences_are_not_loaded(data):
    assert [sequence.name for sequence in load_sequences(data / "train_video", 64)] == ["moving", "walk"]
    assert [sequence.name for sequence in load_sequences(data / "train_video", 64, leave_out=("walk",))] == ["moving"]


@pytest.fixture(scope="module")
def task(data):
    task = MemoryTask(data / "cache", data, (data / "image.pt",))
    task.open([0, 0])
    return task


def test_steps_reduce_the_loss_and_leave_the_encoder_alone(task):
    torch.manual_seed(0)
    run = Run(replace(MEMORY_RECIPES["cpu"], warmup_steps=1), task.build(), task.slow)
    encoder = {name: tensor.clone() for name, tensor in run.network.image_encoder.state_dict().items()}
    clips = collate_clips([task.clips.draw(64, 4) for _ in range(3)], np.random.default_rng(0))
    lesson = Lesson(12, "clips", clips)
    with plain_attention():
        losses = [
            run.update(0.1, 12, lambda: task.learn(run.network, lesson, torch.device("cpu")))[0] for _ in range(12)
        ]
    assert losses[-1] < 0.9 * losses[0]
    assert all(torch.equal(tensor, encoder[name]) for name, tensor in run.network.image_encoder.state_dict().items())


def test_gradients_reach_the_whole_memory_side(task):
    network = task.build()
    clips = collate_clips([task.clips.draw(64, 4) for _ in range(8)], np.random.default_rng(1))
    assert 0 < clips.by_mask.float().mean() < 1
    loss, _, _ = follow_clips(network, clips)
    loss.backward()
    unmoved = {
        name
        for name, parameter in network.memory.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    }
    # Officially unused; the times of frames farther away than the clip is long, and what stands for an absent object,
    # where none was absent.
    assert unmoved <= {"no_mem_pos_enc", "no_obj_ptr", "no_obj_embed_spatial"}


def test_training_looks_at_what_the_bank_would_look_at(task):
    """Slots, order and times of the memories in training are those of `MemoryBank`."""
    frames, seen = 9, []
    network = task.build()
    condition = network.memory.condition
    network.memory.condition = lambda low, maps, slots, pointers, times: (
        seen.append((list(slots), times.clone(), pointers[0].detach().clone()))
        or condition(low, maps, slots, pointers, times)
    )
    with torch.no_grad():
        follow_clips(network, collate_clips([task.clips.draw(64, frames)], np.random.default_rng(0)))
    bank = MemoryBank(max_pointers=min(16, frames))
    bank.add_prompt(Memory(torch.zeros(1, 1, 64), torch.zeros(128), 1.0, ""))
    for slots, times, _ in seen:
        expected = [6 if distance is None else distance - 1 for _, distance in bank.maps()]
        assert sorted(slots) == sorted(expected)
        torch.testing.assert_close(times, torch.tensor([share for _, share in bank.pointers()]))
        bank.add_frame(Memory(torch.zeros(1, 1, 64), torch.zeros(128), 1.0, ""))
    first, last = seen[-2][2], seen[-1][2]
    torch.testing.assert_close(last[0], first[0])
    torch.testing.assert_close(last[2:], first[1:])


SHORT = replace(RECIPES["first"], stages=((0.0, 64, 2),), prompts=2)
LOOK_S = 3600.0


class TickingTime:
    """In place of the module `time` in training/run.py: an hour goes by whenever somebody looks at the clock, so how
    many steps a run takes does not depend on the machine.
    """

    def __init__(self):
        self.now = time.time()

    def time(self) -> float:
        self.now += LOOK_S
        return self.now


class TickingTask(ImageTask):
    """Sets the clock in each process of a run."""

    def build(self):
        training.run.time = TickingTime()
        return super().build()


@pytest.fixture
def clock(monkeypatch):
    ticking = TickingTime()
    monkeypatch.setattr("training.run.time", ticking)
    return ticking


def test_processes_learn_the_same_weights(data, tmp_path):
    arguments = argparse.Namespace(run=tmp_path / "run", minutes=25 * 60, until=None, processes=2, device="cpu")
    start_run(TickingTask(data / "cache"), SHORT, arguments)
    a, b = (torch.load(tmp_path / f"run/checkpoint{rank}.pt", weights_only=True) for rank in (0, 1))
    assert a["step"] == b["step"] == 16 and not list(arguments.run.glob("rendezvous*"))
    assert all(torch.allclose(a["network"][name], b["network"][name], atol=1e-6) for name in a["network"])


def test_a_run_is_stopped_and_taken_up_again(data, tmp_path, clock):
    steps = []
    for part in range(2):
        end = clock.now + 50 * LOOK_S
        run_process(0, 1, ImageTask(data / "cache"), SHORT, tmp_path, end, tmp_path / f"rendezvous{part}")
        steps.append(torch.load(tmp_path / "checkpoint0.pt", weights_only=True)["step"])
    assert steps[1] > steps[0] >= 8
    assert "side 64" in (tmp_path / "log0.txt").read_text()


def test_lessons_drawn_in_other_processes_differ_from_each_other(data):
    drawn = lessons(ImageTask(data / "cache"), SHORT, [7], time.time(), time.time() + 60, workers=2)
    pixels = [next(drawn).content[0].pixels for _ in range(4)]
    assert all(not torch.equal(a, b) for index, a in enumerate(pixels) for b in pixels[:index])


def test_a_run_whose_end_has_passed_takes_no_step(data, tmp_path):
    run_process(0, 1, ImageTask(data / "cache"), SHORT, tmp_path, time.time() - 60, tmp_path / "rendezvous")
    assert torch.load(tmp_path / "checkpoint0.pt", weights_only=True)["step"] == 0


def test_a_run_whose_starter_was_killed_ends_with_a_checkpoint(data, tmp_path, monkeypatch, clock):
    parents = iter([1] * 5)
    monkeypatch.setattr("training.run.os.getppid", lambda: next(parents, 2))
    end = clock.now + 200 * LOOK_S
    run_process(0, 1, ImageTask(data / "cache"), SHORT, tmp_path, end, tmp_path / "rendezvous")
    assert clock.now < end - 60 * LOOK_S and torch.load(tmp_path / "checkpoint0.pt", weights_only=True)["step"] == 8


def test_checkpoints_are_written_where_all_processes_have_the_same_step(data, tmp_path, monkeypatch, clock):
    saved = []
    monkeypatch.setattr("training.run.CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(Run, "save", lambda run, path: saved.append(run.step))
    end = clock.now + 70 * LOOK_S
    run_process(0, 1, ImageTask(data / "cache"), SHORT, tmp_path, end, tmp_path / "rendezvous")
    assert len(saved) > 2 and all(step % 8 == 0 for step in saved)
