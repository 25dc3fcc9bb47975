"""How a film is steered, as data: which objects are followed, what was corrected on which frame, and what was switched
while it ran. With it a run comes out the same again, without a hand on it.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, InstanceOf, StringConstraints, TypeAdapter, ValidationError

from samkit.errors import BadInput
from samkit.prompts import Prompts

STEERING_FILE = "steering.json"
"""What the file is called that a run keeps and the command line reads."""
COLORS = ("#16a0aa", "#e67e22", "#8e44ad", "#c2185b", "#7cb342", "#3f51b5", "#fbc02d", "#6d4c41")
"""Of objects that were given none, in order."""
MAX_OBJECTS = 16
MAX_EARLIER = 50
"""Corrections before the last one on the same frame."""
Action = Literal["segment_on", "segment_off", "store_on", "store_off", "reset"]
_STRICT = ConfigDict(extra="forbid", strict=True)


def _read_prompts(value: Any) -> Any:
    return Prompts.from_dict(value) if isinstance(value, dict) else value


CheckedPrompts = Annotated[InstanceOf[Prompts], BeforeValidator(_read_prompts)]
"""Read by `Prompts` itself, which checks every coordinate."""
Color = Annotated[str, StringConstraints(pattern=r"^(#[0-9a-fA-F]{6})?$")]


@dataclass(frozen=True)
class FilmObject:
    """One object that is followed. color: "#rrggbb"; "" for the one that its place among the objects has."""

    __pydantic_config__ = _STRICT

    name: str = ""
    color: Color = ""


@dataclass(frozen=True)
class Correction:
    """What marks an object on a frame of the film: remembered when the run comes to that frame, and for good.

    The mask of that frame is what the prompts alone give, as on a frame that nobody has tracked, or `mask`. With
    `refines` the prompts correct what the run finds there: they are decoded in the light of the memories so far and
    begin from the frame's mask, as the official video predictor does with prompts on a frame that was tracked.
    Otherwise than there by default,

    - a corrected frame counts as marked: it is remembered for good, as with the official
      `add_all_frames_to_correct_as_cond`, which its models were trained with;
    - it counts from its frame on: frames before it do not look ahead to it, and the frame itself does not look at what
      is remembered of its own earlier correction, but begins from that one's mask;
    - of several prompts too the best of masks 1 to 3 is taken where `mask_index` says nothing, not mask 0.

    frame:      counted from 0 in the film
    mask_index: which of the four masks of the prompts is meant; None: the best
    mask:       COCO run-length encoding in the frame's pixels, in place of prompts
    object:     its number among the objects
    refines:    whether prompts begin from the mask that the frame had
    earlier:    corrections of the same frame and object that were made before, each of which the next one refines; they
                have none of their own
    """

    __pydantic_config__ = _STRICT

    frame: int
    prompts: CheckedPrompts = Prompts()
    mask_index: int | None = None
    mask: dict[str, Any] | None = field(default=None, hash=False)
    object: int = 0
    refines: bool = False
    earlier: "tuple[Correction, ...]" = ()

    @property
    def line(self) -> "tuple[Correction, ...]":
        """All that was done to the frame, in order; this one comes last."""
        return (*self.earlier, replace(self, earlier=()))

    def marks_as(self, other: "Correction") -> bool:
        """Whether both mark the same."""
        return (self.prompts, self.mask_index, self.mask) == (other.prompts, other.mask_index, other.mask)

    def to_dict(self) -> dict[str, Any]:
        """JSON values. Without what later versions added, where that says nothing."""
        values = asdict(self) | {"prompts": self.prompts.to_dict()}
        values["earlier"] = [each.to_dict() for each in self.earlier]
        return {name: value for name, value in values.items() if value or name not in ("refines", "earlier")}


@dataclass(frozen=True)
class Switch:
    """What was switched before a frame was segmented, for all objects.

    segment_off: frames from this one on are passed without a look; segment_on ends that
    store_off:   frames from this one on are not remembered; store_on ends that
    reset:       what was remembered of frames is forgotten; prompts stay
    """

    __pydantic_config__ = _STRICT

    frame: int
    action: Action


@dataclass(frozen=True)
class Steering:
    """objects: none for a single one without a name"""

    __pydantic_config__ = _STRICT

    objects: tuple[FilmObject, ...] = ()
    corrections: tuple[Correction, ...] = ()
    switches: tuple[Switch, ...] = ()

    @property
    def count(self) -> int:
        """How many objects are followed."""
        return max(1, len(self.objects))

    @property
    def corrected(self) -> int:
        """How often marks refined what a run had found; what first marks an object on a frame is no correction."""
        return sum(marks.refines for last in self.corrections for marks in last.line)

    def name(self, number: int) -> str:
        """What a person knows an object by."""
        own = self.objects[number].name if number < len(self.objects) else ""
        return own or f"Object {number + 1}"

    def color(self, number: int) -> str:
        """ "#rrggbb" of an object."""
        own = self.objects[number].color if number < len(self.objects) else ""
        return own or COLORS[number % len(COLORS)]

    def rgb(self, number: int) -> tuple[int, int, int]:
        """Each 0..255."""
        red, green, blue = bytes.fromhex(self.color(number)[1:])
        return red, green, blue

    def check(self, frames: int) -> None:
        """Raises BadInput for what doesn't fit a film of so many frames, or names an object that is not there."""
        if self.count > MAX_OBJECTS:
            raise BadInput(f"At most {MAX_OBJECTS} objects can be followed at a time, not {self.count}.")
        for frame in (*(each.frame for each in self.corrections), *(each.frame for each in self.switches)):
            if not 0 <= frame < frames:
                raise BadInput(
                    f"The film has the frames 0 to {frames - 1}; the steering names frame {frame}: take the one "
                    "that was made with this film."
                )
        for correction in self.corrections:
            if not 0 <= correction.object < self.count:
                raise BadInput(
                    f"A correction names object number {correction.object}, but the objects are numbered 0 to "
                    f"{self.count - 1}: add the object to the steering."
                )
            if any(each.prompts.is_empty and each.mask is None for each in correction.line):
                raise BadInput(f"The correction on frame {correction.frame} marks nothing: give prompts or a mask.")
            if len(correction.earlier) > MAX_EARLIER or any(each.earlier for each in correction.earlier):
                raise BadInput(
                    f"At most {MAX_EARLIER} earlier corrections, none with earlier ones of its own, can stand before "
                    f"the one on frame {correction.frame}: leave the first ones out."
                )

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self) | {"corrections": [each.to_dict() for each in self.corrections]}

    @classmethod
    def from_json(cls, content: str | bytes, what: str = STEERING_FILE) -> "Steering":
        """What `to_dict` gave, as JSON. Raises BadInput for anything else, PromptError for prompts that can't be.

        what: how the error calls it
        """
        try:
            return _ADAPTER.validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            entry = ".".join(str(part) for part in first["loc"])
            place = f"its entry {entry[:200]!r}" if entry else "it"
            raise BadInput(
                f"{what} does not say how a film is steered: {place} is wrong ({first['msg'][:200]})."
            ) from None
        except RecursionError:
            raise BadInput(f"{what} does not say how a film is steered: it is nested too deeply.") from None

    def to_json(self) -> bytes:
        return json.dumps(self.to_dict(), indent=1).encode()


_ADAPTER = TypeAdapter(Steering)
NOT_STEERED = Steering()
"""One object, and no hand on the run."""
