"""The pictures on which a sweep came out worst: the picture, what is right, and what was found."""

import base64
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np

from samkit.errors import SamkitError
from samkit.media.drawing import mask_from_png, overlay
from samkit.media.given_masks import Truth
from samkit.media.pictures import Picture
from samkit.prompts import Prompts
from samkit.work.sources import Sources
from samkit.work.spec import Ref
from samkit.work.sweep.cells import Cell
from samkit.work.sweep.compute import mask_file, run_folder
from samkit.work.sweep.report.figures import better_end, setting_text, title, value_text
from samkit.work.sweep.results import SweepFolder
from samkit.work.sweep.table import Row

COUNT = 8
MAX_SIDE = 320
"""Pixels of the longer side of a tile."""
TRUTH_COLOR, MASK_COLOR = (56, 168, 84), (235, 110, 30)
WHITE, DARK = (255, 255, 255), (20, 20, 20)


@dataclass(frozen=True)
class Case:
    """name: of the object on its picture; mean: over all settings; worst: the row of its worst cell"""

    name: str
    mean: float
    count: int
    worst: Row


def judging_metric(names: Sequence[str]) -> str | None:
    """By what pictures are called worst: the first metric that has a better end."""
    return next((name for name in names if name.startswith("metric.") and better_end(name)), None)


def worst_cases(table: Sequence[Row], metric: str, count: int = COUNT) -> list[Case]:
    """Of all that were computed, the worst first."""
    sign = -1 if better_end(metric) == "lower" else 1
    by_case: dict[str, list[Row]] = {}
    for row in table:
        if row["status"] == "done" and row.get(metric) is not None:
            by_case.setdefault(str(row["case"]), []).append(row)
    cases = [
        Case(
            name,
            float(np.mean([row[metric] for row in rows])),
            len(rows),
            min(rows, key=lambda row: sign * float(row[metric])),
        )
        for name, rows in by_case.items()
    ]
    return sorted(cases, key=lambda case: sign * case.mean)[:count]


def worst_html(sweep: SweepFolder, cases: Sequence[Case], metric: str, columns: Sequence[str], sources: Sources) -> str:
    """Tiles for each case; of one whose picture can't be opened any more, the figures alone."""
    cells = {cell.id: cell for cell in sweep.cells}
    parts = []
    for case in cases:
        setting = setting_text({column: case.worst.get(column) for column in columns})
        said = f"{escape(title(metric))} {case.worst[metric]:.4g}"
        if case.count > 1:
            said += f" (the mean of its {case.count} cells: {case.mean:.4g})"
        under = f' <span class="quiet">{escape(setting)}</span>' if setting else ""
        cell = cells.get(str(case.worst["cell"]))
        tiles = _tiles(sweep, cell, case.worst, sources) if cell is not None else ""
        parts.append(
            f'<div class="case"><p><b>{escape(value_text(case.name))}</b> {said}{under}</p>'
            f'<div class="tiles">{tiles}</div></div>'
        )
    return f'<div class="cases">{"".join(parts)}</div>'


def _tiles(sweep: SweepFolder, cell: Cell, row: Row, sources: Sources) -> str:
    """The marked picture with its prompts; of a pair the one on which something was found too; truth and mask lie on
    the last one.
    """
    marked, (other, truth_ref) = cell.marked_picture, cell.judged
    if marked is None:
        return ""
    try:
        looked_at = sources.picture(marked)
        tiles = [_tile(_with_prompts(_small(looked_at.rgb), _prompts(row)), "picture and prompts")]
        if other is not None and other != marked:
            looked_at = sources.picture(other)
            tiles.append(_tile(_small(looked_at.rgb), "the other picture"))
    except SamkitError as error:
        return f'<p class="quiet">The picture can’t be shown. {escape(str(error))}</p>'
    truth = _truth(truth_ref, looked_at, sources)
    mask = _mask(sweep, cell.id)
    if mask is not None and mask.shape != looked_at.size:
        mask = None
    rgb = _small(looked_at.rgb)
    small_truth = None if truth is None else _small_mask(truth.mask, rgb)
    if small_truth is not None:
        tiles.append(_tile(overlay(rgb, small_truth, TRUTH_COLOR, alpha=0.5), "truth"))
    if mask is not None:
        drawn = overlay(rgb, _small_mask(mask, rgb), MASK_COLOR, alpha=0.5)
        if small_truth is not None:
            drawn = overlay(drawn, small_truth, TRUTH_COLOR, alpha=0)
        tiles.append(_tile(drawn, "mask" if small_truth is None else "mask, truth outlined"))
    return "".join(tiles)


def _truth(ref: Ref | None, picture: Picture, sources: Sources) -> Truth | None:
    if ref is None:
        return None
    try:
        return sources.truth(ref, picture)
    except SamkitError:
        return None


def _mask(sweep: SweepFolder, cell: str) -> np.ndarray | None:
    """bool [H, W] of the picture; None where it was not kept."""
    outputs = run_folder(sweep.path, cell) / "outputs"
    for file in (mask_file(sweep.path, cell), outputs / "mask_chosen.png", outputs / "mask_tracked.png"):
        if file.is_file():
            with suppress(SamkitError):
                return mask_from_png(file)
    return None


def _prompts(row: Row) -> Prompts:
    try:
        return Prompts.from_dict(json.loads(row.get("used_prompts") or "{}"))
    except (ValueError, SamkitError):
        return Prompts()


def _with_prompts(rgb: np.ndarray, prompts: Prompts) -> np.ndarray:
    """uint8 [h, w, 3], a copy with points and boxes drawn on it."""
    drawn = rgb.copy()
    height, width = rgb.shape[:2]
    for x1, y1, x2, y2 in prompts.boxes:
        corners = (round(x1 * width), round(y1 * height)), (round(x2 * width), round(y2 * height))
        cv2.rectangle(drawn, *corners, WHITE, 3)
        cv2.rectangle(drawn, *corners, DARK, 1)
    for x, y, label in prompts.points:
        center = (int(x * width), int(y * height))
        cv2.circle(drawn, center, 6, WHITE, -1, cv2.LINE_AA)
        cv2.circle(drawn, center, 4, TRUTH_COLOR if label else (200, 40, 40), -1, cv2.LINE_AA)
    return drawn


def _small(rgb: np.ndarray) -> np.ndarray:
    height, width = rgb.shape[:2]
    scale = min(1.0, MAX_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) if scale < 1 else np.ascontiguousarray(rgb)


def _small_mask(mask: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    rows, columns = (
        np.minimum((np.arange(count) + 0.5) * whole / count, whole - 1).astype(int)
        for count, whole in zip(rgb.shape[:2], mask.shape, strict=True)
    )
    return np.ascontiguousarray(mask[np.ix_(rows, columns)])


def _tile(rgb: np.ndarray, caption: str) -> str:
    packed = cv2.imencode(".webp", np.ascontiguousarray(rgb[..., ::-1]), [cv2.IMWRITE_WEBP_QUALITY, 75])[1]
    data = base64.b64encode(packed.tobytes()).decode()
    height, width = rgb.shape[:2]
    return (
        f'<figure><img width="{width}" height="{height}" alt="{escape(caption)}" src="data:image/webp;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def failures(table: Sequence[Row]) -> Mapping[str, list[Row]]:
    """The failed cells by their reason, the most frequent first."""
    found: dict[str, list[Row]] = {}
    for row in table:
        if row["status"] == "failed":
            found.setdefault(str(row.get("reason") or "No reason was given."), []).append(row)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))
