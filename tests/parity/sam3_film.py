"""One object followed through a film by transformers' tracker of SAM 3 and by samkit's.

Taught: before each frame samkit's bank is given what transformers remembers, so each step is compared on its own:
reading the memories, all masks, what is judged of them, the pointer, and the memory that comes of transformers' mask.
Otherwise each goes on from what it remembered itself, and what one step leaves apart is fed to the next.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from samkit.models.encoding import MaskPrediction
from samkit.models.memory_bank import Memory, MemoryBank
from samkit.models.memory_rules import TRANSFORMERS_RULES, MemoryRules
from samkit.models.network.prompt_encoder import PADDING
from samkit.models.track import encoding_features, no_points, remember_mask, remember_prediction, track_frame
from tests.parity.sam3_trackers import Pair, judged_with

CLICK = [(0.31, 0.55, 1)]
MORE_CLICKS = [(0.6, 0.5, 1), (0.1, 0.1, 0)]
BOX = [(0.1, 0.3, 2), (0.5, 0.8, 3)]
MOST_POINTERS = 16
BFLOAT16_STEP = 2**-7
"""Two numbers that become neighbours in bfloat16 are at most this share of them apart."""
STEP = ("logits", "predicted IoU", "object score", "choice", "pointer", "memory", "kept memory")


class BothSides:
    """Prompts go to both.

    apart:          the largest difference so far of each of `STEP`. "choice" is how much lower samkit predicts the IoU
                    of the mask that transformers chose than of the one that it would choose; "kept memory" is after
                    rounding to bfloat16, less one step of it
    by_frame:       the largest difference of a frame's logits
    cut_apart:      pixels of masks that go into memory cut at 0, that are inside for one side alone
    logits, scores: samkit's, by frame
    """

    def __init__(self, pair: Pair, rules: MemoryRules, taught: bool):
        from transformers.models.sam3_tracker_video.modeling_sam3_tracker_video import Sam3TrackerVideoInferenceSession

        self.pair, self.rules, self.taught = pair, rules, taught
        side, self.frames = pair.size.side, len(pair.film)
        self.session = Sam3TrackerVideoInferenceSession(
            video=pair.film, video_height=side, video_width=side, dtype=torch.float32
        )
        self.session.cache.get_vision_features = pair.seen.__getitem__
        self.place = self.session.obj_id_to_idx(1)
        self.bank = MemoryBank(max_pointers=min(MOST_POINTERS, self.frames), rules=rules)
        self.logits: dict[int, Tensor] = {}
        self.scores: dict[int, float] = {}
        self.apart = dict.fromkeys(STEP, 0.0)
        self.by_frame: dict[int, float] = {}
        self.cut_apart = 0
        self._given: dict[str, Any] = {}
        watched = {
            "masks": pair.theirs.mask_decoder,
            "their memory": pair.theirs.memory_encoder,
            "our memory": pair.network.memory.memory_encoder,
        }
        self._hooks = [
            module.register_forward_hook(partial(self._watch, name), with_kwargs=True)
            for name, module in watched.items()
        ]

    def close(self) -> None:
        for hook in self._hooks:
            hook.remove()

    def prompt(self, frame: int, points: list[tuple[float, float, int]], ahead: int | None = None) -> None:
        """ahead: the frame on the bank's clock, where it is not the present one."""
        xy, labels = self._ask_points(frame, points)
        encoding = self.pair.encodings[frame]
        decoded = self.pair.network.decode(encoding_features(encoding), xy, labels)
        assert decoded.object_score is not None
        logits, score = decoded.logits[0], float(decoded.object_score)
        prediction = MaskPrediction(
            logits, decoded.iou[0], score, decoded.mask_tokens[0], encoding.geometry, 0.0, logits, prompted=True
        )
        self.bank.add_prompt(self._compare(frame, prediction), frame=ahead)

    def correct(self, frame: int, points: list[tuple[float, float, int]]) -> None:
        """Prompts on the frame that was followed last, in the light of what was remembered before it."""
        xy, labels = self._ask_points(frame, points)
        self.bank = self._before.copy()
        step = track_frame(self.pair.network, self.pair.encodings[frame], self.bank, xy, labels, None)
        self.bank.add_frame(self._compare(frame, step))

    def give_mask(self, frame: int, mask: np.ndarray) -> None:
        """mask: bool [side, side]."""
        self.session.add_mask_inputs(self.place, frame, torch.tensor(mask)[None, None].float())
        self._ask(frame)
        memory = remember_mask(self.pair.network, self.pair.encodings[frame], mask, self.rules)
        self.bank.add_prompt(self._learn(frame, memory, None))

    def follow(self, frames: range) -> None:
        for frame in frames:
            self.pair.theirs(self.session, frame_idx=frame, reverse=frames.step < 0)
            if frame in self.logits:
                self.bank.skip_frame()
                continue
            self._before = self.bank.copy()
            step = track_frame(
                self.pair.network, self.pair.encodings[frame], self.bank, *no_points(torch.device("cpu")), None
            )
            self.bank.add_frame(self._compare(frame, step))

    def _ask_points(self, frame: int, points: list[tuple[float, float, int]]) -> tuple[Tensor, Tensor]:
        """Asks transformers; returns the same for samkit: ([1, N, 2] in 0..1, [1, N])."""
        side = self.pair.size.side
        xy = torch.tensor([[[[side * x, side * y] for x, y, _ in points]]])
        labels = torch.tensor([[[label for *_, label in points]]], dtype=torch.int32)
        self.session.add_point_inputs(self.place, frame, {"point_coords": xy, "point_labels": labels})
        self._ask(frame)
        ours = torch.cat([(xy[0, 0] + 0.5) / side, torch.zeros(1, 2)])[None]
        return ours, torch.cat([labels[0, 0].long(), torch.tensor([PADDING])])[None]

    def _ask(self, frame: int) -> None:
        self.session.obj_with_new_inputs.append(1)
        self.pair.theirs(self.session, frame_idx=frame)

    def _compare(self, frame: int, prediction: MaskPrediction) -> Memory:
        """What is to be remembered of a frame whose masks both have predicted."""
        masks, iou, _, score = self._given["masks"]
        masks, iou = masks[0, 0], iou[0, 0]
        first = 1 if len(masks) > 1 else 0
        logits = prediction.decoded_logits
        assert logits is not None and prediction.object_score is not None
        compared = logits[first : first + len(masks)]
        self.logits[frame], self.scores[frame] = logits, prediction.object_score
        self.by_frame[frame] = float((compared - masks).abs().max())
        self._note("logits", compared, masks)
        self._note("predicted IoU", prediction.iou[first : first + len(masks)], iou)
        self._note("object score", torch.tensor(prediction.object_score), score.flatten()[0])
        theirs, ours = first + int(iou.argmax()), prediction.best if first else 0
        self._note("choice", prediction.iou[ours], prediction.iou[theirs])
        if self.taught:
            logits = logits.clone()
            logits[theirs] = masks[theirs - first]
            prediction = replace(prediction, decoded_logits=logits, object_score=float(score))
        chosen = theirs if self.taught else ours
        memory = remember_prediction(self.pair.network, self.pair.encodings[frame], prediction, chosen, self.rules)
        return self._learn(frame, memory, float(iou.max()))

    def _learn(self, frame: int, memory: Memory, iou: float | None) -> Memory:
        """What is to be remembered where samkit remembers this. iou: as transformers predicts it."""
        outputs = self.session.output_dict_per_obj[self.place]
        prompted = outputs["cond_frame_outputs"].get(frame)
        kept = prompted or outputs["non_cond_frame_outputs"][frame]
        theirs, ours = (self._given[f"{whose} memory's mask"] for whose in ("their", "our"))
        # A corrected frame's mask is cut too, though transformers doesn't count it among the prompted ones.
        if len(theirs.unique()) == 2:
            self.cut_apart += int(((theirs > 0) != (ours > 0)).sum())
        grid = self.pair.size.grid
        features, pointer = kept["maskmem_features"][:, 0].unflatten(0, (grid, grid)), kept["object_pointer"].flatten()
        assert memory.features is not None and memory.features.dtype == features.dtype
        self._note("pointer", memory.pointer, pointer)
        self._note("memory", self._given["our memory"], self._given["their memory"].permute(0, 2, 3, 1))
        step = BFLOAT16_STEP * features.float().abs()
        self._note("kept memory", ((memory.features.float() - features.float()).abs() - step).clamp(min=0))
        if not self.taught:
            return memory
        score = float(kept["object_score_logits"])
        return replace(memory, features=features, pointer=pointer, object_score=score, iou=iou)

    def _note(self, name: str, ours: Tensor, theirs: Tensor | float = 0.0) -> None:
        self.apart[name] = max(self.apart[name], float((ours - theirs).abs().max()))

    def _watch(self, name: str, _module: Any, given: tuple, named: dict[str, Any], output: Any) -> None:
        if name != "masks":
            self._given[f"{name}'s mask"] = (*given, *named.values())[1]
        # What marks an absent object is added by transformers where this stands.
        self._given[name] = output[0].clone() if name == "their memory" else output


def follow(
    pair: Pair,
    case: Callable[[BothSides], None],
    rules: MemoryRules = TRANSFORMERS_RULES,
    *,
    taught: bool = True,
    bias: float,
) -> BothSides:
    """bias: added to all object scores."""
    both = BothSides(pair, rules, taught)
    try:
        with judged_with(pair, bias), torch.inference_mode():
            case(both)
    finally:
        both.close()
    return both


def from_click(both: BothSides, place: tuple[float, float] = CLICK[0][:2]) -> None:
    both.prompt(0, [(*place, 1)])
    both.follow(range(1, both.frames))


def from_box(both: BothSides) -> None:
    both.prompt(0, BOX)
    both.follow(range(1, both.frames))


def from_mask(both: BothSides) -> None:
    side = both.pair.size.side
    mask = np.zeros((side, side), bool)
    mask[int(0.3 * side) : int(0.72 * side), int(0.12 * side) : int(0.54 * side)] = True
    both.give_mask(0, mask)
    both.follow(range(1, both.frames))


def from_empty_mask(both: BothSides) -> None:
    both.give_mask(0, np.zeros((both.pair.size.side,) * 2, bool))
    both.follow(range(1, both.frames))


def second_prompt(both: BothSides) -> None:
    """Followed, prompted on a frame not seen before, followed on."""
    half = both.frames // 2
    both.prompt(0, CLICK)
    both.follow(range(1, half))
    both.bank.skip_frame()
    both.prompt(half, MORE_CLICKS)
    both.follow(range(half + 1, both.frames))


def corrected(both: BothSides) -> None:
    """Followed, prompted on the frame followed last, followed on."""
    half = both.frames // 2
    both.prompt(0, CLICK)
    both.follow(range(1, half))
    both.correct(half - 1, MORE_CLICKS)
    both.follow(range(half, both.frames))


def backwards(both: BothSides) -> None:
    both.prompt(both.frames - 1, CLICK)
    both.follow(range(both.frames - 2, -1, -1))


def many_prompts(both: BothSides) -> None:
    """Seven frames are prompted beforehand, five of them near each other: more than are looked at."""
    for frame in (0, 1, 2, 3, 4, both.frames // 2 - 1, 3 * both.frames // 4):
        both.prompt(frame, CLICK if frame % 2 else BOX, ahead=frame)
    both.follow(range(1, both.frames))


CASES: dict[str, Callable[[BothSides], None]] = {
    "click": from_click,
    "box": from_box,
    "mask": from_mask,
    "empty mask": from_empty_mask,
    "second prompt": second_prompt,
    "corrected": corrected,
    "backwards": backwards,
    "seven prompted frames": many_prompts,
}
