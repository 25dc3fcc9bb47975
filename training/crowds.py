"""Pictures of many small things: one object many times over, discs of any texture, and four pictures in one.

A model that has seen mostly large, single objects answers a click on one of many alike with the whole crowd, or with
the part of it that it can't tell apart.
"""

import cv2
import numpy as np

from training.prompts import pixel_box

CELLS = 2, 8
"""Rows and columns of a crowd: at least, and fewer than."""

FILL = 0.5, 1.0
"""Of its cell's shorter side that a member's longer side takes up."""

ABSENT = 0.15
"""Of the cells, those that stay empty."""


def cut_out(rgb: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of a picture that holds an object: float32 [h, w, 3] and float32 [h, w]. rgb: uint8 [S, S, 3]; mask:
    uint8 [S, S], 0 or 1, not empty.
    """
    left, top, right, bottom = pixel_box(mask)
    part = slice(top, bottom), slice(left, right)
    return rgb[part].astype(np.float32), mask[part].astype(np.float32)


def disc(rgb: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A piece of a picture in the shape of a coin, a tile or something between, brighter or darker than it was; as
    `cut_out` gives it. rgb: uint8 [S, S, 3]
    """
    full = rgb.shape[0]
    height, width = (int(full * extent) for extent in rng.uniform(0.12, 0.4) * np.exp(rng.uniform(-0.15, 0.15, 2)))
    top, left = rng.integers(0, full - height), rng.integers(0, full - width)
    piece = rgb[top : top + height, left : left + width].astype(np.float32) * rng.uniform(0.6, 1.2) + rng.uniform(
        -40, 60
    )
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    power = rng.choice([2.0, 2.0, 3.0, 8.0])
    return np.clip(piece, 0, 255), (np.abs(x) ** power + np.abs(y) ** power <= 1).astype(np.float32)


def crowd(
    ground: np.ndarray, members: list[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator
) -> tuple[np.ndarray, list[np.ndarray]]:
    """
    Put the members in rows and columns on the ground, each as often as chance has it, a little turned, brightened and
    out of line.

    ground: float32 [side, side, 3]; members: as `cut_out` gives them. Returns the picture, float32 [side, side, 3], and
    soft masks [side, side], one for each place, of what is left to be seen of it.
    """
    side = ground.shape[0]
    rows, columns = rng.integers(*CELLS, size=2)
    height, width = side / rows, side / columns
    fill, tilt = rng.uniform(*FILL), rng.choice([0.0, 0.15, 1.5])
    image, masks = ground.copy(), []
    for row in range(rows):
        for column in range(columns):
            if rng.random() < ABSENT:
                continue
            rgb, alpha = members[int(rng.integers(len(members)))]
            size = fill * rng.uniform(0.85, 1.0) * min(height, width) / max(alpha.shape)
            slack = (1 - fill) / 2
            centre = (
                (column + 0.5 + rng.uniform(-slack, slack)) * width,
                (row + 0.5 + rng.uniform(-slack, slack)) * height,
            )
            placed, cover = place(rgb, alpha, side, centre, size, tilt * rng.normal(), mirrored=rng.random() < 0.5)
            image += cover[..., None] * (placed * rng.uniform(0.85, 1.15) - image)
            masks = [mask * (1 - cover) for mask in masks] + [cover]
    return image, masks


def place(
    rgb: np.ndarray, alpha: np.ndarray, side: int, centre: tuple[float, float], size: float, turn: float, mirrored: bool
) -> tuple[np.ndarray, np.ndarray]:
    """A cut-out on an empty square: float32 [side, side, 3] and its soft mask. centre: x, y in pixels; size: 1 as it
    was cut; turn: in radians.
    """
    height, width = alpha.shape
    cosine, sine = size * np.cos(turn), size * np.sin(turn)
    matrix = np.array([[cosine, -sine, 0], [sine, cosine, 0]]) @ np.diag([-1.0 if mirrored else 1.0, 1.0, 1.0])
    matrix[:, 2] = np.array(centre) - matrix[:, :2] @ (width / 2, height / 2)
    if size < 0.5:
        # A warp takes single pixels, so what shrinks a lot is shrunk by areas first.
        shrunken = max(1, round(width * size)), max(1, round(height * size))
        rgb, alpha = (cv2.resize(layer, shrunken, interpolation=cv2.INTER_AREA) for layer in (rgb, alpha))
        matrix[:, :2] @= np.diag([width / shrunken[0], height / shrunken[1]])
    return tuple(cv2.warpAffine(layer, matrix, (side, side), flags=cv2.INTER_LINEAR) for layer in (rgb, alpha))


def four_in_one(quarters: list[tuple[np.ndarray, list[np.ndarray]]]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Four square pictures with their masks, each [side / 2, side / 2], as the quarters of one."""
    (a, _), (b, _), (c, _), (d, _) = quarters
    half, masks = a.shape[0], []
    for index, (_, own) in enumerate(quarters):
        for mask in own:
            whole = np.zeros((2 * half, 2 * half), np.float32)
            top, left = half * (index // 2), half * (index % 2)
            whole[top : top + half, left : left + half] = mask
            masks.append(whole)
    return np.vstack([np.hstack([a, b]), np.hstack([c, d])]), masks
