"""Mask stability: a mask is its logits cut at 0, and this shows what lies close to the cut.

Logits between two thresholds are drawn in colour, what is below them black and above them white. Beside it: the
stability score of the official automatic mask generator and the curve it is one point of, area over threshold, what a
loss of detail in the picture does to the mask, and what moving the prompt does.

Pictures and curves are made from logits at the picture's own size, or at `VIEW_SIDE_PX` where the picture is larger;
masks are always of the original size. The functions on arrays stand alone, so a screen can redraw for a threshold or a
colour scale without encoding or decoding again.
"""

import time

import cv2
import numpy as np
from pydantic import Field, model_validator

from samkit.experiments.measures.jitter import run_jitter
from samkit.experiments.measures.predicted_masks import predicted_masks
from samkit.experiments.result import EncodeFunction, Inputs, MaskParams, Progress, Result, encode_plain
from samkit.media.colormaps import Colormap, apply_table, color_map, colormap_table
from samkit.media.masks import mask_iou, stability_score
from samkit.media.pictures import Picture
from samkit.prompts import Prompts

NAME = "mask-stability"
TITLE = "Mask stability"
QUESTION = "Which part of a mask is safe?"
TAKES = ("image", "prompts")

VIEW_SIDE_PX = 1024
MAP_SIDE_PX = 200
MASK_COUNT = 4
CURVE_SIDE_PX = 768
CURVE_POINTS = 65
AREA_THRESHOLDS = np.linspace(-20.0, 20.0, 81)
CONTOUR_COLOR = (255, 64, 129)


class Params(MaskParams):
    """Thresholds, delta and offset are in logits: 0 is the model's own cut, 8 is about 99.97 % sure."""

    lower_threshold: float = Field(
        default=0.0, ge=-20, le=20, allow_inf_nan=False, description="logits below it are drawn black"
    )
    upper_threshold: float = Field(
        default=8.0, ge=-20, le=20, allow_inf_nan=False, description="logits above it are drawn white"
    )
    input_scale: float = Field(
        default=1.0,
        gt=0,
        le=2,
        allow_inf_nan=False,
        description="the picture is resized by this and back before it is encoded: below 1 loses detail",
    )
    mask_index: int | None = Field(
        default=None,
        ge=0,
        le=3,
        description="which mask; empty: of masks 1 to 3 the one with the highest predicted IoU",
    )
    stability_offset: float = Field(
        default=1.0,
        gt=0,
        le=20,
        allow_inf_nan=False,
        description="the stability score compares cuts this far above and below 0",
    )
    max_delta: float = Field(
        default=8.0, gt=0, le=20, allow_inf_nan=False, description="how far the stability curve goes"
    )
    jitter_copies: int = Field(
        default=0, ge=0, le=256, description="how many moved copies of the prompt are predicted; 0: none"
    )
    jitter_px: float = Field(
        default=4.0,
        ge=0,
        le=1000,
        allow_inf_nan=False,
        description="how far the copies are moved: standard deviation in original pixels",
    )
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="of the moves; the same seed moves the same way")
    colormap: Colormap = Field(default="viridis", description="colour scale of the logits and the jitter map")

    @model_validator(mode="after")
    def _thresholds_in_order(self):
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


def view_size(picture_size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) that pictures of a result have: the original's, or its proportions within `VIEW_SIDE_PX`."""
    shrink = min(1.0, VIEW_SIDE_PX / max(picture_size))
    return max(1, round(picture_size[0] * shrink)), max(1, round(picture_size[1] * shrink))


def view_logits(prediction) -> np.ndarray:
    """float32 [4, h, w]: all masks' logits over the picture, at `view_size`."""
    size = view_size(prediction.geometry.original_size)
    return np.stack([prediction.logits_at(i, size) for i in range(MASK_COUNT)])


def map_logits(prediction) -> np.ndarray:
    """float16 [4, h, w]: all masks' logits over the picture, padding removed, within `MAP_SIDE_PX`: for an interactive
    map.
    """
    height, width = prediction.geometry.original_size
    shrink = min(1.0, MAP_SIDE_PX / max(height, width))
    size = (max(1, round(height * shrink)), max(1, round(width * shrink)))
    return np.stack([prediction.logits_at(i, size) for i in range(MASK_COUNT)]).astype(np.float16)


def threshold_band(logits: np.ndarray, lower: float, upper: float, colormap: Colormap = "viridis") -> np.ndarray:
    """uint8 [H, W, 3] of float [H, W] logits: black below `lower`, white from `upper` on, the colour scale in
    between.
    """
    scale = np.float32(254 / (upper - lower)) if upper > lower else np.float32(0)
    levels = np.clip((logits - np.float32(lower)) * scale, 0, 253).astype(np.uint8) + np.uint8(1)
    levels *= logits >= lower
    np.maximum(levels, (logits >= upper).view(np.uint8) * np.uint8(255), out=levels)
    table = colormap_table(colormap).copy()
    table[0], table[255] = 0, 255
    return apply_table(levels, table)


def outlined(rgb: np.ndarray, mask: np.ndarray, color: tuple[int, int, int] = CONTOUR_COLOR) -> np.ndarray:
    """A copy of uint8 [H, W, 3] with the outline of the bool [H, W] mask on it, thick enough to be seen on a picture
    shown 1000 px wide.
    """
    found, _ = cv2.findContours(np.ascontiguousarray(mask).view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.array(rgb), found, -1, color, thickness=max(1, round(max(mask.shape) / 400)))


def binary_view(mask: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3]: the bool [H, W] mask in white on black."""
    return cv2.cvtColor(np.ascontiguousarray(mask).view(np.uint8) * np.uint8(255), cv2.COLOR_GRAY2RGB)


def sort_logits(logits: np.ndarray) -> np.ndarray:
    """[..., H, W] -> [..., pixels] in rising order: sorted once, any number of thresholds can be counted by bisection.

    Of maps larger than `CURVE_SIDE_PX` every second, third ... row and column is taken: no curve shows the difference,
    and sorting is what takes the time.
    """
    step = -(-max(logits.shape[-2:]) // CURVE_SIDE_PX)
    return np.sort(logits[..., ::step, ::step].reshape(*logits.shape[:-2], -1), axis=-1)


def count_above(sorted_logits: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """int64 [..., N]: how many of the `sort_logits` [..., pixels] are above each of the [N] thresholds."""
    # Compared as float32, like `logits > threshold` compares a float32 array with a Python float.
    thresholds = np.asarray(thresholds, dtype=sorted_logits.dtype)
    rows = sorted_logits.reshape(-1, sorted_logits.shape[-1])
    counts = np.stack([row.size - np.searchsorted(row, thresholds, side="right") for row in rows])
    return counts.reshape(*sorted_logits.shape[:-1], len(thresholds))


def stability_curve(sorted_logits: np.ndarray, deltas: np.ndarray, threshold: float = 0.0) -> np.ndarray:
    """float64 [..., N]: IoU of the masks cut at `threshold - delta` and `threshold + delta` for each of the [N] deltas,
    1 at delta 0.

    One mask holds the other, so the IoU is the ratio of their areas. At delta = offset it is
    `samkit.media.masks.stability_score` of the same pixels, and like it 0 where even the lower cut selects nothing.
    """
    deltas = np.asarray(deltas, dtype=np.float64)
    inner, outer = count_above(sorted_logits, threshold + deltas), count_above(sorted_logits, threshold - deltas)
    return inner / np.maximum(outer, 1)


def area_curve(sorted_logits: np.ndarray, thresholds: np.ndarray = AREA_THRESHOLDS) -> np.ndarray:
    """float64 [..., N]: the share of the picture (0..1) above each of the [N] thresholds; never rises with the
    threshold.
    """
    return count_above(sorted_logits, thresholds) / sorted_logits.shape[-1]


def curve_deltas(max_delta: float) -> np.ndarray:
    """float64 [CURVE_POINTS] from 0 to `max_delta`."""
    return np.linspace(0.0, max_delta, CURVE_POINTS)


def curve_rows(x_name: str, x: np.ndarray, curves: np.ndarray) -> list[dict]:
    """[N] and [4, N] as rows `{x_name: ..., "mask_0": ..., ..., "mask_3": ...}`."""
    return [
        {x_name: float(at)} | {f"mask_{i}": float(value) for i, value in enumerate(values)}
        for at, values in zip(x, curves.T, strict=True)
    ]


def run(
    model, inputs: Inputs, params: Params, *, encode: EncodeFunction = encode_plain, progress: Progress | None = None
) -> Result:
    """Encode, predict, and measure the masks.

    images:  original, prediction (the chosen mask's band) and binary with the chosen mask's outline where it is drawn
             on something; band_0 .. band_3; jitter.
    masks:   mask_0 .. mask_3 cut at 0 (with `refine_edges` cut again along the picture's edges, and so are the areas
             and outlines); chosen; unrefined, the model's own chosen one where masks were refined; core, the part of
             the chosen one's logits above the upper threshold.
    arrays:  logits, float32 [4, h, w] as the decoder gave them; picture_logits, float16 [4, h, w] over the picture
             alone, within `MAP_SIDE_PX`; jitter_map, float16 [H, W].
    metrics: predicted_iou, stability_score, area_px, area_share, threshold_iou (of cuts at the two thresholds) of the
             chosen mask; mask_index; object_score; predicted_iou_0 .. 3, stability_score_0 .. 3; refine_iou (of the
             chosen mask refined and as the model gave it); iou_unscaled; jitter_iou (mean, with the unmoved prompt's
             mask), jitter_pairwise_iou. Logits, curves and jitter are always the model's own.
    tables:  masks, stability_curve, area_curve, jitter.
    """
    report = progress or (lambda share, line: None)
    report(0.0, "Encoding the picture")
    scaled = rescaled(inputs.image, params.input_scale)
    encoding = encode(model, scaled, side=params.side, fit=params.fit)
    report(0.5, "Predicting masks")
    prediction = model.predict_masks(encoding, inputs.prompts)
    timings = {"encode_ms": encoding.encode_ms, "decode_ms": prediction.decode_ms}
    chosen = prediction.best if params.mask_index is None else params.mask_index

    start = time.perf_counter()
    logits = view_logits(prediction)
    original_size = prediction.geometry.original_size
    own = [logits[i] > 0 if logits.shape[1:] == original_size else prediction.mask(i) for i in range(MASK_COUNT)]
    masks = predicted_masks(prediction, scaled.rgb, inputs.prompts, refine=True) if params.refine_edges else own
    metrics, tables = _measure(prediction, logits, masks, chosen, params)
    if params.refine_edges:
        metrics["refine_iou"] = float(mask_iou(masks[chosen], own[chosen]))
    images = _draw(scaled.rgb, logits, masks[chosen], chosen, params)
    core = (
        logits[chosen] > params.upper_threshold
        if logits.shape[1:] == original_size
        else prediction.mask(chosen, threshold=params.upper_threshold)
    )
    arrays = {"logits": prediction.logits.cpu().numpy(), "picture_logits": map_logits(prediction)}
    timings["measure_ms"] = 1000 * (time.perf_counter() - start)

    if scaled is not inputs.image:
        report(0.6, "Encoding the picture at full detail")
        full = encode(model, inputs.image, side=params.side, fit=params.fit)
        timings["encode_unscaled_ms"] = full.encode_ms
        unscaled = predicted_masks(
            model.predict_masks(full, inputs.prompts), inputs.image.rgb, inputs.prompts, refine=params.refine_edges
        )
        for row, mask, full_mask in zip(tables["masks"], masks, unscaled, strict=True):
            row["iou_unscaled"] = float(mask_iou(mask, full_mask))
        metrics["iou_unscaled"] = tables["masks"][chosen]["iou_unscaled"]
    if params.jitter_copies:
        _add_jitter(
            model,
            encoding,
            inputs.prompts,
            chosen,
            logits[chosen] > 0,
            params,
            report,
            (images, arrays, metrics, tables, timings),
        )
    report(1.0, "Done")
    named_masks = {f"mask_{i}": mask for i, mask in enumerate(masks)} | {"chosen": masks[chosen], "core": core}
    if params.refine_edges:
        named_masks["unrefined"] = own[chosen]
    return Result(
        NAME, params, images=images, masks=named_masks, arrays=arrays, metrics=metrics, tables=tables, timings=timings
    )


def _measure(prediction, logits: np.ndarray, masks: list[np.ndarray], chosen: int, params: Params) -> tuple[dict, dict]:
    """Metrics and tables of one prediction."""
    ordered = sort_logits(logits)
    deltas = curve_deltas(params.max_delta)
    scores = [stability_score(mask_logits, offset=params.stability_offset) for mask_logits in logits]
    predicted = [float(value) for value in prediction.iou]
    rows = []
    for i, mask in enumerate(masks):
        area = int(np.count_nonzero(mask))
        row = {"mask": i, "chosen": i == chosen, "predicted_iou": predicted[i], "stability_score": float(scores[i])}
        rows.append(row | {"area_px": area, "area_share": area / mask.size})
    metrics = {
        name: float(rows[chosen][name]) for name in ("predicted_iou", "stability_score", "area_px", "area_share")
    }
    metrics["mask_index"] = float(chosen)
    upper, lower = (
        np.count_nonzero(logits[chosen] > threshold) for threshold in (params.upper_threshold, params.lower_threshold)
    )
    metrics["threshold_iou"] = float(upper / max(lower, 1))
    if prediction.object_score is not None:
        metrics["object_score"] = float(prediction.object_score)
    for i, row in enumerate(rows):
        metrics |= {f"predicted_iou_{i}": row["predicted_iou"], f"stability_score_{i}": row["stability_score"]}
    tables = {
        "masks": rows,
        "stability_curve": curve_rows("delta", deltas, stability_curve(ordered, deltas)),
        "area_curve": curve_rows("threshold", AREA_THRESHOLDS, area_curve(ordered)),
    }
    return metrics, tables


def _draw(rgb: np.ndarray, logits: np.ndarray, mask: np.ndarray, chosen: int, params: Params) -> dict[str, np.ndarray]:
    """The three views of the chosen mask, bool [H, W], and the bands of all four masks, uint8 [h, w, 3] at the size of
    `logits`.
    """
    height, width = logits.shape[1:]
    if rgb.shape[:2] != (height, width):
        rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    own = logits[chosen] > 0
    if not params.refine_edges:
        mask = own
    elif mask.shape != own.shape:
        mask = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) > 0.5
    bands = [
        threshold_band(logits[i], params.lower_threshold, params.upper_threshold, params.colormap)
        for i in range(MASK_COUNT)
    ]
    views = {"original": outlined(rgb, mask), "prediction": outlined(bands[chosen], own), "binary": binary_view(mask)}
    return views | {f"band_{i}": band for i, band in enumerate(bands)}


def _add_jitter(
    model,
    encoding,
    prompts: Prompts,
    chosen: int,
    reference: np.ndarray,
    params: Params,
    report: Progress,
    parts: tuple[dict, ...],
) -> None:
    """Run the moved copies and put what they gave into the parts of the result: images, arrays, metrics, tables,
    timings.
    """
    images, arrays, metrics, tables, timings = parts
    start = time.perf_counter()
    jitter = run_jitter(
        model,
        encoding,
        prompts,
        chosen,
        reference,
        copies=params.jitter_copies,
        spread_px=params.jitter_px,
        seed=params.seed,
        progress=lambda share, line: report(0.7 + 0.3 * share, line),
    )
    timings["jitter_ms"] = 1000 * (time.perf_counter() - start)
    arrays["jitter_map"] = jitter.frequency
    images["jitter"] = color_map(jitter.frequency, 0.0, 1.0, params.colormap)
    metrics |= {"jitter_iou": float(jitter.ious.mean()), "jitter_pairwise_iou": jitter.pairwise_iou}
    rows = zip(jitter.shifts_px, jitter.ious, jitter.predicted_ious, strict=True)
    tables["jitter"] = [
        {"copy": i, "dx_px": float(dx), "dy_px": float(dy), "iou": float(iou), "predicted_iou": float(predicted)}
        for i, ((dx, dy), iou, predicted) in enumerate(rows)
    ]
