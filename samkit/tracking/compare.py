"""Kept runs side by side: what was set differently, which metrics came out better, and how far the masks agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from samkit.errors import BadInput
from samkit.experiments.result import Metric, lower
from samkit.prompts import Prompts
from samkit.tracking.bundle.bundle import Bundle
from samkit.tracking.bundle.ground import ground, ground_sha256, mask_size
from samkit.tracking.bundle.record import RunRecord
from samkit.tracking.store.tags import shown_mask

AS_COMPUTED = ", as computed"
MIN_COMPARED, MAX_COMPARED = 2, 12
COLORS = (
    (230, 85, 13), (31, 119, 180), (44, 160, 44), (214, 39, 140), (148, 103, 189), (188, 189, 34),
    (23, 190, 207), (140, 86, 75), (255, 187, 20), (99, 121, 57), (200, 30, 30), (90, 90, 220),
)  # fmt: skip
"""RGB of the outlines, one for each run in their order."""
FIRST, SECOND, BOTH = (230, 85, 13), (31, 119, 180), (235, 235, 235)
"""RGB in a difference map: only the first run's, only the second's, and both."""


@dataclass(frozen=True)
class Row:
    """One parameter, fact, metric or circumstance over all runs.

    values: as kept, None where a run has none
    best:   indices of the best runs; none where neither more nor less is better, or all are the same
    """

    name: str
    values: tuple[Any, ...]
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
    """2 to 12 runs, in their order. Raises BadInput for fewer or more."""

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
        measured = [
            bundle.record.metrics | {name: lower(value) for name, value in bundle.record.timings.items()}
            for bundle in self.bundles
        ]
        return tuple(_metric_row(name, measured) for name in dict.fromkeys(name for each in measured for name in each))

    @cached_property
    def facts(self) -> tuple[Row, ...]:
        """What was so in each run and is neither better nor worse."""
        return _rows([bundle.record.facts for bundle in self.bundles])

    @cached_property
    def circumstances(self) -> tuple[Row, ...]:
        """Experiment, model, pictures, prompts and what they ran on."""
        return _rows([_circumstances(bundle.record) for bundle in self.bundles])

    @property
    def conditions(self) -> tuple[Row, ...]:
        """All by which runs can differ but what was measured: circumstances, parameters and facts. A fact that is
        called like a parameter, such as the mask that the model chose, says so.
        """
        named = {row.name for row in self.params}
        facts = [replace(row, name=f"{row.name}{AS_COMPUTED}") if row.name in named else row for row in self.facts]
        return (*self.circumstances, *self.params, *facts)

    @cached_property
    def mask_names(self) -> tuple[str, ...]:
        """The masks that at least two runs have, the one that stands for a run first; where no name is shared, "" for
        each run's own.
        """
        counts: dict[str, int] = {}
        for bundle in self.bundles:
            for name in bundle.record.masks:
                counts[name] = counts.get(name, 0) + 1
        shared = [name for name, count in counts.items() if count > 1]
        first = shown_mask(shared)
        if first is None:
            return ("",) if sum(bool(bundle.record.masks) for bundle in self.bundles) > 1 else ()
        return (first, *sorted(name for name in shared if name != first))

    def mask_of(self, index: int, name: str) -> str | None:
        """Which of that run's masks stands under a name of `mask_names`; None where it has none."""
        masks = self.bundles[index].record.masks
        mask_name = name or shown_mask(masks)
        return mask_name if mask_name in masks else None

    def masks(self, name: str) -> tuple[np.ndarray | None, ...]:
        """bool [H, W] for each run, None where it has no such mask. "": the mask that stands for the run."""
        names = [self.mask_of(index, name) for index in range(len(self.bundles))]
        return tuple(
            bundle.mask(mask_name) if mask_name else None for bundle, mask_name in zip(self.bundles, names, strict=True)
        )

    def masks_of(self, indices: Sequence[int], name: str) -> list[np.ndarray]:
        """bool [H, W] for each of those runs, which must have such a mask."""
        masks = self.masks(name)
        return [mask for index in indices if (mask := masks[index]) is not None]

    def picture(self, index: int, name: str) -> np.ndarray | None:
        """uint8 [H, W, 3]: what that run's mask of that name lies on, as large as the mask; the run's first picture
        where it has no such mask. None where there is no picture.
        """
        bundle, mask_name = self.bundles[index], self.mask_of(index, name)
        picture = ground(bundle, mask_name) if mask_name else bundle.picture("image")
        return picture.rgb if picture else None

    def grounds(self, name: str) -> tuple[tuple[int, ...], ...]:
        """Groups of two or more runs, by index, the largest first, whose masks of that name lie on one picture: only
        those can be laid over each other.
        """
        groups: dict[tuple[Any, ...], list[int]] = {}
        for index, bundle in enumerate(self.bundles):
            mask_name = self.mask_of(index, name)
            sha256 = ground_sha256(bundle, mask_name) if mask_name else ""
            if mask_name and sha256:
                groups.setdefault((sha256, mask_size(bundle, mask_name)), []).append(index)
        return tuple(sorted((tuple(group) for group in groups.values() if len(group) > 1), key=len, reverse=True))


def _circumstances(record: RunRecord) -> dict[str, Any]:
    entries = {"picture": record.picture, "picture_b": record.picture_b, "video": record.video}
    return {
        "experiment": record.experiment,
        "model": record.model.name,
        **{key: entry.name for key, entry in entries.items() if entry is not None},
        "points": len(record.prompts.points),
        "boxes": len(record.prompts.boxes),
        "device": record.device,
        "dtype": record.dtype,
        "prompts": _prompts_text(record.prompts),
    }


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
        contours, _ = cv2.findContours(np.ascontiguousarray(mask, np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, contours, -1, color, thickness, cv2.LINE_AA)
    return drawn


def _dim(rgb: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY)
    return cv2.cvtColor((grey * 0.6).astype(np.uint8), cv2.COLOR_GRAY2RGB)


def _rows(runs: Sequence[Mapping[str, Any]]) -> tuple[Row, ...]:
    """A row for each name that is in one of the runs, in the order of the first run that has it."""
    names = dict.fromkeys(name for values in runs for name in values)
    return tuple(Row(name, tuple(_plain(values.get(name)) for values in runs)) for name in names)


def _plain(value: Any) -> Any:
    """Lists become tuples, so that values can be compared and counted."""
    return tuple(_plain(each) for each in value) if isinstance(value, list) else value


def _metric_row(name: str, runs: Sequence[Mapping[str, Metric]]) -> Row:
    metrics = [each.get(name) for each in runs]
    row = Row(name, tuple(metric.value if metric else None for metric in metrics))
    ends = {metric.better for metric in metrics if metric}
    better = ends.pop() if len(ends) == 1 else None
    values = {index: value for index, value in enumerate(row.values) if _is_finite(value)}
    if better is None or not row.differs or len(values) < MIN_COMPARED:
        return row
    best = min(values.values()) if better == "lower" else max(values.values())
    return replace(row, best=tuple(index for index, value in values.items() if value == best))


def _is_finite(value: object) -> bool:
    """Whether it is a number that can be better or worse than another."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def _prompts_text(prompts: Prompts) -> str:
    points = [f"{'+' if label else '−'}({x:.3f}, {y:.3f})" for x, y, label in prompts.points]
    boxes = [f"box({', '.join(f'{value:.3f}' for value in box)})" for box in prompts.boxes]
    return " ".join([*points, *boxes]) or "none"
