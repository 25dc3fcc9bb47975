"""Remembering and following an object: how the modules of the memory side are put to use, one frame at a time.

Follows `track_step` of sam2/modeling/sam2_base.py and `SAM2VideoPredictor` with its post-processing off.
"""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from samkit.errors import BadInput
from samkit.models.encoding import ImageEncoding, MaskPrediction
from samkit.models.geometry import ImageGeometry
from samkit.models.memory_bank import Memory, MemoryBank
from samkit.models.memory_rules import MemoryRules
from samkit.models.network.mask_decoder import DecodedMasks
from samkit.models.network.memory_side import MASK_BIAS, MASK_SCALE, hide_absent, resize_maps
from samkit.models.network.prompt_encoder import PADDING
from samkit.models.sam_network import SamNetwork

MOST_FED_BACK = 32.0
"""Logits of a mask that a correction starts from are cut at this, on both sides, as officially."""


def remember_prediction(
    network: SamNetwork, encoding: ImageEncoding, prediction: MaskPrediction, index: int, rules: MemoryRules
) -> Memory:
    """The memory of a frame with one of its predicted masks."""
    if not 0 <= index < len(prediction.logits):
        raise BadInput(
            f"There is no mask {index} to remember: the prediction has masks 0 to {len(prediction.logits) - 1}."
        )
    if prediction.geometry != encoding.geometry:
        raise BadInput(
            "The prediction belongs to another encoding than the one it is to be remembered with: pass the encoding "
            "it was predicted on."
        )
    present = torch.tensor(
        [prediction.object_score is None or prediction.object_score > 0], device=prediction.logits.device
    )
    logits = prediction.decoded_logits if prediction.decoded_logits is not None else prediction.logits
    features = network.memory.encode(
        low_level(encoding),
        logits[None, index : index + 1],
        present,
        cut=rules.cut_prompted and prediction.prompted,
        **_way(rules, encoding.geometry),
    )
    pointer = network.memory.pointer(prediction.mask_tokens[None, index], present)
    return _memory(features, pointer, prediction.object_score, encoding, rules, float(prediction.iou[index]))


def remember_mask(network: SamNetwork, encoding: ImageEncoding, mask: np.ndarray, rules: MemoryRules) -> Memory:
    """The memory of a frame with a mask of the caller's: bool [H, W] in the original picture's pixels."""
    mask = np.asarray(mask)
    if mask.ndim != 2 or mask.dtype != bool:
        raise BadInput(
            "encode_memory takes a prediction and its index, or a mask as a bool array [height, width]; this is "
            f"{mask.dtype} {list(mask.shape)}."
        )
    if mask.shape != encoding.geometry.original_size:
        height, width = encoding.geometry.original_size
        raise BadInput(
            f"The mask has {mask.shape[1]} x {mask.shape[0]} pixels, its picture {width} x {height}: they must be "
            "the same."
        )
    low, geometry = low_level(encoding), encoding.geometry
    _, grid_h, grid_w, _ = low.shape
    mask_bchw = _fit_mask(mask, geometry)
    if rules.mask_way == "sam3":
        mask_bchw = _cut_resize(torch.tensor(mask)[None, None].float(), (16 * grid_h, 16 * grid_w))
    mask_bchw = mask_bchw.to(low.device)
    logits = mask_bchw * MASK_SCALE + MASK_BIAS
    if rules.mask_way == "sam2":
        logits = _low_logits(mask_bchw)
    elif rules.mask_way == "sam3":
        # Officially a quarter of the mask's size in whole tokens, and only then four times the grid.
        (height, width), (across_h, across_w) = mask_bchw.shape[-2:], geometry.padded_size
        quarter = 4 * (height // (across_h // grid_h)), 4 * (width // (across_w // grid_w))
        logits = resize_maps(resize_maps(logits, quarter, antialias=True), (4 * grid_h, 4 * grid_w))
    present = mask_bchw.flatten(1).any(dim=1)
    # The object's pointer is what the decoder makes of the mask alone, on features without any memory.
    hint = resize_maps(network.memory.mask_downsample(mask_bchw), (4 * grid_h, 4 * grid_w), antialias=True)
    decoded = network.decode_on(low, encoding_features(encoding), *no_points(low.device), hint)
    token = 1 + int(decoded.iou[0, 1:].argmax()) if rules.mask_way == "transformers" else 0
    pointer = network.memory.pointer(decoded.mask_tokens[:, token], present & (_object_score(decoded)[:, 0] > 0))
    features = network.memory.encode(low, logits, present, cut=rules.cut_prompted, **_way(rules, geometry))
    return _memory(features, pointer, MASK_SCALE * float(present) + MASK_BIAS, encoding, rules, None)


def mask_logits(mask: np.ndarray, geometry: ImageGeometry) -> Tensor:
    """float32 [1, 1, h, w] over the padded input, a quarter of its size: a mask of the caller's, bool [H, W] in the
    original picture's pixels, as if it were an earlier prediction's logits, 10 inside and -10 outside.

    So does `SAM2Base._use_mask_as_output` of the official package with a mask that is given on a frame of a film: it is
    brought to the input's size, cut at half, scaled by 20 and moved by -10, and shrunk. SAM v1 gets the same numbers.
    The padding, where there is no picture, counts as outside.
    """
    return _low_logits(_fit_mask(mask, geometry))


def track_frame(
    network: SamNetwork, encoding: ImageEncoding, bank: MemoryBank, points: Tensor, labels: Tensor, hint: Tensor | None
) -> MaskPrediction:
    """Masks of the frame that follows those in the bank.

    points, labels: [1, N, 2] and [1, N] of prompts on this very frame, or `no_points`
    hint:           logits [1, 1, 4h, 4w] that a correction starts from, or None
    """
    start = time.perf_counter()
    low = condition(network, low_level(encoding), bank, encoding.model_sha256)
    return _decode_frame(network, low, encoding, points, labels, hint, start)


def correct_frame(
    network: SamNetwork, encoding: ImageEncoding, points: Tensor, labels: Tensor, hint: Tensor | None
) -> MaskPrediction:
    """Masks of prompts on a frame that `to_correct` has prepared; arguments as in `track_frame`."""
    assert encoding.remembered is not None
    low = encoding.remembered.permute(1, 2, 0)[None]
    return _decode_frame(network, low, encoding, points, labels, hint, time.perf_counter())


def to_correct(network: SamNetwork, encoding: ImageEncoding, bank: MemoryBank, start: Tensor | None) -> ImageEncoding:
    """The frame that follows those in the bank, prepared for prompts that correct it. start: logits [4h, 4w], or None
    for those of the mask that the bank finds there. A bank without prompts finds nothing, and adds nothing.
    """
    if not bank.prompts:
        return encoding if start is None else replace(encoding, start=start.clamp(-MOST_FED_BACK, MOST_FED_BACK))
    low = condition(network, low_level(encoding), bank, encoding.model_sha256)
    if start is None:
        points, labels = no_points(low.device)
        found = _decode_frame(network, low, encoding, points, labels, None, time.perf_counter())
        start = found.logits[found.best]
    return replace(encoding, remembered=low[0].permute(2, 0, 1), start=start.clamp(-MOST_FED_BACK, MOST_FED_BACK))


def _decode_frame(
    network: SamNetwork,
    low: Tensor,
    encoding: ImageEncoding,
    points: Tensor,
    labels: Tensor,
    hint: Tensor | None,
    start: float,
) -> MaskPrediction:
    """low: [1, h, w, C], in the light of memories; start: when the work began, by `time.perf_counter`"""
    decoded = network.decode_on(low, encoding_features(encoding), points, labels, hint)
    object_score = _object_score(decoded)
    present = object_score[0] > 0
    return MaskPrediction(
        logits=hide_absent(decoded.logits[0], present),
        iou=decoded.iou[0],
        object_score=float(object_score),
        mask_tokens=decoded.mask_tokens[0],
        geometry=encoding.geometry,
        decode_ms=1000 * (time.perf_counter() - start),
        decoded_logits=decoded.logits[0],
        prompted=hint is not None or not bool((labels == PADDING).all()),
    )


def condition(network: SamNetwork, low: Tensor, bank: MemoryBank, model_sha256: str) -> Tensor:
    """The lowest level's features [1, h, w, C] in the light of the bank."""
    maps, pointers = bank.maps(), bank.pointers()
    if not bank.prompts:
        raise BadInput("There is nothing to follow yet: remember a prompt first, with add_prompt(encode_memory(...)).")
    if bank.prompts[0].memory.model_sha256 != model_sha256:
        raise BadInput(
            "The memories in the bank were made by another model, and models don't read each other's: record them "
            "again with this one."
        )
    width = network.memory.config.channels
    if any(features.shape[-1] != width for features, _ in maps) or any(
        pointer.shape[-1] != low.shape[-1] for pointer, _ in pointers
    ):
        raise BadInput(
            "The memories in the bank don't have this model's widths, though they say that they are its own: record "
            "them again with it."
        )
    known = network.memory.config.memories - 1
    if any(distance is not None and distance > known for _, distance in maps):
        raise BadInput(
            f"This model tells the times of {known} past frames apart, not of {bank.max_frames}: set max_frames to "
            f"{known} or less."
        )
    slots = [known if distance is None else distance - 1 for _, distance in maps]
    vectors = (
        torch.stack([pointer for pointer, _ in pointers])[None] if pointers else low.new_empty(1, 0, low.shape[-1])
    )
    times = torch.tensor([share for _, share in pointers], dtype=torch.float32)
    return network.memory.condition(
        low,
        [features[None].to(low.device) for features, _ in maps],
        slots,
        vectors.to(low.device),
        times.to(low.device),
    )


def no_points(device: torch.device) -> tuple[Tensor, Tensor]:
    """What stands for no points in a video: two padding points, where an image without prompts has none."""
    return torch.zeros(1, 2, 2, device=device), torch.full((1, 2), PADDING, device=device)


def low_level(encoding: ImageEncoding) -> Tensor:
    """[1, h, w, C] float32, the lowest level's features."""
    return encoding.features[0].permute(1, 2, 0)[None].float()


def encoding_features(encoding: ImageEncoding) -> list[Tensor]:
    """All levels as [1, h, w, C] float32."""
    return [level.permute(1, 2, 0)[None].float() for level in encoding.features]


def _object_score(decoded: DecodedMasks) -> Tensor:
    """[B, 1]. The official models that have a memory have an object score too."""
    if decoded.object_score is None:
        raise BadInput(
            "This model's mask decoder has no object score, which following objects needs: load a complete SAM v2 "
            "checkpoint."
        )
    return decoded.object_score


def _way(rules: MemoryRules, geometry: ImageGeometry) -> dict[str, Any]:
    """How `MemorySide.encode` takes a mask by these rules."""
    if rules.mask_way == "sam2":
        return {}
    return {"through": geometry.padded_size, "squash_first": rules.mask_way == "sam3"}


def _fit_mask(mask: np.ndarray, geometry: ImageGeometry) -> Tensor:
    """float32 [1, 1, h, w] of zeros and ones over the model's input, zeros in its padding."""
    values = _cut_resize(torch.tensor(mask)[None, None].float(), geometry.resized_size)
    (height, width), (padded_height, padded_width) = geometry.resized_size, geometry.padded_size
    return F.pad(values, (0, padded_width - width, 0, padded_height - height))


def _cut_resize(mask_bchw: Tensor, size: tuple[int, int]) -> Tensor:
    """A mask of zeros and ones at another size, cut at half."""
    if tuple(mask_bchw.shape[-2:]) == size:
        return mask_bchw
    return (resize_maps(mask_bchw, size, antialias=True) >= 0.5).float()


def _low_logits(mask_bchw: Tensor) -> Tensor:
    """Logits of a mask of zeros and ones over the model's input, a quarter of its size."""
    height, width = mask_bchw.shape[-2:]
    return resize_maps(mask_bchw * MASK_SCALE + MASK_BIAS, (height // 4, width // 4), antialias=True)


def _memory(
    features: Tensor,
    pointer: Tensor,
    score: float | None,
    encoding: ImageEncoding,
    rules: MemoryRules,
    iou: float | None,
) -> Memory:
    return Memory(
        features[0].to(torch.bfloat16),
        pointer[0],
        MASK_SCALE + MASK_BIAS if score is None else score,
        encoding.model_sha256,
        iou,
        rules,
    )
