"""Prompt jitter over a pair of pictures: how much of what is found in the other picture hangs on the exact place of the
prompt. Copies of the prompt are moved by a little and each is followed in one pass.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from samkit.errors import PromptError
from samkit.experiments.lab import LabLike, LazyEncoding
from samkit.experiments.measures.jitter import jitter_prompts, jitter_shifts
from samkit.experiments.measures.pair_track import Pass, Start, follow_once, object_score
from samkit.experiments.measures.predicted_masks import chosen_index
from samkit.media.given_masks import MaskHint
from samkit.media.mask_views import view_size
from samkit.media.masks import mask_iou
from samkit.prompts import Prompts

if TYPE_CHECKING:
    from samkit.models.encoding import MaskPrediction
    from samkit.models.sam import SamModel


@dataclass(frozen=True)
class PairJitter:
    """What moved copies of the prompt gave on both pictures.

    frequencies: float16 [h, w] of the prompted and of the other picture at `view_size`, the share of the copies whose
                 mask holds the pixel, 0..1
    rows:        one a copy for a table
    """

    frequencies: tuple[np.ndarray, np.ndarray]
    rows: tuple[dict[str, Any], ...]


def follow_moved(
    model: "SamModel",
    source: LazyEncoding,
    target: LazyEncoding,
    prompts: Prompts,
    hint: MaskHint | None,
    start: Start,
    first: Pass,
    tracked_index: int | None,
    threshold: float,
    copies: int,
    spread_px: float,
    seed: int,
    lab: LabLike,
) -> PairJitter:
    """Follow moved copies of the prompts in one pass each. Masks are the model's own, cut at the threshold, and
    compared with those of the first pass. A step that a lab recalls; so is each copy.

    hint:         on the prompted picture; stays where it is
    start, first: what the prompts gave where they are
    Raises PromptError where there is no prompt to move.
    """
    if prompts.is_empty:
        raise PromptError(
            "There is no prompt to move for the jitter maps: place a point or a box, or set jitter_copies to 0."
        )
    picture_sizes = start.prompted.geometry.original_size, first.prediction.geometry.original_size
    sizes = view_size(picture_sizes[0]), view_size(picture_sizes[1])

    def cut(prompted: "MaskPrediction", index: int, tracked: "MaskPrediction") -> tuple[np.ndarray, np.ndarray]:
        shown = chosen_index(tracked, tracked_index)
        return prompted.mask(index, sizes[0], threshold), tracked.mask(shown, sizes[1], threshold)

    references = cut(start.prompted, start.index, first.prediction)
    counts, rows = (np.zeros(sizes[0], np.uint16), np.zeros(sizes[1], np.uint16)), []
    shifts = jitter_shifts(copies, spread_px, seed)
    for i, moved in enumerate(jitter_prompts(prompts, shifts, picture_sizes[0])):
        lab.report(i / copies, f"Moved prompt {i + 1} of {copies}")
        copy = lab.recall(follow_once, model, source, target, moved, hint, start.index)
        masks = cut(copy.prompted, 0, copy.tracked)
        for counted, mask in zip(counts, masks, strict=True):
            counted += mask
        ious = [float(mask_iou(mask, reference)) for mask, reference in zip(masks, references, strict=True)]
        row: dict[str, Any] = {"copy": i, "dx_px": float(shifts[i, 0]), "dy_px": float(shifts[i, 1])}
        row |= {"prompted_iou": ious[0], "tracked_iou": ious[1]}
        rows.append(row | {"object_score": object_score(copy.tracked)})
    frequencies = [(counted / np.float32(copies)).astype(np.float16) for counted in counts]
    return PairJitter((frequencies[0], frequencies[1]), tuple(rows))
