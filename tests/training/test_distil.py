"""The student's features come closer to the teacher's, and it takes over the decoder."""

from dataclasses import replace

import pytest
import torch

from tests.training.pictures import write_data_folder
from training.data import list_jobs, write_cache
from training.distil import RECIPE, DistilTask, feature_loss
from training.model import NANO_SAM2, build_network, plain_attention
from training.run import Run


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    root = write_data_folder(tmp_path_factory.mktemp("distil") / "data", [("coco", "train")] * 4)
    write_cache(list_jobs(root), root / "cache", processes=1)
    torch.save({"ema": build_network(NANO_SAM2, seed=3).state_dict()}, root / "teacher.pt")
    task = DistilTask(root / "cache", root / "teacher.pt")
    task.open([0])
    return task


def test_the_decoder_is_the_teachers(task):
    student, teacher = task.build().state_dict(), build_network(NANO_SAM2, seed=3).state_dict()
    shared = [name for name in student if name.startswith(("mask_decoder.", "prompt_encoder."))]
    assert shared and all(torch.equal(student[name], teacher[name]) for name in shared)


def test_steps_bring_the_features_closer_and_leave_the_decoder_alone(task):
    run = Run(replace(RECIPE, warmup_steps=1, stages=((0.0, 64, 4),)), task.build(), task.slow)
    decoder = {name: tensor.clone() for name, tensor in run.network.mask_decoder.state_dict().items()}
    with plain_attention():
        lesson = task.draw(run.recipe, 0.1, 0)
        losses = [
            run.update(0.1, lesson.pictures, lambda: task.learn(run.network, lesson, torch.device("cpu")))[0]
            for _ in range(12)
        ]
    assert losses[-1] < 0.8 * losses[0]
    assert all(torch.equal(tensor, decoder[name]) for name, tensor in run.network.mask_decoder.state_dict().items())


def test_equal_features_cost_nothing():
    features = torch.randn(2, 3, 3, 8)
    assert (
        feature_loss(features, features).item() == pytest.approx(0, abs=1e-6) and feature_loss(-features, features) > 1
    )
