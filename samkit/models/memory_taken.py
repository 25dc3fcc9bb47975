"""What a model takes of memory, told from its file's table of contents before any of it is loaded."""

import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from samkit.errors import CheckpointError
from samkit.models.config import read_config
from samkit.models.encoding_cost import encoding_cost
from samkit.models.files.depends import depends_on
from samkit.models.files.glance import MAX_REMEMBERED, contents
from samkit.models.files.hashes import FileState, known_sha256
from samkit.models.files.locate import locate
from samkit.models.files.metadata import read_metadata
from samkit.models.loading import said_by_others

WEIGHT_BYTES = 4
"""Weights are kept in float32 whatever the file has."""


@dataclass(frozen=True)
class MemoryTaken:
    """In bytes. weights: once it is loaded; encoding: beside them while a picture is encoded at the native side, in
    float32, and prompts are decoded on it.
    """

    weights: int
    encoding: int
    native_side: int


def memory_taken(path: Path) -> MemoryTaken | None:
    """None where the table of contents doesn't tell."""
    try:
        return _memory_taken(path, depends_on(path).states)
    except CheckpointError:
        return None


@lru_cache(maxsize=MAX_REMEMBERED)
def _memory_taken(path: Path, states: tuple[FileState | None, ...]) -> MemoryTaken | None:
    held = contents(path)
    if held is None:
        return None
    try:
        said = read_metadata(held.metadata)
        for other, _ in said_by_others(path, held.layout, _sha256(path)):
            said = other.or_else(said)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = read_config(held.shapes, said)
    except CheckpointError:
        return None
    side = config.native_side
    cost = encoding_cost(config, (side, side), config.encoder.window_sizes)
    return MemoryTaken(WEIGHT_BYTES * held.numbers, cost.memory, side)


def _sha256(path: Path) -> str | None:
    files = locate(path).files
    with suppress(OSError):
        return known_sha256(files[0]) if len(files) == 1 else None
    return None
