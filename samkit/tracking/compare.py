"""Kept runs side by side: what was set differently, which metrics came out better, and how far the masks agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from samkit.errors import BadInput
from samkit.media.pictures import read_picture
from samkit.tracking.bundle.bundle import PICTURES, Bundle
from samkit.tracking.store.tags import shown_mask

MIN_COMPARED, MAX_COMPARED = 2, 12
COLORS = (
    (230, 85, 13), (31, 119, 180), (44, 160, 44), (214, 39, 140), (148, 103, 189), (188, 189, 34),
    (23, 190, 207), (140, 86, 75), (255, 187, 20), (99, 121, 57), (200, 30, 30), (90, 90, 220),
)  # fmt: skip
"""RGB of the outlines, one for each run in their order."""
FIRST, SECOND, BOTH = (230, 85, 13), (31, 119, 180), (235, 235, 235)
"""RGB in a difference map: only the first run's, only the second's, and both."""
HIGHER = ("iou", "stability_score", "j", "f", "j_and_f", "object_score", "found")
LOWER = ("ms", "drift", "error")


@dataclass(frozen=True)
class Row:
    """One parameter, metric or circumstance over all runs.

    values: as kept, None where a run has none; best: indices of the best runs, none where nothing tells which that is
    """

    name: str
    values: tuple
    best: tuple[int, ...] = ()

    @property
    def differs(self) -> bool:
        return any(value != self.values[0] for value in self.values)


@dataclass(frozen=True)
class MaskPair:
    """How two masks of one size differ, in pixels. iou: 1 for two empty masks."""

    only_first: int
    only_second: int
    both: int

    @property
    def iou(self) -> float:
        union = self.only_first + self.only_second + self.both
        return self.both / union if union else 1.0


class Comparison:
    """2 to 12 runs, in the order given. Raises BadInput for fewer or more."""

    def __init__(self, bundles: Sequence[Bundle]):
        if not MIN_COMPARED <= len(bundles) <= MAX_COMPARED:
            raise BadInput(f"{MIN_COMPARED} to {MAX_COMPARED} runs can be compared, not {len(bundles)}.")
        self.bundles = tuple(bundles)

    @cached_property
    def params(self) -> tuple[Row, ...]:
        """All parameters, in the order of the first run that has them."""
        return _rows([bundle.params for bundle in self.bundles])

    @cached_property
    def metrics(self) -> tuple[Row, ...]:
        """All metrics and timings, the best runs of each marked where more or less of it is better."""
        return tuple(
            Row(row.name, row.values, _best(row))
            for row in _rows([bundle.record["metrics"] | bundle.record["timings"] for bundle in self.bundles])
        )

    @cached_property
    def circumstances(self) -> tuple[Row, ...]:
        """Experiment, model, pictures, prompts and what they ran on."""
        told = []
        for record in (bundle.record for bundle in self.bundles):
            named = {key: record[key]["name"] for key in ("picture", "picture_b", "video") if key in record}
            prompts = record["prompts"]
            given = {"points": len(prompts.get("points", ())), "boxes": len(prompts.get("boxes", ()))}
            said = {
                "experiment": record["experiment"],
                "model": record["model"]["name"],
                **named,
                **given,
                "device": record["device"],
                "dtype": record["dtype"],
            }
            told.append(said | {"prompts": _prompts_text(prompts)})
        return _rows(told)

    @cached_property
    def mask_names(self) -> tuple[str, ...]:
        """The masks that at least two runs have, the one that stands for a run first; where no name is shared, "" for
        each run's own.
        """
        counts: dict[str, int] = {}
        for bundle in self.bundles:
            for name in bundle.record["masks"]:
                counts[name] = counts.get(name, 0) + 1
        shared = [name for name, count in counts.items() if count > 1]
        first = shown_mask(shared)
        if first is None:
            return ("",) if sum(bool(bundle.record["masks"]) for bundle in self.bundles) > 1 else ()
        return (first, *sorted(name for name in shared if name != first))

    def masks(self, name: str) -> tuple[np.ndarray | None, ...]:
        """bool [H, W] for each run, None where it has no such mask. "": the mask that stands for the run."""
        named = [name or shown_mask(bundle.record["masks"]) for bundle in self.bundles]
        return tuple(
            bundle.mask(each) if each in bundle.record["masks"] else None
            for bundle, each in zip(self.bundles, named, strict=True)
        )

    def picture(self, index: int, name: str) -> np.ndarray | None:
        """uint8 [H, W, 3]: what that run's mask of that name lies on; None where the run took no picture."""
        file = ground_file(self.bundles[index], name)
        return read_picture(file).rgb if file.is_file() else None

    def grounds(self, name: str) -> tuple[tuple[int, ...], ...]:
        """Groups of two or more runs, by index, the largest first, whose masks of that name lie on one picture: only
        those can be laid over each other.
        """
        groups: dict[tuple, list[int]] = {}
        for index, (bundle, mask) in enumerate(zip(self.bundles, self.masks(name), strict=True)):
            if mask is not None:
                groups.setdefault((_ground_sha256(bundle, name), mask.shape), []).append(index)
        return tuple(sorted((tuple(group) for group in groups.values() if len(group) > 1), key=len, reverse=True))


def ground_file(bundle: Bundle, name: str) -> Path:
    """The picture a mask lies on; it need not be there."""
    return bundle.path / "inputs" / f"{_ground_field(bundle, name)}.png"


def _ground_field(bundle: Bundle, name: str) -> str:
    """The field of `Inputs` a mask lies on: of two pictures, what was tracked or found lies on the one that was not
    prompted.
    """
    elsewhere = "tracked" in name or name == "mask_similar"
    return (
        "image_b" if "picture_b" in bundle.record and elsewhere != (bundle.params.get("prompt_on") == "b") else "image"
    )


def _ground_sha256(bundle: Bundle, name: str) -> str:
    told = bundle.record.get(PICTURES[_ground_field(bundle, name)]) or bundle.record.get("video") or {}
    return told.get("sha256", "")


def compare_pair(first: np.ndarray, second: np.ndarray) -> MaskPair:
    """Two masks, bool [H, W]."""
    both = int(np.count_nonzero(first & second))
    return MaskPair(int(np.count_nonzero(first)) - both, int(np.count_nonzero(second)) - both, both)


def iou_matrix(masks: Sequence[np.ndarray]) -> np.ndarray:
    """float [N, N] of N masks, bool [H, W], all of one size; 1 for two empty ones."""
    packed = [np.packbits(mask) for mask in masks]
    areas = np.array([np.bitwise_count(bits).sum(dtype=np.int64) for bits in packed])
    matrix = np.eye(len(masks))
    for i in range(len(masks)):
        for j in range(i):
            shared = np.bitwise_count(packed[i] & packed[j]).sum(dtype=np.int64)
            union = areas[i] + areas[j] - shared
            matrix[i, j] = matrix[j, i] = shared / union if union else 1.0
    return matrix


def difference_map(rgb: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3]: the picture, dim and grey, with what only the first mask has, what only the second has and what
    both have in three colours.

    rgb: uint8 [H, W, 3]; first, second: bool [H, W]
    """
    drawn = _dim(rgb)
    drawn[first & second] = (drawn[first & second] * 0.35 + np.array(BOTH) * 0.65).astype(np.uint8)
    drawn[first & ~second] = FIRST
    drawn[second & ~first] = SECOND
    return drawn


def outlines(rgb: np.ndarray, masks: Sequence[np.ndarray], colors: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """uint8 [H, W, 3]: the picture, dim and grey, with every mask's outline in its colour. masks: bool [H, W]"""
    drawn = _dim(rgb)
    thickness = max(1, round(max(rgb.shape[:2]) / 350))
    for mask, color in zip(masks, colors, strict=True):
        found, _ = cv2.findContours(np.ascontiguousarray(mask, np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, found, -1, color, thickness, cv2.LINE_AA)
    return drawn


def _dim(rgb: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY)
    return cv2.cvtColor((grey * 0.6).astype(np.uint8), cv2.COLOR_GRAY2RGB)


def _rows(told: Sequence[dict]) -> tuple[Row, ...]:
    names = dict.fromkeys(name for values in told for name in values)
    return tuple(Row(name, tuple(_plain(values.get(name)) for values in told)) for name in names)


def _plain(value):
    """Lists become tuples, so that values can be compared and counted."""
    return tuple(_plain(each) for each in value) if isinstance(value, list) else value


def _best(row: Row) -> tuple[int, ...]:
    words = [word for word in row.name.split("_") if not word.isdigit()]
    stem = "_".join(words)
    if row.name.endswith("_index") or not row.differs:
        return ()
    lower = any(stem == end or stem.endswith(f"_{end}") for end in LOWER)
    if not lower and not any(stem == end or stem.endswith(f"_{end}") or stem.startswith(f"{end}_") for end in HIGHER):
        return ()
    there = {index: value for index, value in enumerate(row.values) if _is_finite(value)}
    if len(there) < MIN_COMPARED:
        return ()
    best = min(there.values()) if lower else max(there.values())
    return tuple(index for index, value in there.items() if value == best)


def _is_finite(value) -> bool:
    """Whether it is a number that can be better or worse than another."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def _prompts_text(prompts: dict) -> str:
    points = [f"{'+' if label else '−'}({x:.3f}, {y:.3f})" for x, y, label in prompts.get("points", ())]
    boxes = [f"box({', '.join(f'{value:.3f}' for value in box)})" for box in prompts.get("boxes", ())]
    return " ".join([*points, *boxes]) or "none"
