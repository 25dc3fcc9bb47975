"""Teach nano-sam1's encoder the features of nano-sam2, then its decoder starts from nano-sam2's: prompts are understood
from the first step on.

    python -m training.distil CACHE RUN --teacher IMAGE_RUN/checkpoint0.pt --minutes 30
    python -m training.train CACHE RUN2 --model nano-sam1 --recipe longer --start RUN/checkpoint0.pt --minutes 60

Features are dense: every token of every picture is a lesson, without a decoder and without prompts, so the encoder
learns much faster than from masks alone.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from samkit.models.sam_network import SamNetwork
from training.augment import Sampler
from training.data import open_cache
from training.model import NANO_SAM1, NANO_SAM2, begin_with, build_network, earlier_weights, normalise
from training.run import Lesson, Recipe, add_run_arguments, start_run

RECIPE = Recipe(stages=((0.0, 192, 12), (0.35, 256, 7), (0.7, 320, 4)), learning_rate=1.2e-3, single_round_until=0.0)
COSINE_WEIGHT = 1.0


def feature_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Smooth L1 in units of the teacher's spread, and the cosine distance of each token. student, teacher: [B, h, w, C]
    -> scalar.
    """
    spread = teacher.std().clamp(min=1e-6)
    direction = 1 - F.cosine_similarity(student, teacher, dim=-1).mean()
    return F.smooth_l1_loss(student / spread, teacher / spread) + COSINE_WEIGHT * direction


def transplant_decoder(student: SamNetwork, teacher_state: dict[str, Tensor]) -> None:
    """Give the student all weights of the teacher's prompt encoder and mask decoder that it has a place for."""
    own = student.state_dict()
    shared = {
        name: tensor
        for name, tensor in teacher_state.items()
        if not name.startswith("image_encoder.") and name in own and own[name].shape == tensor.shape
    }
    student.load_state_dict({**own, **shared})


@dataclass
class DistilTask:
    """Pictures of the cache through both encoders at the same side. teacher: checkpoint of a nano-sam2 run."""

    cache_folder: Path
    teacher: Path
    _taught: SamNetwork | None = None
    figures = ("loss", "cosine similarity")
    slow = ()

    def build(self) -> SamNetwork:
        student = build_network(NANO_SAM1)
        transplant_decoder(student, earlier_weights(self.teacher))
        for part in (student.prompt_encoder, student.mask_decoder):
            part.requires_grad_(False)
        return student

    def open(self, seed: list[int]) -> None:
        self.sampler = Sampler(open_cache(self.cache_folder), seed)

    def draw(self, recipe: Recipe, elapsed: float, step: int) -> Lesson:
        side, count = recipe.stage(elapsed, step)
        pixels = normalise(torch.from_numpy(np.stack([self.sampler.draw(side, 1).image for _ in range(count)])))
        return Lesson(count, f"side {side}", pixels)

    def learn(self, network: SamNetwork, lesson: Lesson, device: torch.device) -> tuple[float, float]:
        pixels, teacher = lesson.content.to(device), self._teacher(device)
        with torch.autocast(device.type, torch.bfloat16):
            with torch.no_grad():
                target = (teacher.encode(pixels)[0][0] + teacher.no_mem_embed[None]).float()
            features = network.encode(pixels)[0][0].float()
        loss = feature_loss(features, target)
        loss.backward()
        return loss.item(), F.cosine_similarity(features, target, dim=-1).mean().item()

    def _teacher(self, device: torch.device) -> SamNetwork:
        if self._taught is None:
            self._taught = build_network(NANO_SAM2)
            begin_with(self._taught, self.teacher)
            self._taught.eval().requires_grad_(False).to(device)
        return self._taught


def main() -> None:
    parser = argparse.ArgumentParser(description="Teach nano-sam1's encoder the features of nano-sam2.")
    parser.add_argument("cache", type=Path, help="folder that `python -m training.data` wrote")
    add_run_arguments(parser)
    parser.add_argument("--teacher", type=Path, required=True, metavar="CHECKPOINT", help="of nano-sam2")
    arguments = parser.parse_args()
    start_run(DistilTask(arguments.cache, arguments.teacher), RECIPE, arguments)


if __name__ == "__main__":
    main()
