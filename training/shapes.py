"""Training pictures that need no data at all: textured shapes on textured grounds, with their true masks.

    python -m training.shapes CACHE --pictures 3000       # then `python -m training.train CACHE RUN ...` as with photos

Each picture is made from its number alone. Textures are sums of waves and noise of many sizes in a few colours; shapes
are smooth blobs, polygons and rings, shaded and at times with a shadow, that cover each other.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from training.data import CACHE_SIDE, write_arrays

SMALLEST_SHARE = 0.004
"""Of the picture that has to be left of a shape for it to count as an object."""


def texture(rng: np.random.Generator, side: int = CACHE_SIDE) -> np.ndarray:
    """float32 [side, side, 3] of 0..255."""
    field = np.zeros((side, side), np.float32)
    for octave in range(int(rng.integers(1, 6))):
        size = max(2, int(rng.uniform(2, 5) * 2**octave))
        noise = rng.normal(size=(size, max(2, int(size * rng.uniform(0.4, 2.5))))).astype(np.float32)
        field += (
            cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
            * rng.uniform(0.3, 1.0)
            / (octave + 1) ** rng.uniform(0, 1)
        )
    if rng.random() < 0.35:
        y, x = np.mgrid[0:side, 0:side] / side
        angle, frequency = rng.uniform(0, np.pi), rng.uniform(3, 40)
        field += rng.uniform(0.4, 1.5) * np.sin(
            2 * np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle)) + 2 * field
        ).astype(np.float32)
    low, high = np.percentile(field, (2, 98))
    field = np.clip((field - low) / max(high - low, 1e-6), 0, 1)
    colours = rng.uniform(0, 255, (3, 3)) * rng.uniform(0.4, 1) + rng.uniform(0, 60)
    stops = np.array([0, rng.uniform(0.3, 0.7), 1])
    rgb = np.stack([np.interp(field, stops, colours[:, channel]) for channel in range(3)], axis=-1)
    return np.clip(rgb + rng.normal(0, rng.uniform(0, 8), rgb.shape), 0, 255).astype(np.float32)


def shape(rng: np.random.Generator, side: int = CACHE_SIDE) -> np.ndarray:
    """bool [side, side]: one smooth blob, polygon or ring."""
    centre, radius = rng.uniform(0.1, 0.9, 2) * side, side * rng.uniform(0.06, 0.32)
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    kind = rng.random()
    if kind < 0.55:
        waves = sum(
            rng.normal(0, 0.35 / order) * np.cos(order * angles + rng.uniform(0, 2 * np.pi)) for order in range(1, 7)
        )
        radii = radius * np.clip(1 + waves, 0.2, 2.2)
    else:
        corners = int(rng.integers(3, 8))
        angles = (
            np.sort(rng.uniform(0, 2 * np.pi, corners))
            if kind < 0.75
            else np.linspace(0, 2 * np.pi, corners, endpoint=False)
        )
        radii = radius * rng.uniform(0.6, 1.3, corners)
    turn, stretch = rng.uniform(0, 2 * np.pi), np.array([rng.uniform(0.4, 1.6), 1.0])
    outline = np.stack([np.cos(angles) * radii, np.sin(angles) * radii], axis=-1) * stretch
    outline = outline @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) + centre
    mask = np.zeros((side, side), np.uint8)
    cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], 1)
    if rng.random() < 0.08:
        inner = (outline - outline.mean(0)) * rng.uniform(0.3, 0.6) + outline.mean(0)
        cv2.fillPoly(mask, [np.round(inner).astype(np.int32)], 0)
    return mask.astype(bool)


def picture(number: int, side: int = CACHE_SIDE) -> tuple[np.ndarray, list[np.ndarray]]:
    """(uint8 [side, side, 3], masks, bool [side, side] each, at least one) of that number."""
    rng = np.random.default_rng(number)
    while True:
        rgb, masks = texture(rng, side), []
        for _ in range(int(rng.integers(1, 7))):
            mask = shape(rng, side)
            cover = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), rng.uniform(0.4, 1.2))[..., None]
            if rng.random() < 0.4:
                offset = rng.uniform(-0.05, 0.05, 2) * side
                shadow = cv2.GaussianBlur(
                    np.roll(mask, offset.astype(int), axis=(0, 1)).astype(np.float32), (0, 0), side * 0.015
                )
                rgb = rgb * (1 - 0.55 * shadow[..., None])
            light = 1 + 0.35 * rng.uniform(-1, 1) * np.linspace(-1, 1, side, dtype=np.float32)[:, None, None]
            rgb = rgb * (1 - cover) + texture(rng, side) * light * cover
            masks = [known & ~mask for known in masks] + [mask]
        masks = [mask for mask in masks if mask.mean() >= SMALLEST_SHARE]
        if masks:
            return np.clip(rgb, 0, 255).astype(np.uint8), masks


def write_shapes(folder: Path, count: int, first: int = 0) -> None:
    """A picture cache, as `training.data` writes it, of pictures `first` to `first + count - 1`."""
    rows = []
    for number in range(first, first + count):
        rgb, masks = picture(number)
        rows.append((f"shapes-{number}", "shapes", "train", rgb, [np.packbits(mask) for mask in masks]))
    write_arrays(rows, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a picture cache of generated shapes.")
    parser.add_argument("cache", type=Path, help="folder to write")
    parser.add_argument("--pictures", type=int, default=3000)
    arguments = parser.parse_args()
    write_shapes(arguments.cache, arguments.pictures)


if __name__ == "__main__":
    main()
