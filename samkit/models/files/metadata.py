"""What the metadata entry `samkit` of a safetensors file may say of its model, checked. Other entries are the file's
own affair. Knows no torch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from samkit.errors import CheckpointError

FAMILIES = ("sam1", "sam2", "sam3")
VERSIONS = ("1", "2.0", "2.1", "3.0", "3.1")
MAX_BLOCKS = 256
MAX_HEADS = 64
MIN_NATIVE_SIDE, MAX_NATIVE_SIDE = 32, 4096
MAX_FILE_WINDOW = 72
MAX_NAME = 100


@dataclass(frozen=True)
class ModelMetadata:
    """None stands for what the file doesn't say.

    native_side:   in pixels, 32 to 4096
    num_heads:     of the encoder's first block, decoder_heads: of the mask decoder, memory_heads: of the memory
                   attention; 1 to 64
    window_sizes:  four, in tokens, 1 to 64
    global_blocks: indices of the blocks without windows
    """

    name: str | None = None
    title: str | None = None
    family: str | None = None
    version: str | None = None
    native_side: int | None = None
    num_heads: int | None = None
    window_sizes: tuple[int, ...] | None = None
    global_blocks: tuple[int, ...] | None = None
    decoder_heads: int | None = None
    memory_heads: int | None = None

    def __contains__(self, name: str) -> bool:
        return getattr(self, name) is not None

    def or_else(self, other: "ModelMetadata | None") -> "ModelMetadata":
        """What this says and, where it is silent, what the other says."""
        if other is None:
            return self
        return ModelMetadata(
            **{
                field.name: getattr(other, field.name)
                if getattr(self, field.name) is None
                else getattr(self, field.name)
                for field in fields(ModelMetadata)
            }
        )


def read_metadata(values: Mapping[str, Any], path: str | None = None) -> ModelMetadata:
    """Raises `CheckpointError` that names the first entry which is not what it may be, and what it may be.

    path: of the file beside the checkpoint that says so; None for the checkpoint's own metadata
    """
    checked: dict[str, Any] = {}
    for field in fields(ModelMetadata):
        value = values.get(field.name)
        if value is None:
            continue
        fits, wanted = _RULES[field.name]
        value = tuple(value) if isinstance(value, list) else value
        if not fits(value):
            said = repr(values[field.name])[:60]
            who = f"{path} says" if path else "The checkpoint's metadata says"
            what = "it" if path else "the metadata entry `samkit`"
            raise CheckpointError(
                f"{who} {field.name} {said}, and it takes {wanted}: write {what} again, or leave it out."
            )
        checked[field.name] = value
    return ModelMetadata(**checked)


def whole_number_in(low: int, high: int) -> Callable[[object], bool]:
    """Whether a value is a whole number from `low` to `high`."""
    return lambda value: type(value) is int and low <= value <= high


def _all(fits: Callable[[object], bool], low: int, high: int) -> Callable[[object], bool]:
    return lambda values: isinstance(values, tuple) and low <= len(values) <= high and all(map(fits, values))


def _text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable()


def _different_blocks(value: object) -> bool:
    return (
        isinstance(value, tuple)
        and all(map(whole_number_in(0, MAX_BLOCKS - 1), value))
        and len(set(value)) == len(value)
    )


_HEADS = whole_number_in(1, MAX_HEADS), f"a whole number from 1 to {MAX_HEADS}"
_TEXT = _text, f"a line of at most {MAX_NAME} characters"
_RULES: dict[str, tuple[Callable[[object], bool], str]] = {
    "name": _TEXT,
    "title": _TEXT,
    "family": (lambda value: value in FAMILIES, " or ".join(FAMILIES)),
    "version": (lambda value: value in VERSIONS, " or ".join(VERSIONS)),
    "native_side": (
        whole_number_in(MIN_NATIVE_SIDE, MAX_NATIVE_SIDE),
        f"a whole number of pixels from {MIN_NATIVE_SIDE} to {MAX_NATIVE_SIDE}",
    ),
    "num_heads": _HEADS,
    "decoder_heads": _HEADS,
    "memory_heads": _HEADS,
    "window_sizes": (
        _all(whole_number_in(1, MAX_FILE_WINDOW), 4, 4),
        f"four whole numbers from 1 to {MAX_FILE_WINDOW}",
    ),
    "global_blocks": (
        _different_blocks,
        "the numbers of different blocks, from 0 on",
    ),
}
