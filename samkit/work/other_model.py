"""The second model of a run that compares two, by the name that its parameters have."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from samkit.errors import CheckpointError
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
    found = find_checkpoint(ref if Path(ref).name == ref else Path(ref).stem, sha256)
    if found.ref is None:
        raise CheckpointError(
            f"The other model, {Path(ref).name[:100]}, is not on this machine: put its file into a folder that "
            "SAMKIT_EXTRA_MODELS names, or download it."
        )
    return load_model(found.ref, like.device, like.dtype)
