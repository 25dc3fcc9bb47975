"""Which masks on the film's canvas are those of marks that no run has taken in, and their numbers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from samkit.ui.state.film_frames import Sight
    from samkit.ui.state.recorded import FilmTable

Figures = dict[str, float | None]


@dataclass(frozen=True, eq=False)
class OwnMark:
    """What is marked of the present object. mask: bool [H, W]; iou: predicted; made: whether it is a correction"""

    mask: np.ndarray
    iou: float
    made: bool


def mask_of_mark(table: "FilmTable", number: int, sight: "Sight | None") -> np.ndarray | None:
    """bool [H, W]: what marks of another object on the present frame come to, where that is shown."""
    place = table.frame, number
    unfound = sight is None or number not in sight.found
    return table.seen_at(place) if unfound or place in table.drafts else None


def figures_of_marks(table: "FilmTable", own: OwnMark | None, sight: "Sight | None") -> dict[str, Figures]:
    """Number of the object -> predicted IoU ("iou"), None where it is not known, and share of the frame ("area"), of
    each mask that the canvas shows of marks. sight: what is found on the frame; None where that is not on the canvas
    """
    if sight is None:
        return {}
    shown: dict[str, Figures] = {}
    for number in range(len(table.objects)):
        mask: np.ndarray | None
        iou: float | None = None
        if number != table.object:
            mask = mask_of_mark(table, number, sight)
        elif own is not None and not (own.made and _is_taken_in(table, own, sight)):
            mask, iou = own.mask, round(own.iou, 3)
        else:
            continue
        if mask is not None:
            shown[str(number)] = {"iou": iou, "area": round(float(mask.mean()), 5)}
    return shown


def _is_taken_in(table: "FilmTable", own: OwnMark, sight: "Sight") -> bool:
    """Whether what was found of the present object is what marks it."""
    found = sight.found.get(table.object)
    if found is None:
        return False
    if table.run is not None:
        return table.run.marks.get(table.place) == table.made(*table.place)
    return found.pixels.shape == own.mask.shape and bool((found.pixels == own.mask).all())
