"""Generated pictures in the layout of the data folder: bright ellipses and boxes on dark noise, each with its mask."""

import csv
from pathlib import Path

import cv2
import numpy as np

COLUMNS = ("file", "source", "n_layers", "split")


def draw_picture(rng: np.random.Generator, size: tuple[int, int] = (90, 120)) -> tuple[np.ndarray, np.ndarray]:
    """(uint8 [H, W, 3], index mask uint8 [H, W]) with one object in the left half and one in the right."""
    height, width = size
    rgb = cv2.resize(rng.integers(0, 90, (9, 12, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    ids = np.zeros(size, np.uint8)
    for index in (1, 2):
        centre = (int(width * (0.25 + 0.5 * (index - 1))), height // 2)
        axes = tuple(int(axis) for axis in rng.integers(10, 24, 2))
        cv2.ellipse(ids, centre, axes, float(rng.integers(180)), 0, 360, index, -1)
        rgb[ids == index] = rng.integers(140, 255, 3)
    return rgb, ids


def write_data_folder(root: Path, sources: list[tuple[str, str]], seed: int = 0) -> Path:
    """A data folder whose train/ has one picture per (source, split), and whose train_video/ is one sequence of five
    frames.
    """
    rng = np.random.default_rng(seed)
    for folder in ("train/images", "train/masks", "train_video/JPEGImages/walk", "train_video/Annotations/walk"):
        (root / folder).mkdir(parents=True)
    with open(root / "train/manifest.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number, (source, split) in enumerate(sources):
            write_pair(
                root / "train/images" / f"{number}.jpg", root / "train/masks" / f"{number}.png", *draw_picture(rng)
            )
            writer.writerow((f"{number}.jpg", source, 1, split))
    for frame in range(5):
        write_pair(
            root / f"train_video/JPEGImages/walk/{frame}.jpg",
            root / f"train_video/Annotations/walk/{frame}.png",
            *draw_picture(rng),
        )
    return root


def write_pair(image_path: Path, mask_path: Path, rgb: np.ndarray, ids: np.ndarray) -> None:
    cv2.imwrite(str(image_path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    cv2.imwrite(str(mask_path), ids)
