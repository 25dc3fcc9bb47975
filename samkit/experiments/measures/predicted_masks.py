"""A prediction's masks as an experiment gives them: the model's own, or with their edges refined."""

from collections.abc import MutableMapping
from dataclasses import dataclass

import numpy as np

from samkit.media.masks import stability_score
from samkit.media.refine import hull_box, refine_edges
from samkit.prompts import Prompts


def predicted_masks(
    prediction, rgb: np.ndarray, prompts: Prompts, *, refine: bool = False, threshold: float = 0.0
) -> list[np.ndarray]:
    """All masks of a prediction, bool [H, W] each, in the original picture's pixels.

    rgb:       uint8 [H, W, 3], the original picture
    prompts:   those of the prediction; refined masks stay inside their boxes
    refine:    `samkit.media.refine.refine_edges`, with the logits counted from `threshold`
    threshold: in logits; what is above it is mask
    """
    count = len(prediction.logits)
    if not refine:
        return [prediction.mask(index, threshold=threshold) for index in range(count)]
    box = hull_box(prompts.boxes)
    return [refine_edges(rgb, prediction.logits_at(index) - np.float32(threshold), box) for index in range(count)]


@dataclass(frozen=True)
class Predicted:
    """A prediction, its masks as `predicted_masks` gives them, and their stability scores: what a change of colours or
    thresholds need not make again.
    """

    prediction: object
    masks: tuple[np.ndarray, ...]
    stability: tuple[float, ...]


def predict_once(
    model, encoding, picture, prompts: Prompts, refine: bool, known: MutableMapping[tuple, Predicted] | None
) -> Predicted:
    """The masks of these prompts on this encoding, made once as long as they are in `known`."""
    known = {} if known is None else known
    key = (encoding.model_sha256, model.device, model.dtype, picture.sha256, encoding.settings, prompts, refine)
    found = known.get(key)
    if found is None:
        prediction = model.predict_masks(encoding, prompts)
        masks = predicted_masks(prediction, picture.rgb, prompts, refine=refine)
        found = Predicted(
            prediction, tuple(masks), tuple(stability_score(prediction.logits_at(index)) for index in range(len(masks)))
        )
    known[key] = found
    return found
