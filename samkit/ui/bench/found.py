"""What a page has just found is noted, so that it can be the next hint, or the truth."""

from collections.abc import Sequence

import numpy as np

from samkit.ui.bench.page import Scene
from samkit.ui.state.given import FoundMask
from samkit.ui.state.labs import page_lab
from samkit.ui.state.workspace import Workspace


def note_found(
    scene: Scene, work: Workspace, masks: Sequence[np.ndarray], chosen: int, name: str | None = None
) -> None:
    """masks: bool [H, W] of the workspace's picture, as they are shown. name: "prompted" or "tracked", of a pair."""
    from samkit.experiments.measures.predicted_masks import predict
    from samkit.models.geometry import covered_share, plan_geometry

    model, inputs, params = scene.model, scene.inputs, scene.result.params
    side = params.side or model.info.native_side
    geometry = plan_geometry(work.picture.size, model.info.family, side, params.fit, model.info.side_step)
    logits = scene.result.arrays.get("logits" if name is None else f"logits_{name}")
    if logits is None:
        # Remembered: the result was made from it.
        lab = page_lab(model, inputs)
        encoding = lab.encoding(model, inputs.picture, side=params.side, fit=params.fit)
        logits = lab.recall(predict, model, encoding, inputs.prompts, inputs.mask_hint).logits.cpu().numpy()
    work.given.found = FoundMask(chosen, masks[chosen], logits[chosen], covered_share(geometry))
