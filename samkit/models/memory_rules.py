"""How a model remembers and what it looks at: where SAM 2.1 and SAM 3, whose trackers are the same network, differ.

The rules are values, so that a model can be run by another one's.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

MaskWay = Literal["sam2", "sam3", "transformers"]


@dataclass(frozen=True)
class MemoryRules:
    """
    name:            what they are called
    mask_way:        how a mask comes to 16 times the grid, as the memory encoder takes it, see below
    cut_prompted:    the mask of a prompted frame is cut at 0 before it is remembered
    nearest_prompts: prompted frames whose maps are looked at, the nearest in time; None for all
    least_quality:   frames whose quality is not above this are passed over, but for the one just before, and those
                     that are left count by rank instead of by distance; None for all frames by distance. The quality
                     is the predicted IoU times (2 sigmoid(object score) - 1), 0 where the object is absent

    The ways of a mask, which are one where the input is 16 times the grid:

    "sam2":         straight there, then squashed to -10..10. A mask that is given is first shrunk to a quarter of the
                    input, and is put to the decoder at the input's size; its pointer is the single mask's.
    "sam3":         to the input's size, squashed, then there. A mask that is given is taken at 16 times the grid.
    "transformers": to the input's size, then there, then squashed. A mask that is given is taken at the input's size,
                    and its pointer is that of the mask predicted best. So does transformers' `Sam3TrackerVideoModel`.
    """

    name: str
    mask_way: MaskWay = "sam2"
    cut_prompted: bool = False
    nearest_prompts: int | None = None
    least_quality: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "MemoryRules":
        """Raises TypeError for what `to_json` didn't write."""
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


SAM2_RULES = MemoryRules("sam2")
SAM3_RULES = MemoryRules("sam3", "sam3", cut_prompted=True, nearest_prompts=4, least_quality=0.01)
SAM3_EVERY_FRAME = replace(SAM3_RULES, name="sam3-every-frame", least_quality=None)
"""SAM 3's tracker on its own, without its video model's choice among the frames."""
TRANSFORMERS_RULES = replace(SAM3_EVERY_FRAME, name="transformers", mask_way="transformers")
RULES = {rules.name: rules for rules in (SAM2_RULES, SAM3_RULES, SAM3_EVERY_FRAME, TRANSFORMERS_RULES)}
