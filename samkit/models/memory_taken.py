"""What a model takes of memory, told before any of it is loaded: from its file's table of contents, or from what the
released model of that name is made of.
"""

import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from samkit.errors import CheckpointError
from samkit.models.config import ModelConfig, read_config
from samkit.models.encoding_cost import encoding_cost
from samkit.models.files.depends import depends_on
from samkit.models.files.glance import MAX_REMEMBERED, contents
from samkit.models.files.hashes import FileState, known_sha256
from samkit.models.files.locate import locate
from samkit.models.files.metadata import read_metadata
from samkit.models.loading import said_by_others
from samkit.models.network.linear import can_pack, packed_numbers
from samkit.models.official_sizes import NUMBERS, OFFICIAL_SIZES
from samkit.models.sam_network import build_network

WEIGHT_BYTES = 4
"""Weights are kept in float32 whatever the file has."""


@dataclass(frozen=True)
class MemoryTaken:
    """In bytes. weights: from its first encoding on, as they are loaded and as they are laid out for the processor;
    encoding: beside them while a picture is encoded at the native side, in float32, and prompts are decoded on it.
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
    network = build_network(config)
    numbers = sum(tensor.numel() for tensor in network.state_dict().values())
    return _taken_by(config, numbers, packed_numbers(network))


def memory_of_released(name: str) -> MemoryTaken | None:
    """Of a model of the catalogue, whether it is on this machine or not. None for the embedded ones."""
    config = OFFICIAL_SIZES.get(name)
    return None if config is None else _taken_by(config, *NUMBERS[name])


def _taken_by(config: ModelConfig, numbers: int, packed: int) -> MemoryTaken:
    """numbers: all weights; packed: those that are laid out for the processor, where it can."""
    side = config.native_side
    if can_pack(torch.float32) and not torch.cuda.is_available():
        numbers += packed
    cost = encoding_cost(config, (side, side), config.encoder.window_sizes)
    return MemoryTaken(WEIGHT_BYTES * numbers, cost.memory, side)


def _sha256(path: Path) -> str | None:
    files = locate(path).files
    with suppress(OSError):
        return known_sha256(files[0]) if len(files) == 1 else None
    return None
