"""Mask stability: a mask is its logits cut at 0, and this shows what lies close to the cut.

Logits between two thresholds are drawn in colour, lower ones black and higher ones white. Beside it: the
stability score of the official automatic mask generator and the curve it is one point of, area over threshold, what a
loss of detail in the picture does to the mask, and what moving the prompt does.

Pictures and curves are made from logits at the picture's own size, or at `VIEW_SIDE_PX` where the picture is larger;
masks are always of the original size.
"""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from pydantic import Field, model_validator

from samkit.experiments.inputs import Inputs
from samkit.experiments.lab import LabLike, LazyEncoding
from samkit.experiments.measures.jitter import jitter_spread_px, jittered_masks
from samkit.experiments.measures.mask_curves import (
    AREA_THRESHOLDS,
    area_curve,
    curve_deltas,
    curve_rows,
    sort_logits,
    stability_curve,
)
from samkit.experiments.measures.mask_logits import map_logits, view_logits
from samkit.experiments.measures.predicted_masks import (
    chosen_index,
    cut_masks,
    encode_ms,
    mask_rows,
    named_masks,
    predict,
)
from samkit.experiments.measures.stability import is_official, mask_stability_name, stability_name
from samkit.experiments.measures.truth import add_true_ious, true_iou_curve, truth_metrics
from samkit.experiments.params import MaskParams, jitter_percent_field, jitter_px_field, knob, mask_index_field
from samkit.experiments.result import Fact, Mask, Metric, Result, higher, neutral
from samkit.media.colormaps import Colormap, color_map
from samkit.media.given_masks import Truth
from samkit.media.mask_views import binary_view, outlined, threshold_band
from samkit.media.masks import mask_iou, stability_score
from samkit.media.pictures import Picture

if TYPE_CHECKING:
    from samkit.models.encoding import MaskPrediction
    from samkit.models.sam import SamModel

NAME = "mask-stability"
TAKES = ("image", "prompts", "mask_hint", "truth")


class Params(MaskParams):
    """Thresholds, delta and offset are in logits: 0 is the model's own cut, 2 is about 88 % sure, 8 about 99.97 %."""

    lower_threshold: float = Field(
        default=-2.0,
        ge=-20,
        le=20,
        allow_inf_nan=False,
        description="Logits below it are drawn black.",
        json_schema_extra=knob(step=0.5, unit="logits", label="Lower threshold"),
    )
    upper_threshold: float = Field(
        default=2.0,
        ge=-20,
        le=20,
        allow_inf_nan=False,
        description="Logits above it are drawn white.",
        json_schema_extra=knob(step=0.5, unit="logits", label="Upper threshold"),
    )
    input_scale: float = Field(
        default=1.0,
        gt=0,
        le=2,
        allow_inf_nan=False,
        description="The picture is resized by this and back before it is encoded; below 1 it loses detail.",
        json_schema_extra=knob(step=0.05, usual=(0.05, 2.0), label="Input scale"),
    )
    mask_index: int | None = mask_index_field()
    stability_offset: float = Field(
        default=1.0,
        gt=0,
        le=20,
        allow_inf_nan=False,
        description="How far above and below 0 the cuts of a second stability are; at 1 it is the official stability "
        "score, which is always measured.",
        json_schema_extra=knob(step=0.1, usual=(0.1, 20.0), unit="logits", label="Stability offset"),
    )
    max_delta: float = Field(
        default=8.0,
        gt=0,
        le=20,
        allow_inf_nan=False,
        description="How far the stability curve goes.",
        json_schema_extra=knob(step=0.5, usual=(1.0, 20.0), unit="logits", label="Largest delta of the curve"),
    )
    jitter_copies: int = Field(
        default=0,
        ge=0,
        le=256,
        description="How many moved copies of the prompt are predicted, which takes longer; 0: none.",
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
        description="Colour scale of the logits and the jitter map.",
        json_schema_extra=knob(label="Colour scale"),
    )

    @model_validator(mode="after")
    def _thresholds_in_order(self) -> "Params":
        if self.lower_threshold > self.upper_threshold:
            raise ValueError(
                f"The lower threshold {self.lower_threshold:g} is above the upper threshold "
                f"{self.upper_threshold:g}: set it lower"
            )
        return self


def rescale_picture(rgb: np.ndarray, scale: float) -> np.ndarray:
    """uint8 [H, W, 3] resized by `scale` and back to its size, so that detail is lost and prompts and masks keep their
    pixels.

    Whichever step makes it smaller averages areas, so nothing aliases; the other one is bilinear. Scale 1 gives the
    picture itself.
    """
    height, width = rgb.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        return rgb
    there, back = (cv2.INTER_AREA, cv2.INTER_LINEAR) if scale < 1 else (cv2.INTER_LINEAR, cv2.INTER_AREA)
    return cv2.resize(cv2.resize(rgb, size, interpolation=there), (width, height), interpolation=back)


def rescaled(picture: Picture, scale: float) -> Picture:
    """`rescale_picture` of a Picture; the very same Picture for scale 1, so that a cache by content is met."""
    rgb = rescale_picture(picture.rgb, scale)
    return picture if rgb is picture.rgb else Picture(rgb, f"{picture.name} at {scale:g}x")


@dataclass
class _Parts:
    """What becomes the result."""

    images: dict[str, np.ndarray] = field(default_factory=dict)
    masks: dict[str, Mask] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    metrics: dict[str, Metric] = field(default_factory=dict)
    facts: dict[str, Fact] = field(default_factory=dict)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)


def run(model: "SamModel", inputs: Inputs, params: Params, lab: LabLike) -> Result[Params]:
    """Encode, predict, and measure the masks.

    images:  original, prediction (the chosen mask's band) and binary with the chosen mask's outline where it is drawn
             on something; band_0 .. band_3; jitter.
    masks:   mask_0 .. mask_3 cut at 0 (with `refine_edges` cut again along the picture's edges, and so are the areas
             and outlines); mask_chosen; mask_unrefined, the model's own chosen one where masks were refined; mask_core,
             the part of the chosen one's logits above the upper threshold.
    arrays:  logits, float32 [4, h, w] as the decoder gave them; picture_logits, float16 [4, h, w] over the picture
             alone, within `MAP_SIDE_PX`; jitter_map, float16 [H, W].
    metrics: predicted_iou, stability_score (the official one), area_px, area_share, threshold_iou (of cuts at the two
             thresholds) of the chosen mask; object_score; predicted_iou_0 .. 3, stability_score_0 .. 3; the same with
             another offset, as `stability_name` says; refine_iou (of the chosen mask
             refined and as the model gave it); iou_unscaled; jitter_iou (mean, with the unmoved prompt's mask),
             jitter_pairwise_iou. Logits, curves and jitter are always the model's own. With a truth those of
             `truth_metrics`.
    facts:   mask_index.
    tables:  masks, cuts (at the thresholds and at 0: area, as a share of the picture and of the mask), stability_curve,
             area_curve, jitter; with a truth true_iou_curve, over the threshold.
    """
    lab.report(0.0, "Encoding the picture")
    scaled = rescaled(inputs.picture, params.input_scale)
    encoding = lab.encoding(model, scaled, side=params.side, fit=params.fit)
    encoded_ms = lab.recall(encode_ms, encoding)
    lab.report(0.5, "Predicting masks")
    prediction = lab.recall(predict, model, encoding, inputs.prompts, inputs.mask_hint)
    chosen = chosen_index(prediction, params.mask_index)
    parts = _Parts(facts={"mask_index": chosen}, timings={"encode_ms": encoded_ms, "decode_ms": prediction.decode_ms})

    start = time.perf_counter()
    logits = lab.recall(view_logits, prediction)
    own = lab.recall(own_masks, prediction, logits)
    masks = own
    if params.refine_edges:
        masks = lab.recall(cut_masks, prediction, scaled, inputs.prompts, True)
    _add_masks(parts, prediction, logits, masks, own, params)
    _add_measures(parts, prediction, logits, masks, params)
    if inputs.truth is not None:
        add_true_ious(parts.tables["masks"], masks, inputs.truth)
        parts.metrics |= truth_metrics(masks, chosen, inputs.truth)
    if not lab.figures_only:
        _add_curves(parts, logits, inputs.truth, params, lab)
        _add_views(parts, scaled.rgb, logits, masks[chosen], params)
        maps = {"logits": prediction.logits.cpu().numpy(), "picture_logits": lab.recall(map_logits, prediction)}
        parts.arrays |= maps
    parts.timings["measure_ms"] = 1000 * (time.perf_counter() - start)

    if scaled is not inputs.picture:
        _add_unscaled(parts, model, inputs, params, masks, lab)
    if params.jitter_copies:
        _add_jitter(parts, model, encoding, inputs, params, lab.span(0.7, 1.0))
    lab.report(1.0, "Done")
    return Result(NAME, params, **vars(parts))


def own_masks(prediction: "MaskPrediction", logits: np.ndarray) -> tuple[np.ndarray, ...]:
    """The prediction's masks as the model gave them, bool [H, W] each in the picture's pixels. logits: its
    `view_logits`, which are cut where they have the picture's size.
    """
    if logits.shape[1:] == prediction.geometry.original_size:
        return tuple(logits > 0)
    return tuple(prediction.mask(i) for i in range(len(logits)))


def _add_masks(
    parts: _Parts,
    prediction: "MaskPrediction",
    logits: np.ndarray,
    masks: tuple[np.ndarray, ...],
    own: tuple[np.ndarray, ...],
    params: Params,
) -> None:
    """The masks that are kept, and what refining has changed."""
    chosen = int(parts.facts["mask_index"])
    if logits.shape[1:] == prediction.geometry.original_size:
        core = logits[chosen] > params.upper_threshold
    else:
        core = prediction.mask(chosen, threshold=params.upper_threshold)
    parts.masks |= named_masks("mask", masks) | {"mask_chosen": Mask(masks[chosen]), "mask_core": Mask(core)}
    if params.refine_edges:
        parts.masks["mask_unrefined"] = Mask(own[chosen])
        parts.metrics["refine_iou"] = higher(mask_iou(masks[chosen], own[chosen]))


def _add_measures(
    parts: _Parts,
    prediction: "MaskPrediction",
    logits: np.ndarray,
    masks: tuple[np.ndarray, ...],
    params: Params,
) -> None:
    """Metrics, and the table of masks. logits: float32 [4, h, w] at `view_size`."""
    chosen = int(parts.facts["mask_index"])
    scores = [stability_score(mask_logits) for mask_logits in logits]
    rows = mask_rows(prediction, masks, scores, chosen, in_pixels=True)
    above_upper = int(np.count_nonzero(logits[chosen] > params.upper_threshold))
    above_lower = int(np.count_nonzero(logits[chosen] > params.lower_threshold))
    parts.metrics |= {
        "predicted_iou": higher(rows[chosen]["predicted_iou"]),
        "stability_score": higher(rows[chosen]["stability_score"], key=True),
        "area_px": neutral(rows[chosen]["area_px"]),
        "area_share": neutral(rows[chosen]["area_share"], key=True),
        "threshold_iou": neutral(above_upper / max(above_lower, 1), key=True),
    }
    if prediction.object_score is not None:
        parts.metrics["object_score"] = higher(prediction.object_score)
    for i, row in enumerate(rows):
        parts.metrics[f"predicted_iou_{i}"] = higher(row["predicted_iou"])
        parts.metrics[f"stability_score_{i}"] = higher(row["stability_score"])
    offset = params.stability_offset
    if not is_official(offset):
        for i, mask_logits in enumerate(logits):
            rows[i][stability_name(offset)] = stability_score(mask_logits, offset=offset)
            parts.metrics[mask_stability_name(offset, i)] = higher(rows[i][stability_name(offset)])
        parts.metrics[stability_name(offset)] = higher(rows[chosen][stability_name(offset)])
    parts.tables["masks"] = rows


def _add_curves(parts: _Parts, logits: np.ndarray, truth: Truth | None, params: Params, lab: LabLike) -> None:
    """What other thresholds would give. logits: float32 [4, h, w] at `view_size`."""
    ordered, deltas = lab.recall(sort_logits, logits), curve_deltas(params.max_delta)
    chosen = int(parts.facts["mask_index"])
    parts.tables |= {
        "cuts": cut_rows(logits[chosen], params.lower_threshold, params.upper_threshold),
        "stability_curve": curve_rows("delta", deltas, stability_curve(ordered, deltas)),
        "area_curve": curve_rows("threshold", AREA_THRESHOLDS, area_curve(ordered)),
    }
    if truth is not None:
        curves = lab.recall(true_iou_curve, logits, truth, AREA_THRESHOLDS)
        parts.tables["true_iou_curve"] = curve_rows("threshold", AREA_THRESHOLDS, curves)


def cut_rows(logits: np.ndarray, lower: float, upper: float) -> list[dict[str, Any]]:
    """One row for each of the cuts at `lower`, 0 and `upper` of float [h, w], all in logits, in rising order.

    area_share: of the picture; of_mask: of the cut at 0, None where that is empty
    """
    areas = {cut: int(np.count_nonzero(logits > cut)) for cut in sorted({lower, 0.0, upper})}
    return [
        {
            "threshold": cut,
            "area_share": area / logits.size,
            "of_mask": area / areas[0.0] if areas[0.0] else None,
        }
        for cut, area in areas.items()
    ]


def _add_views(parts: _Parts, rgb: np.ndarray, logits: np.ndarray, mask: np.ndarray, params: Params) -> None:
    """The three views of the chosen mask, bool [H, W], and the bands of all four masks, uint8 [h, w, 3] at the size of
    `logits`, float32 [4, h, w].
    """
    chosen, (height, width) = int(parts.facts["mask_index"]), logits.shape[1:]
    if rgb.shape[:2] != (height, width):
        rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    own = logits[chosen] > 0
    if not params.refine_edges:
        mask = own
    elif mask.shape != own.shape:
        mask = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) > 0.5
    bands = [threshold_band(each, params.lower_threshold, params.upper_threshold, params.colormap) for each in logits]
    parts.images |= {
        "original": outlined(rgb, mask),
        "prediction": outlined(bands[chosen], own),
        "binary": binary_view(mask),
    }
    parts.images |= {f"band_{i}": band for i, band in enumerate(bands)}


def _add_unscaled(
    parts: _Parts,
    model: "SamModel",
    inputs: Inputs,
    params: Params,
    masks: tuple[np.ndarray, ...],
    lab: LabLike,
) -> None:
    """How the masks agree with those of the picture at full detail."""
    lab.report(0.6, "Encoding the picture at full detail")
    full = lab.encoding(model, inputs.picture, side=params.side, fit=params.fit)
    parts.timings["encode_unscaled_ms"] = lab.recall(encode_ms, full)
    prediction = lab.recall(predict, model, full, inputs.prompts, inputs.mask_hint)
    unscaled = lab.recall(cut_masks, prediction, inputs.picture, inputs.prompts, params.refine_edges)
    for row, mask, full_mask in zip(parts.tables["masks"], masks, unscaled, strict=True):
        row["iou_unscaled"] = float(mask_iou(mask, full_mask))
    parts.metrics["iou_unscaled"] = higher(
        parts.tables["masks"][int(parts.facts["mask_index"])]["iou_unscaled"], key=True
    )


def _add_jitter(
    parts: _Parts, model: "SamModel", encoding: LazyEncoding, inputs: Inputs, params: Params, lab: LabLike
) -> None:
    """What the moved copies of the prompt gave."""
    chosen, start = int(parts.facts["mask_index"]), time.perf_counter()
    spread_px = jitter_spread_px(params.jitter_percent, params.jitter_px, inputs.picture.size)
    moves = params.jitter_copies, spread_px, params.seed
    jitter = lab.recall(jittered_masks, model, encoding, inputs.prompts, chosen, *moves, inputs.mask_hint, lab)
    parts.timings["jitter_ms"] = 1000 * (time.perf_counter() - start)
    parts.arrays["jitter_map"] = jitter.frequency
    parts.images["jitter"] = color_map(jitter.frequency, 0.0, 1.0, params.colormap)
    parts.metrics |= {
        "jitter_iou": higher(jitter.ious.mean()),
        "jitter_pairwise_iou": higher(jitter.pairwise_iou),
    }
    moved = zip(jitter.shifts_px, jitter.ious, jitter.predicted_ious, strict=True)
    parts.tables["jitter"] = [
        {"copy": i, "dx_px": float(dx), "dy_px": float(dy), "iou": float(iou), "predicted_iou": float(predicted)}
        for i, ((dx, dy), iou, predicted) in enumerate(moved)
    ]
