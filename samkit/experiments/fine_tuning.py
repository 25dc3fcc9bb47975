"""What did fine-tuning change? Two models of one architecture: which weights differ, how far their features are apart
block by block on a picture, and what that does to its masks.

Their names here: the run's own model is the one that was trained on, `other_model` is what it was trained from. Weights
are compared in float32, whatever their files hold.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from samkit.errors import ParamsError
from samkit.experiments.inputs import Inputs
from samkit.experiments.lab import LabLike, LazyEncoding
from samkit.experiments.measures.model_drift import measure_model_drift
from samkit.experiments.measures.predicted_masks import (
    chosen_index,
    cut_masks,
    encode_ms,
    mask_rows,
    named_masks,
    predict,
    stability_scores,
)
from samkit.experiments.measures.truth import add_true_ious, true_ious, truth_metrics
from samkit.experiments.measures.weight_changes import WeightChanges, compare_models
from samkit.experiments.params import MaskParams, knob, mask_index_field
from samkit.experiments.result import Fact, Mask, Metric, Result, higher, neutral
from samkit.media.colormaps import Colormap, color_map
from samkit.media.mask_views import outlined
from samkit.media.masks import mask_iou

if TYPE_CHECKING:
    from samkit.models.encoding import MaskPrediction
    from samkit.models.sam import SamModel

NAME = "fine-tuning"
TAKES = ("image", "prompts", "mask_hint", "truth")

MAX_NAME = 400
OTHER_COLOR = (255, 193, 7)
"""RGB of the other model's outline."""


class Params(MaskParams):
    """The other model is meant by name, and by the hash of its file where that is known."""

    other_model: str | None = Field(
        default=None,
        max_length=MAX_NAME,
        description="The model that this one was trained from: a catalogue name or a file; empty: the model itself, "
        "which differs in nothing.",
        json_schema_extra=knob(label="Trained from"),
    )
    other_sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of that model's file; empty: whatever is there under its name.",
        json_schema_extra=knob(label="SHA-256 of that file"),
    )
    mask_index: int | None = mask_index_field()
    colormap: Colormap = Field(
        default="viridis",
        description="Colour scale of the drift map.",
        json_schema_extra=knob(label="Colour scale"),
    )


def run(model: "SamModel", inputs: Inputs, params: Params, lab: LabLike) -> Result[Params]:
    """Compare the weights, encode the picture with both models, predict with both, and compare.

    images:  masks (both chosen masks' outlines on the picture), original (the own one's alone), drift
    masks:   mask_0 .. mask_3; mask_chosen; mask_other_0 .. mask_other_3 and mask_other_chosen, of the other model
    arrays:  drift_map, float32 [h, w], the features' L2 distance token by token, at the lowest level
    metrics: changed_share (of the weights' numbers), weight_change (relative L2 distance of all weights), drift (of the
             features), largest_block_drift; predicted_iou, area_share and iou_other of the chosen mask, iou_other_0 ..
             3; with a truth those of `truth_metrics`, and other_true_iou
    facts:   weights, changed_weights, rounding_only, most_changed; other_name, other_sha256; mask_index;
             settings_differ, how the files are read where that differs
    tables:  parts and weights, as `WeightChanges` gives them; blocks; masks
    Raises ParamsError where the two models can't be compared, or the other one's file is not the one meant.
    """
    other = _other(model, params, lab)
    lab.report(0.0, "Comparing the weights")
    changes = lab.recall(compare_models, model, other)
    side = params.side or model.info.native_side
    lab.report(0.2, "Encoding with both models")
    encodings = [
        lab.encoding(each, inputs.picture, side=side, fit=params.fit, keep_blocks=True) for each in (model, other)
    ]
    drift = lab.recall(measure_model_drift, model, *encodings)
    lab.report(0.8, "Predicting masks")
    own, theirs = (
        _segmented(each, encoding, inputs, params, lab)
        for each, encoding in zip((model, other), encodings, strict=True)
    )
    rows = _mask_rows(own, theirs, inputs, lab)
    lab.report(1.0, "Done")
    return Result(
        NAME,
        params if params.other_model is None else params.model_copy(update={"other_sha256": other.info.sha256}),
        images=_images(inputs, own, theirs, drift.by_token, params.colormap),
        masks=named_masks("mask", own.masks)
        | {"mask_chosen": Mask(own.best)}
        | named_masks("mask_other", theirs.masks)
        | {"mask_other_chosen": Mask(theirs.best)},
        arrays={"drift_map": drift.by_token},
        metrics=_metrics(changes, drift.features, drift.rows, rows, own.chosen)
        | {"iou_other": neutral(mask_iou(own.best, theirs.best), key=True)}
        | _right(own, theirs, inputs),
        facts=_facts(changes, model, other) | {"mask_index": own.chosen, "other_mask_index": theirs.chosen},
        tables={
            "parts": changes.part_rows(),
            "weights": changes.weight_rows(),
            "blocks": drift.rows,
            "masks": rows,
        },
        timings={
            "encode_ms": lab.recall(encode_ms, encodings[0]),
            "other_encode_ms": lab.recall(encode_ms, encodings[1]),
            "decode_ms": own.prediction.decode_ms,
        },
    )


def _other(model: "SamModel", params: Params, lab: LabLike) -> "SamModel":
    """The model compared with; the model itself where none is named."""
    other = model if params.other_model is None else lab.other_model(params.other_model, params.other_sha256, model)
    if params.other_sha256 not in (None, other.info.sha256):
        raise ParamsError(
            f"The file of {other.info.name} is not the one that was compared with: choose it again, or give the "
            "file as it was."
        )
    return other


@dataclass(frozen=True)
class _Segmented:
    """One model's answer to the prompts. masks: bool [H, W] each, in the picture's pixels; chosen: index of one."""

    prediction: "MaskPrediction"
    masks: tuple[np.ndarray, ...]
    chosen: int

    @property
    def best(self) -> np.ndarray:
        return self.masks[self.chosen]


def _segmented(model: "SamModel", encoding: LazyEncoding, inputs: Inputs, params: Params, lab: LabLike) -> _Segmented:
    prediction = lab.recall(predict, model, encoding, inputs.prompts, inputs.mask_hint)
    masks = lab.recall(cut_masks, prediction, inputs.picture, inputs.prompts, params.refine_edges)
    return _Segmented(prediction, masks, chosen_index(prediction, params.mask_index))


def _mask_rows(own: _Segmented, theirs: _Segmented, inputs: Inputs, lab: LabLike) -> list[dict[str, Any]]:
    rows = mask_rows(own.prediction, own.masks, lab.recall(stability_scores, own.prediction), own.chosen)
    for row, mask, other, iou in zip(rows, own.masks, theirs.masks, theirs.prediction.iou, strict=True):
        row |= {"iou_other": float(mask_iou(mask, other)), "other_predicted_iou": float(iou)}
    add_true_ious(rows, own.masks, inputs.truth)
    return rows


def _right(own: _Segmented, theirs: _Segmented, inputs: Inputs) -> dict[str, Metric]:
    """How right both chosen masks are; empty without a truth."""
    metrics = truth_metrics(own.masks, own.chosen, inputs.truth)
    if inputs.truth is not None:
        metrics["other_true_iou"] = higher(true_ious(theirs.masks, inputs.truth)[theirs.chosen])
    return metrics


def _images(
    inputs: Inputs, own: _Segmented, theirs: _Segmented, drift: np.ndarray, colormap: Colormap
) -> dict[str, np.ndarray]:
    rgb = inputs.picture.rgb
    return {
        "masks": outlined(outlined(rgb, theirs.best, OTHER_COLOR), own.best),
        "original": outlined(rgb, own.best),
        "drift": color_map(drift, float(drift.min()), float(drift.max()), colormap),
    }


def _metrics(
    changes: WeightChanges, features: float, blocks: list[dict[str, Any]], masks: list[dict[str, Any]], chosen: int
) -> dict[str, Metric]:
    metrics = {
        "changed_share": neutral(changes.changed_share, key=True),
        "weight_change": neutral(changes.relative, key=True),
        "drift": neutral(features, key=True),
        "largest_block_drift": neutral(max(row["drift"] for row in blocks)),
        "predicted_iou": higher(masks[chosen]["predicted_iou"]),
        "area_share": neutral(masks[chosen]["area_share"]),
    }
    return metrics | {f"iou_other_{index}": neutral(row["iou_other"]) for index, row in enumerate(masks)}


def _facts(changes: WeightChanges, model: "SamModel", other: "SamModel") -> dict[str, Fact]:
    parts = sorted(changes.part_rows(), key=lambda row: -row["relative_change"])
    most = f"{parts[0]['part']}, {parts[0]['group']}" if parts and parts[0]["changed"] else ""
    return {
        "weights": len(changes.weights),
        "changed_weights": len(changes.changed),
        "rounding_only": changes.rounding,
        "most_changed": most,
        "only_in_one": len(changes.only_before) + len(changes.only_after),
        # What was trained on often carries the name of what it was trained from.
        "other_name": other.info.name if other.info.name != model.info.name else other.info.path.stem,
        "other_sha256": other.info.sha256,
        "settings_differ": _settings_text(model, other),
    }


def _settings_text(model: "SamModel", other: "SamModel") -> str:
    """How the two files are read, where that differs: it changes features and masks as weights do. Else ""."""
    settings = {
        "window sizes": [" ".join(map(str, each.info.window_sizes)) for each in (model, other)],
        "native side": [str(each.info.native_side) for each in (model, other)],
    }
    return ", ".join(f"{name} {own}, other {theirs}" for name, (own, theirs) in settings.items() if own != theirs)
