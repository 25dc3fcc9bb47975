"""An object followed from a prompted picture to another one, as if they were the first two frames of a film.

The prompted picture's mask becomes a prompt memory. The other picture is tracked once, and as often again as asked for;
each pass's best mask goes into the frame memory that the next pass looks at. Memories hold logits, so no threshold
changes what is remembered. `remember`, `look` and `follow_once` are steps that a lab recalls: more passes only add
passes.
"""

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from samkit.experiments.lab import LabLike, LazyEncoding
from samkit.experiments.measures.predicted_masks import chosen_index, predict
from samkit.media.given_masks import MaskHint
from samkit.prompts import Prompts

if TYPE_CHECKING:
    from samkit.models.encoding import MaskPrediction
    from samkit.models.memory_bank import Memory, MemoryBank
    from samkit.models.sam import SamModel


@dataclass(frozen=True)
class Start:
    """A prompted picture's mask, remembered.

    prompted: the prediction on the prompted picture
    index:    the mask of it (0..3) that is remembered
    """

    prompted: "MaskPrediction"
    index: int
    memory: "Memory"
    memory_ms: float


@dataclass(frozen=True)
class Pass:
    """One look at the other picture: what was found, and the memory of it."""

    prediction: "MaskPrediction"
    memory: "Memory"
    track_ms: float


@dataclass(frozen=True)
class PairTrack:
    """An object followed by one or more passes."""

    start: Start
    passes: tuple[Pass, ...]

    @property
    def bank(self) -> "MemoryBank":
        """A new bank of all that is remembered."""
        return remembered(self.start, self.passes)


def object_score(prediction: "MaskPrediction") -> float:
    """Of a model with a memory, which always gives one: above 0 where the object is judged to be in the picture."""
    return float("nan") if prediction.object_score is None else prediction.object_score


def remembered(start: Start, passes: tuple[Pass, ...]) -> "MemoryBank":
    """A new bank as it is after these passes."""
    from samkit.models.memory_bank import MemoryBank

    bank = MemoryBank()
    bank.add_prompt(start.memory)
    for step in passes:
        bank.add_frame(step.memory)
    return bank


def remember(model: "SamModel", source: LazyEncoding, prompted: "MaskPrediction", index: int) -> Start:
    """Remember one mask of a prediction on the encoding `source`."""
    start = time.perf_counter()
    memory = model.encode_memory(source.value, prompted, index)
    return Start(prompted, index, memory, 1000 * (time.perf_counter() - start))


def look(model: "SamModel", target: LazyEncoding, start: Start, before: tuple[Pass, ...]) -> Pass:
    """One more pass over the encoding `target`, after those before."""
    encoding, bank = target.value, remembered(start, before)
    began = time.perf_counter()
    prediction = model.track(encoding, bank)
    memory = model.encode_memory(encoding, prediction, prediction.best)
    return Pass(prediction, memory, 1000 * (time.perf_counter() - began))


def follow(
    model: "SamModel",
    source: LazyEncoding,
    target: LazyEncoding,
    prompts: Prompts,
    hint: MaskHint | None,
    mask_index: int | None,
    count: int,
    lab: LabLike,
) -> PairTrack:
    """Follow an object from the encoding `source` to the encoding `target` by `count` passes, each made once.

    hint:       on the prompted picture, beside the prompts
    mask_index: the mask of the prompted picture that is remembered; None: the multimask predicted best
    """
    prompted = lab.recall(predict, model, source, prompts, hint)
    start = lab.recall(remember, model, source, prompted, chosen_index(prompted, mask_index))
    passes: tuple[Pass, ...] = ()
    for number in range(count):
        lab.report(number / count, f"Pass {number + 1} of {count}")
        passes = (*passes, lab.recall(look, model, target, start, passes))
    return PairTrack(start, passes)


@dataclass(frozen=True)
class FollowedOnce:
    """What one pass found, without memories.

    prompted: the prediction on the prompted picture, with the remembered mask alone
    tracked:  the prediction on the other picture
    """

    prompted: "MaskPrediction"
    tracked: "MaskPrediction"


def follow_once(
    model: "SamModel",
    source: LazyEncoding,
    target: LazyEncoding,
    prompts: Prompts,
    hint: MaskHint | None,
    mask_index: int,
) -> FollowedOnce:
    """Follow an object by a single pass of which nothing is remembered. Small, for there may be hundreds of them."""
    prompted = predict(model, source, prompts, hint)
    start = remember(model, source, prompted, mask_index)
    tracked = model.track(target.value, remembered(start, ()))
    alone = prompted.logits[mask_index : mask_index + 1].clone()
    return FollowedOnce(replace(prompted, logits=alone), replace(tracked, decoded_logits=None))
