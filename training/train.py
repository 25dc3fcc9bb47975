"""Train the image side of a nano model, from nothing or from an earlier run's weights.

python -m training.train CACHE RUN --minutes 77          # or --until 14:25
python -m training.train CACHE RUN2 --minutes 70 --recipe longer --start RUN/checkpoint0.pt
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from samkit.models.sam_network import SamNetwork
from training.augment import Sample, Sampler
from training.data import open_cache
from training.losses import total_loss
from training.model import CONFIGS, begin_with, build_network, normalise, repeat_features
from training.prompts import WIDE_BOX_SHARE, add_corrections, count_clicks, laid_out
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
    "last": Recipe(
        stages=((0.0, 256, 5), (0.4, 320, 3)),
        learning_rate=4e-4,
        single_round_until=0.0,
        rounds=(0.35, 0.35, 0.2, 0.1),
        other_sides=(0.25, (224, 256, 384, 448)),
    ),
    "onward": Recipe(
        stages=((0.0, 224, 6), (0.25, 256, 5), (0.6, 320, 3)),
        learning_rate=5e-4,
        single_round_until=0.0,
        rounds=(0.35, 0.35, 0.2, 0.1),
        other_sides=(0.3, (192, 256, 384)),
    ),
    "larger": Recipe(
        stages=((0.0, 256, 5), (0.15, 320, 3), (0.4, 384, 2)),
        learning_rate=4e-4,
        single_round_until=0.0,
        rounds=(0.35, 0.35, 0.2, 0.1),
        other_sides=(0.25, (256, 320, 448)),
    ),
    "restart": Recipe(
        stages=((0.0, 192, 8), (0.3, 256, 5), (0.65, 384, 3)),
        learning_rate=5e-4,
        single_round_until=0.0,
        rounds=(0.35, 0.35, 0.2, 0.1),
        other_sides=(0.3, (224, 320, 512, 640, 768)),
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
"""By name: "first" from nothing, "longer" from weights that know what a prompt is, "last" at larger sides, "onward"
from small sides to larger ones, "larger" up to the native side of 384, "restart" the same way again at a rate that
moves a trained model, "gpu" for one large GPU, from either.
"""


@dataclass(frozen=True)
class PromptGroup:
    """Prompts of one kind, as many for each picture: positions [B * P, N, 2] and labels [B * P, N] without padding;
    targets [B * P, S / 4, S / 4] soft.
    """

    positions: Tensor
    labels: Tensor
    targets: Tensor

    def to(self, device: torch.device) -> "PromptGroup":
        return PromptGroup(
            *(tensor.to(device, non_blocking=True) for tensor in (self.positions, self.labels, self.targets))
        )


@dataclass(frozen=True)
class Batch:
    """pixels [B, 3, S, S] normalised; groups: of clicks, of boxes, those that are there."""

    pixels: Tensor
    groups: tuple[PromptGroup, ...]

    def to(self, device: torch.device) -> "Batch":
        return Batch(self.pixels.to(device, non_blocking=True), tuple(group.to(device) for group in self.groups))


def collate(samples: list[Sample]) -> Batch:
    """Samples with the same numbers of clicks and of boxes -> a batch."""
    clicks = len(samples[0].clicks[1])
    kinds = (
        ([sample.clicks for sample in samples], slice(None, clicks)),
        ([sample.boxes for sample in samples], slice(clicks, None)),
    )
    groups = [
        _group(prompts, [sample.masks[which] for sample in samples]) for prompts, which in kinds if len(prompts[0][1])
    ]
    return Batch(normalise(torch.from_numpy(np.stack([sample.image for sample in samples]))), tuple(groups))


def _group(prompts: list[tuple[np.ndarray, np.ndarray]], masks: list[np.ndarray]) -> PromptGroup:
    stacked = torch.from_numpy(np.concatenate(masks)).float()
    side = stacked.shape[-1]
    targets = F.interpolate(stacked[:, None], (side // 4, side // 4), mode="area")[:, 0]
    return PromptGroup(*(torch.from_numpy(np.concatenate(parts)) for parts in zip(*prompts, strict=True)), targets)


def accumulate_gradients(network: SamNetwork, batch: Batch, rounds: int) -> tuple[float, float, float]:
    """Encode once, decode `rounds` times with one more click each time, and leave the mean loss's gradients in the
    parameters.

    Clicks and boxes are decoded one after the other, because they have different numbers of tokens. The gradients of
    the features are gathered over all of it and go back through the encoder once.

    Returns the first round's loss, mean IoU of the single mask, and mean of the best multimask's IoU.
    """
    device, prompts = batch.pixels.device, sum(len(group.labels) for group in batch.groups)
    first = np.zeros(3)
    with torch.autocast(device.type, torch.bfloat16):
        features, _ = network.encode(batch.pixels)
        leaves = [level.detach().requires_grad_() for level in features]
        for group in batch.groups:
            positions, labels, hint, share = group.positions, group.labels, None, len(group.labels) / prompts
            for index in range(rounds):
                repeated = repeat_features(leaves, len(positions) // len(batch.pixels))
                decoded = network.decode(repeated, *laid_out(positions, labels, network.config.family), hint)
                loss, iou = total_loss(decoded, group.targets)
                (loss * (share / rounds)).backward()
                if index == 0:
                    first += share * np.array(
                        [loss.item(), iou[:, 0].mean().item(), iou[:, 1:].max(1).values.mean().item()]
                    )
                if index + 1 < rounds:
                    positions, labels, hint = add_corrections(
                        positions, labels, decoded.logits.detach(), decoded.iou.detach(), group.targets
                    )
    learning = [(level, leaf.grad) for level, leaf in zip(features, leaves, strict=True) if level.requires_grad]
    if learning:
        torch.autograd.backward(*zip(*learning, strict=True))
    return tuple(first.tolist())


def draw_batch(sampler: Sampler, side: int, count: int, prompts: int, rng: np.random.Generator) -> Batch:
    """So many pictures with so many prompts each, as many of them clicks in every one."""
    clicks, wide = count_clicks(prompts, rng), rng.random() < WIDE_BOX_SHARE
    return collate([sampler.draw(side, prompts, clicks, wide) for _ in range(count)])


@dataclass
class ImageTask:
    """Pictures of the cache, prompted by clicks and boxes. first: checkpoint or exported model to begin with; parts:
    beginnings of the names of the weights that learn, all where none are named.
    """

    cache_folder: Path
    model: str = "nano-sam2"
    first: Path | None = None
    parts: tuple[str, ...] = ()
    figures = ("loss", "IoU of the single mask", "IoU of the best of three")
    slow = ()

    def build(self) -> SamNetwork:
        network = build_network(CONFIGS[self.model])
        if self.first is not None:
            begin_with(network, self.first)
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name.startswith(self.parts or ("",)))
        return network

    def open(self, seed: list[int]) -> None:
        self.sampler = Sampler(open_cache(self.cache_folder), seed)
        self.rng = np.random.default_rng(seed)

    def draw(self, recipe: Recipe, elapsed: float, step: int) -> Lesson:
        side, count = recipe.stage(elapsed, step)
        batch = draw_batch(self.sampler, side, count, recipe.prompts, self.rng)
        return Lesson(count, f"side {side}", (batch, recipe.count_rounds(elapsed, self.rng)))

    def learn(self, network: SamNetwork, lesson: Lesson, device: torch.device) -> tuple[float, ...]:
        batch, rounds = lesson.content
        return accumulate_gradients(network, batch.to(device), rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the image side of a nano model until a set time.")
    parser.add_argument("cache", type=Path, help="folder that `python -m training.data` wrote")
    add_run_arguments(parser)
    parser.add_argument("--model", choices=CONFIGS, default="nano-sam2")
    parser.add_argument("--recipe", choices=RECIPES, default="first")
    parser.add_argument(
        "--start",
        type=Path,
        metavar="CHECKPOINT",
        help="begin with the weights of another run's checkpoint, or of an exported model",
    )
    parser.add_argument(
        "--learn",
        nargs="+",
        default=(),
        metavar="PART",
        help="only weights whose names begin so, such as mask_decoder; the others stay as they are",
    )
    arguments = parser.parse_args()
    task = ImageTask(arguments.cache, arguments.model, arguments.start, tuple(arguments.learn))
    start_run(task, RECIPES[arguments.recipe], arguments)


if __name__ == "__main__":
    main()
