"""Window size: attention windows of other sizes than the encoder was trained with, and what they do to masks, encoding
and time.
"""

import statistics
from collections.abc import Iterator, MutableMapping, Sequence

import numpy as np
import torch
from pydantic import Field, field_validator

from samkit.errors import EncodingError, ParamsError
from samkit.experiments.mask_stability import binary_view, map_logits, outlined, view_logits
from samkit.experiments.measures.predicted_masks import Predicted, predict_once
from samkit.experiments.result import EncodeFunction, Inputs, MaskParams, Progress, Result, encode_plain
from samkit.media.colormaps import Colormap, color_map
from samkit.media.masks import mask_iou
from samkit.models.geometry import plan_geometry

NAME = "window-size"
TITLE = "Window size"
QUESTION = "Which window sizes does a model stand, and what do they cost?"
TAKES = ("image", "prompts")

STAGES = 4
MAX_WINDOW = 32
MAX_REPEATS = 25
LOGIT_RANGE = 8.0
"""Logits are drawn from minus to plus this."""


class Params(MaskParams):
    """Stages are counted from 1; SAM v1's blocks count as four equal groups."""

    window_sizes: tuple[int, ...] | None = Field(
        default=None, description="one a stage, such as [8, 4, 14, 7]; empty: the model's own"
    )
    repeats: int = Field(
        default=1, ge=1, le=MAX_REPEATS, description="how often each setting is encoded; its time is the median"
    )
    sweep_stage: int = Field(
        default=0, ge=0, le=STAGES, description="the stage whose window the sweep varies; 0: all stages together"
    )
    sweep_sizes: tuple[int, ...] = Field(default=(), description="window sizes of the sweep; empty: no sweep")
    mask_index: int | None = Field(
        default=None,
        ge=0,
        le=3,
        description="which of the four masks is looked at; empty: the one with the highest predicted IoU",
    )
    colormap: Colormap = Field(default="viridis", description="colour scale of the logits")

    @field_validator("window_sizes", "sweep_sizes", mode="before")
    @classmethod
    def _listed(cls, sizes):
        if isinstance(sizes, str | int | float):
            raise ValueError("should be a list of whole numbers in brackets, such as [8, 4, 14, 7]")
        return sizes

    @field_validator("window_sizes", "sweep_sizes")
    @classmethod
    def _in_range(cls, sizes):
        for size in sizes or ():
            if not 1 <= size <= MAX_WINDOW:
                raise ValueError(f"should hold whole numbers from 1 to {MAX_WINDOW}")
        return sizes


def padded_size(model, inputs: Inputs, params: Params) -> tuple[int, int]:
    """(height, width) of the model's input in pixels."""
    info = model.info
    return plan_geometry(
        inputs.image.size, info.family, params.side or info.native_side, params.fit, info.side_step
    ).padded_size


def possible_windows(model, windows: Sequence[int], stage: int, size: tuple[int, int]) -> list[int]:
    """The sizes from 1 to 32 that the stage (from 1) can take while the others stay as in `windows`, for an input of
    `size` (height, width) pixels.
    """
    possible = []
    for window in range(1, MAX_WINDOW + 1):
        try:
            model.check_windows((*windows[: stage - 1], window, *windows[stage:]), size)
        except EncodingError:
            continue
        possible.append(window)
    return possible


def refusal(model, windows: tuple[int, ...], size: tuple[int, int]) -> str | None:
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


def swept_windows(own: Sequence[int], stage: int, size: int) -> tuple[int, ...]:
    """The windows of one setting of a sweep: `size` in one stage (from 1) and the model's own in the others, or in all
    (stage 0).
    """
    return (size,) * len(own) if stage == 0 else (*own[: stage - 1], size, *own[stage:])


def relative_drift(encoding, default) -> float:
    """Relative L2 distance of an encoding's features from the default windows' features, all levels together."""
    difference = sum(
        float((level - other).float().square().sum())
        for level, other in zip(encoding.features, default.features, strict=True)
    )
    return (difference / max(sum(float(level.float().square().sum()) for level in default.features), 1e-30)) ** 0.5


class Timed:
    """Encodes one picture with any windows, and knows the median of how long each took.

    The first encoding with new windows packs weights and makes position tables, so it counts only where each setting is
    measured once. Repeats of several settings take turns, so that a machine whose speed drifts slows all alike; times
    with another number of threads are kept apart.

    times: where the milliseconds are kept for later runs, by (model, device, dtype, picture, side, fit, threads,
           windows)
    """

    def __init__(
        self,
        model,
        inputs: Inputs,
        params: Params,
        encode: EncodeFunction,
        times: MutableMapping[tuple, list[float]] | None,
    ):
        self.model, self.inputs, self.params, self.encode = model, inputs, params, encode
        self.times = {} if times is None else times
        self.scene = (model.info.sha256, model.device, model.dtype, inputs.image.sha256, params.side, params.fit)

    def encoding(self, windows: tuple[int, ...] | None):
        return self.encode(
            self.model, self.inputs.image, side=self.params.side, fit=self.params.fit, window_sizes=windows
        )

    def measure(self, *encodings) -> Iterator[str]:
        """Make what times of these encodings' settings are missing, one after the other; says after each what it
        was.
        """
        repeats = self.params.repeats
        if repeats == 1:
            for encoding in encodings:
                if not self._times(encoding):
                    self._times(encoding).append(encoding.encode_ms)
            return
        for turn in range(1, repeats + 1):
            for encoding in encodings:
                if len(self._times(encoding)) < turn:
                    options = dict(
                        side=self.params.side, fit=self.params.fit, window_sizes=encoding.settings.window_sizes
                    )
                    self._times(encoding).append(self.model.encode_image(self.inputs.image.rgb, **options).encode_ms)
                    yield f"Encoded again, {turn} of {repeats}"

    def median_ms(self, encoding) -> float:
        """Of the times that `measure` made."""
        return statistics.median(self._times(encoding)[: self.params.repeats])

    def _times(self, encoding) -> list[float]:
        key = (*self.scene, torch.get_num_threads(), self.params.repeats > 1, encoding.settings.window_sizes)
        return self.times.setdefault(key, [])


class WindowSweep:
    """Every window size of one stage, one after the other; may be stopped after each.

    rows: one a size for a table: window, windows, encode_ms, drift, iou_0 .. iou_3 (with the default windows' masks, as
          the model gave them, not refined), refused (the reason, with None in the others)
    known: rows of earlier sweeps by scene and setting, which are not made again
    """

    def __init__(
        self,
        model,
        inputs: Inputs,
        params: Params,
        encode: EncodeFunction = encode_plain,
        times=None,
        known: MutableMapping | None = None,
    ):
        self.model, self.inputs, self.params, self.encode = model, inputs, params, encode
        # Not through the cache: many encodings that nobody will ask for again would push out the others.
        self.timed = Timed(model, inputs, params, encode_plain, times)
        self.known = {} if known is None else known
        self.rows: list[dict] = []
        self._default = None

    @property
    def finished(self) -> bool:
        return len(self.rows) == len(self.params.sweep_sizes)

    @property
    def done(self) -> int:
        return len(self.rows)

    @property
    def line(self) -> str:
        """What is being done, for a person."""
        if self.finished:
            return f"{self.done} window sizes"
        return f"Window {self.params.sweep_sizes[self.done]}, {self.done + 1} of {len(self.params.sweep_sizes)}"

    def key(self, size: int) -> tuple:
        """What a row depends on."""
        return (*self.timed.scene, self.inputs.prompts, self.params.repeats, self.params.sweep_stage, size)

    def steps(self) -> Iterator[None]:
        """One encoding each. Goes on where it was stopped."""
        while not self.finished:
            size = self.params.sweep_sizes[self.done]
            if self.key(size) not in self.known:
                yield from self._measure(size)
            self.rows.append(self.known[self.key(size)])
            yield

    def result(self, progress: Progress | None = None) -> Result:
        """Of the sizes that are done, with the model's own windows as the setting that is looked at."""
        params = self.params.model_copy(update={"sweep_sizes": self.params.sweep_sizes[: self.done]})
        return run(
            self.model,
            self.inputs,
            params,
            encode=self.encode,
            progress=progress,
            times=self.timed.times,
            known=self.known,
        )

    def _measure(self, size: int) -> Iterator[None]:
        """Put the row of that size into `known`."""
        windows = swept_windows(self.model.info.window_sizes, self.params.sweep_stage, size)
        row = {"window": size, "windows": " ".join(map(str, windows))}
        reason = refusal(self.model, windows, padded_size(self.model, self.inputs, self.params))
        if reason:
            self.known[self.key(size)] = (
                row | dict.fromkeys(("encode_ms", "drift", *(f"iou_{i}" for i in range(4)))) | {"refused": reason}
            )
            return
        if self._default is None:
            self._own()
            yield
        default, masks = self._own()
        encoding = default if windows == tuple(self.model.info.window_sizes) else self.timed.encoding(windows)
        for _ in self.timed.measure(encoding):
            yield
        prediction = self.model.predict_masks(encoding, self.inputs.prompts)
        ious = {f"iou_{i}": float(mask_iou(prediction.mask(i), mask)) for i, mask in enumerate(masks)}
        row |= {
            "encode_ms": self.timed.median_ms(encoding),
            "drift": relative_drift(encoding, default),
            **ious,
            "refused": "",
        }
        self.known[self.key(size)] = row

    def _own(self):
        """The default windows' encoding and masks. Made here too: one of the cache was timed under other conditions,
        and another number of threads gives other last digits, which would pass for drift.
        """
        if self._default is None:
            encoding = self.timed.encoding(None)
            prediction = self.model.predict_masks(encoding, self.inputs.prompts)
            self._default = encoding, [prediction.mask(i) for i in range(len(prediction.logits))]
        return self._default


def run(
    model,
    inputs: Inputs,
    params: Params,
    *,
    encode: EncodeFunction = encode_plain,
    progress: Progress | None = None,
    times: MutableMapping[tuple, list[float]] | None = None,
    known: MutableMapping | None = None,
    predicted: MutableMapping[tuple, Predicted] | None = None,
) -> Result:
    """Encode with the default and with the given windows, predict with both, and compare; then sweep, if asked to.

    times, known, predicted: where milliseconds, rows of sweeps and masks are kept for later runs, so that going back to
                             a setting makes nothing again

    images:  original (with the chosen mask's outline), prediction (its logits in colour), binary
    masks:   mask_0 .. mask_3; chosen; default_0 .. default_3, of the default windows
    arrays:  logits, float32 [4, h, w] as the decoder gave them; picture_logits, float16 [4, h, w] over the picture;
             drift_map, float32 [h, w], the features' L2 distance from the default ones token by token, at the lowest
             level
    metrics: mask_index, predicted_iou, stability_score, area_share, iou_default of the chosen mask; iou_default_0 .. 3;
             drift; window_1 .. window_4
    tables:  masks; sweep, as `WindowSweep.rows`
    timings: encode_ms, default_encode_ms (medians of the repeats), decode_ms
    Raises ParamsError for windows that can't be run, with the reason and those that could.
    """
    report = progress or (lambda share, line: None)
    reason = refusal(model, params.window_sizes, padded_size(model, inputs, params)) if params.window_sizes else None
    if reason:
        raise ParamsError(reason)
    timed = Timed(model, inputs, params, encode, times)
    report(0.0, "Encoding with the default windows")
    default_encoding = timed.encoding(None)
    report(0.2, "Encoding")
    encoding = timed.encoding(params.window_sizes)
    for count, line in enumerate(timed.measure(default_encoding, encoding)):
        report(min(0.6, 0.3 + 0.3 * count / (2 * params.repeats)), line)
    report(0.6, "Predicting masks")
    known_masks = {} if predicted is None else predicted
    given, own = (
        predict_once(model, each, inputs.image, inputs.prompts, params.refine_edges, known_masks)
        for each in (encoding, default_encoding)
    )
    prediction, default, masks, default_masks = given.prediction, own.prediction, given.masks, own.masks
    chosen = prediction.best if params.mask_index is None else params.mask_index
    rows = []
    for i, (mask, other) in enumerate(zip(masks, default_masks, strict=True)):
        row = {
            "mask": i,
            "chosen": i == chosen,
            "predicted_iou": float(prediction.iou[i]),
            "stability_score": given.stability[i],
        }
        rows.append(
            row
            | {
                "area_share": float(mask.mean()),
                "iou_default": float(mask_iou(mask, other)),
                "default_predicted_iou": float(default.iou[i]),
            }
        )
    metrics = {"mask_index": float(chosen)} | {
        name: rows[chosen][name] for name in ("predicted_iou", "stability_score", "area_share", "iou_default")
    }
    metrics |= {f"iou_default_{i}": row["iou_default"] for i, row in enumerate(rows)}
    metrics |= {"drift": relative_drift(encoding, default_encoding)}
    metrics |= {
        f"window_{stage}": float(window) for stage, window in enumerate(encoding.settings.window_sizes, start=1)
    }
    tables = {"masks": rows}
    if params.sweep_sizes:
        sweep = WindowSweep(model, inputs, params, encode, timed.times, known)
        for _ in sweep.steps():
            report(0.7 + 0.3 * sweep.done / len(params.sweep_sizes), sweep.line)
        tables["sweep"] = sweep.rows
    logits = view_logits(prediction)[chosen]
    report(1.0, "Done")
    return Result(
        NAME,
        params,
        images={
            "original": outlined(inputs.image.rgb, masks[chosen]),
            "prediction": color_map(logits, -LOGIT_RANGE, LOGIT_RANGE, params.colormap),
            "binary": binary_view(masks[chosen]),
        },
        masks={f"mask_{i}": mask for i, mask in enumerate(masks)}
        | {"chosen": masks[chosen]}
        | {f"default_{i}": mask for i, mask in enumerate(default_masks)},
        arrays={
            "logits": prediction.logits.cpu().numpy(),
            "picture_logits": map_logits(prediction),
            "drift_map": drift_map(encoding, default_encoding),
        },
        metrics=metrics,
        tables=tables,
        timings={
            "encode_ms": timed.median_ms(encoding),
            "default_encode_ms": timed.median_ms(default_encoding),
            "decode_ms": prediction.decode_ms,
        },
    )


def drift_map(encoding, default) -> np.ndarray:
    """float32 [h, w]: each token's L2 distance from the default windows' token, at the lowest level of the features."""
    with torch.no_grad():
        return (encoding.features[0] - default.features[0]).float().norm(dim=0).cpu().numpy()
