"""Window size: attention windows of other sizes than the encoder was trained with, and what they do to masks, encoding
and time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from pydantic import Field, field_validator

from samkit.errors import EncodingError, ParamsError
from samkit.experiments.inputs import Inputs
from samkit.experiments.lab import LabLike, LazyEncoding
from samkit.experiments.measures.mask_logits import map_logits, view_logits_of
from samkit.experiments.measures.predicted_masks import (
    chosen_index,
    cut_and_scored,
    cut_masks,
    mask_rows,
    named_masks,
    predict,
    stability_scores,
)
from samkit.experiments.measures.truth import add_true_ious, true_ious, truth_metrics
from samkit.experiments.measures.window_timing import (
    Drift,
    Scene,
    Windows,
    first_ms,
    measure_drift,
    relative_drift,
    repeated_ms,
    take_turns,
)
from samkit.experiments.params import MaskParams, knob, mask_index_field
from samkit.experiments.result import Fact, Mask, Metric, Result, higher, lower, neutral
from samkit.media.colormaps import Colormap, color_map
from samkit.media.mask_views import binary_view, outlined
from samkit.media.masks import mask_iou
from samkit.models.geometry import plan_geometry

if TYPE_CHECKING:
    from samkit.models.encoding import MaskPrediction
    from samkit.models.sam import SamModel

NAME = "window-size"
TAKES = ("image", "prompts", "mask_hint", "truth")

STAGES = 4
MAX_WINDOW = 72
"""Of any model; each has its own `max_window`."""
MAX_REPEATS = 25
TIMES = ("encode_ms", "encode_ms_low", "encode_ms_high")
"""Of the repeats of one setting: the median, the shortest and the longest."""
LOGIT_RANGE = 8.0
"""Logits are drawn from minus to plus this."""


class Params(MaskParams):
    """Stages are counted from 1; SAM v1's blocks count as four equal groups."""

    window_sizes: Windows | None = Field(
        default=None,
        description="Side of the attention windows in tokens, one a stage, such as [8, 4, 14, 7]; empty: the model's "
        "own.",
        json_schema_extra=knob(step=1, usual=(1, MAX_WINDOW), unit="tokens", label="Windows"),
    )
    window_reading: Literal["step", "span"] = Field(
        default="step",
        description="What a window of another size means for SAM 3's rotary positions: step keeps neighbours as far "
        "apart as in training, span lets every window reach as far as the trained one.",
        json_schema_extra=knob(label="Positions in a window"),
    )
    both_readings: bool = Field(
        default=False,
        description="Encodes with the other way to read windows too, for SAM 3, and compares the two.",
        json_schema_extra=knob(label="Both side by side"),
    )
    repeats: int = Field(
        default=1,
        ge=1,
        le=MAX_REPEATS,
        description="How many times each setting is encoded; its time is the median, which is robust to a busy "
        "machine.",
        json_schema_extra=knob(step=1, label="Repeats"),
    )
    sweep_stage: int = Field(
        default=0,
        ge=0,
        le=STAGES,
        description="The stage whose window the sweep varies; 0: every stage gets the same window.",
        json_schema_extra=knob(step=1, label="Stage"),
    )
    sweep_sizes: Windows = Field(
        default=(),
        description="Window sizes of the sweep; empty: no sweep.",
        json_schema_extra=knob(step=1, usual=(1, MAX_WINDOW), unit="tokens", label="Window sizes of the sweep"),
    )
    sweep_repeats: int = Field(
        default=3,
        ge=1,
        le=MAX_REPEATS,
        description="How many times the sweep encodes each setting after its first encoding, for the median and the "
        "range of its time; at 1 the first encoding is timed.",
        json_schema_extra=knob(step=1, label="Repeats of the sweep"),
    )
    mask_index: int | None = mask_index_field()
    colormap: Colormap = Field(
        default="viridis",
        description="Colour scale of the logits.",
        json_schema_extra=knob(label="Colour scale"),
    )

    @field_validator("window_sizes", "sweep_sizes", mode="before")
    @classmethod
    def _listed(cls, sizes: Any) -> Any:
        if isinstance(sizes, str | int | float):
            raise ValueError("should be a list of whole numbers in brackets, such as [8, 4, 14, 7]")
        return sizes

    @field_validator("window_sizes", "sweep_sizes")
    @classmethod
    def _in_range(cls, sizes: Windows | None) -> Windows | None:
        for size in sizes or ():
            if not 1 <= size <= MAX_WINDOW:
                raise ValueError(f"should hold whole numbers from 1 to {MAX_WINDOW}")
        return sizes


def padded_size(model: "SamModel", inputs: Inputs, params: Params) -> tuple[int, int]:
    """(height, width) of the model's input in pixels."""
    return _padded(Scene(model, inputs.picture, params.side, params.fit))


def _padded(scene: Scene) -> tuple[int, int]:
    info, side = scene.model.info, scene.side or scene.model.info.native_side
    return plan_geometry(scene.picture.size, info.family, side, scene.fit, info.side_step).padded_size


def possible_windows(model: "SamModel", windows: Sequence[int], stage: int, size: tuple[int, int]) -> list[int]:
    """The sizes from 1 to the model's largest that the stage (from 1) can take while the others stay as in `windows`,
    for an input of `size` (height, width) pixels.
    """
    possible = []
    for window in range(1, model.max_window + 1):
        try:
            model.check_windows((*windows[: stage - 1], window, *windows[stage:]), size)
        except EncodingError:
            continue
        possible.append(window)
    return possible


def refusal(model: "SamModel", windows: Windows, size: tuple[int, int]) -> str | None:
    """Why these windows can't be run, and which could; None where they can."""
    try:
        model.check_windows(windows, size)
    except EncodingError as error:
        if len(windows) != len(model.info.window_sizes):
            return str(error)
        advice, working = [], model.info.window_sizes
        for stage, window in enumerate(windows, start=1):
            possible = possible_windows(model, working, stage, size)
            if window in possible:
                working = (*working[: stage - 1], window, *working[stage:])
            elif possible:
                advice.append(f"stage {stage} could take {', '.join(map(str, possible))}")
        return f"{error} With the others as they are, {' and '.join(advice)}." if advice else str(error)
    return None


def swept_windows(own: Sequence[int], stage: int, size: int) -> Windows:
    """The windows of one setting of a sweep: `size` in one stage (from 1) and the model's own in the others, or in all
    (stage 0).
    """
    return (size,) * len(own) if stage == 0 else (*own[: stage - 1], size, *own[stage:])


def check_readings(model: "SamModel", params: Params) -> None:
    """Raises ParamsError for a reading of windows that the model hasn't."""
    try:
        model.check_reading(params.window_reading)
    except EncodingError as error:
        raise ParamsError(str(error)) from error
    if params.both_readings and not model.config.window_readings:
        raise ParamsError(f"{model.info.name} has one way to read its windows: leave both_readings off.")


def check_swept_stage(model: "SamModel", stage: int) -> None:
    """Raises ParamsError for a stage (from 1) without windows."""
    if stage in model.config.convolution_stages:
        raise ParamsError(
            f"Stage {stage} of this model is made of convolutions and has no windows: sweep another stage, or all."
        )


def run(model: "SamModel", inputs: Inputs, params: Params, lab: LabLike) -> Result[Params]:
    """Encode with the default and with the given windows, predict with both, and compare; then sweep, if asked to.

    images:  original (with the chosen mask's outline), prediction (its logits in colour), binary
    masks:   mask_0 .. mask_3; mask_chosen; mask_default_0 .. mask_default_3, of the default windows; mask_other_0 ..
             mask_other_3, of the other reading, where both are asked for
    arrays:  logits, float32 [4, h, w] as the decoder gave them; picture_logits, float16 [4, h, w] over the picture;
             drift_map, float32 [h, w], the features' L2 distance from the default ones token by token, at the lowest
             level; other_logits and other_drift_map, picture_logits and drift_map of the other reading
    metrics: predicted_iou, stability_score, area_share, iou_default of the chosen mask; iou_default_0 .. 3; drift; with
             a truth those of `truth_metrics`, and default_true_iou; iou_readings, of the two readings' chosen masks
    facts:   mask_index; window_1 .. window_4
    tables:  masks; readings, one row each; sweep, as `sweep_row` gives each
    timings: encode_ms, default_encode_ms (medians of the repeats), encode_ms_low, encode_ms_high (the shortest and the
             longest of them), decode_ms
    Raises ParamsError for windows that can't be run, with the reason and those that could, and for a reading that the
    model hasn't.
    """
    check_readings(model, params)
    if params.sweep_sizes:
        check_swept_stage(model, params.sweep_stage)
    result = _compare(model, inputs, params, lab.span(0.0, 0.7) if params.sweep_sizes else lab)
    if params.both_readings:
        result = _with_other_reading(model, inputs, result, lab)
    if params.sweep_sizes:
        rows = _swept(model, inputs, params, lab.span(0.7, 1.0))
        result = replace(result, tables={**result.tables, "sweep": rows})
    lab.report(1.0, "Done")
    return result


def _compare(model: "SamModel", inputs: Inputs, params: Params, lab: LabLike) -> Result[Params]:
    """`run` without the sweep."""
    reason = refusal(model, params.window_sizes, padded_size(model, inputs, params)) if params.window_sizes else None
    if reason:
        raise ParamsError(reason)
    scene = Scene(model, inputs.picture, params.side, params.fit, params.window_reading)
    own, windows = model.info.window_sizes, tuple(params.window_sizes or model.info.window_sizes)
    default, encoding = _encodings(model, inputs, params, params.window_reading, lab)
    timings = _time_encodings(scene, (default, own), (encoding, windows), params.repeats, lab)
    lab.report(0.8, "Predicting masks")
    prediction, unchanged = (
        lab.recall(predict, model, each, inputs.prompts, inputs.mask_hint) for each in (encoding, default)
    )
    given = inputs.picture, inputs.prompts, params.refine_edges
    masks, scores = lab.recall(cut_and_scored, prediction, *given)
    default_masks, _ = lab.recall(cut_and_scored, unchanged, *given)
    chosen = chosen_index(prediction, params.mask_index)
    rows = mask_rows(prediction, masks, scores, chosen)
    for row, mask, other, iou in zip(rows, masks, default_masks, unchanged.iou, strict=True):
        row |= {"iou_default": float(mask_iou(mask, other)), "default_predicted_iou": float(iou)}
    add_true_ious(rows, masks, inputs.truth)
    truth_of_chosen = truth_metrics(masks, chosen, inputs.truth)
    if inputs.truth is not None:
        for row, iou in zip(rows, true_ious(default_masks, inputs.truth), strict=True):
            row["default_true_iou"] = iou
        truth_of_chosen["default_true_iou"] = higher(rows[chosen]["default_true_iou"])
    drift = lab.recall(measure_drift, encoding, default)
    facts: dict[str, Fact] = {"mask_index": chosen}
    return Result(
        NAME,
        params,
        images={} if lab.figures_only else _views(prediction, chosen, masks[chosen], inputs, params, lab),
        masks=named_masks("mask", masks)
        | {"mask_chosen": Mask(masks[chosen])}
        | named_masks("mask_default", default_masks),
        arrays={} if lab.figures_only else _maps(prediction, drift, lab),
        metrics=_metrics(rows, chosen, drift.relative) | truth_of_chosen,
        facts=facts | {f"window_{stage}": window for stage, window in enumerate(windows, start=1)},
        tables={"masks": rows},
        timings=timings | {"decode_ms": prediction.decode_ms},
    )


def _views(
    prediction: "MaskPrediction", chosen: int, mask: np.ndarray, inputs: Inputs, params: Params, lab: LabLike
) -> dict[str, np.ndarray]:
    """The pictures of the chosen mask, bool [H, W]."""
    logits = lab.recall(view_logits_of, prediction, chosen)
    return {
        "original": outlined(inputs.picture.rgb, mask),
        "prediction": color_map(logits, -LOGIT_RANGE, LOGIT_RANGE, params.colormap),
        "binary": binary_view(mask),
    }


def _maps(prediction: "MaskPrediction", drift: Drift, lab: LabLike) -> dict[str, np.ndarray]:
    return {
        "logits": prediction.logits.cpu().numpy(),
        "picture_logits": lab.recall(map_logits, prediction),
        "drift_map": drift.by_token,
    }


def _encodings(
    model: "SamModel", inputs: Inputs, params: Params, reading: str, lab: LabLike
) -> tuple[LazyEncoding, LazyEncoding]:
    """With the default windows, and with the given ones read in that way."""
    own = lab.encoding(model, inputs.picture, side=params.side, fit=params.fit)
    return own, lab.encoding(
        model,
        inputs.picture,
        side=params.side,
        fit=params.fit,
        window_sizes=params.window_sizes,
        window_reading=reading,
    )


def _with_other_reading(model: "SamModel", inputs: Inputs, result: Result[Params], lab: LabLike) -> Result[Params]:
    """The result with what the same windows give when they are read in the other way."""
    params, chosen = result.params, result.index()
    other = next(each for each in model.config.window_readings if each != params.window_reading)
    lab.report(0.9, "Encoding with the other way to read windows")
    default, encoding = _encodings(model, inputs, params, other, lab)
    prediction = lab.recall(predict, model, encoding, inputs.prompts, inputs.mask_hint)
    masks = lab.recall(cut_masks, prediction, inputs.picture, inputs.prompts, params.refine_edges)
    drift = lab.recall(measure_drift, encoding, default)
    row = mask_rows(prediction, masks, lab.recall(stability_scores, prediction), chosen)[chosen]
    row |= {"iou_default": float(mask_iou(masks[chosen], result.masks[f"mask_default_{chosen}"].pixels))}
    row |= {"drift": drift.relative} | ({} if inputs.truth is None else {"true_iou": inputs.truth.iou(masks[chosen])})
    names = [name for name in row if name not in ("mask", "chosen")]
    rows = {
        params.window_reading: {name: result.value(name) for name in names},
        other: {name: row[name] for name in names},
    }
    return replace(
        result,
        masks={**result.masks, **named_masks("mask_other", masks)},
        arrays={
            **result.arrays,
            "other_logits": lab.recall(map_logits, prediction),
            "other_drift_map": drift.by_token,
        },
        metrics={
            **result.metrics,
            "iou_readings": neutral(mask_iou(masks[chosen], result.masks["mask_chosen"].pixels)),
        },
        tables={
            **result.tables,
            "readings": [{"reading": name, **rows[name]} for name in model.config.window_readings],
        },
    )


def _time_encodings(
    scene: Scene,
    default: tuple[LazyEncoding, Windows],
    chosen: tuple[LazyEncoding, Windows],
    repeats: int,
    lab: LabLike,
) -> dict[str, float]:
    """`TIMES` of the encoding with the chosen windows, and the median of the one with the default windows."""
    lab.report(0.0, "Encoding with the default windows")
    default_first = lab.recall(first_ms, default[0], torch.get_num_threads())
    lab.report(0.25, "Encoding")
    first = lab.recall(first_ms, chosen[0], torch.get_num_threads())
    for count, line in enumerate(take_turns(scene, (default[1], chosen[1]), repeats, lab)):
        lab.report(min(0.8, 0.4 + 0.4 * count / (2 * repeats)), line)
    times = repeated_ms(scene, chosen[1], first, repeats, lab)
    return dict(zip(TIMES, (times.median, times.lowest, times.highest), strict=True)) | {
        "default_encode_ms": repeated_ms(scene, default[1], default_first, repeats, lab).median
    }


def _metrics(rows: list[dict[str, Any]], chosen: int, drift: float) -> dict[str, Metric]:
    """rows: of the masks, with their IoU with the default windows' masks."""
    metrics = {
        "predicted_iou": higher(rows[chosen]["predicted_iou"]),
        "stability_score": higher(rows[chosen]["stability_score"]),
        "area_share": neutral(rows[chosen]["area_share"]),
        "iou_default": higher(rows[chosen]["iou_default"], key=True),
    }
    metrics |= {f"iou_default_{i}": higher(row["iou_default"]) for i, row in enumerate(rows)}
    return metrics | {"drift": lower(drift, key=True)}


@dataclass(frozen=True)
class Setting:
    """How one setting of a sweep compares with the default windows. ious: of masks 0 to 3; encode_ms: of its first
    encoding; true_ious: of masks 0 to 3 with the truth, none without one.
    """

    encode_ms: float
    drift: float
    ious: tuple[float, ...]
    true_ious: tuple[float, ...] = ()


def compare_setting(scene: Scene, inputs: Inputs, windows: Windows, default: LazyEncoding) -> Setting:
    """Encode with these windows and compare. A step that a lab recalls."""
    hint = None if inputs.mask_hint is None else inputs.mask_hint.values
    encoding = default.value if windows == tuple(scene.model.info.window_sizes) else scene.encode(windows)
    found, masks = (
        [prediction.mask(i) for i in range(len(prediction.logits))]
        for prediction in (scene.model.predict_masks(each, inputs.prompts, hint) for each in (encoding, default.value))
    )
    ious = tuple(float(mask_iou(mask, other)) for mask, other in zip(found, masks, strict=True))
    right = () if inputs.truth is None else true_ious(found, inputs.truth)
    return Setting(encoding.encode_ms, relative_drift(encoding, default.value), ious, right)


def _swept(model: "SamModel", inputs: Inputs, params: Params, lab: LabLike) -> list[dict[str, Any]]:
    """The table of a sweep that is part of a run, as kept runs may have one. A sweep of its own does more: see
    `samkit.work.sweep`.
    """
    scene = Scene(model, inputs.picture, params.side, params.fit, params.window_reading)
    default = lab.encoding(model, inputs.picture, side=params.side, fit=params.fit)
    rows = []
    for done, size in enumerate(params.sweep_sizes):
        lab.report(done / len(params.sweep_sizes), f"Window {size}, {done + 1} of {len(params.sweep_sizes)}")
        rows.append(sweep_row(scene, inputs, params, size, default, lab))
    return rows


def sweep_row(
    scene: Scene, inputs: Inputs, params: Params, size: int, default: LazyEncoding, lab: LabLike
) -> dict[str, Any]:
    """One row of a sweep's table: window, windows, `TIMES`, drift, iou_0 .. iou_3 (with the default windows' masks, as
    the model gave them, not refined), with a truth true_iou_0 .. true_iou_3, refused (the reason, with None in the
    others).
    """
    windows = swept_windows(scene.model.info.window_sizes, params.sweep_stage, size)
    reason = refusal(scene.model, windows, _padded(scene))
    if reason:
        return refused_row(size, windows, reason, inputs.truth is not None)
    setting = lab.recall(compare_setting, scene, inputs, windows, default)
    times = repeated_ms(scene, windows, setting.encode_ms, params.sweep_repeats, lab)
    row = named_row(size, windows)
    row |= dict(zip(TIMES, (times.median, times.lowest, times.highest), strict=True)) | {"drift": setting.drift}
    row |= {f"iou_{i}": iou for i, iou in enumerate(setting.ious)}
    row |= {f"true_iou_{i}": iou for i, iou in enumerate(setting.true_ious)}
    return row | {"refused": ""}


def named_row(size: int, windows: Windows) -> dict[str, Any]:
    """What a row of a sweep begins with: the swept window, and those of all stages."""
    return {"window": size, "windows": " ".join(map(str, windows))}


def refused_row(size: int, windows: Windows, reason: str, with_truth: bool) -> dict[str, Any]:
    """The row of a size that can't be run."""
    names = [*TIMES, "drift", *(f"iou_{i}" for i in range(4))]
    names += [f"true_iou_{i}" for i in range(4)] if with_truth else []
    return named_row(size, windows) | dict.fromkeys(names) | {"refused": reason}


def row_of_run(
    size: int, windows: Windows, metrics: Mapping[str, float], timings: Mapping[str, float]
) -> dict[str, Any]:
    """The row of a size from the run with these windows. metrics, timings: by name, as the run has them"""
    row = named_row(size, windows) | {name: timings[name] for name in TIMES} | {"drift": metrics["drift"]}
    row |= {f"iou_{i}": metrics[f"iou_default_{i}"] for i in range(4)}
    row |= {name: metrics[name] for i in range(4) if (name := f"true_iou_{i}") in metrics}
    return row | {"refused": ""}
