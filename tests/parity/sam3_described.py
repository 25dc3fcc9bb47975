"""transformers' tracker of SAM 3, changed to what is described of Meta's: an oracle for `SAM3_RULES`.

transformers has no choice among the frames, and departs in three places: a mask is resized before it is squashed, a
given mask goes in at the input's size, and its pointer is that of the best of three masks. Those are samkit's
`TRANSFORMERS_RULES`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from samkit.models.memory_rules import SAM3_RULES, MemoryRules
from tests.parity.sam3_trackers import PATCH, Pair


@contextmanager
def as_described(pair: Pair, rules: MemoryRules = SAM3_RULES) -> Iterator[None]:
    """transformers' model, but: masks are squashed at the input's size; given ones are taken at 16 times the grid, with
    the single mask's pointer; and frames are chosen by their quality, where the rules do that.
    """
    theirs, grid, side = pair.theirs, pair.size.grid, pair.size.side
    decode, infer = theirs._single_frame_forward, theirs._run_single_frame_inference
    latest: dict[str, float] = {}

    def forward(**given: Any) -> Any:
        answer = decode(**given)
        latest["iou"] = float(answer.iou_scores.max())
        return answer

    def infer_frame(**given: Any) -> dict[str, Any]:
        found = infer(**given)
        score = float(found["object_score_logits"])
        found["quality"] = (2 / (1 + np.exp(-score)) - 1) * latest["iou"] if score > 0 else 0.0
        return found

    def remember(current_vision_feats: Tensor, pred_masks_high_res: Tensor, object_score_logits: Tensor, **given: Any):
        logits, by_hand = pred_masks_high_res, given["is_mask_from_pts"]
        squashed = 20 * ((logits > 0).float() if by_hand else logits.sigmoid()) - 10
        squashed = F.interpolate(squashed, size=(16 * grid, 16 * grid), mode="bilinear", antialias=True)
        features = current_vision_feats.permute(1, 2, 0).unflatten(2, (grid, grid))
        memory, positions = theirs.memory_encoder(features, squashed)
        absent = (object_score_logits <= 0).float()[..., None]
        memory = memory + absent * theirs.occlusion_spatial_embedding_parameter[..., None, None]
        return memory.bfloat16().flatten(2).permute(2, 0, 1), positions.flatten(2).permute(2, 0, 1)

    def take_mask(backbone_features: Tensor, high_res_features: list[Tensor], mask_inputs: Tensor) -> Any:
        mask = F.interpolate(mask_inputs, size=(16 * grid, 16 * grid), mode="bilinear", antialias=True)
        mask = (mask >= 0.5).float()
        quarter = 4 * (16 * grid // PATCH)
        low = F.interpolate(20 * mask - 10, size=(quarter, quarter), mode="bilinear", antialias=True)
        low = F.interpolate(low, size=(4 * grid, 4 * grid), mode="bilinear")
        answer = decode(
            input_masks=theirs.mask_downsample(mask),
            image_embeddings=[*high_res_features, backbone_features],
            multimask_output=False,
        )
        latest["iou"] = 1.0
        if not mask.any():
            answer.object_pointer = theirs.no_object_pointer[None]
        answer.pred_masks, answer.object_score_logits = low, torch.full((1, 1, 1), 10.0 if mask.any() else -10.0)
        answer.high_res_masks = F.interpolate(low, size=(side, side), mode="bilinear")
        return answer

    def ranked(session: Any, frame: int, reverse: bool) -> list[dict[str, Any]]:
        """Frames that count, nearest first; the one just before whatever it is."""
        step, kept = (1 if reverse else -1), session.output_dict_per_obj[0]["non_cond_frame_outputs"]
        passed = range(frame + 1, len(pair.film)) if reverse else range(frame - 1, -1, -1)
        behind = [at for at in passed if at in kept]
        return [kept[at] for at in behind if at == frame + step or kept[at]["quality"] > rules.least_quality]

    def gather(session: Any, obj_idx: int, frame: int, reverse: bool = False) -> list[tuple[int, dict[str, Any]]]:
        prompted, _ = theirs._select_closest_cond_frames(frame, session.output_dict_per_obj[0]["cond_frame_outputs"], 4)
        nearest = list(enumerate(ranked(session, frame, reverse)[:6], start=1))
        return [(0, each) for each in prompted.values()] + nearest[::-1]

    def pointers(session: Any, obj_idx: int, frame: int, total: int, device: Any, reverse: bool = False, *rest: Any):
        prompted = session.output_dict_per_obj[0]["cond_frame_outputs"]
        passed = {at: each for at, each in prompted.items() if (at >= frame if reverse else at <= frame)}
        most = min(total, 16)
        nearest = ranked(session, frame, reverse)[: most - 1]
        times = [abs(frame - at) for at in passed] + list(range(1, len(nearest) + 1))
        return times, [each["object_pointer"] for each in (*passed.values(), *nearest)], most

    changed: dict[str, Any] = {
        "_single_frame_forward": forward,
        "_run_single_frame_inference": infer_frame,
        "_encode_new_memory": remember,
        "_use_mask_as_output": take_mask,
    }
    if rules.least_quality is not None:
        changed |= {"_gather_memory_frame_outputs": gather, "_get_object_pointers": pointers}
    with patch.multiple(theirs, **changed):
        yield
