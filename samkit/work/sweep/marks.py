"""Prompts that follow from the truth: its box, pixels of it, and clicks that correct a mask."""

import hashlib
from collections.abc import Callable

import numpy as np

from samkit.errors import BadInput
from samkit.media.given_masks import Truth
from samkit.media.masks import deepest_point, mask_box
from samkit.prompts import BACKGROUND, FOREGROUND, Prompts
from samkit.work.sweep.spec import PromptRule

Segment = Callable[[Prompts], np.ndarray]
"""bool [H, W] in the picture's pixels: the mask that these prompts give."""


def draw(seed: int, *what: str | int) -> np.random.Generator:
    """Chance that follows from the seed and from what it is for. The model and its parameters are no part of that, so
    that all of them are given the same prompts.
    """
    text = "\n".join(map(str, (seed, *what)))
    return np.random.default_rng(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big"))


def prompts_from_truth(rule: PromptRule, truth: Truth, chance: np.random.Generator, segment: Segment) -> Prompts:
    """The prompts as shares of the picture. Raises BadInput for a truth without a pixel.

    segment: is asked by clicks alone, once for each but the last
    """
    box = mask_box(truth.mask)
    if box is None:
        raise BadInput("The true mask has no pixel, so no prompt follows from it: leave the object out.")
    height, width = truth.mask.shape
    if rule.truth == "box":
        return Prompts(boxes=[_moved_box(box, rule.jitter, chance, (height, width))])
    if rule.truth == "points":
        inside = np.flatnonzero(truth.mask)
        chosen = chance.choice(inside, size=min(rule.count, len(inside)), replace=False)
        return Prompts([_share(int(at) % width, int(at) // width, (height, width)) for at in chosen])
    if rule.truth == "inside":
        x, y = _deepest(truth.mask)[:2]
        spread = rule.jitter / 100 * max(height, width)
        moved = np.array([x, y]) + chance.normal(0, spread, 2) if spread else np.array([x, y])
        x, y = np.clip(moved, 0, (width - 1, height - 1))
        return Prompts([_share(float(x), float(y), (height, width))])
    prompts = Prompts([_share(*_deepest(truth.mask)[:2], (height, width))])
    for _ in range(rule.count - 1):
        click = correcting_click(segment(prompts), truth)
        if click is None:
            break
        x, y, label = click
        prompts = prompts.with_point(*_share(x, y, (height, width), label))
    return prompts


def correcting_click(mask: np.ndarray, truth: Truth) -> tuple[int, int, int] | None:
    """(x, y, label) in pixels: where the bool [H, W] mask is wrong farthest from any pixel where it is right; None
    where it is right everywhere. Ignored pixels are right.
    """
    counted = True if truth.ignore is None else ~truth.ignore
    missed, added = truth.mask & ~mask & counted, mask & ~truth.mask & counted
    candidates = [
        (point[2], point[0], point[1], label)
        for wrong, label in ((missed, FOREGROUND), (added, BACKGROUND))
        if (point := deepest_point(wrong)) is not None
    ]
    if not candidates:
        return None
    _, x, y, label = max(candidates, key=lambda each: each[0])
    return x, y, label


def _deepest(mask: np.ndarray) -> tuple[int, int, float]:
    point = deepest_point(mask)
    assert point is not None
    return point


def _share(x: float, y: float, size: tuple[int, int], label: int = FOREGROUND) -> tuple[float, float, int]:
    """A pixel's centre as shares of the picture."""
    return (x + 0.5) / size[1], (y + 0.5) / size[0], label


def _moved_box(
    box: tuple[int, int, int, int], jitter: float, chance: np.random.Generator, size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """The box as shares of the picture, at least a pixel wide and high."""
    height, width = size
    x1, y1, x2, y2 = map(float, box)
    if jitter:
        spread = jitter / 100 * np.array([x2 - x1, y2 - y1, x2 - x1, y2 - y1])
        moved = np.array([x1, y1, x2, y2]) + chance.normal(0, spread)
        x1, x2 = sorted(np.clip(moved[[0, 2]], 0, width).tolist())
        y1, y2 = sorted(np.clip(moved[[1, 3]], 0, height).tolist())
        x1, y1 = min(x1, width - 1.0), min(y1, height - 1.0)
        x2, y2 = max(x2, x1 + 1), max(y2, y1 + 1)
    return x1 / width, y1 / height, x2 / width, y2 / height
