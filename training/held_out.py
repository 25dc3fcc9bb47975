"""Objects to judge a model on, in pictures that no training run sees.

Two sets: `val`, the held-out rows of the train manifest, and `pairs`, the pictures of `pairs/`. Both leave out every
picture that looks like a training picture (perceptual hash), and take one object from each picture that is left.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from training.data import mask_files, read_manifest

VAL_SOURCES = {"coco", "animals", "dogcat", "fish", "truck", "bottle", "mug"}
"""Sources with whole objects. The others are parts, regions, machine-made masks or near-copies of a few scenes."""

SMALLEST_AREA = 0.005
NEAREST_HASH = 10
"""Bits of 64 in which a held-out picture must differ from every training picture."""


@dataclass(frozen=True)
class HeldOutObject:
    """rgb: uint8 [H, W, 3]; mask: bool [H, W]; file: the picture's path below the data folder."""

    file: str
    source: str
    rgb: np.ndarray
    mask: np.ndarray


def load_held_out(data_root: Path, name: str, seed: int = 0) -> list[HeldOutObject]:
    """The objects of "val" or "pairs", in a fixed order. Raises ValueError for another name."""
    if name == "val":
        rows = [
            row for row in read_manifest(data_root / "train") if row["split"] == "val" and row["source"] in VAL_SOURCES
        ]
        listed = [(f"train/images/{row['file']}", mask_files(data_root / "train", row), row["source"]) for row in rows]
    elif name == "pairs":
        rows = read_manifest(data_root / "pairs")
        listed = [
            (f"pairs/{row['file']}", (data_root / "pairs" / row["mask"],), row["group"].partition("-")[0])
            for row in rows
        ]
    else:
        raise ValueError(f'There is no held-out set "{name}": use val or pairs.')
    seen = np.stack(
        [
            picture_hash(data_root / "train/images" / row["file"])
            for row in read_manifest(data_root / "train")
            if row["split"] != "val"
        ]
    )
    rng, objects = np.random.default_rng(seed), []
    for file, masks, source in listed:
        own = picture_hash(data_root / file)
        if (seen != own).sum(1).min() >= NEAREST_HASH and (chosen := choose_mask(masks, rng)) is not None:
            seen = np.vstack([seen, own])
            objects.append(
                HeldOutObject(file, source, cv2.cvtColor(cv2.imread(str(data_root / file)), cv2.COLOR_BGR2RGB), chosen)
            )
    return objects


def choose_mask(files: tuple[Path, ...], rng: np.random.Generator) -> np.ndarray | None:
    """One of a picture's objects of at least 0.5 % and at most 90 % of it, at random; None where there is none. bool
    [H, W].
    """
    layers = [cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in files]
    masks = [ids == value for ids in layers for value in np.unique(ids) if value not in (0, 255)]
    masks = [mask for mask in masks if SMALLEST_AREA <= mask.mean() <= 0.9]
    return masks[rng.integers(len(masks))] if masks else None


def picture_hash(path: Path) -> np.ndarray:
    """bool [64]: which of the 8 x 8 lowest cosine frequencies of the grey 32 x 32 picture lie above their median."""
    grey = cv2.resize(cv2.imread(str(path), cv2.IMREAD_REDUCED_GRAYSCALE_2), (32, 32), interpolation=cv2.INTER_AREA)
    low = cv2.dct(grey.astype(np.float32))[:8, :8].ravel()
    return low > np.median(low)
