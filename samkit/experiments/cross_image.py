"""Cross-image segmentation: one picture is prompted, the other is segmented, as if they were the first two frames of a
film (SAM v2, v2.1 and v3).

What is remembered and tracked is told in measures/pair_track.py. Beside it: what more passes change, the same object by
a point and by a box, and what moving the prompt does to both pictures. The threshold cuts what is shown and kept and
never what is remembered.
"""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from samkit.errors import BadInput, PromptError
from samkit.experiments.inputs import Inputs
from samkit.experiments.lab import LabLike, LazyEncoding
from samkit.experiments.measures.bank_file import bank_bytes
from samkit.experiments.measures.jitter import jitter_spread_px
from samkit.experiments.measures.pair_jitter import follow_moved
from samkit.experiments.measures.pair_track import PairTrack, Pass, follow, object_score
from samkit.experiments.measures.predicted_masks import (
    chosen_index,
    cut_masks,
    encode_ms,
    mask_rows,
    named_masks,
    stability_scores,
)
from samkit.experiments.measures.stability import is_official, stability_name
from samkit.experiments.measures.truth import add_true_ious, truth_metrics
from samkit.experiments.params import MaskParams, jitter_percent_field, jitter_px_field, knob
from samkit.experiments.result import Fact, Ground, Mask, Metric, Result, higher, neutral
from samkit.media.colormaps import Colormap, color_map
from samkit.media.drawing import cut_out
from samkit.media.given_masks import MaskHint, Truth
from samkit.media.mask_views import view_outlined
from samkit.media.masks import contours, innermost_point, mask_area, mask_box, mask_iou
from samkit.media.pictures import Picture
from samkit.prompts import Prompts

if TYPE_CHECKING:
    from samkit.models.encoding import MaskPrediction
    from samkit.models.sam import SamModel

NAME = "cross-image"
TAKES = ("image", "image_b", "prompts", "mask_hint", "truth", "truth_b")

MAX_REPEATS = 12
BANK_FILE = "memory_bank.safetensors"


class Params(MaskParams):
    """Thresholds and offsets are in logits."""

    prompt_on: Literal["a", "b"] = Field(
        default="a",
        description="The picture that the prompts lie on; the other one is segmented.",
        json_schema_extra=knob(label="Prompted picture"),
    )
    mask_index: int | None = Field(
        default=None,
        ge=0,
        le=3,
        description="The mask of the prompted picture that is remembered; empty: the one of masks 1 to 3 with the "
        "highest predicted IoU.",
        json_schema_extra=knob(step=1, label="Remembered mask"),
    )
    tracked_index: int | None = Field(
        default=None,
        ge=0,
        le=3,
        description="The mask of the other picture that is shown and measured; empty: the one of masks 1 to 3 with the "
        "highest predicted IoU.",
        json_schema_extra=knob(step=1, label="Found mask"),
    )
    repeats: int = Field(
        default=0,
        ge=0,
        le=MAX_REPEATS,
        description="How often the other picture is tracked again, with what was found so far in the memory.",
        json_schema_extra=knob(step=1, label="Repeats"),
    )
    threshold: float = Field(
        default=0.0,
        ge=-10,
        le=10,
        allow_inf_nan=False,
        description="Logits above it belong to the mask; the memory keeps the uncut logits.",
        json_schema_extra=knob(step=0.25, unit="logits", label="Threshold"),
    )
    stability_offset: float = Field(
        default=2.0,
        gt=0,
        le=20,
        allow_inf_nan=False,
        description="How far above and below the threshold the cuts of a second stability are; the official stability "
        "score, 1 about 0, is always measured.",
        json_schema_extra=knob(step=0.1, usual=(0.1, 20.0), unit="logits", label="Stability offset"),
    )
    point_and_box: bool = Field(
        default=False,
        description="Also follows the same object once from a point and once from a box, which takes longer.",
        json_schema_extra=knob(label="By point and by box"),
    )
    jitter_copies: int = Field(
        default=0,
        ge=0,
        le=256,
        description="How many moved copies of the prompt are followed, one pass each, which takes longer; 0: none.",
        json_schema_extra=knob(step=4, usual=(4, 64), label="Copies", start=16),
    )
    jitter_percent: float = jitter_percent_field()
    jitter_px: float | None = jitter_px_field()
    seed: int = Field(
        default=0,
        ge=0,
        le=2**32 - 1,
        description="Seed of the random moves: the same seed gives the same moves.",
        json_schema_extra=knob(step=1, label="Seed"),
    )
    colormap: Colormap = Field(
        default="viridis",
        description="Colour scale of the jitter maps.",
        json_schema_extra=knob(label="Colour scale"),
    )


@dataclass(frozen=True)
class _Pair:
    """The prompted picture (the source) and the other one (the target), and what both of them are followed with.

    grounds: what masks of the source and of the target lie on
    hint:    on the source
    truths:  the masks that are right, of the source and of the target, as far as they are known
    """

    model: "SamModel"
    pictures: tuple[Picture, Picture]
    grounds: tuple[Ground, Ground]
    source: LazyEncoding
    target: LazyEncoding
    prompts: Prompts
    hint: MaskHint | None
    truths: tuple[Truth | None, Truth | None]
    params: Params

    def follow(self, prompts: Prompts, hint: MaskHint | None, lab: LabLike) -> PairTrack:
        """With as many passes as the parameters ask for."""
        count = self.params.repeats + 1
        return follow(self.model, self.source, self.target, prompts, hint, self.params.mask_index, count, lab)


@dataclass
class _Parts:
    """What becomes the result."""

    images: dict[str, np.ndarray] = field(default_factory=dict)
    masks: dict[str, Mask] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    metrics: dict[str, Metric] = field(default_factory=dict)
    facts: dict[str, Fact] = field(default_factory=dict)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)


def run(model: "SamModel", inputs: Inputs, params: Params, lab: LabLike) -> Result[Params]:
    """Encode both pictures, follow the object from one to the other, and measure.

    images:  prompted and tracked, the pictures with the masks' outlines; cut_out, RGBA, what was found; by_point and
             by_box, the other picture with what each found; jitter_prompted, jitter_tracked.
    masks:   mask_prompted_0 .. 3, mask_tracked_0 .. 3 (of the last pass); mask_prompted and mask_tracked, the chosen
             ones; mask_by_point_prompted, mask_by_point_tracked, mask_by_box_prompted, mask_by_box_tracked. Those that
             are prompted lie on the prompted picture, those that are tracked on the other.
    arrays:  logits_prompted and logits_tracked, float32 [4, h, w] as the decoder gave them (-1024 all over where the
             object is judged absent); jitter_map_prompted, jitter_map_tracked, float16 [H, W].
    metrics: predicted_iou, stability_score (the official one), the stability at another offset and threshold, as
             `stability_name` says, area_px, area_share, object_score of the found mask, and prompted_... of the
             remembered one; repeat_iou (of the last pass's mask with the first's); refine_iou (with the model's own
             mask); point_box_iou and prompted_point_box_iou; jitter_iou and prompted_jitter_iou (mean, with the unmoved
             prompt's masks), jitter_found (share of copies that found it); with a truth of the other picture those of
             `truth_metrics`, with one of the prompted picture the same as prompted_...
    facts:   mask_index, of the prompted picture; tracked_index, of the other one.
    tables:  prompted_masks, tracked_masks, passes, contours (of the found mask, points in pixels), point_and_box,
             jitter.
    files:   memory_bank.safetensors, the prompt and the passes, as `MemoryBank.load` reads it.

    Raises PromptError without a prompt, BadInput without a second picture or for a model without a memory.
    """
    pair, parts = _pair(model, inputs, params, lab), _Parts()
    for share, line, name, encoding in (
        (0.0, "Encoding the prompted picture", "encode_prompted_ms", pair.source),
        (0.2, "Encoding the other picture", "encode_other_ms", pair.target),
    ):
        lab.report(share, line)
        parts.timings[name] = lab.recall(encode_ms, encoding)
    lab.report(0.4, "Following the object")
    track = pair.follow(pair.prompts, pair.hint, lab.span(0.4, 0.6))
    parts.timings |= {
        "decode_ms": track.start.prompted.decode_ms,
        "encode_memory_ms": track.start.memory_ms,
        "track_ms": sum(step.track_ms for step in track.passes),
    }
    start = time.perf_counter()
    _add_masks(parts, pair, track, lab)
    _add_passes(parts, pair, track)
    parts.timings["measure_ms"] = 1000 * (time.perf_counter() - start)
    if params.point_and_box:
        start = time.perf_counter()
        _add_point_and_box(parts, pair, lab.span(0.6, 0.7))
        parts.timings["point_and_box_ms"] = 1000 * (time.perf_counter() - start)
    if params.jitter_copies:
        start = time.perf_counter()
        _add_jitter(parts, pair, track, lab.span(0.7, 1.0))
        parts.timings["jitter_ms"] = 1000 * (time.perf_counter() - start)
    lab.report(1.0, "Done")
    return Result(NAME, params, **vars(parts))


def _pair(model: "SamModel", inputs: Inputs, params: Params, lab: LabLike) -> _Pair:
    """The two pictures, in the order in which they are looked at."""
    if inputs.image_b is None:
        raise BadInput("Cross-image segmentation needs two pictures: give the second one with --image-b.")
    if not inputs.is_marked:
        raise PromptError("There is nothing to follow: place a point or a box on one of the pictures.")
    model.check_memory("follow an object to another picture")
    pictures: tuple[Picture, Picture] = (inputs.picture, inputs.image_b)
    grounds: tuple[Ground, Ground] = ("image", "image_b")
    truths = inputs.truth, inputs.truth_b
    if params.prompt_on == "b":
        pictures, grounds, truths = pictures[::-1], grounds[::-1], truths[::-1]
    source, target = (lab.encoding(model, picture, side=params.side, fit=params.fit) for picture in pictures)
    return _Pair(model, pictures, grounds, source, target, inputs.prompts, inputs.mask_hint, truths, params)


def _add_masks(parts: _Parts, pair: _Pair, track: PairTrack, lab: LabLike) -> None:
    """Masks, logits, pictures and measures of both pictures; what was found also as contours, as a cut-out and as
    memories.
    """
    params, last = pair.params, track.passes[-1].prediction
    chosen = {"prompted": track.start.index, "tracked": chosen_index(last, params.tracked_index)}
    looked_at = (
        ("tracked", last, 1, Prompts(), ""),
        ("prompted", track.start.prompted, 0, pair.prompts, "prompted_"),
    )
    for name, prediction, side, prompts, prefix in looked_at:
        index, picture = chosen[name], pair.pictures[side]
        masks = lab.recall(cut_masks, prediction, picture, prompts, params.refine_edges, params.threshold)
        rows = mask_rows(prediction, masks, lab.recall(stability_scores, prediction), index, in_pixels=True)
        parts.masks |= named_masks(f"mask_{name}", masks, pair.grounds[side])
        parts.masks[f"mask_{name}"] = Mask(masks[index], pair.grounds[side])
        parts.arrays[f"logits_{name}"] = prediction.logits.cpu().numpy()
        parts.tables[f"{name}_masks"] = rows
        add_true_ious(rows, masks, pair.truths[side])
        parts.metrics |= _mask_metrics(prefix, rows[index], prediction)
        cuts = params.stability_offset, params.threshold
        if not is_official(*cuts):
            wide = stability_name(*cuts)
            for row, score in zip(rows, lab.recall(stability_scores, prediction, cuts[1], cuts[0]), strict=True):
                row[wide] = score
            parts.metrics[f"{prefix}{wide}"] = higher(rows[index][wide])
        parts.metrics |= truth_metrics(masks, index, pair.truths[side], key=not prefix, prefix=prefix)
        parts.images[name] = view_outlined(picture.rgb, masks[index])
    mask = parts.masks["mask_tracked"].pixels
    parts.facts |= {"mask_index": chosen["prompted"], "tracked_index": chosen["tracked"]}
    if params.refine_edges:
        own = last.mask(chosen["tracked"], threshold=params.threshold)
        parts.metrics["refine_iou"] = higher(mask_iou(mask, own))
    outlines = contours(mask)
    parts.tables["contours"] = [{"contour": i, "points_xy": each.tolist()} for i, each in enumerate(outlines)]
    parts.images["cut_out"] = cut_out(pair.pictures[1].rgb, mask)
    parts.files[BANK_FILE] = bank_bytes(track.bank)


def _mask_metrics(prefix: str, row: dict[str, Any], prediction: "MaskPrediction") -> dict[str, Metric]:
    """Of one mask. Those of the found one, which have no prefix, sum a run up."""
    key = not prefix
    return {
        f"{prefix}predicted_iou": higher(row["predicted_iou"], key),
        f"{prefix}stability_score": higher(row["stability_score"], key),
        f"{prefix}area_px": neutral(row["area_px"]),
        f"{prefix}area_share": neutral(row["area_share"], key),
        f"{prefix}object_score": higher(object_score(prediction), key),
    }


def _add_passes(parts: _Parts, pair: _Pair, track: PairTrack) -> None:
    rows = pass_rows(track.passes, pair.params, pair.truths[1])
    parts.tables["passes"] = rows
    parts.metrics["repeat_iou"] = higher(rows[-1]["iou_with_first"])


def pass_rows(passes: tuple[Pass, ...], params: Params, truth: Truth | None = None) -> list[dict[str, Any]]:
    """One row for each pass: the object's score, the predicted IoUs, and `change`, 1 - IoU with the mask of the pass
    before (None for the first); with a truth also `true_iou`.
    """
    rows: list[dict[str, Any]] = []
    masks: list[np.ndarray] = []
    for number, step in enumerate(passes, start=1):
        prediction = step.prediction
        index = chosen_index(prediction, params.tracked_index)
        mask = prediction.mask(index, threshold=params.threshold)
        row: dict[str, Any] = {
            "pass": number,
            "object_score": object_score(prediction),
            "mask": index,
            "predicted_iou": float(prediction.iou[index]),
        }
        row |= {f"predicted_iou_{i}": float(value) for i, value in enumerate(prediction.iou)}
        row |= {
            "change": 1 - float(mask_iou(mask, masks[-1])) if masks else None,
            "iou_with_first": float(mask_iou(mask, masks[0] if masks else mask)),
            "area_share": mask_area(mask) / mask.size,
            "ms": step.track_ms,
        }
        if truth is not None:
            row["true_iou"] = truth.iou(mask)
        rows.append(row)
        masks = [masks[0] if masks else mask, mask]
    return rows


def point_and_box_prompts(prompts: Prompts, mask: np.ndarray) -> dict[str, Prompts]:
    """ "point" and "box" -> prompts for the same object: the user's own of that kind, else the pixel farthest from the
    mask's edge, or the mask's tight box.

    mask: bool [H, W] of the prompted picture. Raises PromptError where there is no mask to take them from.
    """
    points, boxes = prompts.points, prompts.boxes
    if (not points or not boxes) and not mask.any():
        raise PromptError(
            "The remembered mask is empty, so there is no object for a point or a box: change the prompt or the "
            "threshold."
        )
    height, width = mask.shape
    place, around = innermost_point(mask), mask_box(mask)
    if place is not None and not any(label for _, _, label in points):
        x, y = place
        points = (*points, ((x + 0.5) / width, (y + 0.5) / height, 1))
    if around is not None and not boxes:
        x1, y1, x2, y2 = around
        boxes = ((x1 / width, y1 / height, x2 / width, y2 / height),)
    return {"point": Prompts(points), "box": Prompts((), boxes)}


def _add_point_and_box(parts: _Parts, pair: _Pair, lab: LabLike) -> None:
    """The same object once by a point and once by a box, without the mask hint."""
    params, rows = pair.params, []
    kinds = point_and_box_prompts(pair.prompts, parts.masks["mask_prompted"].pixels)
    for share, (kind, own) in zip((0.0, 0.5), kinds.items(), strict=True):
        lab.report(share, f"The same object by a {kind}")
        track = pair.follow(own, None, lab.span(share, share + 0.5))
        step = track.passes[-1].prediction
        row: dict[str, Any] = {"by": kind, "prompts": own.to_json(), "object_score": object_score(step)}
        for name, prediction, index, prompts, side in (
            ("prompted", track.start.prompted, track.start.index, own, 0),
            ("tracked", step, chosen_index(step, params.tracked_index), Prompts(), 1),
        ):
            picture = pair.pictures[side]
            masks = lab.recall(cut_masks, prediction, picture, prompts, params.refine_edges, params.threshold)
            parts.masks[f"mask_by_{kind}_{name}"] = Mask(masks[index], pair.grounds[side])
            row[f"{name}_predicted_iou"] = float(prediction.iou[index])
            row[f"{name}_area_share"] = mask_area(masks[index]) / masks[index].size
        shown = parts.masks[f"mask_by_{kind}_tracked"].pixels
        parts.images[f"by_{kind}"] = view_outlined(pair.pictures[1].rgb, shown)
        rows.append(row)
    parts.tables["point_and_box"] = rows
    for name, metric in (("prompted", "prompted_point_box_iou"), ("tracked", "point_box_iou")):
        by_point, by_box = (parts.masks[f"mask_by_{kind}_{name}"].pixels for kind in ("point", "box"))
        parts.metrics[metric] = higher(mask_iou(by_point, by_box))


def _add_jitter(parts: _Parts, pair: _Pair, track: PairTrack, lab: LabLike) -> None:
    """What the moved copies of the prompt gave."""
    params = pair.params
    jitter = lab.recall(
        follow_moved,
        pair.model,
        pair.source,
        pair.target,
        pair.prompts,
        pair.hint,
        track.start,
        track.passes[0],
        params.tracked_index,
        params.threshold,
        params.jitter_copies,
        jitter_spread_px(params.jitter_percent, params.jitter_px, pair.pictures[0].size),
        params.seed,
        lab,
    )
    parts.tables["jitter"] = [dict(row) for row in jitter.rows]
    parts.metrics |= {
        "prompted_jitter_iou": higher(np.mean([row["prompted_iou"] for row in jitter.rows])),
        "jitter_iou": higher(np.mean([row["tracked_iou"] for row in jitter.rows])),
        "jitter_found": higher(np.mean([row["object_score"] > 0 for row in jitter.rows])),
    }
    for name, frequency in zip(("prompted", "tracked"), jitter.frequencies, strict=True):
        parts.arrays[f"jitter_map_{name}"] = frequency
        parts.images[f"jitter_{name}"] = color_map(frequency, 0.0, 1.0, params.colormap)
