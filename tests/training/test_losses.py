"""The losses on masks whose answer is known."""

import pytest
import torch

from samkit.models.network.mask_decoder import DecodedMasks
from training.losses import mask_iou, mask_loss, total_loss, tracking_loss

LEFT = torch.zeros(8, 8)
LEFT[:, :4] = 1
RIGHT, EMPTY, FULL = 1 - LEFT, torch.zeros(8, 8), torch.ones(8, 8)


def certain(mask: torch.Tensor) -> torch.Tensor:
    return 40 * (mask - 0.5)


def decoded(masks: list[torch.Tensor], iou: list[float]) -> DecodedMasks:
    return DecodedMasks(
        torch.stack([certain(mask) for mask in masks])[None],
        torch.tensor([iou]),
        torch.zeros(1, 4, 2),
        torch.full((1, 1), 30.0),
    )


@pytest.mark.parametrize("mask", [LEFT, EMPTY, FULL])
def test_a_certain_and_right_mask_costs_nothing(mask):
    assert mask_loss(certain(mask), mask).item() == pytest.approx(0, abs=1e-3)


def test_worse_masks_cost_more():
    right, unsure, wrong = (
        mask_loss(logits, LEFT).item() for logits in (certain(LEFT), torch.zeros(8, 8), certain(RIGHT))
    )
    assert right < unsure < wrong


@pytest.mark.parametrize(
    ("predicted", "target", "iou"),
    [(LEFT, LEFT, 1), (LEFT, RIGHT, 0), (FULL, LEFT, 0.5), (EMPTY, EMPTY, 1), (EMPTY, LEFT, 0)],
)
def test_iou(predicted, target, iou):
    assert mask_iou(certain(predicted), target).item() == pytest.approx(iou, abs=1e-4)


def test_one_good_multimask_is_enough():
    one_right, iou = total_loss(decoded([LEFT, RIGHT, LEFT, RIGHT], [1.0, 0, 1, 0]), LEFT[None])
    none_right, _ = total_loss(decoded([LEFT, RIGHT, RIGHT, RIGHT], [1.0, 0, 0, 0]), LEFT[None])
    assert iou.round().tolist() == [[1, 0, 1, 0]]
    assert one_right < 2 < 20 < none_right


def test_a_wrong_predicted_iou_and_a_missing_object_cost():
    good = decoded([LEFT] * 4, [1.0] * 4)
    boastful = decoded([RIGHT] + [LEFT] * 3, [1.0] * 4)
    honest = decoded([RIGHT] + [LEFT] * 3, [0.0, 1, 1, 1])
    absent = DecodedMasks(good.logits, good.iou, good.mask_tokens, -good.object_score)
    loss = {
        name: total_loss(case, LEFT[None])[0].item()
        for name, case in dict(good=good, boastful=boastful, honest=honest, absent=absent).items()
    }
    assert loss["boastful"] > loss["honest"] and loss["absent"] > loss["good"]


def test_a_frame_without_the_object_is_judged_by_its_object_score_alone():
    there = decoded([LEFT] * 4, [1.0] * 4)
    absent = DecodedMasks(there.logits, there.iou, there.mask_tokens, -there.object_score)
    cases = {"there": there, "absent": absent}
    truths = {"there": LEFT, "absent": EMPTY}
    loss = {
        (predicted, true): tracking_loss(case, mask[None])[0].item()
        for predicted, case in cases.items()
        for true, mask in truths.items()
    }
    assert loss["absent", "absent"] == pytest.approx(0, abs=1e-3), "what the masks show does not count there"
    assert loss["there", "absent"] == pytest.approx(3 * loss["absent", "there"], rel=1e-2), (
        "missing an absence costs more than a false one"
    )
