"""How far the weights of two models of one architecture are apart, weight by weight and part by part."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from samkit.errors import ParamsError
from samkit.words import listed

if TYPE_CHECKING:
    from samkit.models.sam import SamModel

PARTS = {"image_encoder": "image encoder", "prompt_encoder": "prompt encoder", "mask_decoder": "mask decoder"}
MEMORY = "memory"
_BLOCK = re.compile(r"image_encoder\.(?:trunk\.)?blocks\.(\d+)\.")
_STAGE_BLOCK = re.compile(r"image_encoder\.layers\.(\d+)\.blocks\.(\d+)\.")
_STAGE_END = re.compile(r"image_encoder\.layers\.(\d+)\.downsample\.")
_LAYER = re.compile(r"(?:mask_decoder\.transformer|memory\.memory_attention)\.layers\.(\d+)\.")
_NAMES = {
    "patch embedding": ("patch_embed",),
    "position table": ("pos_embed", "pos_embed_window"),
    "neck": ("neck",),
    "positions": ("pe_layer",),
    "points": ("point_embeddings", "not_a_point_embed"),
    "mask hint": ("mask_downscaling", "no_mask_embed"),
    "tokens": ("iou_token", "mask_tokens", "obj_score_token"),
    "transformer": ("transformer",),
    "upscaling": ("output_upscaling", "conv_s0", "conv_s1"),
    "hypernetworks": ("output_hypernetworks_mlps",),
    "IoU head": ("iou_prediction_head",),
    "object score head": ("pred_obj_score_head",),
    "attention": ("memory_attention",),
    "memory encoder": ("memory_encoder",),
    "object pointer": ("obj_ptr_proj", "obj_ptr_tpos_proj", "no_obj_ptr"),
}
_GROUPS = {first: name for name, firsts in _NAMES.items() for first in firsts}
_ORDER = (*PARTS.values(), MEMORY)
SHOWN = 3


@dataclass(frozen=True)
class WeightChange:
    """One weight of both models.

    part, group: where it is, such as "image encoder" and "block 3"
    changed:     how many of its numbers differ
    distance:    L2 norm of the difference; length: of the weight before
    largest:     the largest difference of a number
    rounding:    it differs, and by no more than rounding to float16 or bfloat16
    """

    name: str
    part: str
    group: str
    numbers: int
    changed: int
    distance: float
    length: float
    largest: float
    rounding: bool

    @property
    def relative(self) -> float:
        return relative(self.distance, self.length)


@dataclass(frozen=True)
class WeightChanges:
    """weights: all that both have, in the models' order; only_before, only_after: names that one of them lacks."""

    weights: tuple[WeightChange, ...]
    only_before: tuple[str, ...] = ()
    only_after: tuple[str, ...] = ()

    @property
    def changed(self) -> tuple[WeightChange, ...]:
        return tuple(weight for weight in self.weights if weight.changed)

    @property
    def relative(self) -> float:
        """Of all weights together."""
        return _together(self.weights)

    @property
    def changed_share(self) -> float:
        """Of all numbers, 0..1."""
        return sum(weight.changed for weight in self.weights) / max(sum(weight.numbers for weight in self.weights), 1)

    @property
    def rounding(self) -> bool:
        """Whether all there is is rounding to half precision."""
        return bool(self.changed) and all(weight.rounding for weight in self.changed)

    def part_rows(self) -> list[dict[str, Any]]:
        """One row a group for a table: image encoder first, and within a part in the models' order."""
        groups: dict[tuple[str, str], list[WeightChange]] = {}
        for weight in sorted(self.weights, key=lambda weight: _ORDER.index(weight.part)):
            groups.setdefault((weight.part, weight.group), []).append(weight)
        return [
            {
                "part": part,
                "group": group,
                "weights": len(weights),
                "changed": sum(weight.changed > 0 for weight in weights),
                "numbers": sum(weight.numbers for weight in weights),
                "changed_share": sum(weight.changed for weight in weights) / sum(weight.numbers for weight in weights),
                "relative_change": _together(weights),
                "largest_change": max(weight.largest for weight in weights),
            }
            for (part, group), weights in groups.items()
        ]

    def weight_rows(self) -> list[dict[str, Any]]:
        """One row for each weight that differs, those that changed most first."""
        return [
            {
                "weight": weight.name,
                "part": weight.part,
                "group": weight.group,
                "numbers": weight.numbers,
                "changed": weight.changed,
                "relative_change": weight.relative,
                "largest_change": weight.largest,
                "rounding_only": weight.rounding,
            }
            for weight in sorted(self.changed, key=lambda weight: -weight.relative)
        ]


def relative(distance: float, length: float) -> float:
    """1 where something came from nothing."""
    return distance / length if length > 0 else float(distance > 0)


def _together(weights: "tuple[WeightChange, ...] | list[WeightChange]") -> float:
    distance, length = (sum(value**2 for value in values) ** 0.5 for values in _columns(weights))
    return relative(distance, length)


def _columns(weights: "tuple[WeightChange, ...] | list[WeightChange]") -> tuple[list[float], list[float]]:
    return [weight.distance for weight in weights], [weight.length for weight in weights]


def compare_models(after: "SamModel", before: "SamModel") -> WeightChanges:
    """A step that a lab recalls. Raises ParamsError where the two are no models of one architecture."""
    states = [model.network.state_dict() for model in (before, after)]
    only_before, only_after = (
        tuple(name for name in one if name not in other) for one, other in (states, states[::-1])
    )
    main = [name for name in (*only_before, *only_after) if _part(name) != MEMORY and "obj_score" not in name]
    reshaped = [name for name in states[0] if name in states[1] and states[0][name].shape != states[1][name].shape]
    if main or reshaped or after.info.family != before.info.family:
        odd = (reshaped or main)[:SHOWN]
        reason = f"{listed(odd)} {'have' if reshaped else 'are not in both, or have'} another shape" if odd else ""
        raise ParamsError(
            f"{after.info.name} and {before.info.name} are not of one architecture"
            f"{f' ({reason})' if reason else ''}: choose the model that the other one was trained from."
        )
    return WeightChanges(compare_weights(*states), only_before, only_after)


def compare_weights(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> tuple[WeightChange, ...]:
    """Of all that both have, under the names of samkit's own modules."""
    starts = _stage_starts(before)
    return tuple(_change(name, before[name], after[name], _group(name, starts)) for name in before if name in after)


def _change(name: str, before: Tensor, after: Tensor, group: str) -> WeightChange:
    old, new = before.detach().float(), after.detach().float()
    difference = new - old
    changed = int((difference != 0).sum())
    half = (torch.float16, torch.bfloat16)
    return WeightChange(
        name,
        _part(name),
        group,
        old.numel(),
        changed,
        float(torch.linalg.vector_norm(difference, dtype=torch.float64)),
        float(torch.linalg.vector_norm(old, dtype=torch.float64)),
        float(difference.abs().max()) if changed else 0.0,
        changed > 0 and any(torch.equal(old.to(dtype), new.to(dtype)) for dtype in half),
    )


def _part(name: str) -> str:
    return PARTS.get(name.partition(".")[0], MEMORY)


def _stage_starts(names: Mapping[str, Tensor]) -> list[int]:
    """Index of each stage's first block, where blocks are counted stage by stage."""
    places = {(int(match[1]), int(match[2])) for name in names if (match := _STAGE_BLOCK.match(name))}
    stages = 1 + max((stage for stage, _ in places), default=-1)
    counts = [sum(stage == wanted for stage, _ in places) for wanted in range(stages)]
    return [sum(counts[:stage]) for stage in range(len(counts))]


def _group(name: str, starts: list[int]) -> str:
    """Where in its part a weight is."""
    if match := _BLOCK.match(name):
        return f"block {match[1]}"
    if match := _STAGE_BLOCK.match(name):
        return f"block {starts[int(match[1])] + int(match[2])}"
    if match := _STAGE_END.match(name):
        return f"after stage {int(match[1]) + 1}"
    if match := _LAYER.match(name):
        return f"{'attention' if _part(name) == MEMORY else 'transformer'} layer {match[1]}"
    inner = name.removeprefix("memory.").removeprefix("image_encoder.trunk.").removeprefix("image_encoder.")
    first = inner.removeprefix("mask_decoder.").removeprefix("prompt_encoder.").partition(".")[0]
    return _GROUPS.get(first, "others")
