"""What is needed of a large file, told from its tables before it is read: of SAM 3, whose text encoder and detector are
more than half of it. Knows no torch.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from samkit.files import opened_regular
from samkit.models.files.checkpoint_file import CheckpointFile, inspect_checkpoint_file
from samkit.models.files.key_layout import apply_layout, find_layouts
from samkit.models.files.own_bytes import FileSlices
from samkit.models.files.parts import find_parts
from samkit.models.files.pickle_machine import PickleDamaged, PickleRefused
from samkit.models.files.stored_weights import StoredTensor, WeightsTable
from samkit.models.files.tables import CutShort, TableDamaged, safetensors_table, zip_table

PICKED_FROM = 1_500_000_000
"""Bytes of a file, or of all parts of a model, from which on only what is needed of it is kept."""


def needed_places(file: CheckpointFile, named: Collection[str] | None = None) -> list[tuple[int, int]] | None:
    """Of a large SAM 3 file: where its tables and the weights lie that segmenting needs, as (first byte, end) in order.
    None for other files, which are kept whole.

    named: the keys that are needed, for a part of a model, as `needed_of_parts` gives them
    """
    if named is None and file.file_bytes <= PICKED_FROM:
        return None
    table = _table_on_disk(file)
    used = None if table is None else _used_storages(table, named)
    if table is None or used is None:
        return None
    left_out = sorted(table.places[key] for key in table.places.keys() - used)
    needed, done = [], 0
    for first, length in left_out:
        if first > done:
            needed.append((done, first))
        done = max(done, first + length)
    return [*needed, (done, file.file_bytes)]


def _table_on_disk(file: CheckpointFile) -> WeightsTable | None:
    """What lies where, without reading the weights; None where that can't be told."""
    with opened_regular(file.path) as (stream, _):
        try:
            if file.format == "safetensors":
                return safetensors_table(stream, file.file_bytes)
            if file.format == "torch_zip":
                return zip_table(stream, FileSlices(stream, file.file_bytes))
        except (PickleRefused, PickleDamaged, TableDamaged, CutShort):
            pass  # said when all of it is read
    return None


def _used_storages(table: WeightsTable, named: Collection[str] | None) -> set[str] | None:
    """Keys of the storages of the weights that are `named`; of a SAM 3's needed weights where nobody names any. None
    for other models.
    """
    if named is not None:
        weights = table.content if isinstance(table.content, dict) else {}
        return {each.storage.key for key in named if isinstance(each := weights.get(key), StoredTensor)}
    used: set[str] = set()
    for part in find_parts(table.content):
        layouts = find_layouts(part.weights)
        if len(layouts) != 1 or layouts[0].family != "sam3":
            continue
        names = apply_layout(part.weights, layouts[0]).names
        used |= {value.storage.key for key in names if isinstance(value := part.weights[key], StoredTensor)}
    return used or None


def needed_of_parts(files: Sequence[Path]) -> set[str] | None:
    """The keys of a SAM 3's needed weights in a large model in parts, of which no one tells alone what it is; None for
    others.
    """
    inspected = [inspect_checkpoint_file(file) for file in files]
    if sum(file.file_bytes for file in inspected) <= PICKED_FROM:
        return None
    tables = [_table_on_disk(file) for file in inspected]
    keys = [
        str(key) for table in tables if table is not None and isinstance(table.content, dict) for key in table.content
    ]
    layout = next(iter(find_layouts(keys)), None)
    if layout is None or layout.family != "sam3":
        return None
    return set(apply_layout(dict.fromkeys(keys), layout).names)
