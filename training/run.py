"""A training run: the optimiser, the schedule, one process per core, checkpoints. What is learnt is a `Task`'s
business.

Everything that changes over a run (picture side, learning rate, number of correction clicks) follows the elapsed part
of its wall time, so a run on a busy machine still ends where it should, only with fewer pictures seen. Parameters are
averaged over the processes every 8 steps. A run that was stopped goes on from its last checkpoint when the same command
is run again with the same end.
"""

import argparse
import datetime
import itertools
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from samkit.models.sam_network import SamNetwork
from training.model import plain_attention

AVERAGE_EVERY = 8
EMA_EVERY = 4
LOG_EVERY = 40
CHECKPOINT_SECONDS = 150
LOG_SEPARATOR = ", "
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Recipe:
    """
    stages: (elapsed part of the run from which it holds, picture side in pixels, pictures per step and process)
    rounds: how likely a batch is prompted once, twice, three times...: each round after the first adds one correcting
            click
    other_sides: how likely a batch comes at another side, and at which; the number of pictures follows, so that a step
                 takes about as long
    """

    stages: tuple[tuple[float, int, int], ...] = ((0.0, 96, 14), (0.14, 128, 10), (0.36, 192, 7), (0.60, 256, 5))
    prompts: int = 6
    learning_rate: float = 1e-3
    last_rate: float = 0.02
    warmup_steps: int = 150
    weight_decay: float = 0.05
    slow_rate: float = 0.2
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
        """Learning rate: a cosine over the run, from all of it to `last_rate` of it, times a linear warm-up over the
        first steps.
        """
        cosine = 0.5 * (1 + math.cos(math.pi * elapsed))
        return (
            self.learning_rate
            * min(1.0, (step + 1) / self.warmup_steps)
            * (cosine * (1 - self.last_rate) + self.last_rate)
        )

    def count_rounds(self, elapsed: float, rng: np.random.Generator) -> int:
        """How often a batch is prompted: at first once; later as `rounds` says."""
        return 1 if elapsed < self.single_round_until else 1 + int(rng.choice(len(self.rounds), p=self.rounds))


class Task(Protocol):
    """What a run learns. Made before the processes start, so it must be picklable; `open` is called in each of them.

    figures: names of what a step returns, for the log
    slow:    beginnings of the names of parameters that learn at the recipe's slow rate
    """

    figures: tuple[str, ...]
    slow: tuple[str, ...]

    def build(self) -> SamNetwork:
        """The network to begin with, the same in every process; what is not to learn has `requires_grad` off."""

    def open(self, seed: list[int]) -> None:
        """Open caches and the like."""

    def draw(self, recipe: Recipe, elapsed: float, step: int) -> "Lesson":
        """The next lesson, on the CPU; may run in a process of its own."""

    def learn(self, network: SamNetwork, lesson: "Lesson", device: torch.device) -> tuple[float, ...]:
        """Leave the lesson's gradients in the parameters and return the figures."""


@dataclass(frozen=True)
class Lesson:
    """What one step learns from. pictures: how many; about: a word on them for the log; content: the task's own."""

    pictures: int
    about: str
    content: Any


class LessonStream(IterableDataset):
    """A task's lessons for ever, drawn in processes of their own, so that a GPU need not wait for them."""

    def __init__(self, task: Task, recipe: Recipe, seed: list[int], start: float, end: float):
        self.task, self.recipe, self.seed, self.start, self.end = task, recipe, seed, start, end

    def __iter__(self) -> Iterator[Lesson]:
        worker = get_worker_info()
        number = worker.id if worker else 0
        torch.set_num_threads(1)
        self.task.open([*self.seed, number])
        for step in itertools.count(number):
            yield self.task.draw(self.recipe, elapsed_part(self.start, self.end), step)


def lessons(task: Task, recipe: Recipe, seed: list[int], start: float, end: float, workers: int) -> Iterator[Lesson]:
    """The same, from `workers` processes; 0 draws in this one."""
    return iter(
        DataLoader(
            LessonStream(task, recipe, seed, start, end),
            batch_size=None,
            num_workers=workers,
            prefetch_factor=4 if workers else None,
        )
    )


def elapsed_part(start: float, end: float) -> float:
    """0..1 of a run's time; 1 from its end on."""
    now = time.time()
    return 1.0 if now >= end else (now - start) / (end - start)


class Run:
    """One process's share of a run: network, optimiser and running average, and how far they are."""

    def __init__(self, recipe: Recipe, network: SamNetwork, slow: tuple[str, ...] = (), device: torch.device = CPU):
        """Parameters that need no gradient stay as they are; those whose names begin with one of `slow` learn at
        `recipe.slow_rate` times the rate.
        """
        self.recipe = recipe
        self.network = network.train().to(device)
        self.trained = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
        self.parameters = list(self.trained.values())
        groups = [
            {
                "params": [
                    parameter
                    for name, parameter in self.trained.items()
                    if (parameter.ndim > 1) == matrix and name.startswith(slow or ("-",)) == is_slow
                ],
                "weight_decay": recipe.weight_decay if matrix else 0.0,
                "factor": recipe.slow_rate if is_slow else 1.0,
            }
            for matrix in (True, False)
            for is_slow in (True, False)
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True)
        self.ema = [parameter.detach().clone() for parameter in self.parameters]
        self.step = 0
        self.seen = 0
        self.start = time.time()

    def update(self, elapsed: float, pictures: int, accumulate: Callable[[], tuple[float, ...]]) -> tuple[float, ...]:
        """One step of the optimiser at that part of the run, on the gradients that `accumulate` leaves in the
        parameters. Returns what that returns.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = group["factor"] * self.recipe.rate(elapsed, self.step)
        figures = accumulate()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.seen += pictures
        return figures

    def average_over_processes(self) -> None:
        values = torch.cat([parameter.detach().flatten() for parameter in self.parameters])
        dist.all_reduce(values)
        values /= dist.get_world_size()
        with torch.no_grad():
            for parameter, piece in zip(
                self.parameters, values.split([parameter.numel() for parameter in self.parameters]), strict=True
            ):
                parameter.copy_(piece.view_as(parameter))

    def update_ema(self) -> None:
        """The average spans about 400 steps; at the beginning, all of the few there were."""
        torch._foreach_lerp_(
            self.ema, [parameter.detach() for parameter in self.parameters], max(0.01, EMA_EVERY / (self.step + 10))
        )

    def averaged_state(self) -> dict[str, Tensor]:
        """The state dict with the running averages in place of the parameters."""
        return {**self.network.state_dict(), **dict(zip(self.trained, self.ema, strict=True))}

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
        state = torch.load(path, weights_only=True, map_location=self.parameters[0].device)
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.ema = [state["ema"][name].clone() for name in self.trained]
        self.step, self.seen, self.start = state["step"], state["seen"], state["start"]


def run_process(
    rank: int,
    processes: int,
    task: Task,
    recipe: Recipe,
    folder: Path,
    end: float,
    rendezvous: Path,
    device: str = "cpu",
) -> None:
    """What each process does. end: seconds since the epoch. On a GPU there is one process, and others draw its
    lessons.
    """
    on_cpu = device == "cpu"
    if on_cpu:
        torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=processes)
    run = Run(recipe, task.build(), task.slow, torch.device(device))
    torch.manual_seed(1 + rank)
    path = folder / f"checkpoint{rank}.pt"
    if path.exists():
        run.resume(path)
    drawn = lessons(
        task,
        recipe,
        [1000 + rank, run.step],
        run.start,
        end,
        workers=0 if on_cpu else max(1, (os.cpu_count() or 2) - 2),
    )
    with open(folder / f"log{rank}.txt", "a") as log, plain_attention() if on_cpu else nullcontext():
        _take_steps(run, task, drawn, end, path, log)
    run.save(path)
    dist.destroy_process_group()


def _take_steps(run: Run, task: Task, drawn: Iterator[Lesson], end: float, path: Path, log: TextIO) -> None:
    """Steps to the end of the run, with a checkpoint at `path` now and then."""
    processes = dist.get_world_size()
    device = run.parameters[0].device
    saved, recent, parent = time.time(), [], os.getppid()
    while True:
        # Where the process that started all is gone, whoever ended it meant the run.
        elapsed = elapsed_part(run.start, end) if os.getppid() == parent else 1.0
        if run.step % AVERAGE_EVERY == 0:
            # All processes must save and stop at the same step, so the farthest clock counts.
            clocks = torch.tensor([elapsed, time.time() - saved])
            dist.all_reduce(clocks, op=dist.ReduceOp.MAX)
            elapsed, unsaved = clocks.tolist()
            if elapsed >= 1.0:
                return
            if unsaved > CHECKPOINT_SECONDS:
                saved = time.time()
                run.save(path)
        lesson = next(drawn)
        figures = run.update(elapsed, lesson.pictures, lambda lesson=lesson: task.learn(run.network, lesson, device))
        recent.append(figures)
        if run.step % AVERAGE_EVERY == 0 and processes > 1:
            run.average_over_processes()
        if run.step % EMA_EVERY == 0:
            run.update_ema()
        if run.step % LOG_EVERY == 0:
            print(_log_line(run, task, lesson, recent, processes), file=log, flush=True)
            recent = []


def _log_line(run: Run, task: Task, lesson: Lesson, recent: list[tuple[float, ...]], processes: int) -> str:
    """Where the run is, and the means of the figures of the `recent` steps."""
    minutes, rate = (time.time() - run.start) / 60, run.optimizer.param_groups[-1]["lr"]
    figures = [f"{name} {value:.3f}" for name, value in zip(task.figures, np.nanmean(recent, axis=0), strict=True)]
    return (
        f"{minutes:.1f} min, step {run.step}, {run.seen * processes} pictures, {lesson.about}, rate {rate:.1e}: "
        + LOG_SEPARATOR.join(figures)
    )


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that every training command has."""
    parser.add_argument("run", type=Path, help="folder for checkpoints and logs")
    end = parser.add_mutually_exclusive_group(required=True)
    end.add_argument("--minutes", type=float, help="length of the run")
    end.add_argument("--until", metavar="HH:MM", help="end of the run: the next time it is so late")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count(), help="one per core; on a GPU there is always one"
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda")


def start_run(task: Task, recipe: Recipe, arguments: argparse.Namespace) -> None:
    """Run to the end that the arguments of `add_run_arguments` say."""
    arguments.run.mkdir(parents=True, exist_ok=True)
    rendezvous = (arguments.run / f"rendezvous{os.getpid()}").resolve()
    processes = arguments.processes if arguments.device == "cpu" else 1
    shared = (processes, task, recipe, arguments.run, end_time(arguments), rendezvous, arguments.device)
    torch.multiprocessing.spawn(run_process, args=shared, nprocs=processes, daemon=False)
    rendezvous.unlink(missing_ok=True)


def end_time(arguments: argparse.Namespace) -> float:
    """Seconds since the epoch of --until (today) or --minutes from now on."""
    if arguments.until:
        clock = datetime.time.fromisoformat(arguments.until)
        now = datetime.datetime.now()
        end = datetime.datetime.combine(now, clock)
        return (end if end > now else end + datetime.timedelta(days=1)).timestamp()
    return time.time() + 60 * arguments.minutes
