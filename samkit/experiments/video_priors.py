"""Video with image priors: memories recorded on pictures steer the segmentation of a film that may have nothing to do
with them (SAM v2 and v2.1).

Any number of pictures, frames of the film among them, become prompt memories. Then the film runs, forwards or
backwards, and each frame's best mask goes into the frame memory. `FilmRun` does it frame by frame, so that a screen can
show it while it runs, stop it, and let it go on; `run` does it in one go.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from samkit.errors import BadInput, ParamsError, PromptError
from samkit.experiments.inputs import Inputs, Prior
from samkit.experiments.lab import LabLike, LazyEncoding
from samkit.experiments.measures.bank_file import bank_bytes
from samkit.experiments.measures.mask_logits import MASK_COUNT
from samkit.experiments.measures.pair_track import object_score
from samkit.experiments.measures.predicted_masks import chosen_index, predict, predicted_masks
from samkit.experiments.params import MaskParams, knob
from samkit.experiments.result import Mask, Metric, Result, higher, neutral
from samkit.media.drawing import overlay
from samkit.media.film import FilmWriter, mask_row, masks_to_json
from samkit.media.films import Video, shrunk_size
from samkit.media.mask_views import film_view
from samkit.media.masks import mask_area
from samkit.media.rle import mask_to_rle, rle_to_mask
from samkit.prompts import Prompts

if TYPE_CHECKING:
    from samkit.models.encoding import MaskPrediction
    from samkit.models.memory_bank import Memory, MemoryBank
    from samkit.models.sam import SamModel

NAME = "video-priors"
TAKES = ("image", "prompts", "video", "priors", "bank")

FILM_SIDE = 960
"""Longest side of the film that is written, in pixels."""
MASK_COLOR = (22, 160, 170)
"""RGB of the masks drawn into the film."""
CANDIDATE_SIDE = 240
"""Longest side at which all four masks of a frame are kept for looking at."""


class Params(MaskParams):
    """Frames are counted from 0 in the film."""

    start: int = Field(
        default=0,
        ge=0,
        description="The first frame that is segmented.",
        json_schema_extra=knob(step=1, unit="frames", label="Start at frame"),
    )
    count: int | None = Field(
        default=None,
        ge=1,
        description="How many frames are segmented; empty: to the film's end, or its beginning when running backwards.",
        json_schema_extra=knob(step=1, unit="frames", label="How many"),
    )
    backwards: bool = Field(
        default=False,
        description="Runs from the start towards the film's beginning.",
        json_schema_extra=knob(label="Backwards"),
    )
    mask_index: int | None = Field(
        default=None,
        ge=0,
        le=3,
        description="The mask of the prompted picture that is remembered; empty: the one of masks 1 to 3 with the "
        "highest predicted IoU.",
        json_schema_extra=knob(step=1, label="Mask"),
    )
    max_frames: int = Field(
        default=6,
        ge=0,
        le=6,
        description="How many of the last frames are used.",
        json_schema_extra=knob(step=1, unit="frames", label="Frames used"),
    )
    max_pointers: int = Field(
        default=16,
        ge=0,
        le=64,
        description="How many object pointers are used, including those of the recorded memories.",
        json_schema_extra=knob(step=1, label="Object pointers used"),
    )
    remember: bool = Field(
        default=True,
        description="Puts each frame's best mask into the frame memory; off: only the recorded memories count.",
        json_schema_extra=knob(label="Remember frames"),
    )
    skip_absent: bool = Field(
        default=True,
        description="Frames whose object score is not above 0 are not remembered.",
        json_schema_extra=knob(label="Forget frames without the object"),
    )
    reset_every: int | None = Field(
        default=None,
        ge=1,
        description="Clears the frame memory every N frames; empty: never.",
        json_schema_extra=knob(step=1, usual=(2, 200), unit="frames", label="Reset after every"),
    )


@dataclass(frozen=True)
class FrameStep:
    """One segmented frame. row: as in `FilmRun.rows`; rgb: uint8 [H, W, 3]; mask: bool [H, W]."""

    row: dict[str, Any]
    rgb: np.ndarray
    mask: np.ndarray


def record(model: "SamModel", prior: Prior, params: Params, lab: LabLike) -> tuple["Memory", np.ndarray]:
    """(memory, mask bool [H, W]) of a picture with an object marked on it. Raises PromptError where nothing is
    marked.
    """
    encoding = lab.encoding(model, prior.picture, side=params.side, fit=params.fit)
    if prior.mask is not None:
        return lab.recall(remember_mask, model, encoding, prior.mask), prior.mask
    if prior.prompts.is_empty and prior.mask_hint is None:
        raise PromptError(f"Nothing is marked on {prior.picture.name}: place a point or a box on it first.")
    prediction = lab.recall(predict, model, encoding, prior.prompts, prior.mask_hint)
    index = chosen_index(prediction, prior.mask_index)
    return lab.recall(remember_prediction, model, encoding, prediction, index), prediction.mask(index)


def remember_mask(model: "SamModel", encoding: LazyEncoding, mask: np.ndarray) -> "Memory":
    """The memory of a picture with a mask, bool [H, W], that is given. A step that a lab recalls, as is the next."""
    return model.encode_memory(encoding.value, mask)


def remember_prediction(
    model: "SamModel", encoding: LazyEncoding, prediction: "MaskPrediction", index: int
) -> "Memory":
    """The memory of a picture with one of its predicted masks."""
    return model.encode_memory(encoding.value, prediction, index)


def all_priors(inputs: Inputs, params: Params) -> tuple[Prior, ...]:
    """The recorded ones, else the picture with its prompts; none where a bank is all there is."""
    if inputs.priors or (inputs.bank is not None and inputs.prompts.is_empty):
        return inputs.priors
    return (Prior(inputs.picture, inputs.prompts, params.mask_index),)


def frame_order(params: Params, length: int) -> range:
    """The film's frames in the order they are segmented. Raises ParamsError where the film is over before the start."""
    if params.start >= length:
        raise ParamsError(f"The film has the frames 0 to {length - 1}, so it can't start at frame {params.start}.")
    if params.backwards:
        last = -1 if params.count is None else max(-1, params.start - params.count)
        return range(params.start, last, -1)
    end = length if params.count is None else min(length, params.start + params.count)
    return range(params.start, end)


class FilmRun:
    """A film being segmented. `steps` goes on where it was left; `result` can be asked for at any time and says how far
    it came.

    rows:       one dict a frame: frame, time_s, object_score, predicted_iou_0 .. 3, best, area_px, area_share,
                remembered, ms
    masks:      one row a frame for `masks_to_json`, in the film's pixels
    candidates: one list of four COCO RLEs a frame, at `CANDIDATE_SIDE`
    """

    def __init__(self, model: "SamModel", inputs: Inputs, params: Params, lab: LabLike):
        """Records the priors. Raises BadInput without a film, for a model without a memory, or where nothing is to be
        remembered.
        """
        if inputs.video is None:
            raise BadInput("There is no film: give one with --video, a file or sample:coin.")
        if model.info.family != "sam2":
            raise BadInput(
                f"{model.info.name} is a SAM v1 model, which has no memory: choose a SAM v2 or v2.1 model to "
                "follow an object through a film."
            )
        self.model, self.inputs, self.params, self.lab = model, inputs, params, lab
        self.video: Video = inputs.video
        self.order = frame_order(params, self.video.length)
        self.rows: list[dict[str, Any]] = []
        self.masks: list[dict[str, Any]] = []
        self.candidates: list[list[dict[str, Any]]] = []
        start = time.perf_counter()
        self.bank, self.prior_masks = self._remember_priors()
        self.prior_ms = 1000 * (time.perf_counter() - start)
        self.first_bank = self.bank.copy()

    @property
    def done(self) -> int:
        """Frames segmented so far."""
        return len(self.rows)

    @property
    def total(self) -> int:
        """Frames to be segmented."""
        return len(self.order)

    @property
    def finished(self) -> bool:
        return self.done == self.total

    def seconds_left(self) -> float | None:
        """At the pace of the last frames; None before there is one."""
        pace = [row["ms"] for row in self.rows[-10:]]
        return float(np.mean(pace)) / 1000 * (self.total - self.done) if pace else None

    @property
    def line(self) -> str:
        """How far the run is, for a person."""
        left = self.seconds_left()
        return f"Frame {self.done} of {self.total}" + (
            f", {left:.0f} s left" if left is not None and not self.finished else ""
        )

    def steps(self) -> Iterator[FrameStep]:
        """Segment the frames that are left, one at a time. A frame that can't be decoded ends the run with its
        PictureError; what was done is there.
        """
        left = self.order[self.done :]
        if not left:
            return
        # Memory is flat: one frame is held at a time.
        frames = self.video.frames(left.start, left.stop if left.stop >= 0 else None, left.step)
        for index in left:
            start = time.perf_counter()
            rgb = next(frames)
            encoding = self.model.encode_image(rgb, side=self.params.side, fit=self.params.fit, film=True)
            step = self.model.track(encoding, self.bank)
            remembered = self.params.remember and not (self.params.skip_absent and object_score(step) <= 0)
            if remembered:
                self.bank.add_frame(self.model.encode_memory(encoding, step, step.best))
            else:
                self.bank.skip_frame()
            if self.params.reset_every and (self.done + 1) % self.params.reset_every == 0:
                self.bank.reset_frames()
            yield self._keep(index, rgb, step, remembered, start)

    def take(self, segmented: "SegmentedFilm") -> None:
        """Let the frames be those of an earlier run with the same values."""
        self.rows = [dict(row) for row in segmented.rows]
        self.masks, self.candidates = list(segmented.masks), list(segmented.candidates)

    def result(self, lab: LabLike | None = None) -> Result[Params]:
        """What there is so far. lab: None for the run's own. Raises BadInput before the first frame.

        images:  prior_0, ..., each recorded picture with its mask; first, middle, last: frames of the film with theirs
        masks:   mask_prior_0, ..., each on its recorded picture
        arrays:  memory_bank, uint8, the file that `MemoryBank.save` writes of what the film began with
        metrics: mean_object_score, present_share (of frames whose object score is above 0), mean_area_share,
                 mean_predicted_iou
        facts:   frames
        tables:  frames, priors, and memory_bank with the hash of that file's content
        files:   film.mp4 with the masks drawn in, masks.json (COCO RLE per frame)
        """
        if not self.rows:
            raise BadInput("No frame has been segmented yet: let the run go on first.")
        priors = list(zip(all_priors(self.inputs, self.params), self.prior_masks, strict=True))
        bank = {"sha256": self.first_bank.sha256, "memories": len(self.first_bank.prompts)}
        return Result(
            NAME,
            self.params,
            images=self._images(priors),
            masks={f"mask_prior_{i}": Mask(mask, "prior", i) for i, (_, mask) in enumerate(priors)},
            arrays={"memory_bank": np.frombuffer(bank_bytes(self.first_bank), np.uint8)},
            metrics=_metrics(self.rows),
            facts={"frames": len(self.rows)},
            tables={
                "frames": self.rows,
                "priors": [_prior_row(i, prior, mask) for i, (prior, mask) in enumerate(priors)],
                "memory_bank": [bank],
            },
            timings={
                "priors_ms": self.prior_ms,
                "frames_ms": float(sum(row["ms"] for row in self.rows)),
                "frame_ms": _mean(self.rows, "ms"),
            },
            files={"film.mp4": self.film(lab), "masks.json": masks_to_json(self.masks)},
        )

    def film(self, lab: LabLike | None = None) -> bytes:
        """An MP4 file of the frames segmented so far, in the film's own order, with their masks drawn in. lab: None for
        the run's own.
        """
        lab = lab or self.lab
        rows = sorted(self.masks, key=lambda row: row["frame"])
        with tempfile.TemporaryDirectory(prefix="samkit-film-") as folder:
            path = Path(folder) / "film.mp4"
            frames = self.video.frames(rows[0]["frame"], rows[-1]["frame"] + 1)
            with FilmWriter(path, self.video.fps) as writer:
                for done, (rgb, row) in enumerate(zip(frames, rows, strict=True)):
                    lab.report(done / len(rows), f"Writing the film, frame {done + 1} of {len(rows)}")
                    writer.add(film_view(rgb, rle_to_mask(row["rle"]), FILM_SIDE, MASK_COLOR))
            return path.read_bytes()

    def _images(self, priors: list[tuple[Prior, np.ndarray]]) -> dict[str, np.ndarray]:
        """Recorded pictures and three frames, each with its mask."""
        images = {f"prior_{i}": overlay(prior.picture.rgb, mask, MASK_COLOR) for i, (prior, mask) in enumerate(priors)}
        for name, place in (("first", 0), ("middle", len(self.masks) // 2), ("last", -1)):
            row = self.masks[place]
            images[name] = film_view(self.video.frame(row["frame"]), rle_to_mask(row["rle"]), FILM_SIDE, MASK_COLOR)
        return images

    def _remember_priors(self) -> tuple["MemoryBank", list[np.ndarray]]:
        from samkit.models.memory_bank import MemoryBank

        params = self.params
        bank = MemoryBank(params.max_frames, params.max_pointers)
        for kept in self.inputs.bank.prompts if self.inputs.bank is not None else ():
            bank.add_prompt(kept.memory, prior=kept.prior, frame=kept.frame)
        masks = []
        for prior in all_priors(self.inputs, self.params):
            memory, mask = record(self.model, prior, params, self.lab)
            if prior.film_frame is None:
                bank.add_prompt(memory, prior=True)
            else:
                # The first frame that is segmented is number 1 on the bank's clock.
                bank.add_prompt(memory, frame=1 + (prior.film_frame - self.order.start) * self.order.step)
            masks.append(mask)
        if not bank.prompts:
            raise PromptError(
                "Nothing is remembered yet: mark an object on a picture and record it, or give a memory bank."
            )
        return bank, masks

    def _keep(self, index: int, rgb: np.ndarray, step: "MaskPrediction", remembered: bool, start: float) -> FrameStep:
        best = step.best
        full = predicted_masks(step, rgb, Prompts(), refine=self.params.refine_edges)[best]
        thumb = shrunk_size((rgb.shape[0], rgb.shape[1]), CANDIDATE_SIDE)
        self.candidates.append([mask_to_rle(step.mask(i, thumb)) for i in range(MASK_COUNT)])
        score, area = object_score(step), mask_area(full)
        self.masks.append(mask_row(index, full, object_score=score, predicted_iou=float(step.iou[best])))
        row: dict[str, Any] = {"frame": index, "time_s": float(self.video.timestamps[index]), "object_score": score}
        row |= {f"predicted_iou_{i}": float(value) for i, value in enumerate(step.iou)}
        row |= {
            "best": best,
            "predicted_iou": float(step.iou[best]),
            "area_px": area,
            "area_share": area / full.size,
            "remembered": remembered,
        }
        self.rows.append(row | {"ms": 1000 * (time.perf_counter() - start)})
        return FrameStep(self.rows[-1], rgb, full)


@dataclass(frozen=True)
class SegmentedFilm:
    """What a whole run gave, small enough to remember: as `FilmRun.rows`, `FilmRun.masks` and `FilmRun.candidates`."""

    rows: tuple[dict[str, Any], ...]
    masks: tuple[dict[str, Any], ...]
    candidates: tuple[list[dict[str, Any]], ...]


def segment_film(model: "SamModel", inputs: Inputs, params: Params, lab: LabLike) -> SegmentedFilm:
    """Every frame of a run. A step that a lab recalls."""
    film = FilmRun(model, inputs, params, lab)
    for _ in film.steps():
        lab.report(film.done / film.total, film.line)
    return SegmentedFilm(tuple(film.rows), tuple(film.masks), tuple(film.candidates))


def run(model: "SamModel", inputs: Inputs, params: Params, lab: LabLike) -> Result[Params]:
    """Record the priors and segment the whole film. See `FilmRun.result` for what comes out; memory stays flat however
    long the film is.
    """
    lab.report(0.0, "Recording memories")
    film = FilmRun(model, inputs, params, lab)
    segmented = lab.recall(segment_film, model, inputs, params, lab.span(0.0, 0.9))
    film.take(segmented)
    return film.result(lab.span(0.9, 1.0))


def _metrics(rows: list[dict[str, Any]]) -> dict[str, Metric]:
    """rows: one a frame."""
    return {
        "present_share": higher(np.mean([row["object_score"] > 0 for row in rows]), key=True),
        "mean_object_score": higher(_mean(rows, "object_score"), key=True),
        "mean_area_share": neutral(_mean(rows, "area_share"), key=True),
        "mean_predicted_iou": higher(_mean(rows, "predicted_iou"), key=True),
    }


def _mean(rows: list[dict[str, Any]], name: str) -> float:
    return float(np.mean([row[name] for row in rows]))


def _prior_row(index: int, prior: Prior, mask: np.ndarray) -> dict[str, Any]:
    return {
        "prior": index,
        "picture": prior.picture.name,
        "prompts": prior.prompts.to_json(),
        "film_frame": prior.film_frame,
        "area_px": mask_area(mask),
    }
