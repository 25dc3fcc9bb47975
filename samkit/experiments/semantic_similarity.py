"""Semantic similarity: the mean of the tokens under a mask, compared with every token of the same or another picture:
find the other pigeons.

The slow part is one encoding for each picture (one more mirrored, one more zoomed in). The rest are plain functions of
token_similarity.py.
"""

import json
import time
from collections.abc import MutableMapping
from typing import Literal

import cv2
import numpy as np
from pydantic import Field, model_validator

from samkit.errors import BadInput, ParamsError
from samkit.experiments.measures.predicted_masks import Predicted, predict_once
from samkit.experiments.measures.token_similarity import (
    ReferenceTokens,
    find_regions,
    picture_similarity,
    prototypes,
    reference_tokens,
    similarity_map,
)
from samkit.experiments.result import EncodeFunction, Inputs, MaskParams, Progress, Result, encode_plain
from samkit.media.colormaps import Colormap, color_map
from samkit.media.masks import mask_iou
from samkit.media.pictures import Picture
from samkit.media.rle import mask_to_rle
from samkit.media.samples import known_count, mirrored
from samkit.prompts import Prompts

NAME = "semantic-similarity"
TITLE = "Semantic similarity"
QUESTION = "What else does the model take for the same thing?"
TAKES = ("image", "image_b", "prompts")

MAP_SIDE = 512
"""Regions are found on the similarity over the picture at most so many pixels a side."""
MAX_OBJECTS = 200
ZOOM_MARGIN = 0.15
"""What is taken around the object when zooming in, as a share of its size on each side."""
SAME_OBJECT_IOU = 0.7
MAX_PEAKS = 256
"""Of one picture, whose masks are kept for other thresholds."""
COCO_FILE = "objects.coco.json"
GOLDEN_ANGLE = 137.508


class Params(MaskParams):
    features: Literal["projected", "raw"] = Field(
        default="projected", description="after the neck, as the decoder takes them; or of the trunk before it"
    )
    level: int = Field(
        default=0, ge=0, le=3, description="resolution, 0 the coarsest: v2 has 3 projected and 4 raw, v1 one"
    )
    mirrored: bool = Field(default=False, description="the mirrored picture's tokens are averaged in, turned back")
    zoom: bool = Field(
        default=False, description="the object is cropped, encoded larger, and its tokens there are averaged instead"
    )
    prototypes: int = Field(
        default=1, ge=1, le=8, description="that many means of groups of tokens in place of one; the nearest counts"
    )
    range_low: float = Field(
        default=-1.0, ge=-1, le=1, description="similarity that gets the colour scale's first colour"
    )
    range_high: float = Field(default=1.0, ge=-1, le=1, description="similarity that gets its last")
    own_range: bool = Field(default=False, description="the map's own least and largest similarity get them instead")
    threshold: float = Field(default=0.7, ge=-1, le=1, description="tokens above it are the same thing")
    min_area: float = Field(
        default=0.001, ge=0, le=1, description="smallest region that counts, as a share of the picture"
    )
    find_objects: bool = Field(
        default=False, description="each region's peak goes back to the model as a point, for a mask of its own"
    )
    mask_index: int | None = Field(
        default=None,
        ge=0,
        le=3,
        description="which of the four masks is averaged; empty: the one with the highest predicted IoU",
    )
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="of k-means")
    colormap: Colormap = Field(default="viridis", description="colour scale of the map")

    @model_validator(mode="after")
    def _ordered(self):
        if self.range_low >= self.range_high:
            raise ValueError("range_low must be less than range_high")
        return self


def level_count(model, features: str) -> int:
    """How many resolutions there are."""
    return 1 if model.info.family == "sam1" else {"projected": 3, "raw": 4}[features]


def chosen_level(encoding, params: Params):
    """[C, h, w] of an encoding."""
    return (encoding.features if params.features == "projected" else encoding.raw)[params.level]


def object_crop(picture: Picture, mask: np.ndarray) -> tuple[Picture, np.ndarray]:
    """The picture around a mask with some margin, and the mask on it."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    margin_y, margin_x = int((bottom - top) * ZOOM_MARGIN) + 1, int((right - left) * ZOOM_MARGIN) + 1
    window = slice(max(0, top - margin_y), bottom + margin_y), slice(max(0, left - margin_x), right + margin_x)
    return Picture.from_array(np.ascontiguousarray(picture.rgb[window]), f"{picture.name} zoomed"), mask[window]


def describe_object(
    model, picture: Picture, mask: np.ndarray, params: Params, encode: EncodeFunction
) -> ReferenceTokens:
    """The tokens under a mask, bool [H, W] of the picture: zoomed in and mirrored as the parameters say."""
    if params.zoom:
        picture, mask = object_crop(picture, mask)
    encoding = encode(model, picture, side=params.side, fit=params.fit)
    reference = reference_tokens(chosen_level(encoding, params), mask, encoding.geometry)
    if params.mirrored:
        turned = encode(model, mirrored(picture), side=params.side, fit=params.fit)
        # Turning the mask instead of the features is the same, and right with padding too, which lies at one side only.
        reference = reference.joined(reference_tokens(chosen_level(turned, params), mask[:, ::-1], turned.geometry))
    return reference


def find_objects(
    model, encoding, regions, known: MutableMapping[tuple, tuple], progress: Progress
) -> tuple[dict[int, np.ndarray], list[dict]]:
    """A mask for each region, from a click on its peak: (bool [H, W] by the region's number, rows).

    A mask that is mostly one found before is left out, and its row says which; an empty one is left out too.
    known: (mask, predicted IoU) by peak, of this encoding: another threshold has most of the peaks in common
    """
    masks, rows = {}, []
    for region in regions[:MAX_OBJECTS]:
        if region.peak not in known:
            progress(region.label / max(1, len(regions)), f"Mask {region.label} of {min(len(regions), MAX_OBJECTS)}")
            prediction = model.predict_masks(encoding, Prompts(points=[(*region.peak, 1)]))
            known[region.peak] = prediction.mask(prediction.best), float(prediction.iou[prediction.best])
        mask, predicted_iou = known[region.peak]
        same = next((number for number, other in masks.items() if mask_iou(mask, other) > SAME_OBJECT_IOU), None)
        row = {"object": region.label, "x": region.peak[0], "y": region.peak[1], "similarity": region.peak_similarity}
        rows.append(
            row
            | {
                "predicted_iou": predicted_iou,
                "area_px": int(mask.sum()),
                "area_share": float(mask.mean()),
                "same_as": same,
            }
        )
        if same is None and mask.any():
            masks[region.label] = mask
    while len(known) > MAX_PEAKS:
        known.pop(next(iter(known)))
    return masks, rows


def object_color(number: int) -> tuple[int, int, int]:
    """RGB, as unlike its neighbours' as can be."""
    hue = (number * GOLDEN_ANGLE) % 360 / 2
    value = np.array([[[hue, 190 + 40 * (number % 2), 235]]]).astype(np.uint8)
    return tuple(int(channel) for channel in cv2.cvtColor(value, cv2.COLOR_HSV2RGB)[0, 0])


def run(
    model,
    inputs: Inputs,
    params: Params,
    *,
    encode: EncodeFunction = encode_plain,
    progress: Progress | None = None,
    described: MutableMapping[tuple, ReferenceTokens] | None = None,
    found: MutableMapping[tuple, dict] | None = None,
    predicted: MutableMapping[tuple, Predicted] | None = None,
) -> Result:
    """Average the tokens under the chosen mask of `inputs.image`, and look for them in `inputs.image_b`, or in the same
    picture where there is none.

    described, found, predicted: where tokens, objects' masks and the prompt's masks are kept for later runs, so that a
                                 knob makes nothing again

    images:  similarity, regions (outlined), and objects (in colours of their own) on the compared picture
    masks:   mask_0 .. mask_3 and chosen, of the first picture; similar (in a counted region) and objects (all of them),
             of the compared one
    arrays:  similarity, float32 [h, w] token by token; picture_similarity, float32 over the compared picture;
             prototypes, float32 [K, C]
    metrics: regions; known_count, where a sample's true number is known; largest and mean similarity; similar_share of
             the picture; mask_index and predicted_iou of the mask that is averaged; tokens (how many it touches);
             objects
    tables:  masks, regions, objects
    files:   objects.coco.json, all objects' masks as COCO annotations
    Raises BadInput without a prompt or for an empty mask, ParamsError for a level the model doesn't have.
    """
    report = progress or (lambda share, line: None)
    described, found = ({} if store is None else store for store in (described, found))
    if inputs.prompts.is_empty:
        raise BadInput("There is no prompt: mark one object with a point or a box, and others like it are looked for.")
    if params.level >= level_count(model, params.features):
        count = level_count(model, params.features)
        raise ParamsError(
            f"This model has {count} {params.features} resolutions, 0 the coarsest; there is no level {params.level}."
        )
    report(0.0, "Encoding the picture")
    encoding = encode(model, inputs.image, side=params.side, fit=params.fit)
    given = predict_once(model, encoding, inputs.image, inputs.prompts, params.refine_edges, predicted)
    prediction, masks = given.prediction, given.masks
    chosen = prediction.best if params.mask_index is None else params.mask_index
    if not masks[chosen].any():
        raise BadInput(
            "The chosen mask is empty, so there is nothing to average: choose another of the four, or another prompt."
        )
    scene = (model.info.sha256, model.device, model.dtype, inputs.image.sha256, params.side, params.fit)
    key = (
        *scene,
        inputs.prompts,
        chosen,
        params.refine_edges,
        params.features,
        params.level,
        params.mirrored,
        params.zoom,
    )
    report(0.3, "Averaging the tokens under the mask")
    reference = described[key] = described.get(key) or describe_object(
        model, inputs.image, masks[chosen], params, encode
    )
    other = inputs.image_b or inputs.image
    report(0.6, "Comparing")
    compared = encoding if other == inputs.image else encode(model, other, side=params.side, fit=params.fit)
    start = time.perf_counter()
    vectors = prototypes(reference, params.prototypes, params.seed)
    similarity = similarity_map(chosen_level(compared, params), vectors)
    wide = picture_similarity(similarity, compared.geometry, MAP_SIDE)
    labels, regions = find_regions(wide, params.threshold, params.min_area)
    timings = {
        "encode_ms": compared.encode_ms,
        "decode_ms": prediction.decode_ms,
        "compare_ms": 1000 * (time.perf_counter() - start),
    }
    objects, rows = {}, []
    if params.find_objects:
        start = time.perf_counter()
        place = (*scene[:3], other.sha256, params.side, params.fit)
        known = found[place] = found.get(place, {})
        objects, rows = find_objects(
            model, compared, regions, known, lambda share, line: report(0.7 + 0.3 * share, line)
        )
        timings["objects_ms"] = 1000 * (time.perf_counter() - start)
    report(1.0, "Done")
    tables = {
        "masks": _mask_rows(given, chosen),
        "regions": [_region_row(region) for region in regions],
        "objects": rows,
    }
    metrics = {
        "regions": len(regions),
        "largest_similarity": wide.max(),
        "mean_similarity": wide.mean(),
        "similar_share": (labels > 0).mean(),
    }
    metrics |= {"mask_index": chosen, "predicted_iou": prediction.iou[chosen], "tokens": len(reference.tokens)}
    metrics |= {"objects": len(objects)} if params.find_objects else {}
    if known_count(other) is not None:
        metrics["known_count"] = known_count(other)
    similar = cv2.resize((labels > 0).astype(np.uint8), other.size[::-1], interpolation=cv2.INTER_NEAREST).astype(bool)
    named = {f"mask_{i}": mask for i, mask in enumerate(masks)} | {"chosen": masks[chosen], "similar": similar}
    images = {
        "similarity": color_map(wide, *color_range(similarity, params), params.colormap),
        "regions": regions_image(other, labels, len(regions)),
    }
    if params.find_objects:
        named["objects"] = np.logical_or.reduce(list(objects.values())) if objects else np.zeros(other.size, bool)
        images["objects"] = objects_image(other, objects)
    return Result(
        NAME,
        params,
        images=images,
        masks=named,
        arrays={"similarity": similarity, "picture_similarity": wide, "prototypes": vectors.numpy()},
        metrics={name: float(value) for name, value in metrics.items()},
        tables=tables,
        timings=timings,
        files={COCO_FILE: coco_json(other, objects, rows)} if params.find_objects else {},
    )


def color_range(similarity: np.ndarray, params: Params) -> tuple[float, float]:
    """The similarities that get the colour scale's first and last colour."""
    return (
        (float(similarity.min()), float(similarity.max()))
        if params.own_range
        else (params.range_low, params.range_high)
    )


def _mask_rows(given: Predicted, chosen: int) -> list[dict]:
    rows = []
    for i, mask in enumerate(given.masks):
        row = {
            "mask": i,
            "chosen": i == chosen,
            "predicted_iou": float(given.prediction.iou[i]),
            "stability_score": given.stability[i],
        }
        rows.append(row | {"area_share": float(mask.mean())})
    return rows


def _region_row(region) -> dict:
    (x1, y1, x2, y2), (x, y) = region.box, region.peak
    row = {"region": region.label, "x1": x1, "y1": y1, "x2": x2, "y2": y2, "peak_x": x, "peak_y": y}
    return row | {
        "peak_similarity": region.peak_similarity,
        "mean_similarity": region.mean_similarity,
        "area_share": region.area_share,
    }


def regions_image(picture: Picture, labels: np.ndarray, count: int) -> np.ndarray:
    """uint8 [h, w, 3], the picture at the size of the labels (int [h, w]), with each region's outline in its colour."""
    rgb = cv2.resize(picture.rgb, labels.shape[::-1], interpolation=cv2.INTER_AREA)
    for number in range(1, count + 1):
        outlines, _ = cv2.findContours((labels == number).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(rgb, outlines, -1, object_color(number), thickness=2)
    return rgb


def objects_image(picture: Picture, masks: dict[int, np.ndarray]) -> np.ndarray:
    """uint8 [H, W, 3]: every mask in its region's colour, the largest first, so that none hides another; its number at
    its middle.
    """
    rgb = picture.rgb.copy()
    for number in sorted(masks, key=lambda number: -int(masks[number].sum())):
        color = object_color(number)
        mask = masks[number]
        rgb[mask] = np.rint(rgb[mask] * 0.5 + np.array(color) * 0.5).astype(np.uint8)
        outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(rgb, outlines, -1, color, thickness=max(1, round(max(mask.shape) / 400)))
    size = max(0.35, picture.size[0] / 700)
    for number, mask in masks.items():
        row, column = np.argwhere(mask).mean(axis=0).round().astype(int)
        for tint, width in (((0, 0, 0), 4), ((255, 255, 255), 1)):
            place, thickness = (int(column), int(row)), max(1, round(width * max(0.5, size)))
            cv2.putText(rgb, str(number), place, cv2.FONT_HERSHEY_SIMPLEX, size, tint, thickness, cv2.LINE_AA)
    return rgb


def coco_json(picture: Picture, masks: dict[int, np.ndarray], rows: list[dict]) -> bytes:
    """The masks as a COCO annotation file of one picture; ids are the rows' object numbers, score is the predicted
    IoU.
    """
    annotations = []
    for number, mask in masks.items():
        row = next(row for row in rows if row["object"] == number)
        ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = [int(xs[0]), int(ys[0]), int(xs[-1] - xs[0] + 1), int(ys[-1] - ys[0] + 1)]
        annotation = {
            "id": number,
            "image_id": 1,
            "category_id": 1,
            "iscrowd": 0,
            "segmentation": mask_to_rle(mask),
            "area": int(mask.sum()),
            "bbox": box,
        }
        annotations.append(annotation | {"score": row["predicted_iou"], "similarity": row["similarity"]})
    image = {"id": 1, "file_name": picture.name, "width": picture.width, "height": picture.height}
    return json.dumps(
        {"images": [image], "categories": [{"id": 1, "name": "similar"}], "annotations": annotations}
    ).encode()
