"""Kept runs side by side: what was set differently, which metrics came out better, and how far the masks agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import cv2
import numpy as np

from samkit.errors import BadInput
from samkit.experiments.result import Metric, lower
from samkit.media.pictures import read_picture
from samkit.prompts import Prompts
from samkit.tracking.bundle.bundle import Bundle
from samkit.tracking.bundle.film_prompts import FilmPrompts, film_prompts
from samkit.tracking.bundle.frame_masks import (
    frame_mask,
    frame_of,
    frame_picture,
    frame_sha256,
    frame_size,
    frames_with_masks,
    masks_of_frame,
    object_count,
    object_of,
    whose,
)
from samkit.tracking.bundle.ground import ground, ground_sha256, mask_size
from samkit.tracking.bundle.record import FilmEntry, PictureEntry, RunRecord
from samkit.tracking.store.tags import own_masks, shown_mask

AS_COMPUTED = ", as computed"
MIN_COMPARED, MAX_COMPARED = 2, 12
MAX_MARKS = 40
"""Of a film's run, that are written out."""
COLORS = (
    (230, 85, 13), (31, 119, 180), (44, 160, 44), (214, 39, 140), (148, 103, 189), (188, 189, 34),
    (23, 190, 207), (140, 86, 75), (255, 187, 20), (99, 121, 57), (200, 30, 30), (90, 90, 220),
)  # fmt: skip
"""RGB of the outlines, one for each run in their order."""
SHADES = (0.0, 0.4, -0.35, 0.65, -0.6)
"""How far the colour of a run's first, second... object of a film is moved towards white, below 0 towards black."""
BOTH = (235, 235, 235)
"""RGB in a difference map of what both masks have."""
WIDEST_OUTLINE = 6.0
"""How much broader the lowest of many outlines is than the one that lies above all, in widths of that one."""
STRIPE_SHADE = 0.6
"""How much of a run's colour is left in the dark stripes of a difference map."""


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

    @property
    def is_empty(self) -> bool:
        """Whether no run says anything."""
        return all(value is None or value == "" or value == () for value in self.values)


class Shown(NamedTuple):
    """One mask of one run. run: its index; mask: its name in the run's record, or of a film's frame; "" for a run
    without a mask
    """

    run: int
    mask: str


def color_of(shown: Shown) -> tuple[int, int, int]:
    """RGB: the run's colour, in a shade of its own for each object of a film."""
    number = whose(shown.mask) if frame_of(shown.mask) is not None else 0
    shade = SHADES[number % len(SHADES)]
    end = 255 if shade > 0 else 0
    red, green, blue = (round(value + abs(shade) * (end - value)) for value in COLORS[shown.run])
    return red, green, blue


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
    def peers(self) -> tuple[tuple[int, ...], ...]:
        """Groups of two or more runs of one experiment on the same pictures or film, by index: only among those can one
        be better than another.
        """
        groups: dict[tuple[str, ...], list[int]] = {}
        for index, bundle in enumerate(self.bundles):
            record = bundle.record
            entries = (record.first_picture, record.picture_b, record.video)
            key = (record.experiment, *(entry.sha256 if entry else "" for entry in entries))
            groups.setdefault(key, []).append(index)
        return tuple(tuple(group) for group in groups.values() if len(group) > 1)

    @cached_property
    def metrics(self) -> tuple[Row, ...]:
        """All metrics and timings, the best runs of each group of peers marked where more or less of it is better."""
        measured = [
            bundle.record.metrics | {name: lower(value) for name, value in bundle.record.timings.items()}
            for bundle in self.bundles
        ]
        names = dict.fromkeys(name for each in measured for name in each)
        return tuple(_metric_row(name, measured, self.peers) for name in names)

    @cached_property
    def measured_on(self) -> Row:
        """The picture or film that the figures of each run's mask are of: of a pair the one on which it was found."""
        entries = [_measured_on(bundle.record) for bundle in self.bundles]
        names = {entry.sha256: entry.name for entry in entries if entry is not None}
        if len(set(names.values())) < len(names):
            # Different pictures with one name are told apart by their content.
            names = {sha256: f"{name} ({sha256[:8]})" for sha256, name in names.items()}
        return Row("mask_on", tuple(None if entry is None else names[entry.sha256] for entry in entries))

    @cached_property
    def facts(self) -> tuple[Row, ...]:
        """What was so in each run and is neither better nor worse."""
        return _rows([bundle.record.facts for bundle in self.bundles])

    @cached_property
    def circumstances(self) -> tuple[Row, ...]:
        """Experiment, model, pictures, prompts and what they ran on."""
        return _rows([_circumstances(bundle) for bundle in self.bundles])

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
        """What can be chosen to be shown: "" for each run's own, which is left out where all runs share their own; then
        the masks that at least two runs have.
        """
        counts: dict[str, int] = {}
        for bundle in self.bundles:
            for name in bundle.record.masks:
                counts[name] = counts.get(name, 0) + 1
        shared = [name for name, count in counts.items() if count > 1]
        first = shown_mask(shared)
        alike = all(own_masks(bundle.record.masks) == (first,) for bundle in self.bundles)
        names = [] if first is None else [first, *sorted(name for name in shared if name != first)]
        return tuple(names) if alike else ("", *names)

    @cached_property
    def frames(self) -> tuple[int, ...]:
        """The frames of films for which a run has masks, in order; `frame_name` makes a name of one."""
        return tuple(sorted({frame for bundle in self.bundles for frame in frames_with_masks(bundle)}))

    @cached_property
    def objects(self) -> tuple[int, ...]:
        """How many objects of a film each run has masks of."""
        return tuple(map(object_count, self.bundles))

    def shown(self, name: str) -> tuple[Shown, ...]:
        """What stands under a name of `mask_names` or `frame_name`: every mask of that name, of a frame those of all
        objects or of the one that it names; for "" the masks that stand for each run, or a run without a mask itself.
        """
        if not name:
            return tuple(
                Shown(index, mask)
                for index, bundle in enumerate(self.bundles)
                for mask in own_masks(bundle.record.masks) or ("",)
            )
        frame, number = frame_of(name), object_of(name)
        if frame is not None:
            return tuple(
                Shown(index, mask)
                for index, bundle in enumerate(self.bundles)
                for mask in masks_of_frame(bundle, frame)
                if number is None or whose(mask) == number
            )
        return tuple(Shown(index, name) for index, bundle in enumerate(self.bundles) if name in bundle.record.masks)

    def mask(self, shown: Shown) -> np.ndarray | None:
        """bool [H, W]; None for a run without a mask."""
        bundle = self.bundles[shown.run]
        if not shown.mask:
            return None
        return bundle.mask(shown.mask) if shown.mask in bundle.record.masks else frame_mask(bundle, shown.mask)

    def masks_of(self, group: Sequence[Shown]) -> list[np.ndarray]:
        """bool [H, W] for each of those that are masks."""
        return [mask for shown in group if (mask := self.mask(shown)) is not None]

    def picture(self, shown: Shown) -> np.ndarray | None:
        """uint8 [H, W, 3]: what the mask lies on, as large as the mask. Of a run without a mask its first picture, else
        the first that it made. None where there is no picture.
        """
        bundle = self.bundles[shown.run]
        if shown.mask in bundle.record.masks:
            picture = ground(bundle, shown.mask)
        elif shown.mask:
            picture = frame_picture(bundle, shown.mask)
        else:
            made = bundle.images()
            picture = bundle.picture("image") or (read_picture(made[0]) if made else None)
        return picture.rgb if picture else None

    def grounds(self, name: str) -> tuple[tuple[Shown, ...], ...]:
        """Groups of two or more masks that lie on one picture, the largest first: only those can be laid over each
        other.
        """
        groups: dict[tuple[Any, ...], list[Shown]] = {}
        for shown in self.shown(name):
            key = self._ground_key(shown)
            if key is not None:
                groups.setdefault(key, []).append(shown)
        return tuple(sorted((tuple(group) for group in groups.values() if len(group) > 1), key=len, reverse=True))

    def _ground_key(self, shown: Shown) -> tuple[Any, ...] | None:
        """Equal for masks of one size on one picture; None where nothing is known of it."""
        bundle = self.bundles[shown.run]
        if shown.mask in bundle.record.masks:
            sha256, size = ground_sha256(bundle, shown.mask), mask_size(bundle, shown.mask)
        else:
            sha256, size = (frame_sha256(bundle, shown.mask) if shown.mask else ""), frame_size(bundle)
        return (sha256, size) if sha256 else None


def _measured_on(record: RunRecord) -> PictureEntry | FilmEntry | None:
    found = record.masks.get("mask_tracked")
    if found is not None and found.on == "image_b":
        return record.picture_b
    return record.video or record.first_picture


def _circumstances(bundle: Bundle) -> dict[str, Any]:
    record, marks = bundle.record, film_prompts(bundle)
    entries = {"picture": record.first_picture, "picture_b": record.picture_b, "video": record.video}
    prompts = [each.prompts for each in marks] if record.video is not None else [record.prompts]
    return {
        "experiment": record.experiment,
        "model": record.model.name,
        **{key: entry.name for key, entry in entries.items() if entry is not None},
        "points": sum(len(each.points) for each in prompts),
        "boxes": sum(len(each.boxes) for each in prompts),
        "device": record.device,
        "dtype": record.dtype,
        "prompts": _film_prompts_text(marks) if marks else _prompts_text(record.prompts),
        **({"mask_hint": f"{record.mask_hint.name} ({record.mask_hint.sha256[:8]})"} if record.mask_hint else {}),
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


def difference_map(
    rgb: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    *,
    colors: tuple[tuple[int, int, int], tuple[int, int, int]],
) -> np.ndarray:
    """uint8 [H, W, 3]: the picture, dim and grey, with what only the first mask has in its colour, striped like /; what
    only the second has in its colour, striped like \\; and what both have in a light grey.

    rgb: uint8 [H, W, 3]; first, second: bool [H, W]; colors: RGB of the two
    """
    drawn = _dim(rgb)
    drawn[first & second] = (drawn[first & second] * 0.35 + np.array(BOTH) * 0.65).astype(np.uint8)
    rows, columns = np.ogrid[: first.shape[0], : first.shape[1]]
    width = max(3, round(max(first.shape) / 160))
    for only, color, slope in ((first & ~second, colors[0], 1), (second & ~first, colors[1], -1)):
        dark = (columns + slope * rows) // width % 2 == 1
        drawn[only] = color
        drawn[only & dark] = tuple(round(STRIPE_SHADE * value) for value in color)
    return drawn


def outlines(rgb: np.ndarray, masks: Sequence[np.ndarray], colors: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """uint8 [H, W, 3]: the picture, dim and grey, with every mask's outline in its colour. masks: bool [H, W]

    None hides another: the first is the broadest and lies below, and equal masks share a line of dashes.
    """
    drawn = _dim(rgb)
    if len(masks) != len(colors):
        raise ValueError("There is a colour for each mask.")
    finest = max(1, round(max(rgb.shape[:2]) / 350))
    groups = equal_masks(masks)
    step = min(2.0, WIDEST_OUTLINE / max(1, len(groups) - 1)) * finest
    for above, group in zip(reversed(range(len(groups))), groups, strict=True):
        pixels = np.ascontiguousarray(masks[group[0]], np.uint8)
        contours, _ = cv2.findContours(pixels, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        _draw_dashes(drawn, contours, [colors[index] for index in group], finest + round(above * step))
    return drawn


def _draw_dashes(
    drawn: np.ndarray, contours: Sequence[np.ndarray], colors: Sequence[tuple[int, int, int]], thickness: int
) -> None:
    """The colours by turns along each contour, int [N, 1, 2]; a whole line of one colour alone."""
    if len(colors) == 1:
        cv2.drawContours(drawn, contours, -1, colors[0], thickness, cv2.LINE_AA)
        return
    usual = max(4, round(max(drawn.shape[:2]) / 40))
    for contour in contours:
        length = max(1, min(usual, len(contour) // len(colors)))
        closed = np.concatenate([contour, contour[:1]])
        for number, start in enumerate(range(0, len(contour), length)):
            dash, color = closed[start : start + length + 1], colors[number % len(colors)]
            cv2.polylines(drawn, [dash], False, color, thickness, cv2.LINE_AA)


def equal_masks(masks: Sequence[np.ndarray]) -> tuple[tuple[int, ...], ...]:
    """The indices of masks, bool [H, W] of one size, in groups that are equal pixel for pixel, in their order; one that
    has no equal is a group of its own.
    """
    groups: dict[bytes, list[int]] = {}
    for index, mask in enumerate(masks):
        groups.setdefault(np.packbits(mask).tobytes(), []).append(index)
    return tuple(map(tuple, groups.values()))


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


def _metric_row(name: str, runs: Sequence[Mapping[str, Metric]], peers: Sequence[Sequence[int]]) -> Row:
    metrics = [each.get(name) for each in runs]
    row = Row(name, tuple(metric.value if metric else None for metric in metrics))
    best = [index for group in peers for index in _best({index: metrics[index] for index in group})]
    return replace(row, best=tuple(sorted(best)))


def _best(metrics: Mapping[int, Metric | None]) -> list[int]:
    """Of one group; none where nothing tells which values are better, or all are the same."""
    ends = {metric.better for metric in metrics.values() if metric}
    values = {index: metric.value for index, metric in metrics.items() if metric and _is_finite(metric.value)}
    better = ends.pop() if len(ends) == 1 else None
    if better is None or len(values) < MIN_COMPARED or len(set(values.values())) == 1:
        return []
    best = min(values.values()) if better == "lower" else max(values.values())
    return [index for index, value in values.items() if value == best]


def _is_finite(value: object) -> bool:
    """Whether it is a number that can be better or worse than another."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def _prompts_text(prompts: Prompts) -> str:
    points = [f"{'+' if label else '−'}({x:.3f}, {y:.3f})" for x, y, label in prompts.points]
    boxes = [f"box({', '.join(f'{value:.3f}' for value in box)})" for box in prompts.boxes]
    return " ".join([*points, *boxes]) or "none"


def _film_prompts_text(marks: Sequence[FilmPrompts]) -> str:
    """With the place of each; of very many the first."""
    texts = [f"{each.place}: {'mask' if each.has_mask else _prompts_text(each.prompts)}" for each in marks]
    more = len(texts) - MAX_MARKS
    return "; ".join(texts[:MAX_MARKS]) + (f"; and {more} more" if more > 0 else "")
