"""All files that have a say in what a reference loads, in the state that they are in. Knows no torch."""

from dataclasses import dataclass
from pathlib import Path

from samkit.errors import CheckpointError
from samkit.models.files.beside import ADAPTER_CONFIG, CONFIG, beside
from samkit.models.files.catalogue import resolve_model
from samkit.models.files.hashes import FileState, file_state
from samkit.models.files.locate import locate
from samkit.models.files.reference import split_reference
from samkit.models.files.remembered import remembered_path


@dataclass(frozen=True)
class Depends:
    """path: of the checkpoint; states: of it and of all others, None for one that could be there and is not."""

    path: Path
    states: tuple[FileState | None, ...]


def depends_on(ref: str | Path) -> Depends:
    """Another answer means that the reference has to be loaded again. Raises CheckpointError as loading does."""
    place, choices = split_reference(ref)
    path = resolve_model(place)
    located = locate(path)
    try:
        states = tuple(file_state(file) for file in located.files)
    except OSError as error:
        raise CheckpointError(f"{path} can no longer be read ({error.strerror or error}): check the path.") from error
    others = (located.folder / CONFIG, located.folder / ADAPTER_CONFIG, beside(path), remembered_path())
    base = depends_on(choices.base).states if choices.base else ()
    return Depends(path, (*states, *(_state(other) for other in others), *base))


def _state(path: Path) -> FileState | None:
    try:
        return file_state(path)
    except OSError:
        return None
