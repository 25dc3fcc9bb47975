"""What a prediction is scored by. Logits and targets lie at a quarter of the input's side; targets are soft (the part
of each cell that is object).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from samkit.models.network.mask_decoder import DecodedMasks

BCE_WEIGHT = 1.5
EVERY_MASK_WEIGHT = 0.05
"""Of the mean over the three multimask tokens: a little, so that none of them is left to die."""
IOU_WEIGHT = 4.0
RANK_WEIGHT = 0.4
RANK_SHARPNESS = 12.0
CLEAR_DIFFERENCE = 0.03
"""IoUs that lie closer together than this have no order worth learning."""
OBJECT_SCORE_WEIGHT = 0.05
ABSENCE_WEIGHT = 1.0
"""Of the object score where objects may be absent."""
ABSENT_FRAME_WEIGHT = 3.0
"""Of a frame without the object, against 1 of a frame with it: there are few, and a score that is always positive would
be right most of the time.
"""


def mask_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """1.5 x binary cross entropy + dice, per mask. logits, targets: [..., h, w] -> [...]."""
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean((-2, -1))
    probabilities = logits.sigmoid()
    overlap, areas = (probabilities * targets).sum((-2, -1)), probabilities.sum((-2, -1)) + targets.sum((-2, -1))
    return BCE_WEIGHT * cross_entropy + 1 - (2 * overlap + 1) / (areas + 1)


def mask_iou(logits: Tensor, targets: Tensor) -> Tensor:
    """Intersection over union of logits > 0 and targets > 0.5. [..., h, w] -> [...]; two empty masks have 1."""
    predicted, wanted = logits > 0, targets > 0.5
    intersection = (predicted & wanted).sum((-2, -1)).float()
    return (intersection + 1e-6) / ((predicted | wanted).sum((-2, -1)).float() + 1e-6)


def rank_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Whether the predicted IoUs put a prompt's masks in the right order: logistic in the difference of each two masks.

    predicted, true: [B, M] -> scalar
    """
    true_gaps = true[:, :, None] - true[:, None]
    predicted_gaps = predicted[:, :, None] - predicted[:, None]
    clear = true_gaps > CLEAR_DIFFERENCE
    return (F.softplus(-RANK_SHARPNESS * predicted_gaps) * true_gaps * clear).sum() / clear.sum().clamp(min=1)


def total_loss(decoded: DecodedMasks, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The single mask always learns; of the three multimask tokens the one that is closest does. All four learn to
    predict their IoU, and to rank themselves by it.

    decoded: of B prompts; targets: [B, h, w]. Every target is an object that is there, so the object score only ever
    learns to be positive.

    Returns the loss (a scalar) and the IoUs reached [B, 4].
    """
    logits = decoded.logits.float()
    targets = targets[:, None].expand_as(logits)
    per_mask = mask_loss(logits, targets)
    with torch.no_grad():
        iou = mask_iou(logits, targets)
    loss = (
        per_mask[:, 0].mean()
        + per_mask[:, 1:].min(dim=1).values.mean()
        + EVERY_MASK_WEIGHT * per_mask[:, 1:].mean()
        + IOU_WEIGHT * F.mse_loss(decoded.iou.float(), iou)
        + RANK_WEIGHT * rank_loss(decoded.iou.float(), iou)
    )
    if decoded.object_score is not None:
        score = decoded.object_score.float()
        loss = loss + OBJECT_SCORE_WEIGHT * F.binary_cross_entropy_with_logits(score, torch.ones_like(score))
    return loss, iou


def tracking_loss(decoded: DecodedMasks, targets: Tensor) -> tuple[Tensor, Tensor]:
    """As `total_loss`, on frames that may not hold the object: there only the object score learns.

    targets: [B, h, w]; an object is there if any cell is more than half covered. Returns the loss (a scalar) and the
             IoUs reached [B, 4].
    """
    there = targets.flatten(1).amax(1) > 0.5
    logits = decoded.logits.float()
    wide = targets[:, None].expand_as(logits)
    per_mask = mask_loss(logits, wide)
    with torch.no_grad():
        iou = mask_iou(logits, wide)
    each = per_mask[:, 0] + per_mask[:, 1:].min(dim=1).values + EVERY_MASK_WEIGHT * per_mask[:, 1:].mean(dim=1)
    each = each + IOU_WEIGHT * (decoded.iou.float() - iou).square().mean(dim=1)
    score = F.binary_cross_entropy_with_logits(
        decoded.object_score[:, 0].float(), there.float(), torch.where(there, 1.0, ABSENT_FRAME_WEIGHT)
    )
    return (each * there).sum() / there.sum().clamp(min=1) + RANK_WEIGHT * rank_loss(
        decoded.iou.float()[there], iou[there]
    ) + ABSENCE_WEIGHT * score, iou
