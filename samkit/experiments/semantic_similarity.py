"""Semantic similarity: the mean of the tokens under a mask, compared with every token of the same or another picture:
find the other pigeons.

The slow part is one encoding for each picture (one more mirrored, one more zoomed in). The rest are plain functions of
measures/token_similarity.py.
"""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
from pydantic import Field, model_validator
from torch import Tensor

from samkit.errors import BadInput, ParamsError
from samkit.experiments.inputs import Inputs
from samkit.experiments.lab import LabLike, LazyEncoding
from samkit.experiments.measures.predicted_masks import (
    chosen_index,
    cut_masks,
    encode_ms,
    mask_rows,
    named_masks,
    predict,
    stability_scores,
)
from samkit.experiments.measures.region_objects import ObjectPrompts, count_hits, count_peaked, find_objects
from samkit.experiments.measures.token_similarity import (
    ReferenceTokens,
    Region,
    find_regions,
    picture_similarity,
    prototypes,
    reference_tokens,
    similarity_map,
)
from samkit.experiments.measures.truth import add_true_ious, truth_metrics
from samkit.experiments.params import MaskParams, knob
from samkit.experiments.result import Fact, Ground, Mask, Metric, Result, higher, neutral
from samkit.media.colormaps import Colormap, color_map
from samkit.media.object_views import coco_json, objects_image, regions_image
from samkit.media.pictures import Picture
from samkit.media.samples import KnownObjects, known_objects, mirrored

if TYPE_CHECKING:
    from samkit.models.encoding import ImageEncoding, MaskPrediction
    from samkit.models.sam import SamModel

NAME = "semantic-similarity"
TAKES = ("image", "image_b", "prompts", "mask_hint", "truth")

MAP_SIDE = 512
"""Regions are found on the similarity over the picture at most so many pixels a side."""
ZOOM_MARGIN = 0.15
"""What is taken around the object when zooming in, as a share of its size on each side."""
COCO_FILE = "objects.coco.json"
Features = Literal["projected", "raw"]


class Params(MaskParams):
    """Similarities are cosines, -1..1."""

    features: Features = Field(
        default="projected",
        description="The tokens that are compared: projected, after the neck, as the decoder takes them; or raw, of "
        "the trunk before it.",
        json_schema_extra=knob(label="Features"),
    )
    level: int = Field(
        default=0,
        ge=0,
        le=3,
        description="Resolution, 0 the coarsest: SAM v2 has 3 projected and 4 raw ones, SAM 3 has 3 and 1, SAM v1 has "
        "one.",
        json_schema_extra=knob(step=1, label="Level"),
    )
    mirrored: bool = Field(
        default=False,
        description="Averages the mirrored picture's tokens in, turned back, which takes one more encoding.",
        json_schema_extra=knob(label="Mirror"),
    )
    zoom: bool = Field(
        default=False,
        description="Crops the object, encodes it larger and averages its tokens there, which takes one more encoding.",
        json_schema_extra=knob(label="Zoom in"),
    )
    prototypes: int = Field(
        default=1,
        ge=1,
        le=8,
        description="Number of prototype vectors; each token is compared with the nearest.",
        json_schema_extra=knob(step=1, label="Prototypes"),
    )
    range_low: float = Field(
        default=-1.0,
        ge=-1,
        le=1,
        description="The similarity that gets the colour scale's first colour.",
        json_schema_extra=knob(step=0.05, label="Colours from"),
    )
    range_high: float = Field(
        default=1.0,
        ge=-1,
        le=1,
        description="The similarity that gets the colour scale's last colour.",
        json_schema_extra=knob(step=0.05, label="Colours to"),
    )
    own_range: bool = Field(
        default=True,
        description="The map's own least and largest similarity get the first and last colour; off: the same colours "
        "stand for the same similarity on every map, as where a range is given.",
        json_schema_extra=knob(label="Colours over the map's own range"),
    )
    threshold: float = Field(
        default=0.7,
        ge=-1,
        le=1,
        description="Tokens above it are the same thing, and their regions are counted.",
        json_schema_extra=knob(step=0.01, label="Threshold"),
    )
    min_area: float = Field(
        default=0.001,
        ge=0,
        le=1,
        description="The smallest region that counts, as a share of the picture.",
        json_schema_extra=knob(step=0.0005, usual=(0.0, 0.05), unit="of the picture", label="Smallest region"),
    )
    find_objects: bool = Field(
        default=False,
        description="Gives each region back to the model as a prompt, to get a mask for it.",
        json_schema_extra=knob(label="A mask for each region"),
    )
    object_prompts: ObjectPrompts = Field(
        default="boxes",
        description="What the model is given for a region: its box, a little larger, where masks of one object are "
        "merged and masks of the ground dropped; or a point on its peak, where all masks stay that are not nearly the "
        "same.",
        json_schema_extra=knob(label="Regions as"),
    )
    mask_index: int | None = Field(
        default=None,
        ge=0,
        le=3,
        description="The mask that is averaged; empty: the one of masks 1 to 3 with the highest predicted IoU.",
        json_schema_extra=knob(step=1, label="Mask"),
    )
    seed: int = Field(
        default=0,
        ge=0,
        le=2**32 - 1,
        description="Seed of k-means, which finds the groups of tokens.",
        json_schema_extra=knob(step=1, label="Seed"),
    )
    colormap: Colormap = Field(
        default="viridis",
        description="Colour scale of the map.",
        json_schema_extra=knob(label="Colour scale"),
    )

    @model_validator(mode="before")
    @classmethod
    def _a_range_that_is_given_counts(cls, values: Any) -> Any:
        if isinstance(values, dict) and not {"range_low", "range_high"}.isdisjoint(values):
            return {"own_range": False} | values
        return values

    @model_validator(mode="after")
    def _ordered(self) -> "Params":
        if self.range_low >= self.range_high:
            raise ValueError("range_low must be less than range_high")
        return self


@dataclass(frozen=True)
class TokenSource:
    """Which of an encoding's tokens are looked at, and how the picture is encoded for them."""

    features: Features
    level: int
    side: int | None
    fit: str

    def of(self, encoding: "ImageEncoding") -> Tensor:
        """[C, h, w]."""
        return (encoding.features if self.features == "projected" else encoding.raw)[self.level]


@dataclass(frozen=True)
class Similarity:
    """What the comparison gives, whatever threshold or colours it is seen with.

    vectors: float32 [K, C], of length 1
    tokens:  float32 [h, w], token by token
    wide:    float32 [H, W], over the picture alone, at most `MAP_SIDE` pixels a side
    """

    vectors: Tensor
    tokens: np.ndarray
    wide: np.ndarray


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
    files: dict[str, bytes] = field(default_factory=dict)


def level_count(model: "SamModel", features: str) -> int:
    """How many resolutions there are."""
    return len(level_strides(model, features))


def level_strides(model: "SamModel", features: str) -> tuple[float, ...]:
    """Pixels of the model's input that one token covers along a side, level by level, coarsest first."""
    return model.config.feature_strides if features == "projected" else model.config.raw_strides


def object_crop(picture: Picture, mask: np.ndarray) -> tuple[Picture, np.ndarray]:
    """The picture around a mask with some margin, and the mask on it."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    margin_y, margin_x = int((bottom - top) * ZOOM_MARGIN) + 1, int((right - left) * ZOOM_MARGIN) + 1
    window = slice(max(0, top - margin_y), bottom + margin_y), slice(max(0, left - margin_x), right + margin_x)
    return Picture.from_array(np.ascontiguousarray(picture.rgb[window]), f"{picture.name} zoomed"), mask[window]


def describe_object(
    model: "SamModel",
    picture: Picture,
    mask: np.ndarray,
    source: TokenSource,
    with_mirrored: bool,
    zoomed: bool,
    lab: LabLike,
) -> ReferenceTokens:
    """The tokens under a mask, bool [H, W] of the picture.

    with_mirrored: those of the mirrored picture too
    zoomed:        of the object cropped and encoded larger
    """
    if zoomed:
        picture, mask = object_crop(picture, mask)
    encoding = lab.encoding(model, picture, side=source.side, fit=source.fit).value
    reference = reference_tokens(source.of(encoding), mask, encoding.geometry)
    if with_mirrored:
        turned = lab.encoding(model, mirrored(picture), side=source.side, fit=source.fit).value
        # Turning the mask instead of the features is the same, and right with padding too, which lies at one side only.
        reference = reference.joined(reference_tokens(source.of(turned), mask[:, ::-1], turned.geometry))
    return reference


def compare_tokens(
    encoding: LazyEncoding, source: TokenSource, reference: ReferenceTokens, count: int, seed: int
) -> Similarity:
    """How alike an encoding's tokens are to the nearest of `count` prototypes of the reference."""
    encoded, vectors = encoding.value, prototypes(reference, count, seed)
    tokens = similarity_map(source.of(encoded), vectors)
    return Similarity(vectors, tokens, picture_similarity(tokens, encoded.geometry, MAP_SIDE))


def run(model: "SamModel", inputs: Inputs, params: Params, lab: LabLike) -> Result[Params]:
    """Average the tokens under the chosen mask of the first picture, and look for them in the second, or in the same
    picture where there is none.

    images:  similarity, regions (outlined), and objects (in colours of their own) on the compared picture
    masks:   mask_0 .. mask_3 and mask_chosen, of the first picture; mask_similar (in a counted region) and mask_objects
             (all of them), of the compared one
    arrays:  similarity, float32 [h, w] token by token; picture_similarity, float32 over the compared picture;
             prototypes, float32 [K, C]
    metrics: regions; largest_similarity and mean_similarity; similar_share of the picture; predicted_iou of the mask
             that is averaged, with a truth those of `truth_metrics`; objects, objects_merged and objects_dropped;
             where a sample's true objects are known, true_with_region (how many have a region's peak on them) and
             true_with_mask (how many have their own mask)
    facts:   mask_index; tokens (how many the mask touches); known_count, where a sample's true number is known
    tables:  masks, regions, objects
    files:   objects.coco.json, all objects' masks as COCO annotations
    Raises BadInput without a prompt or for an empty mask, ParamsError for a level the model doesn't have.
    """
    _check(model, inputs, params)
    parts, picture = _Parts(), inputs.picture
    lab.report(0.0, "Encoding the picture")
    encoding = lab.encoding(model, picture, side=params.side, fit=params.fit)
    prediction = lab.recall(predict, model, encoding, inputs.prompts, inputs.mask_hint)
    mask = _add_masks(parts, prediction, inputs, params, lab)
    lab.report(0.3, "Averaging the tokens under the mask")
    source = TokenSource(params.features, params.level, params.side, params.fit)
    reference = lab.recall(describe_object, model, picture, mask, source, params.mirrored, params.zoom, lab)
    lab.report(0.6, "Comparing")
    other = inputs.image_b or picture
    compared = encoding if other == picture else lab.encoding(model, other, side=params.side, fit=params.fit)
    parts.timings |= {"encode_ms": lab.recall(encode_ms, compared), "decode_ms": prediction.decode_ms}
    start = time.perf_counter()
    similarity = lab.recall(compare_tokens, compared, source, reference, params.prototypes, params.seed)
    labels, regions = find_regions(similarity.wide, params.threshold, params.min_area)
    parts.timings["compare_ms"] = 1000 * (time.perf_counter() - start)
    ground: Ground = "image" if inputs.image_b is None else "image_b"
    _add_regions(parts, similarity, labels, regions, other, ground, params)
    parts.facts["tokens"] = len(reference.tokens)
    if (known := known_objects(other)) is not None:
        parts.facts["known_count"] = len(known.boxes)
        parts.metrics["true_with_region"] = higher(count_peaked(regions, known.boxes))
    if params.find_objects:
        by, rest = params.object_prompts, lab.span(0.7, 1.0)
        _add_objects(parts, model, compared, regions, other, ground, by, known, rest)
    lab.report(1.0, "Done")
    return Result(NAME, params, **vars(parts))


def _check(model: "SamModel", inputs: Inputs, params: Params) -> None:
    """Whether there is something to average, and tokens of that kind."""
    if not inputs.is_marked:
        raise BadInput("There is no prompt: mark one object with a point or a box to look for others like it.")
    count = level_count(model, params.features)
    if params.level >= count:
        raise ParamsError(
            f"This model has {count} {params.features} resolutions, 0 the coarsest; there is no level {params.level}."
        )


def _add_masks(parts: _Parts, prediction: "MaskPrediction", inputs: Inputs, params: Params, lab: LabLike) -> np.ndarray:
    """The prompted picture's masks; gives the chosen one, bool [H, W]."""
    masks = lab.recall(cut_masks, prediction, inputs.picture, inputs.prompts, params.refine_edges)
    chosen = chosen_index(prediction, params.mask_index)
    if not masks[chosen].any():
        raise BadInput(
            "The chosen mask is empty, so there is nothing to average: choose another of the four, or another prompt."
        )
    parts.masks |= named_masks("mask", masks) | {"mask_chosen": Mask(masks[chosen])}
    parts.tables["masks"] = mask_rows(prediction, masks, lab.recall(stability_scores, prediction), chosen)
    add_true_ious(parts.tables["masks"], masks, inputs.truth)
    parts.metrics |= truth_metrics(masks, chosen, inputs.truth, key=False)
    parts.facts["mask_index"] = chosen
    parts.metrics["predicted_iou"] = higher(float(prediction.iou[chosen]))
    return masks[chosen]


def _add_regions(
    parts: _Parts,
    similarity: Similarity,
    labels: np.ndarray,
    regions: list[Region],
    other: Picture,
    ground: Ground,
    params: Params,
) -> None:
    """The map and its regions on the compared picture. labels: int [H, W], as `find_regions` gives them."""
    wide, inside = similarity.wide, labels > 0
    similar = cv2.resize(inside.astype(np.uint8), other.size[::-1], interpolation=cv2.INTER_NEAREST).astype(bool)
    parts.masks["mask_similar"] = Mask(similar, ground)
    parts.images |= {
        "similarity": color_map(wide, *color_range(similarity.tokens, params), params.colormap),
        "regions": regions_image(other, labels, len(regions)),
    }
    parts.arrays |= {
        "similarity": similarity.tokens,
        "picture_similarity": wide,
        "prototypes": similarity.vectors.numpy(),
    }
    parts.metrics |= {
        "regions": neutral(len(regions), key=True),
        "largest_similarity": neutral(wide.max(), key=True),
        "mean_similarity": neutral(wide.mean()),
        "similar_share": neutral(inside.mean(), key=True),
    }
    parts.tables |= {"regions": [_region_row(region) for region in regions], "objects": []}


def _add_objects(
    parts: _Parts,
    model: "SamModel",
    compared: LazyEncoding,
    regions: list[Region],
    other: Picture,
    ground: Ground,
    by: ObjectPrompts,
    known: KnownObjects | None,
    lab: LabLike,
) -> None:
    """A mask for each region."""
    start = time.perf_counter()
    found = find_objects(model, compared, regions, by, lab)
    objects, rows = found.masks, found.rows
    parts.timings["objects_ms"] = 1000 * (time.perf_counter() - start)
    together = np.logical_or.reduce(list(objects.values())) if objects else np.zeros(other.size, bool)
    parts.masks["mask_objects"] = Mask(together, ground)
    parts.images["objects"] = objects_image(other, objects)
    parts.metrics |= {
        "objects": neutral(len(objects), key=True),
        "objects_merged": neutral(found.merged),
        "objects_dropped": neutral(found.dropped),
    }
    if known is not None:
        parts.metrics["true_with_mask"] = higher(count_hits(list(objects.values()), known.boxes), key=True)
    parts.tables["objects"] = rows
    parts.files[COCO_FILE] = coco_json(other, objects, rows)


def color_range(similarity: np.ndarray, params: Params) -> tuple[float, float]:
    """The similarities that get the colour scale's first and last colour."""
    if params.own_range:
        return float(similarity.min()), float(similarity.max())
    return params.range_low, params.range_high


def _region_row(region: Region) -> dict[str, Any]:
    (x1, y1, x2, y2), (x, y) = region.box, region.peak
    row = {"region": region.label, "x1": x1, "y1": y1, "x2": x2, "y2": y2, "peak_x": x, "peak_y": y}
    return row | {
        "peak_similarity": region.peak_similarity,
        "mean_similarity": region.mean_similarity,
        "area_share": region.area_share,
    }
