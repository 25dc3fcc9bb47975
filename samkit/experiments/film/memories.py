"""What is remembered before a film begins: pictures with an object marked on them, and banks of earlier memories."""

from typing import TYPE_CHECKING

import numpy as np

from samkit.errors import BadInput, PromptError
from samkit.experiments.film.params import Params, rules_of
from samkit.experiments.inputs import Inputs, Prior
from samkit.experiments.lab import LabLike, LazyEncoding
from samkit.experiments.measures.predicted_masks import chosen_index, predict

if TYPE_CHECKING:
    from samkit.models.encoding import MaskPrediction
    from samkit.models.memory_bank import Memory, MemoryBank
    from samkit.models.memory_rules import MemoryRules
    from samkit.models.sam import SamModel


def record(model: "SamModel", prior: Prior, params: Params, lab: LabLike) -> tuple["Memory", np.ndarray]:
    """(memory, mask bool [H, W]) of a picture with an object marked on it. Raises PromptError where nothing is
    marked.
    """
    encoding, rules = lab.encoding(model, prior.picture, side=params.side, fit=params.fit), rules_of(model, params)
    if prior.mask is not None:
        return lab.recall(remember_mask, model, encoding, prior.mask, rules), prior.mask
    if prior.prompts.is_empty and prior.mask_hint is None:
        raise PromptError(f"Nothing is marked on {prior.picture.name}: place a point or a box on it first.")
    prediction = lab.recall(predict, model, encoding, prior.prompts, prior.mask_hint)
    index = chosen_index(prediction, prior.mask_index)
    return lab.recall(remember_prediction, model, encoding, prediction, index, rules), prediction.mask(index)


def remember_mask(model: "SamModel", encoding: LazyEncoding, mask: np.ndarray, rules: "MemoryRules") -> "Memory":
    """The memory of a picture with a mask, bool [H, W], that is given. A step that a lab recalls, as is the next."""
    return model.encode_memory(encoding.value, mask, rules=rules)


def remember_prediction(
    model: "SamModel", encoding: LazyEncoding, prediction: "MaskPrediction", index: int, rules: "MemoryRules"
) -> "Memory":
    """The memory of a picture with one of its predicted masks."""
    return model.encode_memory(encoding.value, prediction, index, rules)


def all_priors(inputs: Inputs, params: Params) -> tuple[Prior, ...]:
    """The recorded ones, else the picture with its prompts; none where banks or corrections are all there is."""
    others = inputs.bank is not None or any(bank is not None for bank in inputs.banks) or inputs.steering.corrections
    if inputs.priors or (others and inputs.prompts.is_empty):
        return inputs.priors
    return (Prior(inputs.picture, inputs.prompts, params.mask_index),)


def check_film(model: "SamModel", inputs: Inputs) -> None:
    """Raises BadInput without a film, for a model without a memory, and for steering that doesn't fit the film."""
    if inputs.video is None:
        raise BadInput("There is no film: give one with --video, a file or sample:coin.")
    model.check_memory("follow an object through a film")
    inputs.steering.check(inputs.video.length)
    count = inputs.steering.count
    if any(not 0 <= prior.object < count for prior in inputs.priors) or len(inputs.banks) >= count:
        raise BadInput(f"A memory belongs to an object that is not there: there are {count}. Add it to the steering.")


def first_banks(
    model: "SamModel", inputs: Inputs, params: Params, order: range, lab: LabLike
) -> tuple[list["MemoryBank"], list[np.ndarray]]:
    """(what each object's film begins with, the mask of each prior: bool [H, W]). order: the frames in the order they
    are segmented; the first one is number 1 on the banks' clocks. Raises PromptError where nothing is remembered and
    nothing will be.
    """
    from samkit.models.memory_bank import MemoryBank

    rules = rules_of(model, params)
    banks = [MemoryBank(params.max_frames, params.max_pointers, rules) for _ in range(inputs.steering.count)]
    for bank, kept in zip(banks, (inputs.bank, *inputs.banks), strict=False):
        for each in kept.prompts if kept is not None else ():
            bank.add_prompt(each.memory, prior=each.prior, frame=each.frame)
    masks = []
    for prior in all_priors(inputs, params):
        memory, mask = record(model, prior, params, lab)
        if prior.film_frame is None:
            banks[prior.object].add_prompt(memory, prior=True)
        else:
            frame = 1 + (prior.film_frame - order.start) * order.step
            banks[prior.object].add_prompt(memory, frame=frame)
        masks.append(mask)
    if not any(bank.prompts for bank in banks) and not inputs.steering.corrections:
        raise PromptError(
            "Nothing is remembered yet: mark an object on a picture and record it, or give a memory bank."
        )
    return banks, masks
