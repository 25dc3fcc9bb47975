"""Where the model of a kept run is on this machine."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from samkit.errors import CheckpointError
from samkit.tracking.bundle.record import ModelEntry

if TYPE_CHECKING:
    from samkit.models.files.catalogue import CatalogueEntry
    from samkit.models.files.reference import Choices


@dataclass(frozen=True)
class FoundModel:
    """ref: catalogue name or path, None where there is none; same: whether it is the very file the run was made
    with.
    """

    ref: str | None
    same: bool


def is_model(ref: str, model: ModelEntry) -> bool:
    """Whether that reference, a catalogue name or a path, is the very file that the run was made with."""
    from samkit.models.files.catalogue import catalogue
    from samkit.models.files.reference import split_reference

    place, choices = split_reference(ref)
    entry = next((entry for entry in catalogue() if entry.name == place), None)
    if entry is not None:
        return entry.on_disk and _sha256(entry) == _file(model) and choices == _choices(model)
    return Path(place).exists() and _hash(Path(place)) == _file(model) and choices == _choices(model)


def find_model(model: ModelEntry) -> FoundModel:
    """Where the checkpoint of a run is, as `find_checkpoint`, with what was chosen of it."""
    from samkit.models.files.reference import with_choices

    found = find_checkpoint(model.name, _file(model))
    choices = _choices(model)
    if found.ref is None or not found.same:
        return found
    return FoundModel(with_choices(found.ref, choices), bool(choices.base) or not _took_base(model))


def find_checkpoint(name: str, sha256: str | None) -> FoundModel:
    """By its hash in the catalogue and in the own folders, then by its name there.

    A name is only ever compared with names, so a run.json can't have any other file opened. Raises CheckpointError
    where a folder of own checkpoints can't be read.
    """
    from samkit.models.files.catalogue import catalogue
    from samkit.models.files.folders import own_checkpoints

    entries = [entry for entry in catalogue() if entry.on_disk]
    known = next((entry.name for entry in entries if _sha256(entry) == sha256), None)
    if known:
        return FoundModel(known, True)
    # Large files take seconds to hash, so one of the right name comes first.
    own = sorted(own_checkpoints(), key=lambda path: path.stem != name)
    same = next((path for path in own if _hash(path) == sha256), None) if sha256 is not None else None
    if same:
        return FoundModel(str(same), True)
    named = [
        *(entry.name for entry in entries if entry.name == name),
        *(str(path) for path in own if name in (path.stem, path.name)),
    ]
    return FoundModel(named[0] if named else None, False)


def _took_base(model: ModelEntry) -> bool:
    """Whether another model had a part in it."""
    from samkit.models.files.reference import split_reference

    with suppress(CheckpointError):
        return bool(split_reference(model.ref or "")[1].base)
    return False


def _file(model: ModelEntry) -> str:
    return model.file_sha256 or model.sha256


def _sha256(entry: "CatalogueEntry") -> str | None:
    """Of the file of a catalogue entry, as the catalogue states it, or by looking where it doesn't."""
    return entry.sha256 or _hash(entry.local_path())


def _hash(path: Path) -> str | None:
    """Of the checkpoint at that path; None where it can't be told, or is none that could be loaded: folders may hold
    terabytes of others.
    """
    from samkit.models.files.glance import glance
    from samkit.models.files.hashes import located_sha256
    from samkit.models.files.locate import locate

    told = glance(path)
    if not told.loads and told.family != "adapter":
        return None
    try:
        return located_sha256(locate(path).files)
    except (CheckpointError, OSError):
        return None


def _choices(model: ModelEntry) -> "Choices":
    """What has to be chosen of the file, that the model is the run's. A base is taken only where it is one of the
    catalogue: a run can't have any other file opened.
    """
    from samkit.models.files.catalogue import find_entry
    from samkit.models.files.reference import Choices, split_reference
    from samkit.models.files.remembered import remembered

    said = Choices()
    base = ""
    with suppress(CheckpointError):
        said = split_reference(model.ref or "")[1]
    with suppress(CheckpointError):
        base = find_entry(said.base).name if said.base else ""
    windows = tuple(model.window_sizes) if model.window_sizes and len(model.window_sizes) == 4 else None
    # What is remembered here of the file was perhaps not when the run was made.
    plain = model.native_side is None and windows is None and remembered(_file(model)) is not None
    return Choices(said.part, base, model.native_side, windows, plain)
