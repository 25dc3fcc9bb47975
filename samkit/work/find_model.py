"""Where the model of a kept run is on this machine."""

from dataclasses import dataclass
from pathlib import Path

from samkit.tracking.bundle.record import ModelEntry


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
    from samkit.models.files.hashes import file_sha256

    entry = next((entry for entry in catalogue() if entry.name == ref), None)
    if entry is not None:
        return entry.on_disk and entry.sha256 == model.sha256
    return Path(ref).is_file() and file_sha256(Path(ref)) == model.sha256


def find_model(model: ModelEntry) -> FoundModel:
    """Where the checkpoint of a run is, as `find_checkpoint`."""
    return find_checkpoint(model.name, model.sha256)


def find_checkpoint(name: str, sha256: str | None) -> FoundModel:
    """By its hash in the catalogue and in the own folders, then by its name there.

    A name is only ever compared with names, so a run.json can't have any other file opened. Raises CheckpointError
    where a folder of own checkpoints can't be read.
    """
    from samkit.models.files.catalogue import catalogue
    from samkit.models.files.folders import own_checkpoints
    from samkit.models.files.hashes import file_sha256

    entries = [entry for entry in catalogue() if entry.on_disk]
    known = next((entry.name for entry in entries if entry.sha256 == sha256), None)
    if known:
        return FoundModel(known, True)
    # Large files take seconds to hash, so one of the right name comes first.
    own = sorted(own_checkpoints(), key=lambda path: path.stem != name)
    same = next((path for path in own if file_sha256(path) == sha256), None) if sha256 is not None else None
    if same:
        return FoundModel(str(same), True)
    named = [
        *(entry.name for entry in entries if entry.name == name),
        *(str(path) for path in own if name in (path.stem, path.name)),
    ]
    return FoundModel(named[0] if named else None, False)
