"""The public face of the models: load one, encode a picture once, predict masks often.

A loaded model never changes. Sides, fits and windows are arguments; the only things kept are tables that depend on a
grid's size alone. So one model may serve any number of threads at once, each with its own settings.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from samkit.errors import BadInput, DeviceError, EncodingError
from samkit.machine import machine_errors, memory_at_hand
from samkit.models.config import MEMORY_PREFIXES, ModelConfig
from samkit.models.encoding import EncodeSettings, ImageEncoding, MaskPrediction, TrackedFrame
from samkit.models.encoding_cost import (
    MAX_MULTIPLICATIONS,
    EncodingCost,
    block_seconds,
    check_encoding,
    encoding_cost,
    tracking_work,
)
from samkit.models.files.checkpoint import Checkpoint
from samkit.models.files.sam3_keys import module_name
from samkit.models.geometry import MIN_SIDE, ImageGeometry, plan_geometry, prepare_pixels
from samkit.models.loading import load_weights
from samkit.models.memory_bank import Memory, MemoryBank
from samkit.models.memory_rules import SAM2_RULES, SAM3_RULES, MemoryRules
from samkit.models.network.hiera import HieraConfig
from samkit.models.network.linear import pack_linears
from samkit.models.network.rotary_vit import BlockVectors
from samkit.models.network.windows import ceil_to
from samkit.models.pooled_windows import check_pooling
from samkit.models.predictions import decode_each, predictions_of
from samkit.models.prompt_tensors import hint_tensor, prompt_tensors
from samkit.models.sam_network import SamNetwork
from samkit.models.track import (
    correct_frame,
    encoding_features,
    no_points,
    remember_mask,
    remember_prediction,
    to_correct,
    track_frame,
)
from samkit.prompts import Prompts

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
MAX_WINDOW = 32
MAX_ROTARY_WINDOW = 72
"""Of a model whose positions inside windows are turned: the whole map at SAM 3's native side."""


@dataclass(frozen=True)
class ModelInfo:
    """What a model is, without its weights. One entry per stage in the per-stage tuples; SAM v1's blocks count as four
    equal groups.
    """

    name: str
    family: str
    version: str
    parameters: dict[str, int]
    native_side: int
    patch_size: int
    side_step: int
    blocks_per_stage: tuple[int, ...]
    channels_per_stage: tuple[int, ...]
    window_sizes: tuple[int, ...]
    global_blocks: tuple[int, ...]
    path: Path
    checkpoint: Checkpoint = field(repr=False)
    """The file without its weights, for its hash and what was done to it."""
    file_sha256: str = ""
    """Of the checkpoint file alone."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """`native_side` and `window_sizes` as JSON values, where others than the file said them."""

    @property
    def parameter_count(self) -> int:
        return sum(self.parameters.values())

    @property
    def sha256(self) -> str:
        """Of what the model was made of: its file's where nothing else has a say, see loading.py."""
        return self.checkpoint.sha256

    @property
    def changes(self) -> tuple[str, ...]:
        """What was done to the file's weights, a sentence each; empty for an official file as it is."""
        return self.checkpoint.changes


class SamModel:
    """A loaded SAM v1, v2, v2.1 or v3 model. Made by `load_model`."""

    def __init__(self, network: SamNetwork, info: ModelInfo, device: str, dtype: str):
        self.network = network
        self.info = info
        self.device = device
        self.dtype = dtype
        self._packed = False
        self._pack_lock = threading.Lock()

    @property
    def config(self) -> ModelConfig:
        return self.network.config

    def encode_image(
        self,
        rgb: np.ndarray,
        *,
        side: int | None = None,
        fit: str = "native",
        window_sizes: tuple[int, ...] | None = None,
        window_reading: str = "step",
        keep_blocks: bool = False,
        film: bool = False,
    ) -> ImageEncoding:
        """The slow step: a picture through the image encoder.

        rgb:          uint8 [H, W, 3]
        side:         longest side of the model's input in pixels; None for the native side
        fit:          "native", "stretch" or "aspect" (see geometry.py)
        window_sizes: one per stage, 1..32 (SAM 3: 1..72); None for the model's own
        window_reading: what a window of another size means for positions inside it (SAM 3): "step" or "span", see
                      `WINDOW_READINGS` in network/rotary_vit.py
        keep_blocks:  keep every block's tokens
        film:         resize as v2's official video predictor does (see geometry.py), for frames of a film

        Raises `EncodingError` for a side, fit or window the model can't run.
        """
        is_bytes = isinstance(rgb, np.ndarray) and rgb.dtype == np.uint8
        if not is_bytes or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
            raise BadInput("encode_image takes a picture as a uint8 array of shape [height, width, 3] in RGB order.")
        start = time.perf_counter()
        side = self.info.native_side if side is None else side
        geometry = plan_geometry((rgb.shape[0], rgb.shape[1]), self.info.family, side, fit, self.info.side_step)
        windows = self.check_windows(window_sizes, geometry.padded_size)
        self.check_reading(window_reading)
        self._check_cost(geometry, side, fit, windows, keep_blocks)
        self._pack_once()
        blocks: list[Tensor] | None = [] if keep_blocks else None
        with torch.no_grad():
            with machine_errors():
                # Not given a name here, so that the network can let them go.
                features, raw = self.network.encode(
                    prepare_pixels(rgb, geometry, self.info.family, film).to(self.device, DTYPES[self.dtype]),
                    windows,
                    blocks,
                    window_reading,
                )
            _check_numbers(features, self.dtype)
        return ImageEncoding(
            features=tuple(level[0].permute(2, 0, 1) for level in features),
            raw=tuple(level[0].permute(2, 0, 1) for level in raw),
            blocks=None if blocks is None else tuple(tokens[0] for tokens in blocks),
            geometry=geometry,
            settings=EncodeSettings(side, fit, windows, window_reading),
            model_sha256=self.info.sha256,
            encode_ms=1000 * (time.perf_counter() - start),
        )

    def rotary_vectors(self, rgb: np.ndarray) -> Iterator[BlockVectors]:
        """Block by block, the queries and keys of an encoder with rotary positions (SAM 3) on a picture, uint8
        [H, W, 3], at the native side; nothing of another encoder.
        """
        side, step = self.info.native_side, self.info.side_step
        geometry = plan_geometry((rgb.shape[0], rgb.shape[1]), self.info.family, side, "native", step)
        self._check_cost(geometry, side, "native", self.info.window_sizes, False)
        self._pack_once()
        pixels = prepare_pixels(rgb, geometry, self.info.family).to(self.device, DTYPES[self.dtype])
        vectors = self.network.rotary_vectors(pixels)
        while True:
            # Gradients are off in here alone, and not in what the caller does between two blocks.
            with torch.no_grad(), machine_errors():
                found = next(vectors, None)
            if found is None:
                return
            yield found

    def block_seconds(
        self, size: tuple[int, int], *, side: int | None, fit: str, window_sizes: tuple[int, ...] | None = None
    ) -> list[float]:
        """About how long each block of `encode_image` will take on two cores of a CPU, in the order in which they run;
        [] on another device, and for what can't be encoded.

        size: of the picture, (height, width); the rest as `encode_image` takes it
        """
        if self.device != "cpu":
            return []
        try:
            geometry = plan_geometry(
                size, self.info.family, self.info.native_side if side is None else side, fit, self.info.side_step
            )
            windows = self.check_windows(window_sizes, geometry.padded_size)
        except EncodingError:
            return []
        return block_seconds(self.config, geometry.padded_size, windows)

    def predict_masks(
        self, encoding: ImageEncoding, prompts: Prompts, mask_hint: np.ndarray | Tensor | None = None
    ) -> MaskPrediction:
        """The fast step: prompts to four masks. Always float32, whatever dtype the encoder runs in.

        mask_hint: where the object is thought to be, the official packages' `mask_input`: float [h, w] or [1, h, w]
                   logits of an earlier prediction, over the whole input with its padding (other sizes are resized); or
                   a mask, bool [H, W] in the original picture's pixels, see `samkit.models.track.mask_logits`

        A hint alone is a prompt too, as it is to the official predictors, which then pass no point to the decoder.

        On a frame that `to_correct` has prepared, the prompts correct what is remembered of the object, and begin from
        the mask that the frame had, where there is no other hint.
        """
        self._pack_once()
        start = time.perf_counter()
        geometry = encoding.geometry
        with torch.no_grad():
            points, labels = prompt_tensors(prompts, geometry, self.info.family, self.device)
            mask_hint = encoding.start if mask_hint is None else mask_hint
            hint = None if mask_hint is None else hint_tensor(mask_hint, encoding, self.device)
            if encoding.remembered is not None:
                with machine_errors():
                    corrected = correct_frame(self.network, encoding, points, labels, hint)
                _check_numbers([corrected.logits, corrected.iou], self.dtype)
                return corrected
            with machine_errors():
                decoded = self.network.decode(encoding_features(encoding), points, labels, hint)
            _check_numbers([decoded.logits, decoded.iou], self.dtype)
        return predictions_of(decoded, geometry, start)[0]

    def predict_masks_each(self, encoding: ImageEncoding, prompts: Sequence[Prompts]) -> list[MaskPrediction]:
        """`predict_masks` of many objects on one picture, each by its own prompts: several are decoded together, which
        takes less than half as long. Numbers differ from one at a time by rounding alone. Returns one prediction for
        each of `prompts`, in their order; its `decode_ms` is its share of the time.

        Raises `BadInput` on a frame that `to_correct` has prepared, whose prompts are all of one object.
        """
        if encoding.remembered is not None or encoding.start is not None:
            raise BadInput("This frame is to be corrected, and a correction is of one object: use predict_masks.")
        self._pack_once()
        with torch.no_grad(), machine_errors():
            found = decode_each(
                self.network,
                encoding,
                [prompt_tensors(each, encoding.geometry, self.info.family, self.device) for each in prompts],
            )
        for prediction in found:
            _check_numbers([prediction.logits, prediction.iou], self.dtype)
        return found

    @property
    def memory_rules(self) -> MemoryRules:
        """Its own, by which it remembers where nobody says otherwise."""
        return SAM3_RULES if self.info.family == "sam3" else SAM2_RULES

    def encode_memory(
        self,
        encoding: ImageEncoding,
        prediction: MaskPrediction | np.ndarray,
        index: int | None = None,
        rules: MemoryRules | None = None,
    ) -> Memory:
        """What to remember of a picture with a mask on it (SAM v2 only).

        prediction: of `predict_masks` or `track` on this encoding, with the `index` of its mask (None: the best); or a
                    mask, bool [H, W] over the picture
        rules:      how it is remembered; None for the model's own

        Raises `BadInput` for SAM v1, for a file without a memory side, and for masks that don't fit the picture.
        """
        self.check_memory()
        self._pack_once()
        rules = rules or self.memory_rules
        with torch.no_grad():
            if isinstance(prediction, MaskPrediction):
                index = prediction.best if index is None else index
                return remember_prediction(self.network, encoding, prediction, index, rules)
            return remember_mask(self.network, encoding, prediction, rules)

    def track(
        self,
        encoding: ImageEncoding,
        bank: MemoryBank,
        prompts: Prompts | None = None,
        mask_hint: np.ndarray | Tensor | None = None,
    ) -> MaskPrediction:
        """Masks of the object that `bank` remembers, on the frame that comes next (SAM v2 only). The bank stays as it
        is.

        prompts, mask_hint: to correct this frame by hand, what `predict_masks` takes

        Of an object that is judged absent (`object_score` not above 0), all logits are -1024, as officially;
        `decoded_logits` has what the decoder computed.
        """
        self.check_memory()
        self._pack_once()
        with torch.no_grad():
            if prompts is None or prompts.is_empty:
                points, labels = no_points(torch.device(self.device))
            else:
                points, labels = prompt_tensors(prompts, encoding.geometry, self.info.family, self.device)
            hint = None if mask_hint is None else hint_tensor(mask_hint, encoding, self.device)
            self._check_tracking(encoding, bank)
            with machine_errors():
                prediction = track_frame(self.network, encoding, bank, points, labels, hint)
            _check_numbers([prediction.logits, prediction.iou], self.dtype)
            return prediction

    def to_correct(
        self, encoding: ImageEncoding, bank: MemoryBank, start: np.ndarray | Tensor | None = None
    ) -> ImageEncoding:
        """The frame that comes next, ready for prompts that correct it (SAM v2 only): `predict_masks` on it does what
        the official video predictor does with prompts on a frame that was tracked. They are decoded in the light of the
        bank, which stays as it is, and begin from the mask that was there.

        start: that mask, where it came from an earlier correction: as `mask_hint` of `predict_masks`; None for the best
               one that the bank finds. Its logits are cut at -32 and 32.

        In the light of a bank that knows no object prompts are what they are on any picture, and begin from `start`.
        """
        self.check_memory()
        self._pack_once()
        self._check_tracking(encoding, bank)
        with torch.no_grad(), machine_errors():
            logits = None if start is None else hint_tensor(start, encoding, self.device)[0, 0]
            return to_correct(self.network, encoding, bank, logits)

    def track_video(
        self,
        frames: Iterable[np.ndarray | ImageEncoding],
        banks: MemoryBank | Mapping[str, MemoryBank],
        *,
        side: int | None = None,
        fit: str = "native",
        window_sizes: tuple[int, ...] | None = None,
        remember: bool = True,
        skip_absent: bool = False,
    ) -> Iterator[TrackedFrame]:
        """Follow objects through the frames that come after those in their banks, which move on with the film. Yields
        one `TrackedFrame` a frame.

        frames:      uint8 [H, W, 3] each, in the order of tracking (backwards through a film: reversed), or encodings;
                     taken one at a time, so none is held
        banks:       one for each object, by name; or a single one. All objects share a frame's encoding
        side, fit, window_sizes: as in `encode_image`
        remember:    put each frame's best mask into the bank; off, only what was in it before counts
        skip_absent: don't remember frames on which the object is judged absent (officially they are remembered)
        """
        self.check_memory()
        named = banks if isinstance(banks, Mapping) else {"": banks}
        for index, frame in enumerate(frames):
            if not isinstance(frame, ImageEncoding):
                frame = self.encode_image(frame, side=side, fit=fit, window_sizes=window_sizes, film=True)
            predictions = {}
            for name, bank in named.items():
                predictions[name] = step = self.track(frame, bank)
                absent = step.object_score is not None and step.object_score <= 0
                if remember and not (skip_absent and absent):
                    bank.add_frame(self.encode_memory(frame, step, step.best, bank.rules))
                else:
                    bank.skip_frame()
            yield TrackedFrame(index, frame, predictions)

    def check_memory(self, purpose: str = "follow objects") -> None:
        """Raises `BadInput` for a model without a memory. purpose: what it is needed for."""
        if self.config.memory_lack and (self.info.family == "sam1" or self.info.version == "3.1"):
            raise BadInput(
                f"{self.info.name} is {self.config.memory_lack}: choose a SAM v2, v2.1 or v3 model to {purpose}."
            )
        if self.config.memory_lack:
            raise BadInput(
                f"The file of {self.info.name} has no memory side: it segments pictures only. Load a complete SAM "
                f"v2 checkpoint to {purpose}."
            )

    def position_encoding(self, height: int, width: int, window_tiling: bool = True, dtype: str = "float32") -> Tensor:
        """float32 [C, height, width]: what the encoder adds to the tokens of such a grid.

        window_tiling: with v2's repeated window table (v1 has none)
        dtype:         of the learned tables and of stretching them, as in a model that was cast as a whole; samkit's
                       own encoders always stretch in float32
        """
        if min(height, width) < 1:
            raise EncodingError(f"A position encoding needs a grid of at least 1 x 1, not {height} x {width}.")
        with torch.no_grad():
            return self.network.position_encoding(height, width, window_tiling, DTYPES[dtype]).float().clone()

    def check_windows(self, window_sizes: tuple[int, ...] | None, padded_size: tuple[int, int]) -> tuple[int, ...]:
        """The window sizes to run with; of a stage that is made of convolutions, the model's own. Raises
        `EncodingError` with the reason if an input of `padded_size` (height, width) pixels can't run them.
        """
        if window_sizes is None:
            return self.info.window_sizes
        windows = tuple(window_sizes)
        stages = len(self.info.blocks_per_stage)
        if len(windows) != stages:
            raise EncodingError(f"window_sizes needs {stages} numbers, one for each stage, not {len(windows)}.")
        for window in windows:
            if isinstance(window, bool) or not isinstance(window, int) or not 1 <= window <= self.max_window:
                raise EncodingError(f"The window size {window} is not a whole number from 1 to {self.max_window}.")
        if isinstance(self.config.encoder, HieraConfig):
            check_pooling(self.config.encoder, windows, padded_size)
        own, unused = self.info.window_sizes, self.config.convolution_stages
        return tuple(own[stage - 1] if stage in unused else size for stage, size in enumerate(windows, start=1))

    @property
    def max_window(self) -> int:
        """The largest window that a stage can be given."""
        return MAX_ROTARY_WINDOW if self.config.window_readings else MAX_WINDOW

    def check_reading(self, reading: str) -> None:
        """Raises `EncodingError` for a reading of windows that this model hasn't."""
        if reading not in (self.config.window_readings or ("step",)):
            can = " or ".join(f'"{name}"' for name in self.config.window_readings)
            raise EncodingError(
                f'The window reading "{str(reading)[:20]}" is unknown; use {can}.'
                if can
                else f"{self.info.name} has learned positions inside its windows, so that there is one way to read "
                'them: leave window_reading at "step".'
            )

    def _check_cost(
        self, geometry: ImageGeometry, side: int, fit: str, windows: tuple[int, ...], keep_blocks: bool
    ) -> None:
        """Raises `EncodingError` where the encoding would take more than this machine has."""
        step = self.info.side_step

        def cost_of(other: int) -> EncodingCost:
            other = max(other, ceil_to(MIN_SIDE, step))
            planned = plan_geometry(geometry.original_size, self.info.family, other, fit, step)
            item_bytes = DTYPES[self.dtype].itemsize
            return encoding_cost(
                self.config, planned.padded_size, windows, keep_blocks=keep_blocks, item_bytes=item_bytes
            )

        if self.device.startswith("cuda"):
            free: int | None = torch.cuda.mem_get_info(torch.device(self.device))[0]
        else:
            free = memory_at_hand()
        check_encoding(cost_of, side, step, free, on_processor=self.device == "cpu")

    def _check_tracking(self, encoding: ImageEncoding, bank: MemoryBank) -> None:
        """Raises `EncodingError` where a frame in the light of the bank would take minutes."""
        height, width = encoding.features[0].shape[1:]
        remembered = sum(maps.shape[0] * maps.shape[1] for maps, _ in bank.maps())
        work = tracking_work(self.config, height * width, remembered)
        if self.device == "cpu" and work > MAX_MULTIPLICATIONS:
            raise EncodingError(
                f"Following an object at a side of {encoding.settings.side} pixels would take about "
                f"{work / MAX_MULTIPLICATIONS * 10:.0f} minutes a frame on two cores: choose a smaller side."
            )

    def _pack_once(self) -> None:
        """Before the first step, once, so that loading stays cheap: fold norms into convolutions, and on a CPU lay
        weights out for oneDNN. Whichever step that is, for packed layers give other last digits: a model decodes what
        another one of the same file encoded as it decodes its own.
        """
        if self._packed:
            return
        with self._pack_lock:
            if not self._packed:
                pack_linears(self.network)
                self._packed = True


def resolve_device(device: str) -> str:
    """ "auto" -> CUDA, then MPS, then the CPU. Raises `DeviceError` for a device this machine doesn't have."""
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError:
        raise DeviceError(f'The device "{device}" is unknown; use auto, cpu, cuda or mps.') from None
    if (
        (kind == "cuda" and not torch.cuda.is_available())
        or (kind == "mps" and not torch.backends.mps.is_available())
        or kind not in ("cpu", "cuda", "mps")
    ):
        raise DeviceError(f'The device "{device}" is not there on this machine; use "auto" or "cpu".')
    return device


def load_model(ref: str | Path, *, device: str = "auto", dtype: str = "float32") -> SamModel:
    """Load a model by catalogue name ("nano-sam2", "sam2.1_hiera_tiny") or by the path of a file or folder, with
    choices behind a # (`model.pt#ema`, `adapter#base=sam_vit_b`; see files/reference.py).

    device: "auto" (CUDA, then MPS, then CPU) or a torch device
    dtype:  of the image encoder: "float32", "bfloat16" or "float16"

    Raises `CheckpointError` or `DeviceError` with a sentence that says what to do.
    """
    if dtype not in DTYPES:
        raise DeviceError(f'The dtype "{dtype}" is unknown; use one of {", ".join(DTYPES)}.')
    device = resolve_device(device)
    loaded = load_weights(ref)
    network, config = loaded.network, loaded.config
    network.requires_grad_(False)
    network.to(device)
    network.image_encoder.to(DTYPES[dtype])
    info = ModelInfo(
        name=loaded.name,
        family=config.family,
        version=config.version,
        parameters=_count_parameters(loaded.official),
        native_side=config.native_side,
        patch_size=config.patch_size,
        side_step=config.side_step,
        blocks_per_stage=config.encoder.blocks_per_stage,
        channels_per_stage=config.encoder.channels_per_stage,
        window_sizes=config.encoder.window_sizes,
        global_blocks=config.encoder.global_blocks,
        path=loaded.checkpoint.path,
        checkpoint=loaded.checkpoint,
        file_sha256=loaded.file_sha256,
        settings=loaded.settings,
    )
    return SamModel(network, info, device, dtype)


def _check_numbers(maps: Sequence[Tensor], dtype: str) -> None:
    """Raises `EncodingError` where a network gave what is no number: with weights that are out of all measure, or in a
    dtype that can't hold what comes in between.
    """
    if all(bool(each.sum(dtype=torch.float32).isfinite()) or bool(each.isfinite().all()) for each in maps):
        return
    advice = "use float32 or bfloat16" if dtype == "float16" else "its weights are damaged; choose another model"
    raise EncodingError(f"This model gives no finite numbers (NaN or infinite) for this picture in {dtype}: {advice}.")


def _count_parameters(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    parts = {"image encoder": 0, "prompt encoder": 0, "mask decoder": 0, "memory": 0}
    for key, shape in shapes.items():
        key = module_name(key)
        name = key.removeprefix("sam_")
        part = next((part for part in parts if name.startswith(part.replace(" ", "_") + ".")), None)
        if part is None and (key.startswith(MEMORY_PREFIXES) or key == "no_mem_embed"):
            part = "memory"
        if part:
            parts[part] += prod(shape)
    return {part: count for part, count in parts.items() if count}
