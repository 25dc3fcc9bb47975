"""The second model of a run that compares two, by the name that its parameters have."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from samkit.errors import CheckpointError
from samkit.models.files.reference import split_reference, with_choices
from samkit.work.find_model import find_checkpoint
from samkit.work.sources import LoadModel, load_from_disk

if TYPE_CHECKING:
    from samkit.models.sam import SamModel

OtherModel = Callable[[str, str | None, "SamModel"], "SamModel"]
"""(reference, SHA-256 or None, the first model) -> the second one, loaded as the first is."""


def open_other(ref: str, sha256: str | None, like: "SamModel") -> "SamModel":
    """What the owner of this machine names: a catalogue name, or a file anywhere."""
    return load_from_disk(ref, like.device, like.dtype)


def find_other(ref: str, sha256: str | None, like: "SamModel", load_model: LoadModel = load_from_disk) -> "SamModel":
    """By its hash, else by its name, in the catalogue and in the own folders: a reference that somebody else wrote has
    no other file opened.
    """
    from samkit.models.files.folders import own_checkpoints

    place, choices = split_reference(ref)
    name = Path(place).name
    found = find_checkpoint(name if name == place else Path(place).stem, sha256)
    here = found.ref
    if not found.same and place in map(str, own_checkpoints()):
        here = place
    if here is None:
        raise CheckpointError(
            f"The other model, {name[:100]}, is not on this machine: put its file into a folder that "
            "SAMKIT_EXTRA_MODELS names, or download it."
        )
    if not found.same:
        # Which model of the file, at which side; a base would be another file.
        here = with_choices(here, replace(choices, base=""))
    return load_model(here, like.device, like.dtype)
