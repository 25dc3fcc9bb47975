"""Prompts as a person might give them: a first click or box, then clicks that correct what the model got wrong.

Positions are x, y in 0..1 of the model's input; labels are those of samkit.models.network.prompt_encoder.
"""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from samkit.models.network.prompt_encoder import BACKGROUND, BOX_BOTTOM_RIGHT, BOX_TOP_LEFT, FOREGROUND, PADDING

CLICK_SHARE = 0.58
"""Of the prompts; the others are boxes."""

BOX_JITTER = 0.06
"""Standard deviation of a loose box's sides, in widths and heights of the object."""

SMALLEST_NEIGHBOUR = 12
"""Pixels."""

WIDE_BOX_SHARE = 0.25
"""Of the batches whose boxes hold a neighbour too, with a background click on it."""

BLURS = 4


def pixel_box(mask: np.ndarray) -> np.ndarray:
    """int [4], x1, y1, x2, y2 in pixels, the last two behind the mask, which is [h, w] and not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


def innermost_pixel(mask: np.ndarray) -> tuple[int, int]:
    """(row, column) of the pixel farthest from the edge of a mask, bool or uint8 [h, w]; the picture's border is an
    edge too.
    """
    distance = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    return divmod(int(distance.argmax()), mask.shape[1])


def count_clicks(prompts: int, rng: np.random.Generator) -> int:
    """How many of so many prompts are to be clicks, the others being boxes."""
    return int(prompts * CLICK_SHARE + rng.random())


def laid_out(positions: Tensor, labels: Tensor, family: str) -> tuple[Tensor, Tensor]:
    """Prompts in the order and with the padding that the official predictors give them, which is what the model will
    see later.

    positions: [B, N, 2], labels: [B, N], all of them clicks or all of them boxes, the first prompt first, its
               corrections after it.
    v2: box, points, padding. v1: points, padding; or points, box, without padding.
    """
    if family == "sam1" and labels[0, 0] == BOX_TOP_LEFT:
        return positions.roll(-2, dims=1), labels.roll(-2, dims=1)
    return torch.cat([positions, positions.new_zeros(len(positions), 1, 2)], 1), torch.cat(
        [labels, labels.new_full((len(labels), 1), PADDING)], 1
    )


def first_prompt(mask: np.ndarray, rng: np.random.Generator, click: bool) -> tuple[np.ndarray, np.ndarray]:
    """A click (half of them in the object's middle) or a box (half of them loose).

    mask: float32 [side, side], soft, at least one pixel above 0.5.
    Returns positions float32 [1, 2] and labels int [1] of a click, [2, 2] and [2] of a box.
    """
    side = mask.shape[0]
    inside = mask > 0.5
    rows, columns = np.nonzero(inside)
    if click:
        if rng.random() < 0.5:
            row, column = innermost_pixel(inside)
        else:
            pick = rng.integers(len(rows))
            row, column = rows[pick], columns[pick]
        return np.array([[(column + 0.5) / side, (row + 0.5) / side]], np.float32), np.array([FOREGROUND])
    box = tight = pixel_box(inside)
    if rng.random() < 0.5:
        width, height = tight[2] - tight[0], tight[3] - tight[1]
        box = np.clip(tight + BOX_JITTER * np.array([width, height, width, height]) * rng.normal(size=4), 0, side)
        if box[2] - box[0] < 2 or box[3] - box[1] < 2:
            box = tight
    return (box / side).astype(np.float32).reshape(2, 2), np.array([BOX_TOP_LEFT, BOX_BOTTOM_RIGHT])


def wide_box(mask: np.ndarray, others: list[np.ndarray], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A box around an object and what is beside it, and a click that says what beside it is not meant.

    mask, others: float32 [side, side], soft; the nearest of the others is taken into the box, or else some ground.
    Returns positions float32 [3, 2] and labels int [3]: two corners, then the background click; padding in its place
    where there is nothing beside the object.
    """
    side, inside = mask.shape[0], mask > 0.5
    beside = [(other > 0.5) & (mask < 0.1) for other in others]
    beside = [other for other in beside if other.sum() >= SMALLEST_NEIGHBOUR]
    held, place = inside, None
    if beside:
        neighbour = min(beside, key=lambda other: np.abs(_middle(other) - _middle(inside)).sum())
        held, place = inside | neighbour, innermost_pixel(neighbour)
    else:
        rows, columns = np.nonzero(
            cv2.dilate(mask, np.ones((side // 4 | 1,) * 2)) * (cv2.dilate(mask, np.ones((7, 7))) < 0.1)
        )
        if len(rows):
            pick = rng.integers(len(rows))
            place = rows[pick], columns[pick]
            held = inside.copy()
            held[place] = True
    corners = pixel_box(held).reshape(2, 2)
    click, label = ((0, 0), PADDING) if place is None else ((place[1] + 0.5, place[0] + 0.5), BACKGROUND)
    return (np.vstack([corners, click]) / side).astype(np.float32), np.array([BOX_TOP_LEFT, BOX_BOTTOM_RIGHT, label])


def _middle(mask: np.ndarray) -> np.ndarray:
    return np.argwhere(mask).mean(0)


def correction_click(predicted: np.ndarray, target: np.ndarray) -> tuple[int, int, int] | None:
    """A click in the middle of the larger of the two error regions (missed, or wrongly taken), or of the object where
    there is no error: for evaluation.

    predicted, target: bool [h, w]. Returns (row, column, label), or None for an empty target that was predicted empty.
    """
    missed, wrong = target & ~predicted, predicted & ~target
    label, region = (FOREGROUND, missed) if missed.sum() >= wrong.sum() else (BACKGROUND, wrong)
    if not region.any():
        label, region = FOREGROUND, target
        if not region.any():
            return None
    return *innermost_pixel(region), label


def add_corrections(
    positions: Tensor, labels: Tensor, logits: Tensor, iou: Tensor, targets: Tensor, middle_share: float = 0.5
) -> tuple[Tensor, Tensor, Tensor]:
    """One more click for every prompt, where the mask that a person would see is wrong: the single mask, or the one of
    1..3 with the best predicted IoU.

    positions: [B, N, 2], labels: [B, N], logits: [B, 4, h, w], iou: [B, 4] as predicted, targets: [B, h, w] soft; all
               on one device.
    middle_share: how many of the clicks lie in the middle of the larger error region, and not anywhere in it.
    Returns positions [B, N + 1, 2], labels [B, N + 1] and that mask's logits [B, 1, h, w], to be fed back. An object
    that covers no pixel gets padding.
    """
    count, side, device = len(logits), logits.shape[-1], logits.device
    single = torch.rand(count, device=device) < 0.5
    shown = torch.where(single, 0, 1 + iou[:, 1:].argmax(dim=1))
    seen = logits[torch.arange(count, device=device), shown].float()
    predicted, wanted = seen > 0, targets > 0.5
    missed, wrong = wanted & ~predicted, predicted & ~wanted
    forward = missed.flatten(1).sum(1) >= wrong.flatten(1).sum(1)
    region = torch.where(forward[:, None, None], missed, wrong)
    right = ~region.flatten(1).any(1)
    region = torch.where(right[:, None, None], wanted, region).float()
    places = torch.where(torch.rand(count, device=device) < middle_share, middles(region), anywhere(region))
    possible = region.flatten(1).any(1)
    click = torch.stack([places % side + 0.5, torch.div(places, side, rounding_mode="floor") + 0.5], dim=-1) / side
    label = torch.where(forward | right, FOREGROUND, BACKGROUND).where(possible, PADDING)
    positions = torch.cat([positions, torch.where(possible[:, None], click, 0.0)[:, None]], dim=1)
    return positions, torch.cat([labels, label[:, None]], dim=1), seen[:, None].clamp(-32, 32)


def middles(region: Tensor) -> Tensor:
    """Flat index of a pixel well inside each region: where repeated blurring leaves most. region: float [B, h, w] of
    zeros and ones -> int [B].
    """
    blurred = region[:, None]
    for _ in range(BLURS):
        blurred = F.avg_pool2d(blurred, 5, stride=1, padding=2)
    return (blurred[:, 0] * region).flatten(1).argmax(dim=1)


def anywhere(region: Tensor) -> Tensor:
    """Flat index of a random pixel of each region (of the whole map where it is empty). region: float [B, h, w] -> int
    [B].
    """
    weights = region.flatten(1)
    return torch.multinomial(weights + (weights.sum(1, keepdim=True) == 0), 1)[:, 0]
