"""Train nano-sam2 on the processor until a given time of day, from nothing or from an earlier run's weights.

    python -m training.train CACHE RUN --minutes 77                                          # or --until 14:25
    python -m training.train CACHE RUN2 --minutes 70 --recipe longer --start RUN/checkpoint0.pt

One process of one thread per core; their parameters are averaged every 8 steps. Everything that changes over a run (picture side, learning rate, number of
correction clicks) follows the elapsed part of its wall time, so a run on a busy machine still ends where it should, only with fewer pictures seen. A run that
was stopped goes on from its last checkpoint when the same command is given again with the same end.
"""

import argparse
import datetime
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing
import torch.nn.functional as F
from torch import Tensor

from samkit.models.network import SamNetwork
from samkit.models.prompt_encoder import PADDING
from training.augment import Sample, Sampler
from training.data import open_cache
from training.losses import total_loss
from training.model import build_network, normalise, plain_attention, repeat_features
from training.prompts import add_corrections

AVERAGE_EVERY = 8
EMA_EVERY = 4
LOG_EVERY = 40
CHECKPOINT_SECONDS = 150


@dataclass(frozen=True)
class Recipe:
    """
    stages: (elapsed part of the run from which it holds, picture side in pixels, pictures per step and process)
    rounds: how likely a batch is prompted once, twice, three times...: each round after the first adds one correcting click
    other_sides: how likely a batch comes at another side, and at which; the number of pictures follows, so that a step takes about as long
    """

    stages: tuple[tuple[float, int, int], ...] = ((0.0, 96, 14), (0.14, 128, 10), (0.36, 192, 7), (0.60, 256, 5))
    prompts: int = 6
    learning_rate: float = 1e-3
    last_rate: float = 0.02
    warmup_steps: int = 150
    weight_decay: float = 0.05
    single_round_until: float = 0.1
    rounds: tuple[float, ...] = (0.0, 0.6, 0.4)
    other_sides: tuple[float, tuple[int, ...]] = (0.0, ())

    def stage(self, elapsed: float, step: int) -> tuple[int, int]:
        """(picture side, pictures per step) at that part of the run, 0..1. All processes take the same at a step."""
        side, count = next((side, count) for start, side, count in reversed(self.stages) if elapsed >= start)
        rng = np.random.default_rng(step)
        share, others = self.other_sides
        if rng.random() < share:
            other = int(rng.choice(others))
            side, count = other, max(1, round(count * (side / other) ** 2))
        return side, count

    def rate(self, elapsed: float, step: int) -> float:
        """Learning rate: a cosine over the run, from all of it to `last_rate` of it, times a linear warm-up over the first steps."""
        cosine = 0.5 * (1 + math.cos(math.pi * elapsed))
        return self.learning_rate * min(1.0, (step + 1) / self.warmup_steps) * (cosine * (1 - self.last_rate) + self.last_rate)

    def count_rounds(self, elapsed: float, rng: np.random.Generator) -> int:
        """How often a batch is prompted: at first once; later as `rounds` says."""
        return 1 if elapsed < self.single_round_until else 1 + int(rng.choice(len(self.rounds), p=self.rounds))


RECIPES = {
    "first": Recipe(),
    "longer": Recipe(
        stages=((0.0, 192, 8), (0.3, 256, 5)),
        learning_rate=6e-4,
        single_round_until=0.0,
        rounds=(0.35, 0.35, 0.2, 0.1),
        other_sides=(0.25, (224, 288, 320, 384)),
    ),
}
"""By name: "first" from nothing, "longer" from weights that know what a prompt is."""


@dataclass(frozen=True)
class Batch:
    """pixels [B, 3, S, S] normalised; targets [B * P, S / 4, S / 4] soft; positions [B * P, 2, 2] and labels [B * P, 2]."""

    pixels: Tensor
    targets: Tensor
    positions: Tensor
    labels: Tensor


def collate(samples: list[Sample]) -> Batch:
    masks = torch.from_numpy(np.concatenate([sample.masks for sample in samples])).float()
    side = masks.shape[-1]
    return Batch(
        pixels=normalise(torch.from_numpy(np.stack([sample.image for sample in samples]))),
        targets=F.interpolate(masks[:, None], (side // 4, side // 4), mode="area")[:, 0],
        positions=torch.from_numpy(np.concatenate([sample.positions for sample in samples])),
        labels=torch.from_numpy(np.concatenate([sample.labels for sample in samples])),
    )


def accumulate_gradients(network: SamNetwork, batch: Batch, rounds: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """Encode once, decode `rounds` times with one more click each time, and leave the mean loss's gradients in the parameters.

    The gradients of the features are gathered over the rounds and go back through the encoder once.
    Returns the first round's loss, mean IoU of the single mask, and mean of the best multimask's IoU.
    """
    padding = torch.zeros(len(batch.positions), 1, 2), torch.full((len(batch.labels), 1), PADDING)
    positions, labels, hint, first = batch.positions, batch.labels, None, None
    with torch.autocast("cpu", torch.bfloat16):
        features, _ = network.encode(batch.pixels)
        leaves = [level.detach().requires_grad_() for level in features]
        for index in range(rounds):
            repeated = repeat_features(leaves, len(positions) // len(batch.pixels))
            decoded = network.decode(repeated, torch.cat([positions, padding[0]], 1), torch.cat([labels, padding[1]], 1), hint)
            loss, iou = total_loss(decoded, batch.targets)
            (loss / rounds).backward()
            first = first or (loss.item(), iou[:, 0].mean().item(), iou[:, 1:].max(1).values.mean().item())
            if index + 1 < rounds:
                positions, labels, hint = add_corrections(positions, labels, decoded.logits.detach(), decoded.iou.detach(), batch.targets, rng)
    torch.autograd.backward(features, [leaf.grad for leaf in leaves])
    return first


class Run:
    """One process's share of a run: network, optimiser and running average, and how far they are."""

    def __init__(self, recipe: Recipe, network: SamNetwork):
        self.recipe = recipe
        self.network = network.train()
        self.parameters = list(network.parameters())
        groups = [
            {"params": [parameter for parameter in self.parameters if parameter.ndim > 1], "weight_decay": recipe.weight_decay},
            {"params": [parameter for parameter in self.parameters if parameter.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True)
        self.ema = [parameter.detach().clone() for parameter in self.parameters]
        self.step = 0
        self.seen = 0
        self.start = time.time()

    def update(self, batch: Batch, elapsed: float, rng: np.random.Generator) -> tuple[float, float, float]:
        """One step of the optimiser at that part of the run. Returns what `accumulate_gradients` does."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate(elapsed, self.step)
        figures = accumulate_gradients(self.network, batch, self.recipe.count_rounds(elapsed, rng), rng)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.seen += len(batch.pixels)
        return figures

    def average_over_processes(self) -> None:
        values = torch.cat([parameter.detach().flatten() for parameter in self.parameters])
        dist.all_reduce(values)
        values /= dist.get_world_size()
        with torch.no_grad():
            for parameter, piece in zip(self.parameters, values.split([parameter.numel() for parameter in self.parameters]), strict=True):
                parameter.copy_(piece.view_as(parameter))

    def update_ema(self) -> None:
        """The average spans about 400 steps; at the beginning, all of the few there were."""
        torch._foreach_lerp_(self.ema, [parameter.detach() for parameter in self.parameters], max(0.01, EMA_EVERY / (self.step + 10)))

    def averaged_state(self) -> dict[str, Tensor]:
        """The state dict with the running averages in place of the parameters."""
        names = [name for name, _ in self.network.named_parameters()]
        return {**self.network.state_dict(), **dict(zip(names, self.ema, strict=True))}

    def save(self, path: Path) -> None:
        """Write a checkpoint beside `path` and move it there, so that there is a whole one at any time."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.averaged_state(),
            "step": self.step,
            "seen": self.seen,
            "start": self.start,
        }
        torch.save(state, path.with_suffix(".part"))
        os.replace(path.with_suffix(".part"), path)

    def resume(self, path: Path) -> None:
        state = torch.load(path, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.ema = [state["ema"][name].clone() for name, _ in self.network.named_parameters()]
        self.step, self.seen, self.start = state["step"], state["seen"], state["start"]


def train_process(rank: int, processes: int, cache_folder: Path, run_folder: Path, end: float, recipe: Recipe, rendezvous: Path, first: Path | None) -> None:
    """What each process does. end: seconds since the epoch; first: checkpoint of another run, to begin with its averaged weights."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=processes)
    torch.manual_seed(rank)
    network = build_network()
    if first is not None:
        network.load_state_dict(torch.load(first, weights_only=True)["ema"])
    run = Run(recipe, network)
    torch.manual_seed(1 + rank)
    path = run_folder / f"checkpoint{rank}.pt"
    if path.exists():
        run.resume(path)
    rng = np.random.default_rng([rank, run.step])
    sampler = Sampler(open_cache(cache_folder), [1000 + rank, run.step])
    saved, recent = time.time(), []
    with open(run_folder / f"log{rank}.txt", "a") as log, plain_attention():
        while True:
            elapsed = torch.tensor([min(1.0, (time.time() - run.start) / (end - run.start))])
            if run.step % AVERAGE_EVERY == 0:
                # All processes must stop at the same step, so the farthest clock counts.
                dist.all_reduce(elapsed, op=dist.ReduceOp.MAX)
                if elapsed.item() >= 1.0:
                    break
            side, count = recipe.stage(elapsed.item(), run.step)
            batch = collate([sampler.draw(side, recipe.prompts) for _ in range(count)])
            recent.append(run.update(batch, elapsed.item(), rng))
            if run.step % AVERAGE_EVERY == 0:
                run.average_over_processes()
            if run.step % EMA_EVERY == 0:
                run.update_ema()
            if run.step % LOG_EVERY == 0:
                loss, single, best = np.mean(recent, axis=0)
                minutes, rate = (time.time() - run.start) / 60, run.optimizer.param_groups[0]["lr"]
                print(
                    f"{minutes:.1f} min, step {run.step}, {run.seen * processes} pictures, side {side}, rate {rate:.1e}: "
                    f"loss {loss:.3f}, IoU of the single mask {single:.3f}, of the best of three {best:.3f}",
                    file=log,
                    flush=True,
                )
                recent = []
            if time.time() - saved > CHECKPOINT_SECONDS:
                saved = time.time()
                run.save(path)
    run.save(path)
    dist.destroy_process_group()


def end_time(arguments: argparse.Namespace) -> float:
    """Seconds since the epoch of --until (today) or --minutes from now on."""
    if arguments.until:
        clock = datetime.time.fromisoformat(arguments.until)
        return datetime.datetime.combine(datetime.date.today(), clock).timestamp()
    return time.time() + 60 * arguments.minutes


def main() -> None:
    parser = argparse.ArgumentParser(description="Train nano-sam2 on the processor until a given time.")
    parser.add_argument("cache", type=Path, help="folder that `python -m training.data` wrote")
    parser.add_argument("run", type=Path, help="folder for checkpoints and logs")
    end = parser.add_mutually_exclusive_group(required=True)
    end.add_argument("--minutes", type=float, help="length of the run")
    end.add_argument("--until", metavar="HH:MM", help="end of the run, today")
    parser.add_argument("--recipe", choices=RECIPES, default="first")
    parser.add_argument("--start", type=Path, metavar="CHECKPOINT", help="begin with the averaged weights of this checkpoint of another run")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="one per core")
    arguments = parser.parse_args()
    arguments.run.mkdir(parents=True, exist_ok=True)
    rendezvous = (arguments.run / f"rendezvous{os.getpid()}").resolve()
    torch.multiprocessing.spawn(
        train_process,
        args=(arguments.processes, arguments.cache, arguments.run, end_time(arguments), RECIPES[arguments.recipe], rendezvous, arguments.start),
        nprocs=arguments.processes,
    )
    rendezvous.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
