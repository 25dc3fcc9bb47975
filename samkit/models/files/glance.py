"""What a checkpoint is, told from its table of contents alone: for a list of files, none of which is loaded. Knows no
network.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path

from samkit.errors import CheckpointError
from samkit.files import opened_regular
from samkit.models.files.checkpoint import choose, named_keys
from samkit.models.files.checkpoint_file import inspect_checkpoint_file
from samkit.models.files.foreign import optimizer_alone, what_it_is
from samkit.models.files.hashes import FileState, file_state
from samkit.models.files.locate import Located, locate
from samkit.models.files.parts import Stored, find_parts
from samkit.models.files.pickle_machine import PickleDamaged, PickleRefused, read_pickle
from samkit.models.files.stored_weights import StoredTensor
from samkit.models.files.tables import MAX_PICKLE, CutShort, TableDamaged, safetensors_table, zip_members
from samkit.models.files.told import renamed, unwrapped


@dataclass(frozen=True)
class Glance:
    """family:   "sam1", "sam2", "adapter" for what needs a base, or "" for what can't be told
    told:        what would be done to it, a sentence each; or, where it can't be loaded as it is, why
    loads:       whether it looks like a whole model
    memory:      bytes that its weights take once loaded, 0 where nothing tells
    file_bytes:  on disk
    """

    family: str
    told: tuple[str, ...]
    loads: bool
    memory: int
    file_bytes: int


def glance(path: Path) -> Glance:
    """Never raises `CheckpointError`: its sentence is what is told."""
    try:
        located = locate(path)
        states = tuple(file_state(file) for file in located.files)
        return _glance(path, states)
    except CheckpointError as error:
        return Glance("", (str(error),), False, 0, 0)
    except OSError as error:
        return Glance("", (f"{path.name} can't be read ({error.strerror or error}).",), False, 0, 0)


@lru_cache(maxsize=512)
def _glance(path: Path, states: tuple[FileState, ...]) -> Glance:
    located = locate(path)
    size = sum(state.size for state in states)
    try:
        content = _content(located)
        if content is None:
            return Glance("", ("What it is shows once it is loaded.",), True, size, size)
        if optimizer_alone(content):
            return Glance("", (f"{path.name} is the state of an optimizer alone.",), False, 0, size)
        part, layout, others = choose(path.name, find_parts(content), "", content)
        named = named_keys(part.weights, layout)
    except CheckpointError as error:
        return Glance("", (str(error),), False, 0, size)
    except (PickleRefused, PickleDamaged, CutShort, TableDamaged):
        return Glance(
            "", (f"{path.name} can't be read: its table of contents is damaged, or asks for code.",), False, 0, size
        )
    weights: Mapping[str, Stored] = {name: part.weights[key] for key, name in named.names.items()}
    memory = 4 * sum(prod(each.shape) for each in weights.values() if isinstance(each, StoredTensor))
    whole = layout is not None and layout.whole and any("mask_decoder." in name for name in weights)
    what = what_it_is(path.name, weights.keys(), whole)
    if what is not None:
        return Glance("adapter" if "#base=" in what else "", (what,), False, memory, size)
    if layout is None or not whole:
        return Glance("", (f"{path.name} is not a Segment Anything model.",), False, memory, size)
    done = (*unwrapped(part, others, content), *renamed(named, layout))
    return Glance(layout.family, done, True, memory, size)


def _content(located: Located) -> object:
    """What the file holds, with notes in place of weights; None for files of before torch 1.6."""
    found: dict[str, object] = {}
    for path in located.files:
        file = inspect_checkpoint_file(path)
        with opened_regular(path) as (stream, _):
            if file.format == "torch_legacy":
                return None
            if file.format == "safetensors":
                content = safetensors_table(stream, file.file_bytes).content
            else:
                member = next((each for each in zip_members(stream) if each.filename.endswith("/data.pkl")), None)
                if member is None or member.file_size > MAX_PICKLE:
                    raise TableDamaged
                stream.seek(member.header_offset)
                head = stream.read(30)
                skip = int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
                stream.seek(member.header_offset + 30 + skip)
                content = read_pickle(memoryview(stream.read(member.file_size)))[0]
        if len(located.files) == 1:
            return content
        if isinstance(content, dict):
            found |= content
    return found
