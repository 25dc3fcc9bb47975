"""Train the image side of a nano model, from nothing or from an earlier run's weights.

python -m training.train CACHE RUN --minutes 77                                          # or --until 14:25
python -m training.train CACHE RUN2 --minutes 70 --recipe longer --start RUN/checkpoint0.pt
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from samkit.models.network import SamNetwork
from samkit.models.prompt_encoder import PADDING
from training.augment import Sample, Sampler
from training.data import open_cache
from training.losses import total_loss
from training.model import CONFIGS, build_network, normalise, repeat_features
from training.prompts import add_corrections
from training.run import Lesson, Recipe, add_run_arguments, start_run

RECIPES = {
    "first": Recipe(),
    "longer": Recipe(
        stages=((0.0, 192, 8), (0.3, 256, 5)),
        learning_rate=6e-4,
        single_round_until=0.0,
        rounds=(0.35, 0.35, 0.2, 0.1),
        other_sides=(0.25, (224, 288, 320, 384)),
    ),
    "gpu": Recipe(
        stages=((0.0, 128, 160), (0.2, 192, 96), (0.45, 256, 64)),
        prompts=8,
        learning_rate=1.5e-3,
        single_round_until=0.05,
        rounds=(0.3, 0.3, 0.2, 0.1, 0.1),
        other_sides=(0.2, (224, 288, 320, 384)),
    ),
}
"""By name: "first" from nothing, "longer" from weights that know what a prompt is, "gpu" for one large GPU, from either."""


@dataclass(frozen=True)
class Batch:
    """pixels [B, 3, S, S] normalised; targets [B * P, S / 4, S / 4] soft; positions [B * P, 2, 2] and labels [B * P, 2]."""

    pixels: Tensor
    targets: Tensor
    positions: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> "Batch":
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in (self.pixels, self.targets, self.positions, self.labels)))


def collate(samples: list[Sample]) -> Batch:
    masks = torch.from_numpy(np.concatenate([sample.masks for sample in samples])).float()
    side = masks.shape[-1]
    return Batch(
        pixels=normalise(torch.from_numpy(np.stack([sample.image for sample in samples]))),
        targets=F.interpolate(masks[:, None], (side // 4, side // 4), mode="area")[:, 0],
        positions=torch.from_numpy(np.concatenate([sample.positions for sample in samples])),
        labels=torch.from_numpy(np.concatenate([sample.labels for sample in samples])),
    )


def accumulate_gradients(network: SamNetwork, batch: Batch, rounds: int) -> tuple[float, float, float]:
    """Encode once, decode `rounds` times with one more click each time, and leave the mean loss's gradients in the parameters.

    The gradients of the features are gathered over the rounds and go back through the encoder once.
    Returns the first round's loss, mean IoU of the single mask, and mean of the best multimask's IoU.
    """
    device = batch.pixels.device
    padding = torch.zeros(len(batch.positions), 1, 2, device=device), torch.full((len(batch.labels), 1), PADDING, device=device)
    positions, labels, hint, first = batch.positions, batch.labels, None, None
    with torch.autocast(device.type, torch.bfloat16):
        features, _ = network.encode(batch.pixels)
        leaves = [level.detach().requires_grad_() for level in features]
        for index in range(rounds):
            repeated = repeat_features(leaves, len(positions) // len(batch.pixels))
            decoded = network.decode(repeated, torch.cat([positions, padding[0]], 1), torch.cat([labels, padding[1]], 1), hint)
            loss, iou = total_loss(decoded, batch.targets)
            (loss / rounds).backward()
            first = first or (loss.item(), iou[:, 0].mean().item(), iou[:, 1:].max(1).values.mean().item())
            if index + 1 < rounds:
                positions, labels, hint = add_corrections(positions, labels, decoded.logits.detach(), decoded.iou.detach(), batch.targets)
    learning = [(level, leaf.grad) for level, leaf in zip(features, leaves, strict=True) if level.requires_grad]
    torch.autograd.backward(*zip(*learning, strict=True))
    return first


@dataclass
class ImageTask:
    """Pictures of the cache, prompted by clicks and boxes. first: checkpoint of another run, to begin with its averaged weights."""

    cache_folder: Path
    model: str = "nano-sam2"
    first: Path | None = None
    figures = ("loss", "IoU of the single mask", "IoU of the best of three")
    slow = ()

    def build(self) -> SamNetwork:
        network = build_network(CONFIGS[self.model])
        if self.first is not None:
            network.load_state_dict(torch.load(self.first, weights_only=True)["ema"], strict=False)
        return network

    def open(self, seed: list[int]) -> None:
        self.sampler = Sampler(open_cache(self.cache_folder), seed)
        self.rng = np.random.default_rng(seed)

    def draw(self, recipe: Recipe, elapsed: float, step: int) -> Lesson:
        side, count = recipe.stage(elapsed, step)
        batch = collate([self.sampler.draw(side, recipe.prompts) for _ in range(count)])
        return Lesson(count, f"side {side}", (batch, recipe.count_rounds(elapsed, self.rng)))

    def learn(self, network: SamNetwork, lesson: Lesson, device: torch.device) -> tuple[float, ...]:
        batch, rounds = lesson.content
        return accumulate_gradients(network, batch.to(device), rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the image side of a nano model until a given time.")
    parser.add_argument("cache", type=Path, help="folder that `python -m training.data` wrote")
    add_run_arguments(parser)
    parser.add_argument("--model", choices=CONFIGS, default="nano-sam2")
    parser.add_argument("--recipe", choices=RECIPES, default="first")
    parser.add_argument("--start", type=Path, metavar="CHECKPOINT", help="begin with the averaged weights of this checkpoint of another run")
    arguments = parser.parse_args()
    start_run(ImageTask(arguments.cache, arguments.model, arguments.start), RECIPES[arguments.recipe], arguments)


if __name__ == "__main__":
    main()
