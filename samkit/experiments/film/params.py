"""How a film is run: the parameters, and the frames they name in the order they are segmented."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from samkit.errors import ParamsError
from samkit.experiments.params import MaskParams, knob

if TYPE_CHECKING:
    from samkit.models.memory_rules import MemoryRules
    from samkit.models.sam import SamModel


class Params(MaskParams):
    """Frames are counted from 0 in the film."""

    start: int = Field(
        default=0,
        ge=0,
        description="The first frame that is segmented.",
        json_schema_extra=knob(step=1, unit="frames", label="Start at frame"),
    )
    count: int | None = Field(
        default=None,
        ge=1,
        description="How many frames are segmented; empty: to the film's end, or its beginning when running backwards.",
        json_schema_extra=knob(step=1, unit="frames", label="How many"),
    )
    backwards: bool = Field(
        default=False,
        description="Runs from the start towards the film's beginning.",
        json_schema_extra=knob(label="Backwards"),
    )
    mask_index: int | None = Field(
        default=None,
        ge=0,
        le=3,
        description="The mask of the prompted picture that is remembered; empty: the one of masks 1 to 3 with the "
        "highest predicted IoU.",
        json_schema_extra=knob(step=1, label="Mask"),
    )
    max_frames: int = Field(
        default=6,
        ge=0,
        le=6,
        description="How many of the last frames are used.",
        json_schema_extra=knob(step=1, unit="frames", label="Frames used"),
    )
    max_pointers: int = Field(
        default=16,
        ge=0,
        le=64,
        description="How many object pointers are used, including those of the recorded memories.",
        json_schema_extra=knob(step=1, label="Object pointers used"),
    )
    remember: bool = Field(
        default=True,
        description="Puts each frame's best mask into the frame memory; off: only the recorded memories count.",
        json_schema_extra=knob(label="Remember frames"),
    )
    skip_absent: bool = Field(
        default=True,
        description="Frames whose object score is not above 0 are not remembered.",
        json_schema_extra=knob(label="Forget frames without the object"),
    )
    reset_every: int | None = Field(
        default=None,
        ge=1,
        description="Clears the frame memory every N frames; empty: never.",
        json_schema_extra=knob(step=1, usual=(2, 200), unit="frames", label="Reset after every"),
    )
    memory_rules: Literal["own", "sam2", "sam3", "sam3-every-frame", "transformers"] = Field(
        default="own",
        description="What is remembered and looked at, and how: own, as the model was made for; sam2, as SAM 2.1 does; "
        "sam3, which looks at the four nearest marked frames and passes over frames it is unsure of; "
        "sam3-every-frame, the same without passing over any; transformers, as Hugging Face's SAM 3 tracker does.",
        json_schema_extra=knob(label="Memory rules"),
    )


def rules_of(model: "SamModel", params: Params) -> "MemoryRules":
    """The rules that a run of this model follows."""
    from samkit.models.memory_rules import RULES

    return model.memory_rules if params.memory_rules == "own" else RULES[params.memory_rules]


def frame_order(params: Params, length: int) -> range:
    """The film's frames in the order they are segmented. Raises ParamsError where the film is over before the start."""
    if params.start >= length:
        raise ParamsError(f"The film has the frames 0 to {length - 1}, so it can't start at frame {params.start}.")
    if params.backwards:
        last = -1 if params.count is None else max(-1, params.start - params.count)
        return range(params.start, last, -1)
    end = length if params.count is None else min(length, params.start + params.count)
    return range(params.start, end)
