"""The picture cache: every training picture once at 512 x 512, with its object masks, in two memory-mapped arrays.

    python -m training.data ../shared/data CACHE          # about 1 minute, 4 GB

Pictures are squashed to a square, as SAM v2 sees them. See README.md for the layout of the data folder.
"""

import argparse
import csv
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

CACHE_SIDE = 512
MASK_BYTES = CACHE_SIDE * CACHE_SIDE // 8

DROPPED_SOURCES = {"facade", "mushroom", "tree", "boxes", "foodplate"}
"""Dozens of tiny parts a picture, which teach a small model to answer every click with a speck."""

SOURCE_WEIGHTS = {
    "coco": 1.0,
    "animals": 1.0,
    "bsds": 1.0,
    "dogcat": 1.0,
    "human": 0.7,
    "firetruck": 0.7,
    "video": 0.6,
    "teacher": 0.4,
    "pbottle": 0.4,
}
"""How often a picture of a source is drawn, relative to the others."""
OTHER_SOURCES_WEIGHT = 0.5

FRAME_STEP = 4
"""Of the video sequences, one annotated frame in so many."""


@dataclass(frozen=True)
class PictureCache:
    """
    images:      uint8 [N, S, S, 3], RGB, memory-mapped
    mask_bits:   uint8 [M, S * S / 8], packed booleans, memory-mapped; the masks of picture i are rows first_mask[i] to
                 first_mask[i + 1]
    sources, splits, files: one str per picture; splits are "train" or "val"
    """

    images: np.ndarray
    mask_bits: np.ndarray
    first_mask: np.ndarray
    sources: tuple[str, ...]
    splits: tuple[str, ...]
    files: tuple[str, ...]

    def mask_count(self, picture: int) -> int:
        return int(self.first_mask[picture + 1] - self.first_mask[picture])

    def mask(self, picture: int, index: int) -> np.ndarray:
        """uint8 [S, S], 0 or 1."""
        side = self.images.shape[1]
        return np.unpackbits(self.mask_bits[self.first_mask[picture] + index]).reshape(side, side)

    def training_pictures(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the pictures to train on, and the probability of each."""
        pictures = np.array([i for i, split in enumerate(self.splits) if split != "val"])
        weights = np.array([SOURCE_WEIGHTS.get(self.sources[i], OTHER_SOURCES_WEIGHT) for i in pictures])
        return pictures, weights / weights.sum()


@dataclass(frozen=True)
class Job:
    """A picture to put into the cache: its file and its index masks, each id > 0 but 255 an object."""

    image: Path
    masks: tuple[Path, ...]
    source: str
    split: str


def list_jobs(data_root: Path) -> list[Job]:
    """The photos of `train/` (held-out ones too, marked "val") and every fourth annotated frame of `train_video/`."""
    jobs = []
    for row in read_manifest(data_root / "train"):
        if row["source"] not in DROPPED_SOURCES:
            jobs.append(
                Job(
                    data_root / "train/images" / row["file"],
                    mask_files(data_root / "train", row),
                    row["source"],
                    row["split"],
                )
            )
    annotations, frames = data_root / "train_video/Annotations", data_root / "train_video/JPEGImages"
    for sequence in sorted(path.name for path in annotations.iterdir()):
        for mask in sorted((annotations / sequence).iterdir())[::FRAME_STEP]:
            jobs.append(Job(frames / sequence / f"{mask.stem}.jpg", (mask,), "video", "train"))
    return jobs


def read_manifest(folder: Path) -> list[dict[str, str]]:
    with open(folder / "manifest.csv", newline="") as file:
        return list(csv.DictReader(file))


def mask_files(folder: Path, row: dict[str, str]) -> tuple[Path, ...]:
    """The layers of index masks that go with a row of the train manifest."""
    stem = row["file"][:-4]
    return tuple(
        folder / "masks" / f"{stem}{'' if layer == 0 else f'_{layer}'}.png" for layer in range(int(row["n_layers"]))
    )


def load_job(job: Job) -> tuple[np.ndarray, list[np.ndarray]] | None:
    """(uint8 [S, S, 3], packed masks), or None where no mask is worth training on: between 0.2 % and 90 % of the
    picture.
    """
    bgr = cv2.imread(str(job.image))
    if bgr is None:
        raise FileNotFoundError(f"{job.image} is missing or no picture.")
    size = (CACHE_SIDE, CACHE_SIDE)
    rgb = cv2.resize(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), size, interpolation=cv2.INTER_AREA)
    masks = []
    for path in job.masks:
        ids = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        for value in np.unique(ids):
            if value in (0, 255):
                continue
            mask = cv2.resize((ids == value).astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA) > 127
            if 0.002 <= mask.mean() <= 0.9 and (job.source != "bsds" or is_object_like(mask)):
                masks.append(np.packbits(mask))
    return (rgb, masks) if masks else None


def is_object_like(mask: np.ndarray) -> bool:
    """Whether a region on which BSDS's people agree may pass for an object: 2 to 60 % of the picture, hardly touching
    its border. mask: bool [S, S].
    """
    border = (mask[0].mean() + mask[-1].mean() + mask[:, 0].mean() + mask[:, -1].mean()) / 4
    return 0.02 < mask.mean() < 0.6 and border < 0.08


def write_cache(jobs: list[Job], folder: Path, processes: int = 2) -> None:
    """Load all pictures and write them into `folder`."""
    with ProcessPoolExecutor(processes) as pool:
        loaded = pool.map(load_job, jobs, chunksize=32)
        write_arrays(
            [(job.image.name, job.source, job.split, *item) for job, item in zip(jobs, loaded, strict=True) if item],
            folder,
        )


def write_arrays(rows: list[tuple[str, str, str, np.ndarray, list[np.ndarray]]], folder: Path) -> None:
    """Write images.npy, masks.npy and pictures.json. rows: (file, source, split, uint8 [S, S, 3], packed masks) of each
    picture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, (len(rows), CACHE_SIDE, CACHE_SIDE, 3))
    for place, (*_, rgb, _) in zip(images, rows, strict=True):
        place[:] = rgb
    images.flush()
    np.save(folder / "masks.npy", np.stack([mask for *_, masks in rows for mask in masks]))
    pictures = {
        "first_mask": np.cumsum([0] + [len(masks) for *_, masks in rows]).tolist(),
        "sources": [source for _, source, *_ in rows],
        "splits": [split for _, _, split, *_ in rows],
        "files": [file for file, *_ in rows],
    }
    (folder / "pictures.json").write_text(json.dumps(pictures))


def open_cache(folder: Path) -> PictureCache:
    """The cache `write_cache` wrote, mapped into memory: processes share its pages."""
    pictures = json.loads((folder / "pictures.json").read_text())
    return PictureCache(
        images=np.load(folder / "images.npy", mmap_mode="r"),
        mask_bits=np.load(folder / "masks.npy", mmap_mode="r"),
        first_mask=np.array(pictures["first_mask"]),
        sources=tuple(pictures["sources"]),
        splits=tuple(pictures["splits"]),
        files=tuple(pictures["files"]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Put the training pictures into a cache.")
    parser.add_argument("data_root", type=Path, help="folder with train/ and train_video/")
    parser.add_argument("cache", type=Path, help="folder to write")
    arguments = parser.parse_args()
    write_cache(list_jobs(arguments.data_root), arguments.cache)
    cache = open_cache(arguments.cache)
    print(f"{len(cache.images)} pictures, {len(cache.mask_bits)} masks in {arguments.cache}")


if __name__ == "__main__":
    main()
