"""From prompts as tensors to predictions: one set of prompts, or several on one picture together."""

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from samkit.models.encoding import ImageEncoding, MaskPrediction
from samkit.models.geometry import ImageGeometry
from samkit.models.network.mask_decoder import DecodedMasks
from samkit.models.sam_network import SamNetwork
from samkit.models.track import encoding_features

BATCH = 16
"""Sets of prompts that are decoded together; each holds two maps of the size of the coarsest features meanwhile."""


def decode_each(
    network: SamNetwork, encoding: ImageEncoding, prompts: Sequence[tuple[Tensor, Tensor]]
) -> list[MaskPrediction]:
    """prompts: of each object, as `prompt_tensors` lays them out. Those of one length are decoded together: a filler
    would be one more token, and change the masks.
    """
    alike: dict[int, list[int]] = {}
    for number, (points, _) in enumerate(prompts):
        alike.setdefault(points.shape[1], []).append(number)
    features = encoding_features(encoding)
    found: dict[int, MaskPrediction] = {}
    for same in alike.values():
        for batch in (same[at : at + BATCH] for at in range(0, len(same), BATCH)):
            start = time.perf_counter()
            points, labels = (torch.cat([prompts[number][part] for number in batch]) for part in (0, 1))
            decoded = network.decode(features, points, labels)
            found.update(zip(batch, predictions_of(decoded, encoding.geometry, start), strict=True))
    return [found[number] for number in range(len(prompts))]


def predictions_of(decoded: DecodedMasks, geometry: ImageGeometry, start: float) -> list[MaskPrediction]:
    """One for each set of prompts that was decoded, none of which holds on to another's numbers. start: when decoding
    began, by `time.perf_counter`.
    """
    count, scores = len(decoded.logits), decoded.object_score
    decode_ms = 1000 * (time.perf_counter() - start) / count

    def of(tensor: Tensor, each: int) -> Tensor:
        return tensor[0] if count == 1 else tensor[each].clone()

    return [
        MaskPrediction(
            logits=of(decoded.logits, each),
            iou=of(decoded.iou, each),
            object_score=None if scores is None else float(scores[each]),
            mask_tokens=of(decoded.mask_tokens, each),
            geometry=geometry,
            decode_ms=decode_ms,
            prompted=True,
        )
        for each in range(count)
    ]
