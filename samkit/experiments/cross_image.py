"""Cross-image segmentation: one picture is prompted, the other is segmented, as if they were the first two frames of a
film (SAM v2 and v2.1).

The prompted picture's chosen mask becomes a prompt memory. The other picture is tracked once, and as often again as
asked for; each pass's best mask goes into the frame memory that the next pass looks at. Beside it: what the passes
change, the same object by a point and by a box, and what moving the prompt does to both pictures. Memories hold logits,
so the threshold cuts what is shown and kept and never what is remembered.

`PairTrack` is the slow part. It makes each pass once, so a screen can ask for more passes, another threshold or another
mask without beginning again.
"""

import tempfile
import time
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from pydantic import Field

from samkit.errors import BadInput, PromptError
from samkit.experiments.mask_stability import outlined, view_size
from samkit.experiments.measures.jitter import jitter_prompts, jitter_shifts
from samkit.experiments.measures.predicted_masks import predicted_masks
from samkit.experiments.result import EncodeFunction, Inputs, MaskParams, Progress, Result, encode_plain
from samkit.media.colormaps import Colormap, color_map
from samkit.media.drawing import cut_out
from samkit.media.masks import contours, innermost_point, mask_area, mask_box, mask_iou, stability_score
from samkit.media.pictures import Picture
from samkit.prompts import Prompts

NAME = "cross-image"
TITLE = "Cross-image segmentation"
QUESTION = "Does the model find the same thing in another picture?"
TAKES = ("image", "image_b", "prompts")

MASK_COUNT = 4
MAX_REPEATS = 12
BANK_FILE = "memory_bank.safetensors"


class Params(MaskParams):
    """Thresholds and offsets are in logits."""

    prompt_on: Literal["a", "b"] = Field(
        default="a", description="the picture that the prompts lie on; the other one is segmented"
    )
    mask_index: int | None = Field(
        default=None,
        ge=0,
        le=3,
        description="which mask of the prompted picture is remembered; empty: the multimask predicted best",
    )
    tracked_index: int | None = Field(
        default=None,
        ge=0,
        le=3,
        description="which mask of the other picture is shown and measured; empty: the one predicted best",
    )
    repeats: int = Field(
        default=0,
        ge=0,
        le=MAX_REPEATS,
        description="how often the other picture is tracked again, with what was found before remembered",
    )
    threshold: float = Field(default=0.0, ge=-10, le=10, allow_inf_nan=False, description="logits above it are mask")
    stability_offset: float = Field(
        default=2.0,
        gt=0,
        le=20,
        allow_inf_nan=False,
        description="the stability scores compare cuts this far about the threshold",
    )
    point_and_box: bool = Field(
        default=False, description="also follow the same object once by a point and once by a box"
    )
    jitter_copies: int = Field(
        default=0, ge=0, le=256, description="how many moved copies of the prompt are followed, one pass each; 0: none"
    )
    jitter_px: float = Field(
        default=4.0,
        ge=0,
        le=1000,
        allow_inf_nan=False,
        description="how far the copies are moved: standard deviation in original pixels",
    )
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="of the moves; the same seed moves the same way")
    colormap: Colormap = Field(default="viridis", description="colour scale of the jitter maps")


@dataclass(frozen=True)
class Pass:
    """One look at the other picture: what was found, the memory of it, and milliseconds."""

    prediction: object
    memory: object
    track_ms: float


@dataclass
class PairTrack:
    """An object followed from a prompted picture to another one. Holds no encodings, so that it costs little to keep.

    prompted: the prediction on the prompted picture
    index:    the mask of `prompted` that is remembered
    passes:   those made so far
    """

    prompted: object
    index: int
    memory: object
    memory_ms: float
    passes: list[Pass] = field(default_factory=list)

    @classmethod
    def start(cls, model, source, prompts: Prompts, mask_index: int | None) -> "PairTrack":
        """Predict on the encoding `source` and remember the mask `mask_index`, or the multimask predicted best."""
        prompted = model.predict_masks(source, prompts)
        index = prompted.best if mask_index is None else mask_index
        start = time.perf_counter()
        memory = model.encode_memory(source, prompted, index)
        return cls(prompted, index, memory, 1000 * (time.perf_counter() - start))

    def extend(self, model, target, count: int, progress: Progress | None = None) -> "PairTrack":
        """See to it that there are at least `count` passes over the encoding `target`."""
        bank = self.bank(len(self.passes))
        while len(self.passes) < count:
            if progress:
                progress(len(self.passes) / count, f"Pass {len(self.passes) + 1} of {count}")
            start = time.perf_counter()
            step = model.track(target, bank)
            memory = model.encode_memory(target, step, step.best)
            bank.add_frame(memory)
            self.passes.append(Pass(step, memory, 1000 * (time.perf_counter() - start)))
        return self

    def bank(self, count: int):
        """A new MemoryBank as it is after `count` passes."""
        from samkit.models.memory_bank import MemoryBank

        bank = MemoryBank()
        bank.add_prompt(self.memory)
        for step in self.passes[:count]:
            bank.add_frame(step.memory)
        return bank


def run(
    model,
    inputs: Inputs,
    params: Params,
    *,
    encode: EncodeFunction = encode_plain,
    progress: Progress | None = None,
    tracks: MutableMapping[tuple, PairTrack] | None = None,
) -> Result:
    """Encode both pictures, follow the object from one to the other, and measure.

    tracks: keeps the slow part from one run to the next; without it everything is done anew

    images:  prompted and tracked, the pictures with the masks' outlines; cut_out, RGBA, what was found; by_point and
             by_box, the other picture with what each found; jitter_prompted, jitter_tracked.
    masks:   prompted_0 .. 3, tracked_0 .. 3 (of the last pass); prompted and tracked, the chosen ones;
             by_point_prompted, by_point_tracked, by_box_prompted, by_box_tracked. Each has its own picture's size.
    arrays:  logits_prompted and logits_tracked, float32 [4, h, w] as the decoder gave them (-1024 all over where the
             object is held to be absent); jitter_map_prompted, jitter_map_tracked, float16 [H, W].
    metrics: predicted_iou, stability_score, area_px, area_share, object_score of the found mask, and prompted_... of
             the remembered one; mask_index, tracked_index; repeat_iou (of the last pass's mask with the first's);
             refine_iou (with the model's own mask); point_box_iou and prompted_point_box_iou; jitter_iou and
             prompted_jitter_iou (mean, with the unmoved prompt's masks), jitter_found (share of copies that found it).
    tables:  prompted_masks, tracked_masks, passes, contours (of the found mask, points in pixels), point_and_box,
             jitter.
    files:   memory_bank.safetensors, the prompt and the passes, as `MemoryBank.load` reads it.

    Raises PromptError without a prompt, BadInput without a second picture or for a model without a memory.
    """
    if inputs.image_b is None:
        raise BadInput("Cross-image segmentation needs two pictures: give the second one with --image-b.")
    if inputs.prompts.is_empty:
        raise PromptError("There is nothing to follow: place a point or a box on one of the pictures.")
    if model.info.family != "sam2":
        raise BadInput(
            f"{model.info.name} is a SAM v1 model, which has no memory: choose a SAM v2 or v2.1 model to follow an "
            "object to another picture."
        )
    report = progress or (lambda share, line: None)
    pictures = (inputs.image, inputs.image_b) if params.prompt_on == "a" else (inputs.image_b, inputs.image)
    encodings = []
    for share, line, picture in (
        (0.0, "Encoding the prompted picture", pictures[0]),
        (0.2, "Encoding the other picture", pictures[1]),
    ):
        report(share, line)
        encodings.append(encode(model, picture, side=params.side, fit=params.fit))
    follow = _Follow(model, pictures, encodings, params, {} if tracks is None else tracks)

    track = follow.track(inputs.prompts, lambda share, line: report(0.4 + 0.2 * share, line))
    timings = {
        f"encode_{name}_ms": encoding.encode_ms for name, encoding in zip(("prompted", "other"), encodings, strict=True)
    }
    passes = track.passes[: params.repeats + 1]
    timings |= {
        "decode_ms": track.prompted.decode_ms,
        "encode_memory_ms": track.memory_ms,
        "track_ms": sum(step.track_ms for step in passes),
    }
    start = time.perf_counter()
    parts = _measure(track, passes, pictures, inputs.prompts, params)
    timings["measure_ms"] = 1000 * (time.perf_counter() - start)
    if params.point_and_box:
        start = time.perf_counter()
        _add_point_and_box(follow, inputs.prompts, parts, lambda share, line: report(0.6 + 0.1 * share, line))
        timings["point_and_box_ms"] = 1000 * (time.perf_counter() - start)
    if params.jitter_copies:
        start = time.perf_counter()
        _add_jitter(follow, track, inputs.prompts, parts, lambda share, line: report(0.7 + 0.3 * share, line))
        timings["jitter_ms"] = 1000 * (time.perf_counter() - start)
    report(1.0, "Done")
    return Result(NAME, params, **vars(parts), timings=timings)


@dataclass
class _Parts:
    """What becomes the result."""

    images: dict = field(default_factory=dict)
    masks: dict = field(default_factory=dict)
    arrays: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)
    tables: dict = field(default_factory=dict)
    files: dict = field(default_factory=dict)


@dataclass(frozen=True)
class _Follow:
    """Following objects from pictures[0] to pictures[1]; `tracks` holds what was followed before."""

    model: object
    pictures: tuple[Picture, Picture]
    encodings: list
    params: Params
    tracks: MutableMapping

    def track(self, prompts: Prompts, progress: Progress | None = None) -> PairTrack:
        """With as many passes as the parameters ask for, at least."""
        settings = [encoding.settings for encoding in self.encodings]
        key = (
            self.model.info.sha256,
            self.model.device,
            self.model.dtype,
            *(picture.sha256 for picture in self.pictures),
            *settings,
            prompts,
        )
        key = (*key, self.params.mask_index)
        if key not in self.tracks:
            self.tracks[key] = PairTrack.start(self.model, self.encodings[0], prompts, self.params.mask_index)
        return self.tracks[key].extend(self.model, self.encodings[1], self.params.repeats + 1, progress)


def shown_mask(step, params: Params) -> int:
    """Which mask of a tracked prediction is shown and measured."""
    return step.best if params.tracked_index is None else params.tracked_index


def _measure(
    track: PairTrack, passes: list[Pass], pictures: tuple[Picture, Picture], prompts: Prompts, params: Params
) -> _Parts:
    """Masks, tables, pictures and metrics of the object followed."""
    parts, last = _Parts(), passes[-1].prediction
    chosen = {"prompted": track.index, "tracked": shown_mask(last, params)}
    given = {"tracked": (last, pictures[1], Prompts()), "prompted": (track.prompted, pictures[0], prompts)}
    for name, (prediction, picture, own_prompts) in given.items():
        index = chosen[name]
        masks = predicted_masks(
            prediction, picture.rgb, own_prompts, refine=params.refine_edges, threshold=params.threshold
        )
        parts.masks |= {f"{name}_{i}": mask for i, mask in enumerate(masks)} | {name: masks[index]}
        parts.arrays[f"logits_{name}"] = prediction.logits.cpu().numpy()
        rows = [_mask_row(prediction, i, mask, i == index, params) for i, mask in enumerate(masks)]
        parts.tables[f"{name}_masks"] = rows
        prefix = "prompted_" if name == "prompted" else ""
        parts.metrics |= {
            prefix + key: float(rows[index][key])
            for key in ("predicted_iou", "stability_score", "area_px", "area_share")
        }
        parts.metrics[f"{prefix}object_score"] = float(prediction.object_score)
        parts.images[name] = view_outlined(picture.rgb, masks[index])
    found = parts.masks["tracked"]
    parts.metrics |= {"mask_index": float(chosen["prompted"]), "tracked_index": float(chosen["tracked"])}
    if params.refine_edges:
        parts.metrics["refine_iou"] = float(mask_iou(found, last.mask(chosen["tracked"], threshold=params.threshold)))
    parts.tables["passes"] = pass_rows(passes, params)
    parts.metrics["repeat_iou"] = parts.tables["passes"][-1]["iou_with_first"]
    parts.tables["contours"] = [
        {"contour": i, "points_xy": outline.tolist()} for i, outline in enumerate(contours(found))
    ]
    parts.images["cut_out"] = cut_out(pictures[1].rgb, found)
    parts.files[BANK_FILE] = bank_bytes(track.bank(len(passes)))
    return parts


def bank_bytes(bank) -> bytes:
    """The file that `bank.save` writes."""
    with tempfile.TemporaryDirectory(prefix="samkit-bank-") as folder:
        path = Path(folder) / "bank.safetensors"
        bank.save(path)
        return path.read_bytes()


def _mask_row(prediction, index: int, mask: np.ndarray, chosen: bool, params: Params) -> dict:
    score = stability_score(prediction.logits_at(index), params.threshold, params.stability_offset)
    area = mask_area(mask)
    row = {
        "mask": index,
        "chosen": chosen,
        "predicted_iou": float(prediction.iou[index]),
        "stability_score": float(score),
    }
    return row | {"area_px": area, "area_share": area / mask.size}


def pass_rows(passes: list[Pass], params: Params) -> list[dict]:
    """One row for each pass: the object's score, the predicted IoUs, and `change`, 1 - IoU with the mask of the pass
    before (None for the first).
    """
    rows, first, previous = [], None, None
    for number, step in enumerate(passes, start=1):
        prediction = step.prediction
        index = shown_mask(prediction, params)
        mask = prediction.mask(index, threshold=params.threshold)
        first = mask if first is None else first
        row = {
            "pass": number,
            "object_score": float(prediction.object_score),
            "mask": index,
            "predicted_iou": float(prediction.iou[index]),
        }
        row |= {f"predicted_iou_{i}": float(value) for i, value in enumerate(prediction.iou)}
        change = None if previous is None else 1 - float(mask_iou(mask, previous))
        rows.append(
            row
            | {
                "change": change,
                "iou_with_first": float(mask_iou(mask, first)),
                "area_share": mask_area(mask) / mask.size,
                "ms": step.track_ms,
            }
        )
        previous = mask
    return rows


def point_and_box_prompts(prompts: Prompts, mask: np.ndarray) -> dict[str, Prompts]:
    """ "point" and "box" -> prompts for the same object: the user's own of that kind, else the pixel farthest from the
    mask's edge, or the mask's tight box.

    mask: bool [H, W] of the prompted picture. Raises PromptError where there is no mask to take them from.
    """
    points, boxes = prompts.points, prompts.boxes
    if (not points or not boxes) and not mask.any():
        raise PromptError(
            "The remembered mask is empty, so there is no object to point at or to box: change the prompt or the "
            "threshold."
        )
    height, width = mask.shape
    if not any(label for _, _, label in points):
        x, y = innermost_point(mask)
        points = (*points, ((x + 0.5) / width, (y + 0.5) / height, 1))
    if not boxes:
        x1, y1, x2, y2 = mask_box(mask)
        boxes = ((x1 / width, y1 / height, x2 / width, y2 / height),)
    return {"point": Prompts(points), "box": Prompts((), boxes)}


def _add_point_and_box(follow: _Follow, prompts: Prompts, parts: _Parts, report: Progress) -> None:
    params, rows = follow.params, []
    for share, (kind, own) in zip(
        (0.0, 0.5), point_and_box_prompts(prompts, parts.masks["prompted"]).items(), strict=True
    ):
        report(share, f"The same object by a {kind}")
        track = follow.track(own)
        step = track.passes[params.repeats].prediction
        given = (
            ("prompted", track.prompted, track.index, own, follow.pictures[0]),
            ("tracked", step, shown_mask(step, params), Prompts(), follow.pictures[1]),
        )
        row = {"by": kind, "prompts": own.to_json(), "object_score": float(step.object_score)}
        for name, prediction, index, own_prompts, picture in given:
            mask = predicted_masks(
                prediction, picture.rgb, own_prompts, refine=params.refine_edges, threshold=params.threshold
            )[index]
            parts.masks[f"by_{kind}_{name}"] = mask
            row |= {
                f"{name}_predicted_iou": float(prediction.iou[index]),
                f"{name}_area_share": mask_area(mask) / mask.size,
            }
        parts.images[f"by_{kind}"] = view_outlined(follow.pictures[1].rgb, parts.masks[f"by_{kind}_tracked"])
        rows.append(row)
    parts.tables["point_and_box"] = rows
    for name, metric in (("prompted", "prompted_point_box_iou"), ("tracked", "point_box_iou")):
        parts.metrics[metric] = float(mask_iou(parts.masks[f"by_point_{name}"], parts.masks[f"by_box_{name}"]))


def _add_jitter(follow: _Follow, track: PairTrack, prompts: Prompts, parts: _Parts, report: Progress) -> None:
    """Copies of the prompt, each followed in one pass; masks are the model's own, cut at the threshold, and compared
    with those of the first pass.
    """
    params, count = follow.params, follow.params.jitter_copies
    sizes = [view_size(picture.size) for picture in follow.pictures]
    unmoved = track.passes[0].prediction
    references = (
        track.prompted.mask(track.index, sizes[0], params.threshold),
        unmoved.mask(shown_mask(unmoved, params), sizes[1], params.threshold),
    )
    counts, rows = [np.zeros(size, np.uint16) for size in sizes], []
    shifts = jitter_shifts(count, params.jitter_px, params.seed)
    for i, moved in enumerate(jitter_prompts(prompts, shifts, follow.pictures[0].size)):
        report(i / count, f"Moved prompt {i + 1} of {count}")
        copy = PairTrack.start(follow.model, follow.encodings[0], moved, track.index).extend(
            follow.model, follow.encodings[1], 1
        )
        step = copy.passes[0].prediction
        masks = (
            copy.prompted.mask(track.index, sizes[0], params.threshold),
            step.mask(shown_mask(step, params), sizes[1], params.threshold),
        )
        for counted, mask in zip(counts, masks, strict=True):
            counted += mask
        ious = [float(mask_iou(mask, reference)) for mask, reference in zip(masks, references, strict=True)]
        row = {
            "copy": i,
            "dx_px": float(shifts[i, 0]),
            "dy_px": float(shifts[i, 1]),
            "prompted_iou": ious[0],
            "tracked_iou": ious[1],
        }
        rows.append(row | {"object_score": float(step.object_score)})
    parts.tables["jitter"] = rows
    parts.metrics["prompted_jitter_iou"] = float(np.mean([row["prompted_iou"] for row in rows]))
    parts.metrics["jitter_iou"] = float(np.mean([row["tracked_iou"] for row in rows]))
    parts.metrics["jitter_found"] = float(np.mean([row["object_score"] > 0 for row in rows]))
    for name, counted in zip(("prompted", "tracked"), counts, strict=True):
        frequency = (counted / np.float32(count)).astype(np.float16)
        parts.arrays[f"jitter_map_{name}"] = frequency
        parts.images[f"jitter_{name}"] = color_map(frequency, 0.0, 1.0, params.colormap)


def view_outlined(rgb: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """uint8 [h, w, 3] at `view_size`: the picture with the mask's outline."""
    height, width = view_size(mask.shape)
    if mask.shape != (height, width):
        rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST).astype(bool)
    return outlined(rgb, mask)
