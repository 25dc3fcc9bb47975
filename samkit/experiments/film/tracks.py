"""One object's way through a film: what it remembers, and what was found of it on each frame."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from samkit.experiments.film.memories import record
from samkit.experiments.film.params import Params, rules_of
from samkit.experiments.inputs import Prior
from samkit.experiments.lab import LabLike
from samkit.experiments.measures.pair_track import object_score
from samkit.experiments.measures.predicted_masks import chosen_index, predict, predicted_masks
from samkit.experiments.steering import Correction
from samkit.media.film import mask_row
from samkit.media.films import Video, shrunk_size
from samkit.media.masks import mask_area
from samkit.media.rle import mask_to_rle, rle_to_mask
from samkit.prompts import Prompts

if TYPE_CHECKING:
    from torch import Tensor

    from samkit.models.encoding import ImageEncoding, MaskPrediction
    from samkit.models.memory_bank import MemoryBank
    from samkit.models.sam import SamModel

CANDIDATE_SIDE = 240
"""Longest side at which all four masks of a frame are kept for looking at."""


@dataclass(frozen=True)
class Found:
    """An object on one frame.

    row:        frame, time_s, object_score, predicted_iou_0 .. 3, best, predicted_iou, area_px, area_share, remembered,
                corrected, ms; predicted IoUs are None, and best is 0, where a person gave the mask itself
    mask:       a row for `masks_to_json`, in the film's pixels
    candidates: the four masks, or the one given, as COCO RLE at `CANDIDATE_SIDE`
    """

    row: dict[str, Any]
    mask: dict[str, Any]
    candidates: list[dict[str, Any]]

    @property
    def frame(self) -> int:
        return int(self.row["frame"])

    @property
    def pixels(self) -> np.ndarray:
        """bool [H, W]."""
        return rle_to_mask(self.mask["rle"])


@dataclass
class ObjectTrack:
    """bank: what the object's next frame is tracked with; found: frame of the film -> what was found, in the order that
    frames were segmented.
    """

    number: int
    bank: "MemoryBank"
    found: dict[int, Found] = field(default_factory=dict)

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [each.row for each in tuple(self.found.values())]

    @property
    def masks(self) -> list[dict[str, Any]]:
        return [each.mask for each in tuple(self.found.values())]


def track_object(
    model: "SamModel",
    encoding: "ImageEncoding",
    bank: "MemoryBank",
    params: Params,
    video: Video,
    frame: int,
    rgb: np.ndarray,
    store: bool,
) -> Found:
    """Find the object on the frame that comes next, and move its bank on. store: whether frames are remembered."""
    step = model.track(encoding, bank)
    remembered = store and not (params.skip_absent and object_score(step) <= 0)
    if remembered:
        bank.add_frame(model.encode_memory(encoding, step, step.best, bank.rules))
    else:
        bank.skip_frame()
    return found(step, step.best, video, frame, rgb, params, remembered=remembered)


def correct_object(
    model: "SamModel", bank: "MemoryBank", params: Params, video: Video, correction: Correction, lab: LabLike
) -> Found:
    """Take a person's word for the object on the frame that comes next: it is remembered for good."""
    picture = video.picture(correction.frame)
    if correction.mask is not None:
        memory, mask = record(model, Prior(picture, mask=rle_to_mask(correction.mask)), params, lab)
        bank.skip_frame()
        bank.add_prompt(memory)
        return _given(mask, video, correction.frame, float(memory.object_score))
    if correction.refines:
        encoding = to_refine(model, bank, params, video, correction.frame, correction.earlier, lab)
        prediction = model.predict_masks(encoding, correction.prompts)
        index = chosen_index(prediction, correction.mask_index)
        memory = model.encode_memory(encoding, prediction, index, rules_of(model, params))
    else:
        lazy = lab.encoding(model, picture, side=params.side, fit=params.fit)
        prediction = lab.recall(predict, model, lazy, correction.prompts, None)
        index = chosen_index(prediction, correction.mask_index)
        memory, _ = record(model, Prior(picture, correction.prompts, correction.mask_index), params, lab)
    bank.skip_frame()
    bank.add_prompt(memory)
    return found(
        prediction,
        index,
        video,
        correction.frame,
        picture.rgb,
        params,
        prompts=correction.prompts,
        remembered=True,
        corrected=True,
    )


def to_refine(
    model: "SamModel",
    bank: "MemoryBank",
    params: Params,
    video: Video,
    frame: int,
    earlier: Sequence[Correction],
    lab: LabLike,
) -> "ImageEncoding":
    """The frame that comes next, as prompts that refine what was found of the object see it: in the light of the bank,
    which stays as it is, with the mask that the frame has after `earlier` corrections, or has of the bank. Of an object
    that the bank does not know, the last earlier correction alone, if there is one, is begun from.
    """
    encoding = lab.frame_encoding(model, video, frame, video.frame(frame), side=params.side, fit=params.fit)
    start: np.ndarray | Tensor | None = None
    for each in earlier:
        if each.mask is not None:
            start = rle_to_mask(each.mask)
            continue
        alone = lab.encoding(model, video.picture(frame), side=params.side, fit=params.fit)
        step = model.predict_masks(
            model.to_correct(encoding, bank, start) if each.refines else alone.value, each.prompts
        )
        start = step.logits[chosen_index(step, each.mask_index)]
    return model.to_correct(encoding, bank, start)


def found(
    step: "MaskPrediction",
    index: int,
    video: Video,
    frame: int,
    rgb: np.ndarray,
    params: Params,
    *,
    prompts: Prompts = Prompts(),
    remembered: bool,
    corrected: bool = False,
) -> Found:
    """What one of a prediction's masks comes to on a frame, uint8 [H, W, 3]."""
    full = predicted_masks(step, rgb, prompts, refine=params.refine_edges)[index]
    thumb = shrunk_size((rgb.shape[0], rgb.shape[1]), CANDIDATE_SIDE)
    candidates = [mask_to_rle(step.mask(i, thumb)) for i in range(len(step.logits))]
    score, iou = object_score(step), float(step.iou[index])
    row: dict[str, Any] = {"frame": frame, "time_s": float(video.timestamps[frame]), "object_score": score}
    row |= {f"predicted_iou_{i}": float(value) for i, value in enumerate(step.iou)}
    row |= {"best": index, "predicted_iou": iou} | _area(full)
    row |= {"remembered": remembered, "corrected": corrected}
    return Found(row, mask_row(frame, full, object_score=score, predicted_iou=iou), candidates)


def _given(mask: np.ndarray, video: Video, frame: int, score: float) -> Found:
    """A mask that a person gave: no model predicted how good it is."""
    row: dict[str, Any] = {"frame": frame, "time_s": float(video.timestamps[frame]), "object_score": score}
    row |= {f"predicted_iou_{i}": None for i in range(4)}
    row |= {"best": 0, "predicted_iou": None} | _area(mask) | {"remembered": True, "corrected": True}
    return Found(row, mask_row(frame, mask, object_score=score), [mask_to_rle(mask)])


def _area(mask: np.ndarray) -> dict[str, Any]:
    area = mask_area(mask)
    return {"area_px": area, "area_share": area / mask.size}
