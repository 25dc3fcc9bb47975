"""What a model gives back: an encoded picture, the masks predicted on it, and a frame in which objects were
followed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from samkit.models.geometry import ImageGeometry, restore_size


@dataclass(frozen=True)
class EncodeSettings:
    """How a picture was encoded. side in pixels; window_sizes: one per stage; window_reading: see
    `ModelConfig.window_readings`, "step" where there is no choice.
    """

    side: int
    fit: str
    window_sizes: tuple[int, ...]
    window_reading: str = "step"


@dataclass(frozen=True)
class ImageEncoding:
    """A picture as a model sees it.

    features: [C, h, w] maps as the decoder takes them, coarsest first (v1: one; v2: strides 16, 8 and 4; without the
              no-memory embedding)
    raw:      [C, h, w] trunk outputs before the neck, coarsest first (v1: one; v2: four)
    blocks:   [h, w, C] output of every transformer block, un-windowed, or None if they were not asked for
    remembered: of a frame that is to be corrected, float32 [C, h, w]: the coarsest features in the light of what is
              remembered of the object (see `SamModel.to_correct`); None of a picture on its own
    start:    float32 [4h, 4w] logits from which prompts on that frame begin; None where they begin from nothing
    """

    features: tuple[Tensor, ...]
    raw: tuple[Tensor, ...]
    blocks: tuple[Tensor, ...] | None
    geometry: ImageGeometry
    settings: EncodeSettings
    model_sha256: str
    encode_ms: float
    remembered: Tensor | None = None
    start: Tensor | None = None

    @cached_property
    def nbytes(self) -> int:
        """Bytes of memory the tensors hold; storage shared by several counts once."""
        storages = {
            tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
            for tensor in (*self.features, *self.raw, *(self.blocks or ()), self.remembered, self.start)
            if tensor is not None
        }
        return sum(storages.values())


@dataclass(frozen=True)
class MaskPrediction:
    """The masks of one set of prompts.

    logits:       float32 [4, h, w] over the padded model input; 0 is the single-mask token, 1..3 the multimask tokens
    iou:          float32 [4], the IoU that the model predicts for each mask
    object_score: above 0 where the model judges the object present; None for SAM v1
    mask_tokens:  float32 [4, C], the decoder's output tokens, of which v2 makes object pointers
    decoded_logits: of a tracked or corrected frame, what the decoder computed; `logits` is -1024 everywhere instead
                  where the object is judged absent
    prompted:     whether a person marked the object on this very picture
    """

    logits: Tensor
    iou: Tensor
    object_score: float | None
    mask_tokens: Tensor = field(repr=False)
    geometry: ImageGeometry
    decode_ms: float
    decoded_logits: Tensor | None = field(default=None, repr=False)
    prompted: bool = False

    @property
    def best(self) -> int:
        """The multimask token (1..3) with the highest predicted IoU, as the official code chooses."""
        return 1 + int(torch.argmax(self.iou[1:])) if len(self.iou) > 1 else 0

    def logits_at(self, index: int, size: tuple[int, int] | None = None) -> np.ndarray:
        """float32 [H, W] logits of one mask in the original picture's pixels (or stretched to `size`), padding
        removed.
        """
        return restore_size(self.logits[index : index + 1], self.geometry, size)[0].cpu().numpy()

    def mask(self, index: int, size: tuple[int, int] | None = None, threshold: float = 0.0) -> np.ndarray:
        """bool [H, W] mask in the original picture's pixels (or stretched to `size`), padding removed."""
        return self.logits_at(index, size) > threshold


@dataclass(frozen=True)
class TrackedFrame:
    """index: from 0 in the order of tracking; predictions: one for each bank, by name."""

    index: int
    encoding: ImageEncoding = field(repr=False)
    predictions: Mapping[str, MaskPrediction] = field(repr=False)

    @property
    def prediction(self) -> MaskPrediction:
        """Of the only object."""
        (prediction,) = self.predictions.values()
        return prediction
