"""What a checkpoint is, told from its table of contents alone: for a list of files, none of which is loaded. Knows no
network.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from samkit.errors import CheckpointError
from samkit.files import opened_regular
from samkit.models.files.checkpoint import choose, named_keys
from samkit.models.files.checkpoint_file import inspect_checkpoint_file
from samkit.models.files.foreign import extras_of, optimizer_alone, what_it_is
from samkit.models.files.hashes import FileState, file_state
from samkit.models.files.key_layout import Layout, NamedKeys
from samkit.models.files.locate import Located, locate
from samkit.models.files.parts import Part, Stored, find_parts
from samkit.models.files.pickle_machine import PickleDamaged, PickleRefused, read_pickle
from samkit.models.files.stored_weights import StoredTensor
from samkit.models.files.tables import MAX_PICKLE, CutShort, TableDamaged, safetensors_table, zip_members
from samkit.models.files.told import extras_left_out, renamed, unwrapped
from samkit.models.files.transformers_keys import POINT_TABLE

MAX_REMEMBERED = 2048
_UNREADABLE = (PickleRefused, PickleDamaged, CutShort, TableDamaged, OSError)


@dataclass(frozen=True)
class Glance:
    """family:   "sam1", "sam2", "sam3", "adapter" for what needs a base, or "" for what can't be told
    told:        what would be done to it, a sentence each; or, where it can't be loaded as it is, why
    loads:       whether it looks like a whole model
    file_bytes:  on disk
    others:      names of other models in the file, for `#NAME`
    follows:     whether it has what follows objects through films
    """

    family: str
    told: tuple[str, ...]
    loads: bool
    file_bytes: int
    others: tuple[str, ...] = ()
    follows: bool = False


@dataclass(frozen=True)
class _Table:
    """content: all that the files hold; part, layout, named: the model among it that would be taken."""

    content: object
    part: Part
    layout: Layout | None
    others: tuple[str, ...]
    named: NamedKeys

    @property
    def weights(self) -> Mapping[str, Stored]:
        """By their official names."""
        return {name: self.part.weights[key] for key, name in self.named.names.items()}


@dataclass(frozen=True)
class Contents:
    """shapes: official name of each weight -> its shape; metadata: the safetensors entry `samkit`, {} for none."""

    shapes: Mapping[str, StoredTensor]
    layout: Layout
    metadata: Mapping[str, object]


def glance(path: Path) -> Glance:
    """Never raises `CheckpointError`: its sentence is what is told."""
    try:
        return _glance(path, states_of(path))
    except CheckpointError as error:
        return Glance("", (str(error),), False, 0)
    except OSError as error:
        return Glance("", (f"{path.name} can't be read ({error.strerror or error}).",), False, 0)


def states_of(path: Path) -> tuple[FileState, ...]:
    """Of its files: what changes whenever the checkpoint does. Raises CheckpointError and OSError."""
    return tuple(file_state(file) for file in locate(path).files)


def contents(path: Path) -> Contents | None:
    """The weights of a whole model without their numbers; None for anything else, and for files of before torch 1.6."""
    try:
        located = locate(path)
        table = _table(path, located)
    except (CheckpointError, *_UNREADABLE):
        return None
    if table is None or table.layout is None or not table.layout.whole:
        return None
    shapes = {name: each for name, each in table.weights.items() if isinstance(each, StoredTensor)}
    return Contents(shapes, table.layout, inspect_checkpoint_file(located.files[0]).metadata)


@lru_cache(maxsize=MAX_REMEMBERED)
def _glance(path: Path, states: tuple[FileState, ...]) -> Glance:
    size = sum(state.size for state in states)
    try:
        table = _table(path, locate(path))
        if table is None:
            return Glance("", ("What it is shows once it is loaded.",), True, size)
    except CheckpointError as error:
        return Glance("", (str(error),), False, size)
    except _UNREADABLE:
        told = f"{path.name} can't be read: its table of contents is damaged, or asks for code."
        return Glance("", (told,), False, size)
    layout = table.layout
    whole = layout is not None and layout.whole and any("mask_decoder." in name for name in table.weights)
    what = what_it_is(path.name, table.weights.keys(), whole)
    if what is not None:
        return Glance("adapter" if "#base=" in what else "", (what,), False, size)
    if layout is None or not whole:
        return Glance("", (f"{path.name} is not a Segment Anything model.",), False, size)
    extras = extras_of(layout.family, table.weights.keys() - {POINT_TABLE})
    done = (
        *unwrapped(table.part, table.others, table.content),
        *renamed(table.named, layout),
        *([extras_left_out(extras)] if extras else []),
    )
    follows = any("maskmem_tpos_enc" in name for name in table.weights)
    return Glance(layout.family, done, True, size, table.others, follows)


def _table(path: Path, located: Located) -> _Table | None:
    """None for files of before torch 1.6. Raises CheckpointError where no weights are in it, and what reading tables
    raises.
    """
    content = _content(located)
    if content is None:
        return None
    if optimizer_alone(content):
        raise CheckpointError(f"{path.name} is the state of an optimizer alone.")
    part, layout, others = choose(path.name, find_parts(content), "", content)
    return _Table(content, part, layout, others, named_keys(part.weights, layout))


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
