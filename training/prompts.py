"""Prompts as a person might give them: a first click or box, then clicks that correct what the model got wrong.

Positions are x, y in 0..1 of the model's input; labels are those of samkit.models.prompt_encoder.
"""

import cv2
import numpy as np
import torch
from torch import Tensor

from samkit.models.prompt_encoder import BACKGROUND, BOX_BOTTOM_RIGHT, BOX_TOP_LEFT, FOREGROUND, PADDING

CLICK_SHARE = 0.58

BOX_JITTER = 0.06
"""Standard deviation of a loose box's sides, in widths and heights of the object."""


def innermost_pixel(mask: np.ndarray) -> tuple[int, int]:
    """(row, column) of the pixel farthest from the edge of a mask, bool or uint8 [h, w]; the picture's border is an edge too."""
    distance = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    return divmod(int(distance.argmax()), mask.shape[1])


def first_prompt(mask: np.ndarray, rng: np.random.Generator, click: bool | None = None) -> tuple[np.ndarray, np.ndarray]:
    """A click (half of them in the object's middle) a little more often than a box (half of them loose).

    mask: float32 [side, side], soft, at least one pixel above 0.5; click: whether it is to be one.
    Returns positions float32 [2, 2] and labels int [2]; a click is followed by padding.
    """
    side = mask.shape[0]
    inside = mask > 0.5
    rows, columns = np.nonzero(inside)
    if rng.random() < CLICK_SHARE if click is None else click:
        if rng.random() < 0.5:
            row, column = innermost_pixel(inside)
        else:
            pick = rng.integers(len(rows))
            row, column = rows[pick], columns[pick]
        return np.array([[(column + 0.5) / side, (row + 0.5) / side], [0, 0]], np.float32), np.array([FOREGROUND, PADDING])
    tight = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)
    box = tight
    if rng.random() < 0.5:
        width, height = tight[2] - tight[0], tight[3] - tight[1]
        box = np.clip(tight + BOX_JITTER * np.array([width, height, width, height]) * rng.normal(size=4), 0, side)
        if box[2] - box[0] < 2 or box[3] - box[1] < 2:
            box = tight
    return (box / side).astype(np.float32).reshape(2, 2), np.array([BOX_TOP_LEFT, BOX_BOTTOM_RIGHT])


def correction_click(predicted: np.ndarray, target: np.ndarray, rng: np.random.Generator | None = None) -> tuple[int, int, int] | None:
    """A click in the larger of the two error regions (missed, or wrongly taken), or in the object where there is no error.

    predicted, target: bool [h, w]; rng: clicks in the middle half the time and anywhere the other half; None for always in the middle.
    Returns (row, column, label), or None for an empty target that was predicted empty.
    """
    missed, wrong = target & ~predicted, predicted & ~target
    label, region = (FOREGROUND, missed) if missed.sum() >= wrong.sum() else (BACKGROUND, wrong)
    if not region.any():
        label, region = FOREGROUND, target
        if not region.any():
            return None
    if rng is None or rng.random() < 0.5:
        row, column = innermost_pixel(region)
    else:
        row, column = divmod(int(rng.choice(np.flatnonzero(region))), region.shape[1])
    return row, column, label


def add_corrections(positions: Tensor, labels: Tensor, logits: Tensor, iou: Tensor, targets: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """One more click for every prompt, where the mask that a person would see is wrong: the single mask, or the one of 1..3 with the best predicted IoU.

    positions: [B, N, 2], labels: [B, N], logits: [B, 4, h, w], iou: [B, 4] as predicted, targets: [B, h, w] soft.
    Returns positions [B, N + 1, 2], labels [B, N + 1] and that mask's logits [B, 1, h, w], to be fed back.
    """
    count, side = len(logits), logits.shape[-1]
    shown = torch.where(torch.rand(count) < 0.5, torch.zeros(count, dtype=torch.long), 1 + iou[:, 1:].argmax(dim=1))
    seen = logits[torch.arange(count), shown].float()
    predicted, wanted = (seen > 0).numpy(), targets.numpy() > 0.5
    new_positions, new_labels = np.zeros((count, 1, 2), np.float32), np.full((count, 1), PADDING)
    for index in range(count):
        click = correction_click(predicted[index], wanted[index], rng)
        if click is not None:
            row, column, new_labels[index, 0] = click
            new_positions[index, 0] = (column + 0.5) / side, (row + 0.5) / side
    positions = torch.cat([positions, torch.from_numpy(new_positions)], dim=1)
    return positions, torch.cat([labels, torch.from_numpy(new_labels)], dim=1), seen[:, None].clamp(-32, 32)
