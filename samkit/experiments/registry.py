"""The experiments there are: one row each, for pages, command line and sweeps alike.

Listing them costs nothing: an experiment's module, and torch with it, is imported when it is asked for.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from samkit.errors import BadInput
from samkit.experiments.params import PlainParams
from samkit.words import nearest

if TYPE_CHECKING:
    from samkit.experiments.inputs import Inputs
    from samkit.experiments.lab import LabLike
    from samkit.experiments.result import Result
    from samkit.models.sam import SamModel


class Experiment(Protocol):
    """A module of this folder. TAKES: the fields of `Inputs` that its run looks at."""

    NAME: str
    TAKES: tuple[str, ...]
    Params: type[PlainParams]

    def run(self, model: "SamModel", inputs: "Inputs", params: Any, lab: "LabLike") -> "Result[Any]": ...


@dataclass(frozen=True)
class Entry:
    """name: as on the command line; icon: the name of a Material symbol; families: the models it runs with."""

    name: str
    title: str
    question: str
    summary: str
    icon: str
    families: str

    @property
    def module_name(self) -> str:
        """The file's name, here, among the pages and among the tests."""
        return self.name.replace("-", "_")

    @property
    def experiment(self) -> Experiment:
        """The module, imported now."""
        return cast(Experiment, import_module(f"samkit.experiments.{self.module_name}"))


ENTRIES = (
    Entry(
        "mask-stability",
        "Mask stability",
        "Which part of a mask is safe?",
        "See the logits behind a mask, move the cut, blur the picture, shake the prompt, and watch what stays.",
        "contrast",
        "SAM v1, v2, v2.1, v3",
    ),
    Entry(
        "cross-image",
        "Cross-image segmentation",
        "Does the model find the same thing in another picture?",
        "Prompt one picture, segment the other with the model's memory, look again, and shake the prompt.",
        "compare",
        "SAM v2, v2.1, v3",
    ),
    Entry(
        "block-norms",
        "Block norms",
        "Are there tokens with unusually high norms?",
        "See every transformer block's tokens as a map, find those that stick out, and how much each block changes.",
        "layers",
        "SAM v1, v2, v2.1, v3",
    ),
    Entry(
        "semantic-similarity",
        "Semantic similarity",
        "What else does the model consider the same thing?",
        "Mark one thing, compare its tokens with all others, count the regions, and give each found object a mask.",
        "join_inner",
        "SAM v1, v2, v2.1, v3",
    ),
    Entry(
        "window-size",
        "Window size",
        "Which window sizes does a model tolerate, and what do they cost?",
        "Give each stage's attention another window, compare mask, encoding and time with the default, sweep them all.",
        "grid_view",
        "SAM v1, v2, v2.1, v3",
    ),
    Entry(
        "position-encoding",
        "ViT position encoding",
        "How does the encoder know where a token is?",
        "See the encoding on any grid: its channels, directions, frequencies, and what bfloat16 does to it.",
        "grid_on",
        "SAM v1, v2, v2.1, v3",
    ),
    Entry(
        "video-priors",
        "Video with image priors",
        "Can memories of pictures find the thing in a film?",
        "Record memories on pictures, run a film with them, and watch object score and area as it plays.",
        "movie",
        "SAM v2, v2.1, v3",
    ),
    Entry(
        "fine-tuning",
        "Fine-tuning",
        "What did training change, and what does that do to a picture?",
        "Compare a model with the one it was trained from: weights part by part, features block by block, masks.",
        "difference",
        "SAM v1, v2, v2.1, v3",
    ),
)
"""In the order of the pages."""

NAMES = tuple(entry.name for entry in ENTRIES)


def find_entry(name: str) -> Entry:
    """The experiment's row; BadInput with the nearest names where no experiment has that name. `_` for `-` and capitals
    make no difference.
    """
    folded = name.strip().lower().replace("_", "-")
    for entry in ENTRIES:
        if entry.name == folded:
            return entry
    raise BadInput(f'There is no experiment "{name:.60}": {nearest(folded, NAMES)}')


def find_experiment(name: str) -> Experiment:
    """The experiment's module; as `find_entry`."""
    return find_entry(name).experiment


def experiments_taking(field: str) -> list[str]:
    """The experiments that look at this field of `Inputs`, such as `image_b`."""
    return [entry.name for entry in ENTRIES if field in entry.experiment.TAKES]
