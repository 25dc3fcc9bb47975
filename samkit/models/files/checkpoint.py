"""Read a checkpoint file into a state dict. Nothing in the file is ever run, nothing that it says is believed, and its
weights become this process's own.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from samkit.errors import CheckpointError
from samkit.models.files.adapter import is_adapter
from samkit.models.files.checkpoint_file import (
    CheckpointFile,
    inspect_checkpoint_file,
    inspect_checkpoint_stream,
    table_error,
)
from samkit.models.files.foreign import optimizer_alone
from samkit.models.files.hashes import file_state, sha256_of_parts
from samkit.models.files.key_layout import (
    Layout,
    NamedKeys,
    apply_layout,
    comes_last,
    find_layouts,
    is_rotary_table,
    plain_key,
)
from samkit.models.files.locate import Located, locate
from samkit.models.files.needed import needed_of_parts, needed_places
from samkit.models.files.own_bytes import OwnBytes, check_room, read_own_bytes
from samkit.models.files.parts import Part, Stored, find_parts
from samkit.models.files.pickle_machine import PickleDamaged, PickleRefused
from samkit.models.files.sam3_keys import MULTIPLEX, third_of, windows_by_tables
from samkit.models.files.stored_weights import ITEM_BYTES, OddTensor, StoredBytes, StoredTensor, WeightsTable
from samkit.models.files.tables import CutShort, TableDamaged, legacy_table, safetensors_table, zip_table
from samkit.models.files.told import renamed, unwrapped
from samkit.models.files.transformers_keys import POINT_TABLE
from samkit.words import format_bytes

_WEIGHT_DTYPES = ("float32", "float16", "bfloat16", "float64")
_KEYS_SHOWN = 3
MAX_POINTS = 16
MAX_WEIGHTS = 20_000
"""How many weights a model has at most; the largest official one has about 900."""
_WRITTEN_OUT = 2
"""How many times the size of their file weights may take together. Those that share numbers count once each, for each
of them is laid out on its own before it is computed with.
"""


@dataclass(frozen=True)
class Checkpoint:
    """The weights of one file, under the official names, and what the file says about them.

    sha256:   of the very bytes that the weights are, 64 hex digits; whatever becomes of the file. Of a file in parts:
              of the hashes of its parts
    changes:  what was done to the file's weights, a sentence each; empty for the plain files of the official packages
    layout:   how the file names its weights; None where it is no known model
    others:   names of other models in the file, for `#NAME`
    """

    path: Path
    state_dict: dict[str, torch.Tensor]
    """Floating-point CPU tensors (a batch-norm counter may be an integer) in memory of this process."""
    metadata: dict
    """The JSON object of the safetensors metadata entry `samkit`; {} where there is none."""
    file_bytes: int
    sha256: str
    changes: tuple[str, ...] = ()
    layout: Layout | None = None
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Opened:
    file: CheckpointFile
    own: OwnBytes
    table: WeightsTable


def read_checkpoint(path: Path | str, part: str = "") -> Checkpoint:
    """Read `.safetensors`, `.pt`, `.pth` or `.bin`, whichever the content is; a folder that transformers saved to; or a
    file in parts by its index. A state dict that a trainer wrapped is unwrapped, prefixes are taken off, and
    transformers' names become the official ones: `changes` says what was done.

    part: the name of the weights to take where the file holds several; "" for the likeliest

    Pickles are read by a machine that can call nothing (pickle_machine.py): a file that holds more than tensors and
    plain values is refused.

    Raises CheckpointError for whatever is no whole file of float weights. Whether they are the weights of a known model
    is not decided here.
    """
    located = locate(Path(path).expanduser())
    if len(located.files) > 1:
        return _read_parts(located)
    opened = _open(located.files[0])
    name = opened.file.path.name
    content = opened.table.content
    if part == "" and optimizer_alone(content):
        raise CheckpointError(f"{name} is the state of an optimizer alone: give the file with the model's weights.")
    chosen, layout, others = choose(name, find_parts(content), part, content)
    named = named_keys(chosen.weights, layout)
    stored = {key: chosen.weights[key] for key in named.names}
    tensors = _laid_out(_plain_weights(name, stored, opened.table, len(opened.own.data)), opened.table, opened.own)
    return Checkpoint(
        path=located.path,
        state_dict=_official(tensors, named.names),
        metadata=_by_tables(layout, chosen.weights) | opened.file.metadata,
        file_bytes=opened.file.file_bytes,
        sha256=opened.own.sha256,
        changes=(*unwrapped(chosen, others, content), *renamed(named, layout)),
        layout=layout,
        others=others,
    )


def _read_parts(located: Located) -> Checkpoint:
    name = located.path.name
    try:
        needed = needed_of_parts(located.files)
        if needed is None:
            check_room(located.path, sum(file.stat().st_size for file in located.files))
    except OSError as error:
        raise CheckpointError(
            f"A part of {name} can't be read ({error.strerror or error}): check its permissions and the disk."
        ) from error
    opened = [_open(file, needed) for file in located.files]
    contents: list[dict[str, Stored]] = []
    for each in opened:
        content = each.table.content
        if not isinstance(content, dict) or not all(
            isinstance(key, str) and isinstance(value, Stored) for key, value in content.items()
        ):
            raise CheckpointError(f"{each.file.path.name}, a part of {name}, holds other things than weights.")
        contents.append(content)
    keys = [key for content in contents for key in content]
    if len(set(keys)) != len(keys):
        raise CheckpointError(f"The parts of {name} hold the same weights twice: fetch them again.")
    layout = next(iter(find_layouts(keys)), None)
    named = named_keys(dict.fromkeys(keys), layout)
    tensors: dict[str, torch.Tensor] = {}
    for each, content in zip(opened, contents, strict=True):
        stored = {key: value for key, value in content.items() if key in named.names}
        if stored:
            plain = _plain_weights(each.file.path.name, stored, each.table, len(each.own.data))
            tensors |= _laid_out(plain, each.table, each.own)
    return Checkpoint(
        path=located.path,
        state_dict=_official(tensors, named.names),
        metadata=_by_tables(layout, {key: value for content in contents for key, value in content.items()}),
        file_bytes=sum(each.file.file_bytes for each in opened),
        sha256=sha256_of_parts([each.own.sha256 for each in opened]),
        changes=(f"The weights come from {len(opened)} files.", *renamed(named, layout)),
        layout=layout,
    )


def _open(path: Path, named: Collection[str] | None = None) -> _Opened:
    """Read one file. named: the keys that are needed of it, where its own tell too little; None: they tell"""
    # What is no checkpoint is refused before all of it is read.
    inspected = inspect_checkpoint_file(path)
    path = inspected.path
    try:
        state = file_state(path)
        needed = needed_places(inspected, named)
        own = read_own_bytes(path, needed)
        file = inspect_checkpoint_stream(path, own.stream(), len(own.data))
        if needed is not None and file_state(path) != state:
            raise CheckpointError(
                f"{path.name} was written to while it was read: wait until the copy or download is done, and load the "
                "model again."
            )
    except OSError as error:
        raise CheckpointError(
            f"{path} can't be read ({error.strerror or error}): check its permissions and the disk."
        ) from error
    except MemoryError as error:
        raise CheckpointError(
            f"There is not enough memory for {path.name}: choose a smaller model, or end what else takes memory."
        ) from error
    return _Opened(file, own, _table(file, own))


def choose(name: str, parts: list[Part], wanted: str, content: object) -> tuple[Part, Layout | None, tuple[str, ...]]:
    """(the part, how it names its weights, names of the other models in the file)."""
    models = [(part, layout) for part in parts if not is_adapter(part.weights) for layout in find_layouts(part.weights)]
    models.sort(key=lambda each: (not each[1].whole, comes_last(each[0].name) or comes_last(each[1].prefix)))
    if models:
        models = [each for each in models if each[1].whole == models[0][1].whole]
    if wanted:
        fits = [each for each in models if wanted in _names(*each)]
        if not fits:
            there = ", ".join(f'"{_name(*each)[:60]}"' for each in models if _name(*each)) or "only one model"
            raise CheckpointError(f'{name} holds no model under the name "{wanted[:60]}": it has {there}.')
        models = [*fits, *(each for each in models if each not in fits)]
    if models:
        part, layout = models[0]
        others = dict.fromkeys(_name(*each) for each in models[1:])
        return part, layout, tuple(other for other in others if other and other != _name(part, layout))
    usual = [part for part in parts if part.name in ("", "model", "state_dict")]
    if not usual and not parts:
        raise _no_weights(name, content)
    return (usual or parts)[0], None, ()


def _names(part: Part, layout: Layout) -> tuple[str, ...]:
    return _name(part, layout), part.name, layout.name


def _name(part: Part, layout: Layout) -> str:
    return "/".join(word for word in (part.name, layout.name) if word)


def _no_weights(name: str, content: object) -> CheckpointError:
    if not isinstance(content, dict):
        return CheckpointError(
            f"{name} holds {_kind(content)}, not a state dict: save the model with torch.save(model.state_dict(), ...)."
        )
    if not content or any(content.get(key) == {} for key in ("model", "state_dict")):
        return CheckpointError(
            f"{name} holds no weights at all: save the model with torch.save(model.state_dict(), ...)."
        )
    described = [f"{_shown(str(key))}: {_kind(value)}" for key, value in content.items()]
    return CheckpointError(
        f"{name} holds other things than weights ({_first(described)}): save the state dict alone, or as "
        '{"model": state_dict}.'
    )


def named_keys(keys: Mapping[str, object], layout: Layout | None) -> NamedKeys:
    """The official name of each key; all as they are where nothing is known of them."""
    if layout is None:
        tables = tuple(key for key in keys if is_rotary_table(key))
        return NamedKeys({key: key for key in keys if key not in tables}, (), tables)
    return apply_layout(keys, layout)


def _by_tables(layout: Layout | None, weights: Mapping[str, Stored]) -> dict[str, object]:
    """What SAM 3's tables of rotary positions say of its windows, which are no weights; and whether it is 3.1."""
    if layout is None or layout.family != "sam3" or layout.named_by != "official":
        return {}
    shapes = {key: value.shape for key, value in weights.items() if isinstance(value, StoredTensor)}
    version = {"version": "3.1"} if any(MULTIPLEX in key for key in weights) else {}
    return version | windows_by_tables(
        {plain_key(key).removeprefix(layout.prefix): shape for key, shape in shapes.items()}
    )


def _official(tensors: Mapping[str, torch.Tensor], names: Mapping[str, str]) -> dict[str, torch.Tensor]:
    """The weights under their official names. transformers' table of point embeddings is taken apart, and its queries,
    keys and values of SAM 3 are put together.
    """
    official: dict[str, torch.Tensor] = {}
    thirds: dict[str, dict[int, torch.Tensor]] = {}
    heads = "tracker." if any(name.startswith("tracker.") for name in names.values()) else ""
    for key, tensor in tensors.items():
        name = names[key]
        third = third_of(key)
        if name == POINT_TABLE and tensor.ndim == 2 and len(tensor) <= MAX_POINTS:
            for index, row in enumerate(tensor):
                official[f"{heads}sam_prompt_encoder.point_embeddings.{index}.weight"] = row[None]
        elif third is not None and ".attn.qkv." in name:
            thirds.setdefault(name, {})[third] = tensor
        else:
            official[name] = tensor
    for name, parts in thirds.items():
        if len(parts) == 3 and len({part.shape[1:] for part in parts.values()}) == 1:
            official[name] = torch.cat([parts[third] for third in range(3)])
    return official


def _table(file: CheckpointFile, own: OwnBytes) -> WeightsTable:
    view = own.data.data
    try:
        if file.format == "safetensors":
            return safetensors_table(own.stream(), len(view))
        return zip_table(own.stream(), view) if file.format == "torch_zip" else legacy_table(view)
    except PickleRefused as error:
        raise CheckpointError(
            f"{file.path.name} was not opened because it {error}: ask for a .safetensors file, or one that "
            "torch.save(model.state_dict(), ...) wrote."
        ) from error
    except TableDamaged as error:
        raise table_error(file.path, error) from error
    except (PickleDamaged, CutShort) as error:
        raise CheckpointError(
            f"{file.path.name} is cut short or damaged, its weights can't be read: fetch it again."
        ) from error


def _kind(value: object) -> str:
    if isinstance(value, StoredTensor | OddTensor):
        return "a tensor"
    return (
        f"a {type(value).__name__}"
        if isinstance(value, bool | int | float | str | bytes | list | tuple | dict)
        else ("nothing" if value is None else "an object")
    )


def _plain_weights(name: str, values: dict, table: WeightsTable, file_bytes: int) -> dict[str, StoredTensor]:
    """The weights, every one of them plain numbers that the file really holds."""
    unfit = [f"{_shown(key)}: {kind}" for key, value in values.items() if (kind := _unfit(value))]
    if unfit:
        raise CheckpointError(
            f"{len(unfit)} of the {len(values)} weights in {name} are not plain floating-point numbers "
            f"({_first(unfit)}): give the checkpoint before it was quantised or packed."
        )
    if len(values) > MAX_WEIGHTS:
        raise CheckpointError(
            f"{name} holds {len(values)} weights, and no Segment Anything model has more than {MAX_WEIGHTS}: give "
            "another file."
        )
    lies = [f"{_shown(key)} {lie}" for key, value in values.items() if (lie := value.lie(_held(value.storage, table)))]
    if lies:
        raise CheckpointError(f"{name} is damaged, its weights are not what it says ({_first(lies)}): fetch it again.")
    total = sum(value.nbytes for value in values.values())
    if total > _WRITTEN_OUT * file_bytes:
        raise CheckpointError(
            f"{name} has {format_bytes(file_bytes)}, and its weights would take {format_bytes(total)}: it uses "
            "the same numbers again and again, as no model does. Fetch it again, or give another file."
        )
    return values


def _held(storage: StoredBytes, table: WeightsTable) -> int:
    """How many numbers of its dtype the file has for a storage."""
    return table.places.get(storage.key, (0, 0))[1] // ITEM_BYTES[storage.dtype]


def _unfit(tensor: StoredTensor | OddTensor) -> str:
    """Why `tensor` can't be a weight, or "". A single integer passes: batch norms count their batches in one."""
    if isinstance(tensor, OddTensor):
        return tensor.kind
    dtype = tensor.storage.dtype
    single = not tensor.shape and dtype in ("int64", "int32", "int16", "int8", "uint8", "bool")
    return "" if single or dtype in _WEIGHT_DTYPES else dtype.replace("?", "of an unknown dtype")


def _laid_out(tensors: dict[str, StoredTensor], table: WeightsTable, own: OwnBytes) -> dict[str, torch.Tensor]:
    """The tensors, on the process's own bytes where they lie as the processor likes them."""
    rows: dict[tuple[str, str], torch.Tensor] = {}
    state = {}
    for key, tensor in tensors.items():
        place = tensor.storage.key, tensor.storage.dtype
        if place not in rows:
            rows[place] = _row(tensor.storage, table, own)
        state[key] = rows[place].as_strided(tensor.shape, tensor.strides, tensor.offset)
    return state


def _row(storage: StoredBytes, table: WeightsTable, own: OwnBytes) -> torch.Tensor:
    first, _ = table.places[storage.key]
    dtype, count = getattr(torch, storage.dtype), _held(storage, table)
    row = own.data[first : first + count * ITEM_BYTES[storage.dtype]]
    if first % ITEM_BYTES[storage.dtype]:
        # Into memory that begins where torch's own does: last digits follow from where numbers lie.
        return torch.frombuffer(row.copy(), dtype=dtype).clone()
    return torch.frombuffer(row, dtype=dtype)


def _shown(key: str) -> str:
    """A key of a file that nobody knows, in an error."""
    return key if len(key) <= 100 else f"{key[:100]}..."


def _first(items: list[str]) -> str:
    shown = ", ".join(items[:_KEYS_SHOWN])
    return shown if len(items) <= _KEYS_SHOWN else f"{shown} and {len(items) - _KEYS_SHOWN} more"
