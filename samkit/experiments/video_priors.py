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

import cv2
import numpy as np
from pydantic import Field

from samkit.errors import BadInput, ParamsError, PromptError
from samkit.experiments.measures.predicted_masks import predicted_masks
from samkit.experiments.result import EncodeFunction, Inputs, MaskParams, Prior, Progress, Result, encode_plain
from samkit.media.drawing import overlay
from samkit.media.film import FilmWriter, mask_row, masks_to_json
from samkit.media.films import Video, shrunk_size
from samkit.media.masks import mask_area
from samkit.media.rle import mask_to_rle, rle_to_mask
from samkit.prompts import Prompts

NAME = "video-priors"
TITLE = "Video with image priors"
QUESTION = "Can memories of pictures find the thing in a film?"
TAKES = ("image", "prompts", "video", "priors", "bank")

MASK_COUNT = 4
FILM_SIDE = 960
"""Longest side of the film that is written, in pixels."""
MASK_COLOR = (22, 160, 170)
"""RGB of the masks drawn into the film."""
CANDIDATE_SIDE = 240
"""Longest side at which all four masks of a frame are kept for looking at."""


class Params(MaskParams):
    """Frames are counted from 0 in the film."""

    start: int = Field(default=0, ge=0, description="first frame that is segmented")
    count: int | None = Field(
        default=None,
        ge=1,
        description="how many frames; empty: to the film's end, or its beginning when running backwards",
    )
    backwards: bool = Field(default=False, description="run from the start towards the film's beginning")
    mask_index: int | None = Field(
        default=None, ge=0, le=3, description="which mask of the prompted picture is remembered; empty: the best"
    )
    max_frames: int = Field(default=6, ge=0, le=6, description="maps of the last frames that are looked at")
    max_pointers: int = Field(
        default=16, ge=0, le=64, description="object pointers that are looked at, those of the prompts counted"
    )
    remember: bool = Field(default=True, description="put each frame's best mask into the frame memory")
    skip_absent: bool = Field(default=True, description="don't remember frames whose object score is not above 0")
    reset_every: int | None = Field(
        default=None, ge=1, description="forget the frame memory after every so many frames; empty: never"
    )


@dataclass(frozen=True)
class FrameStep:
    """One segmented frame. row: as in `FilmRun.rows`; rgb: uint8 [H, W, 3]; mask: bool [H, W]."""

    row: dict
    rgb: np.ndarray
    mask: np.ndarray


def record(model, prior: Prior, params: Params, encode: EncodeFunction = encode_plain):
    """(memory, mask bool [H, W]) of a picture with an object marked on it. Raises PromptError where nothing is
    marked.
    """
    encoding = encode(model, prior.picture, side=params.side, fit=params.fit)
    if prior.mask is not None:
        return model.encode_memory(encoding, prior.mask), prior.mask
    if prior.prompts.is_empty:
        raise PromptError(f"Nothing is marked on {prior.picture.name}: place a point or a box on it first.")
    prediction = model.predict_masks(encoding, prior.prompts)
    index = prediction.best if prior.mask_index is None else prior.mask_index
    return model.encode_memory(encoding, prediction, index), prediction.mask(index)


def all_priors(inputs: Inputs, params: Params) -> tuple[Prior, ...]:
    """Those given, else the picture with its prompts; none where a bank is all there is."""
    if inputs.priors or (inputs.bank is not None and inputs.prompts.is_empty):
        return inputs.priors
    return (Prior(inputs.image, inputs.prompts, params.mask_index),)


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
    """A film being segmented. `steps` goes on where it was left; `result` can be asked for at any time and tells how
    far it came.

    rows:       one dict a frame: frame, time_s, object_score, predicted_iou_0 .. 3, best, area_px, area_share,
                remembered, ms
    masks:      one row a frame for `masks_to_json`, in the film's pixels
    candidates: one list of four COCO RLEs a frame, at `CANDIDATE_SIDE`
    """

    def __init__(self, model, inputs: Inputs, params: Params, encode: EncodeFunction = encode_plain):
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
        self.model, self.inputs, self.params = model, inputs, params
        self.video: Video = inputs.video
        self.order = frame_order(params, self.video.length)
        self.rows, self.masks, self.candidates = [], [], []
        start = time.perf_counter()
        self.bank, self.prior_masks = self._remember_priors(encode)
        self.prior_ms = 1000 * (time.perf_counter() - start)
        self.first_bank = self.bank.copy()

    @property
    def done(self) -> int:
        """Frames segmented so far."""
        return len(self.rows)

    @property
    def finished(self) -> bool:
        return self.done == len(self.order)

    def seconds_left(self) -> float | None:
        """At the pace of the last frames; None before there is one."""
        pace = [row["ms"] for row in self.rows[-10:]]
        return float(np.mean(pace)) / 1000 * (len(self.order) - self.done) if pace else None

    @property
    def line(self) -> str:
        """How far the run is, for a person."""
        left = self.seconds_left()
        return f"Frame {self.done} of {len(self.order)}" + (
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
            remembered = self.params.remember and not (self.params.skip_absent and step.object_score <= 0)
            if remembered:
                self.bank.add_frame(self.model.encode_memory(encoding, step, step.best))
            else:
                self.bank.skip_frame()
            if self.params.reset_every and (self.done + 1) % self.params.reset_every == 0:
                self.bank.reset_frames()
            yield self._keep(index, rgb, step, remembered, start)

    def result(self, progress: Progress | None = None) -> Result:
        """What there is so far. Raises BadInput before the first frame.

        images:  prior_0, ..., each recorded picture with its mask; first, middle, last: frames of the film with theirs
        masks:   prior_0, ...
        arrays:  memory_bank, uint8, the file that `MemoryBank.save` writes of what the film began with
        metrics: frames, mean_object_score, present_share (of frames whose object score is above 0), mean_area_share,
                 mean_predicted_iou
        tables:  frames, priors, and memory_bank with the hash of that file's content
        files:   film.mp4 with the masks drawn in, masks.json (COCO RLE per frame)
        """
        if not self.rows:
            raise BadInput("No frame has been segmented yet: let the run go on first.")
        rows = self.rows
        mean = lambda name: float(np.mean([row[name] for row in rows]))  # noqa: E731
        metrics = {
            "frames": float(len(rows)),
            "present_share": float(np.mean([row["object_score"] > 0 for row in rows])),
        }
        metrics |= {
            "mean_object_score": mean("object_score"),
            "mean_area_share": mean("area_share"),
            "mean_predicted_iou": mean("predicted_iou"),
        }
        priors = all_priors(self.inputs, self.params)
        shown = {
            f"prior_{i}": overlay(prior.picture.rgb, mask, MASK_COLOR)
            for i, (prior, mask) in enumerate(zip(priors, self.prior_masks, strict=True))
        }
        for name, place in (("first", 0), ("middle", len(rows) // 2), ("last", -1)):
            row = self.masks[place]
            shown[name] = overlay(*_shrunk(self.video.frame(row["frame"]), rle_to_mask(row["rle"])), MASK_COLOR)
        table = [
            {
                "prior": i,
                "picture": prior.picture.name,
                "prompts": prior.prompts.to_json(),
                "film_frame": prior.film_frame,
                "area_px": mask_area(mask),
            }
            for i, (prior, mask) in enumerate(zip(priors, self.prior_masks, strict=True))
        ]
        return Result(
            NAME,
            self.params,
            images=shown,
            masks={f"prior_{i}": mask for i, mask in enumerate(self.prior_masks)},
            arrays={"memory_bank": bank_file(self.first_bank)},
            metrics=metrics,
            tables={
                "frames": rows,
                "priors": table,
                "memory_bank": [{"sha256": self.first_bank.sha256, "memories": len(self.first_bank.prompts)}],
            },
            timings={
                "priors_ms": self.prior_ms,
                "frames_ms": float(sum(row["ms"] for row in rows)),
                "frame_ms": mean("ms"),
            },
            files={"film.mp4": self.film(progress), "masks.json": masks_to_json(self.masks)},
        )

    def film(self, progress: Progress | None = None) -> bytes:
        """An MP4 file of the frames segmented so far, in the film's own order, with their masks drawn in."""
        report = progress or (lambda share, line: None)
        rows = sorted(self.masks, key=lambda row: row["frame"])
        with tempfile.TemporaryDirectory(prefix="samkit-film-") as folder:
            path = Path(folder) / "film.mp4"
            frames = self.video.frames(rows[0]["frame"], rows[-1]["frame"] + 1)
            with FilmWriter(path, self.video.fps) as writer:
                for done, (rgb, row) in enumerate(zip(frames, rows, strict=True)):
                    report(done / len(rows), f"Writing the film, frame {done + 1} of {len(rows)}")
                    writer.add(overlay(*_shrunk(rgb, rle_to_mask(row["rle"])), MASK_COLOR))
            return path.read_bytes()

    def _remember_priors(self, encode: EncodeFunction):
        from samkit.models.memory_bank import MemoryBank

        params = self.params
        bank = MemoryBank(params.max_frames, params.max_pointers)
        for known in self.inputs.bank.prompts if self.inputs.bank is not None else ():
            bank.add_prompt(known.memory, prior=known.prior, frame=known.frame)
        masks = []
        for prior in all_priors(self.inputs, self.params):
            memory, mask = record(self.model, prior, params, encode)
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

    def _keep(self, index: int, rgb: np.ndarray, step, remembered: bool, start: float) -> FrameStep:
        best = step.best
        full = predicted_masks(step, rgb, Prompts(), refine=self.params.refine_edges)[best]
        thumb = shrunk_size(rgb.shape[:2], CANDIDATE_SIDE)
        self.candidates.append([mask_to_rle(step.mask(i, thumb)) for i in range(MASK_COUNT)])
        score, area = float(step.object_score), mask_area(full)
        self.masks.append(mask_row(index, full, object_score=score, predicted_iou=float(step.iou[best])))
        row = {"frame": index, "time_s": float(self.video.timestamps[index]), "object_score": score}
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


def run(
    model, inputs: Inputs, params: Params, *, encode: EncodeFunction = encode_plain, progress: Progress | None = None
) -> Result:
    """Record the priors and segment the whole film. See `FilmRun.result` for what comes out; memory stays flat however
    long the film is.
    """
    report = progress or (lambda share, line: None)
    report(0.0, "Recording memories")
    film = FilmRun(model, inputs, params, encode)
    for _ in film.steps():
        report(0.9 * film.done / len(film.order), film.line)
    return film.result(lambda share, line: report(0.9 + 0.1 * share, line))


def _shrunk(rgb: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Picture and mask at the size of the film that is written."""
    size = shrunk_size(mask.shape, FILM_SIDE)
    if size == mask.shape:
        return rgb, mask
    small = cv2.resize(mask.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)
    return cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA), small.astype(bool)


def bank_file(bank) -> np.ndarray:
    """uint8 [bytes]: the file that `bank.save` writes."""
    with tempfile.TemporaryDirectory(prefix="samkit-bank-") as folder:
        path = Path(folder) / "bank.safetensors"
        bank.save(path)
        return np.frombuffer(path.read_bytes(), np.uint8)
