"""A prediction's masks as an experiment gives them: the model's own, or with their edges refined."""

import numpy as np

from samkit.media.refine import hull_box, refine_edges
from samkit.models.prompts import Prompts


def predicted_masks(prediction, rgb: np.ndarray, prompts: Prompts, *, refine: bool = False, threshold: float = 0.0) -> list[np.ndarray]:
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
