"""What is remembered so far, put to one frame anywhere in a film: what a run that came there would find."""

from typing import TYPE_CHECKING

from samkit.experiments.film.memories import first_banks
from samkit.experiments.film.params import Params, frame_order
from samkit.experiments.film.tracks import Found, correct_object, to_refine, track_object
from samkit.experiments.inputs import Inputs
from samkit.experiments.lab import LabLike
from samkit.experiments.steering import Correction

if TYPE_CHECKING:
    from samkit.experiments.film.film_run import FilmRun
    from samkit.models.encoding import ImageEncoding
    from samkit.models.memory_bank import MemoryBank
    from samkit.models.sam import SamModel


def look_at(model: "SamModel", inputs: Inputs, params: Params, frame: int, lab: LabLike) -> dict[int, Found]:
    """number of the object -> what prompts alone, corrections among them, find of it on that frame of the film. A step
    that a lab recalls, as is the next.
    """
    assert inputs.video is not None
    order = frame_order(params, inputs.video.length)
    banks, _ = first_banks(model, inputs, params, order, lab)
    corrected: dict[int, Found] = {}
    for correction in inputs.steering.corrections:
        bank = banks[correction.object]
        bank.frame = (correction.frame - order.start) * order.step
        found = correct_object(model, bank, params, inputs.video, correction, lab)
        if correction.frame == frame:
            corrected[correction.object] = found
    for bank in banks:
        bank.frame = (frame - order.start) * order.step
    return look_on(model, inputs, params, frame, tuple(banks)) | corrected


def look_on(
    model: "SamModel", inputs: Inputs, params: Params, frame: int, banks: tuple["MemoryBank", ...]
) -> dict[int, Found]:
    """number of the object -> what the banks find of it on a frame that comes next on their clocks; they stay as they
    are.
    """
    video = inputs.video
    assert video is not None
    rgb = video.frame(frame)
    encoding = model.encode_image(rgb, side=params.side, fit=params.fit, film=True)
    return {
        number: track_object(model, encoding, bank.copy(), params, video, frame, rgb, store=False)
        for number, bank in enumerate(banks)
        if bank.prompts
    }


def frame_to_refine(
    run: "FilmRun",
    model: "SamModel",
    inputs: Inputs,
    params: Params,
    frame: int,
    number: int,
    earlier: tuple[Correction, ...],
    lab: LabLike,
) -> "ImageEncoding":
    """A frame that the run has come to, as prompts that refine what it found there of an object see it, after `earlier`
    corrections. model, inputs, params: the run's. A step that a lab recalls.
    """
    return to_refine(model, run.bank_before(frame, number, lab), params, run.video, frame, earlier, lab)
