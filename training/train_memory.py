"""Train the memory side of nano-sam2 on clips, with its image encoder as it is.

    python -m training.train_memory CACHE RUN --data ../shared/data --start IMAGE_RUN/checkpoint0.pt --minutes 60

The first frame is prompted by a mask, a box or a click; then the object is followed with what the model itself
predicts. The decoder learns along at a fifth of the rate, and every third step is an image step, so that it forgets
nothing of pictures.
"""

import argparse
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from samkit.models.network.mask_decoder import DecodedMasks
from samkit.models.network.memory_side import MASK_BIAS, MASK_SCALE
from samkit.models.network.prompt_encoder import BOX_BOTTOM_RIGHT, BOX_TOP_LEFT, FOREGROUND, PADDING
from samkit.models.sam_network import SamNetwork
from training.augment import Sampler
from training.clips import Clip, ClipSampler, load_sequences
from training.data import CACHE_SIDE, open_cache
from training.losses import tracking_loss
from training.model import NANO_SAM2_WITH_MEMORY, begin_with, build_network, normalise
from training.prompts import first_prompt, laid_out
from training.run import Lesson, Recipe, add_run_arguments, start_run
from training.train import accumulate_gradients, draw_batch

IMAGE_STEP_EVERY = 3
MASK_PROMPTS, BOX_PROMPTS = 0.5, 0.25
"""Shares of the clips; the rest begin with a click."""

RECIPES = {
    "cpu": Recipe(
        stages=((0.0, 128, 6), (0.3, 192, 3), (0.6, 256, 2)),
        learning_rate=6e-4,
        single_round_until=0.0,
        rounds=(0.5, 0.5),
    ),
    "larger": Recipe(
        stages=((0.0, 192, 3), (0.3, 256, 2), (0.65, 384, 1)),
        learning_rate=6e-4,
        single_round_until=0.0,
        rounds=(0.5, 0.5),
    ),
    "gpu": Recipe(
        stages=((0.0, 128, 64), (0.2, 192, 32), (0.4, 256, 24)),
        learning_rate=8e-4,
        single_round_until=0.0,
        rounds=(0.5, 0.5),
    ),
}
FRAMES = ((0.0, 4), (0.3, 6), (0.7, 8))
"""(elapsed part of the run from which it holds, frames of a clip)."""


@dataclass(frozen=True)
class ClipBatch:
    """
    pixels:      [B, T, 3, S, S] normalised; targets: [B, T, S / 4, S / 4] soft
    first_masks: [B, 1, S, S] of zeros and ones
    points:      [B, 2, 2] of a box, or of a click, twice; clicked: bool [B], which of the two it is
    by_mask:     bool [B], whether the mask is the prompt and not the points
    """

    pixels: Tensor
    targets: Tensor
    first_masks: Tensor
    points: Tensor
    clicked: Tensor
    by_mask: Tensor

    def to(self, device: torch.device) -> "ClipBatch":
        tensors = self.pixels, self.targets, self.first_masks, self.points, self.clicked, self.by_mask
        return ClipBatch(*(tensor.to(device, non_blocking=True) for tensor in tensors))

    @property
    def frames(self) -> int:
        return self.pixels.shape[1]


def collate_clips(clips: list[Clip], rng: np.random.Generator) -> ClipBatch:
    frames = torch.from_numpy(np.stack([clip.frames for clip in clips]))
    masks = torch.from_numpy(np.stack([clip.masks for clip in clips])).float()
    side = masks.shape[-1]
    clicked = rng.random(len(clips)) > BOX_PROMPTS / (1 - MASK_PROMPTS)
    prompts = [first_prompt(clip.masks[0], rng, click)[0] for clip, click in zip(clips, clicked, strict=True)]
    points = np.stack([np.resize(points, (2, 2)) for points in prompts])
    return ClipBatch(
        pixels=normalise(frames.flatten(0, 1)).unflatten(0, frames.shape[:2]),
        targets=F.interpolate(masks, (side // 4, side // 4), mode="area"),
        first_masks=(masks[:, :1] > 0.5).float(),
        points=torch.from_numpy(points),
        clicked=torch.from_numpy(clicked),
        by_mask=torch.from_numpy(rng.random(len(clips)) < MASK_PROMPTS),
    )


def follow_clips(network: SamNetwork, batch: ClipBatch) -> tuple[Tensor, Tensor, Tensor]:
    """The loss, and on the frames after the first the chosen masks' mean IoU (nan where none holds the object) and the
    share of right object scores.
    """
    count, device = len(batch.pixels), batch.pixels.device
    with torch.no_grad():
        levels, _ = network.encode(batch.pixels.flatten(0, 1))
    levels = [level.unflatten(0, (count, batch.frames)) for level in levels]
    memory, memories, pointers, losses, ious, right = network.memory, [], [], [], [], []
    for frame in range(batch.frames):
        features = [level[:, frame] for level in levels]
        low, targets = features[0], batch.targets[:, frame]
        if frame == 0:
            remembered, pointer, loss = _remember_prompt(network, batch, features, targets)
        else:
            slots = [memory.config.memories - 1] + [
                frame - past - 1 for past in range(1, frame) if frame - past < memory.config.memories
            ]
            looked_at = memories[:1] + memories[1:][-(memory.config.memories - 1) :]
            # As the bank has it: the prompt's pointer first, then the frames', the last one first.
            times = torch.tensor([frame, *range(1, frame)], device=device) / max(1, min(16, batch.frames) - 1)
            ordered = torch.stack([pointers[0], *pointers[:0:-1]], dim=1)
            conditioned = memory.condition(low, looked_at, slots, ordered, times)
            decoded = network.decode_on(conditioned, features, *_no_points(count, device))
            loss, iou = tracking_loss(decoded, targets)
            best = 1 + decoded.iou[:, 1:].argmax(dim=1)
            score = decoded.object_score[:, 0]
            there = targets.flatten(1).amax(1) > 0.5
            each = torch.arange(count, device=device)
            ious.append(iou[each, best][there])
            right.append(((score > 0) == there).float())
            remembered = memory.encode(low, decoded.logits[each, best][:, None], score > 0)
            pointer = memory.pointer(decoded.mask_tokens[each, best], score > 0)
        losses.append(loss)
        memories.append(remembered)
        pointers.append(pointer)
    return torch.stack(losses[1:]).mean() + 0.5 * losses[0], torch.cat(ious).mean(), torch.cat(right).mean()


def _remember_prompt(
    network: SamNetwork, batch: ClipBatch, features: list[Tensor], targets: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Memory [B, h, w, Cm], pointer [B, C] and loss of the first frame: half the clips are prompted by the mask itself,
    the others by a box or a click.
    """
    memory, low = network.memory, features[0]
    count, device = len(targets), targets.device
    each, there = torch.arange(count, device=device), torch.ones(count, dtype=torch.bool, device=device)
    asked = _ask(network, batch, features)
    loss, _ = tracking_loss(asked, targets)
    chosen = torch.where(batch.clicked, 1 + asked.iou[:, 1:].argmax(dim=1), 0)
    from_mask = network.decode_on(
        low,
        features,
        *(torch.zeros(len(targets), 2, 2), torch.full((len(targets), 2), PADDING)),
        memory.mask_downsample(batch.first_masks),
    )
    mask_logits = F.interpolate(
        batch.first_masks * MASK_SCALE + MASK_BIAS, targets.shape[-2:], mode="bilinear", antialias=True
    )
    by_mask = batch.by_mask
    logits = torch.where(by_mask[:, None, None, None], mask_logits, asked.logits[each, chosen][:, None].float())
    token = torch.where(by_mask[:, None], from_mask.mask_tokens[:, 0], asked.mask_tokens[each, chosen])
    return memory.encode(low, logits, there), memory.pointer(token, there), loss


def _ask(network: SamNetwork, batch: ClipBatch, features: list[Tensor]) -> DecodedMasks:
    """What the first frame's clicks and boxes give. They have different numbers of tokens, so each kind is decoded by
    itself.
    """
    parts, order = [], []
    for label in ((FOREGROUND,), (BOX_TOP_LEFT, BOX_BOTTOM_RIGHT)):
        (which,) = torch.where(batch.clicked == (len(label) == 1))
        if len(which):
            labels = torch.tensor(label, device=which.device).expand(len(which), -1)
            points = laid_out(batch.points[which, : len(label)], labels, network.config.family)
            parts.append(network.decode([level[which] for level in features], *points))
            order.append(which)
    back = torch.cat(order).argsort()
    return DecodedMasks(
        *(torch.cat([getattr(part, field.name) for part in parts])[back] for field in fields(DecodedMasks))
    )


@dataclass
class MemoryTask:
    """first: checkpoints or exported models to begin with: one with a memory side, where there is one, then a newer
    image side.
    """

    cache_folder: Path
    data_root: Path
    first: tuple[Path, ...]
    figures = ("loss", "IoU of the chosen mask", "share of right object scores")
    slow = (
        "prompt_encoder.",
        "mask_decoder.transformer",
        "mask_decoder.output",
        "mask_decoder.mask",
        "mask_decoder.iou",
        "mask_decoder.conv",
    )

    def build(self) -> SamNetwork:
        network = build_network(NANO_SAM2_WITH_MEMORY)
        begin_with(network, *self.first)
        network.image_encoder.requires_grad_(False)
        return network

    def open(self, seed: list[int]) -> None:
        cache = open_cache(self.cache_folder)
        self.sampler = Sampler(cache, [*seed, 0])
        self.clips = ClipSampler(cache, load_sequences(self.data_root / "train_video", CACHE_SIDE), [*seed, 1])
        self.rng = np.random.default_rng([*seed, 2])

    def draw(self, recipe: Recipe, elapsed: float, step: int) -> Lesson:
        side, count = recipe.stage(elapsed, step)
        if step % IMAGE_STEP_EVERY == 0:
            batch = draw_batch(self.sampler, side, count, recipe.prompts, self.rng)
            return Lesson(count, f"side {side}", (batch, recipe.count_rounds(elapsed, self.rng)))
        frames = next(frames for start, frames in reversed(FRAMES) if elapsed >= start)
        clips = collate_clips([self.clips.draw(side, frames) for _ in range(count)], self.rng)
        return Lesson(count * frames, f"side {side}, {frames} frames", clips)

    def learn(self, network: SamNetwork, lesson: Lesson, device: torch.device) -> tuple[float, ...]:
        if not isinstance(lesson.content, ClipBatch):
            batch, rounds = lesson.content
            accumulate_gradients(network, batch.to(device), rounds)
            return (float("nan"),) * len(self.figures)
        with torch.autocast(device.type, torch.bfloat16):
            loss, iou, right = follow_clips(network, lesson.content.to(device))
        loss.backward()
        return loss.item(), iou.item(), right.item()


def _no_points(count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.zeros(count, 2, 2, device=device), torch.full((count, 2), PADDING, device=device)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the memory side of nano-sam2 until a set time.")
    parser.add_argument("cache", type=Path, help="folder that `python -m training.data` wrote")
    add_run_arguments(parser)
    parser.add_argument("--data", type=Path, required=True, help="the data folder, for its video sequences")
    parser.add_argument(
        "--start",
        type=Path,
        nargs="+",
        required=True,
        metavar="CHECKPOINT",
        help="image side to build on, after a memory side where there is one",
    )
    parser.add_argument("--recipe", choices=RECIPES, default="cpu")
    arguments = parser.parse_args()
    start_run(MemoryTask(arguments.cache, arguments.data, tuple(arguments.start)), RECIPES[arguments.recipe], arguments)


if __name__ == "__main__":
    main()
