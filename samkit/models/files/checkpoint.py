"""Read a checkpoint file into a state dict. Nothing in the file is ever run, nothing that it says is believed, and its
weights become this process's own.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from samkit.errors import CheckpointError
from samkit.models.files.checkpoint_file import (
    CheckpointFile,
    inspect_checkpoint_file,
    inspect_checkpoint_stream,
    table_error,
)
from samkit.models.files.own_bytes import OwnBytes, read_own_bytes
from samkit.models.files.pickle_machine import PickleDamaged, PickleRefused
from samkit.models.files.stored_weights import ITEM_BYTES, OddTensor, StoredBytes, StoredTensor, WeightsTable
from samkit.models.files.tables import CutShort, TableDamaged, legacy_table, safetensors_table, zip_table
from samkit.words import format_bytes

_WRAPPER_KEYS = ("model", "state_dict")
_WEIGHT_DTYPES = ("float32", "float16", "bfloat16", "float64")
_KEYS_SHOWN = 3
MAX_WEIGHTS = 20_000
"""How many weights a model has at most; the largest official one has about 900."""
_WRITTEN_OUT = 2
"""How many times the size of their file weights may take together. Those that share numbers count once each, for each
of them is laid out on its own before it is computed with.
"""


@dataclass(frozen=True)
class Checkpoint:
    """The weights of one file and what the file says about them.

    sha256: of the very bytes that the weights are, 64 hex digits; whatever becomes of the file
    """

    path: Path
    state_dict: dict[str, torch.Tensor]
    """Floating-point CPU tensors (a batch-norm counter may be an integer) in memory of this process."""
    metadata: dict
    """The JSON object of the safetensors metadata entry `samkit`; {} where there is none."""
    file_bytes: int
    sha256: str


def read_checkpoint(path: Path | str) -> Checkpoint:
    """Read `.safetensors`, `.pt` or `.pth`, whichever the content is. A state dict wrapped as {"model": ...} or
    {"state_dict": ...} is unwrapped.

    Pickles are read by a machine that can call nothing (pickle_machine.py): a file that holds more than tensors and
    plain values is refused.

    Raises CheckpointError for whatever is no whole file of float weights. Whether they are the weights of a known model
    is not decided here.
    """
    # What is no checkpoint is refused before all of it is read.
    path = inspect_checkpoint_file(path).path
    try:
        own = read_own_bytes(path)
        file = inspect_checkpoint_stream(path, own.stream(), len(own.data))
    except OSError as error:
        raise CheckpointError(
            f"{path} can't be read ({error.strerror or error}): check its permissions and the disk."
        ) from error
    except MemoryError as error:
        raise CheckpointError(
            f"There is not enough memory for {path.name}: choose a smaller model, or end what else takes memory."
        ) from error
    table = _table(file, own)
    name = file.path.name
    tensors = _plain_weights(name, _unwrap(name, table.content), table, len(own.data))
    return Checkpoint(
        path=file.path,
        state_dict=_laid_out(tensors, table, own),
        metadata=file.metadata,
        file_bytes=file.file_bytes,
        sha256=own.sha256,
    )


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


def _unwrap(name: str, content: object) -> dict:
    if isinstance(content, dict):
        for key in _WRAPPER_KEYS:
            if isinstance(content.get(key), dict):
                content = content[key]
                break
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{name} holds {_kind(content)}, not a state dict: save the model with torch.save(model.state_dict(), ...)."
        )
    if not content:
        raise CheckpointError(
            f"{name} holds no weights at all: save the model with torch.save(model.state_dict(), ...)."
        )
    others = [
        key
        for key, value in content.items()
        if not (isinstance(key, str) and isinstance(value, StoredTensor | OddTensor))
    ]
    if others:
        raise CheckpointError(
            f"{name} holds other things than weights ({_first([f'{key}: {_kind(content[key])}' for key in others])}): "
            'save the state dict alone, or as {"model": state_dict}.'
        )
    return content


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
