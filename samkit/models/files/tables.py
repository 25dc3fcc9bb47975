"""The tables of contents of the three formats: where in the file each weight lies. Nothing but the tables is read, and
nothing in them is believed. Knows no torch.
"""

import json
import zipfile
from collections import Counter
from typing import Any, BinaryIO, Protocol

from samkit.models.files.pickle_machine import read_pickle
from samkit.models.files.stored_weights import ITEM_BYTES, StoredBytes, StoredTensor, WeightsTable

MAX_SAFETENSORS_HEADER = 16_000_000
MAX_ZIP_DIRECTORY = 4_000_000
MAX_PICKLE = 64_000_000
"""Bytes. An official model's tables have about 100 kB."""

_SAFETENSORS_DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "I16": "int16",
    "U16": "uint16",
    "I32": "int32",
    "U32": "uint32",
    "I64": "int64",
    "U64": "uint64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}


class TableDamaged(Exception):
    """A table that contradicts itself or the file."""


class CutShort(Exception):
    """The text says where the file ends."""


def read_safetensors_header(stream: BinaryIO, size: int) -> tuple[dict[str, Any], int]:
    """(the header as JSON, where the weights begin). Raises `CutShort`, `TableDamaged`."""
    stream.seek(0)
    length = int.from_bytes(stream.read(8), "little")
    if 8 + length > size:
        raise CutShort("within its table of contents")
    if length > MAX_SAFETENSORS_HEADER:
        raise TableDamaged
    try:
        header = json.loads(stream.read(length), object_pairs_hook=_without_doubles)
        entries = {key: entry for key, entry in header.items() if key != "__metadata__"}
        ends = [entry["data_offsets"][1] for entry in entries.values()]
        needed = 8 + length + max(ends, default=0)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise TableDamaged from error
    if needed > size:
        raise CutShort(f"after {size} of {needed} bytes")
    return header, 8 + length


def safetensors_table(stream: BinaryIO, size: int) -> WeightsTable:
    """Raises `CutShort`, `TableDamaged`."""
    header, begin = read_safetensors_header(stream, size)
    content: dict[str, StoredTensor] = {}
    places: dict[str, tuple[int, int]] = {}
    for key, entry in header.items():
        if key == "__metadata__":
            continue
        try:
            dtype, shape, (first, end) = (
                _SAFETENSORS_DTYPES.get(entry["dtype"], "?"),
                entry["shape"],
                entry["data_offsets"],
            )
            if any(type(number) is not int or number < 0 for number in (first, end, *shape)) or end < first:
                raise TableDamaged
        except (KeyError, ValueError, TypeError) as error:
            raise TableDamaged from error
        strides, step = [], 1
        for side in reversed(shape):
            strides.append(step)
            step *= side
        count = (end - first) // ITEM_BYTES.get(dtype, 1)
        content[key] = StoredTensor(StoredBytes(key, dtype, count), 0, tuple(shape), tuple(reversed(strides)))
        places[key] = begin + first, end - first
    ends = sorted((first, first + length) for first, length in places.values())
    if any(later[0] < earlier[1] for earlier, later in zip(ends, ends[1:], strict=False)):
        raise TableDamaged
    return WeightsTable(content, places)


def zip_members(stream: BinaryIO) -> list[zipfile.ZipInfo]:
    """Raises `CutShort` where the list of members is missing, `TableDamaged` where it is too long or has one twice."""
    try:
        with zipfile.ZipFile(_Modest(stream)) as archive:
            members = archive.infolist()
    except _TooMuch as error:
        raise TableDamaged from error
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, ValueError, OSError, OverflowError) as error:
        # The list of a zip's members is its last part, so whatever is missing from the file, it is that.
        raise CutShort("before the list of its members") from error
    if any(count > 1 for count in Counter(member.filename for member in members).values()):
        raise TableDamaged
    return members


class Slices(Protocol):
    """Bytes that can be asked for a piece at a time."""

    def __len__(self) -> int: ...

    def __getitem__(self, piece: slice, /) -> memoryview: ...


def zip_table(stream: BinaryIO, data: Slices) -> WeightsTable:
    """data: all bytes of the file. Raises `CutShort`, `TableDamaged`, and what `read_pickle` raises."""
    places = {}
    for member in zip_members(stream):
        start = member.header_offset
        head = bytes(data[start : start + 30]) if 0 <= start < len(data) else b""
        if len(head) < 30 or head[:4] != b"PK\x03\x04" or member.flag_bits & 1:
            raise TableDamaged
        begin = start + 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
        if member.file_size != member.compress_size or begin + member.file_size > len(data):
            raise TableDamaged
        places[member.filename] = begin, member.file_size
    pickles = [name for name in places if name.partition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        raise TableDamaged
    folder = pickles[0].removesuffix("data.pkl")
    begin, length = places[pickles[0]]
    order = places.get(f"{folder}byteorder")
    if length > MAX_PICKLE or (order is not None and bytes(data[order[0] : sum(order)][:8]) != b"little"):
        raise TableDamaged
    content, _ = read_pickle(data[begin : begin + length])
    inside = f"{folder}data/"
    return WeightsTable(
        content, {name.removeprefix(inside): place for name, place in places.items() if name.startswith(inside)}
    )


def legacy_table(data: memoryview) -> WeightsTable:
    """Of what `torch.save` wrote before torch 1.6: five pickles, then each storage with its length in front.

    Raises `CutShort`, `TableDamaged`, and what `read_pickle` raises.
    """
    position, values = 0, []
    for _ in range(5):
        value, position = read_pickle(data, position)
        values.append(value)
    _, _, system, content, keys = values
    if not isinstance(system, dict) or system.get("little_endian") is not True or type(keys) is not list:
        raise TableDamaged
    storages = {storage.key: storage for storage in _storages_in(content)}
    places = {}
    for key in keys:
        if type(key) is not str or key not in storages or key in places:
            raise TableDamaged
        length = int.from_bytes(data[position : position + 8], "little") * ITEM_BYTES[storages[key].dtype]
        if position + 8 + length > len(data):
            raise CutShort("within its weights")
        places[key] = position + 8, length
        position += 8 + length
    return WeightsTable(content, places)


def _storages_in(content: object) -> list[StoredBytes]:
    """All storages below `content`, without recursion: nesting may be as deep as a file likes."""
    found, waiting, seen = [], [content], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, StoredTensor):
            found.append(value.storage)
        elif isinstance(value, StoredBytes):
            found.append(value)
        elif isinstance(value, dict | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            waiting.extend(value.values() if isinstance(value, dict) else value)
    return found


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("an entry that is there twice")
    return values


class _TooMuch(Exception):
    pass


class _Modest:
    """A stream that refuses to be read in large pieces, which a zip's list of members is in one of."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, count: int = -1) -> bytes:
        if count > MAX_ZIP_DIRECTORY:
            raise _TooMuch
        return self._stream.read(MAX_ZIP_DIRECTORY if count < 0 else count)

    def seekable(self) -> bool:
        return True
