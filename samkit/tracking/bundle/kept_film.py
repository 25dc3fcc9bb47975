"""What a kept run has found in its film, to be looked at again without the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from samkit.errors import SamkitError
from samkit.experiments.film.tracks import Found
from samkit.experiments.steering import MAX_OBJECTS
from samkit.tracking.bundle.bundle import Bundle
from samkit.tracking.bundle.frame_masks import masks_by_object

FIGURES = ("time_s", "object_score", "area_share")
NOT_KEPT = {"corrected": False, "best": 0, "predicted_iou": None, "remembered": False}
"""Of a row's figures those that a run may have none of."""


@dataclass(frozen=True)
class KeptFilm:
    """name: of the run; found: of each object, frame -> what was found on it; of the four masks there is the best"""

    name: str
    found: tuple[Mapping[int, Found], ...]

    @property
    def first(self) -> int:
        """The frame that the run came to first."""
        return next(iter(next(found for found in self.found if found)))

    def on(self, frame: int) -> dict[int, Found]:
        """number of the object -> what was found of it on that frame of the film."""
        return {number: found[frame] for number, found in enumerate(self.found) if frame in found}


def kept_film(bundle: Bundle) -> KeptFilm | None:
    """None where the run has no masks of frames that can be read."""
    video = bundle.record.video
    try:
        tables = bundle.tables()
    except SamkitError:
        return None
    rows = tables.get("frames") if isinstance(tables, dict) else None
    if video is None or not isinstance(rows, list):
        return None
    masks = {number: rows for number, rows in masks_by_object(bundle).items() if number < MAX_OBJECTS}
    if not masks:
        return None
    found: list[dict[int, Found]] = [{} for _ in range(max(masks) + 1)]
    for row in rows:
        if not isinstance(row, dict):
            continue
        number, frame = row.get("object", 0), row.get("frame")
        if not isinstance(number, int) or not isinstance(frame, int):
            continue
        rle = masks.get(number, {}).get(frame)
        if rle is not None and 0 <= frame < (video.frames or frame + 1) and _is_whole(row):
            found[number][frame] = Found(NOT_KEPT | row, {"frame": frame, "rle": rle}, [rle])
    return KeptFilm(bundle.name, tuple(found)) if any(found) else None


def _is_whole(row: Mapping[str, Any]) -> bool:
    """Whether all figures of a frame are there that are shown."""
    iou = row.get("predicted_iou")
    return all(_is_number(row.get(name)) for name in FIGURES) and (iou is None or _is_number(iou))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and isfinite(value)
