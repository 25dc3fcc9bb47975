"""What a checkpoint's tables say of each weight, before any of it is looked at: plain numbers that nobody has believed
yet. Knows no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

ITEM_BYTES: Mapping[str, int] = {
    "bool": 1,
    "uint8": 1,
    "int8": 1,
    "int16": 2,
    "uint16": 2,
    "int32": 4,
    "uint32": 4,
    "int64": 8,
    "uint64": 8,
    "float16": 2,
    "bfloat16": 2,
    "float32": 4,
    "float64": 8,
    "complex32": 4,
    "complex64": 8,
    "complex128": 16,
    "quint8": 1,
    "qint8": 1,
    "qint32": 4,
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
}
"""By torch's names of dtypes."""

MAX_DIMENSIONS = 8
_MANY = 10**12


@dataclass(frozen=True)
class StoredBytes:
    """Numbers of one kind in a row. key: by which the file knows them; count: how many there are said to be."""

    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class StoredTensor:
    """A tensor on `storage`: numbers from `offset` on, `strides` apart along each side of `shape`."""

    storage: StoredBytes
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def numel(self) -> int:
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """What it takes when it is written out."""
        return self.numel * ITEM_BYTES.get(self.storage.dtype, 1)

    def lie(self, held: int) -> str:
        """What is wrong with it as a predicate, or "". held: how many numbers of its dtype the file has for it."""
        if len(self.shape) > MAX_DIMENSIONS or len(self.shape) != len(self.strides):
            return f"has {len(self.shape)} dimensions"
        if min((self.offset, *self.shape, *self.strides), default=0) < 0:
            return "has negative sizes"
        if 0 in self.shape:
            return "holds no numbers"
        last = self.offset + sum((side - 1) * step for side, step in zip(self.shape, self.strides, strict=True))
        if self.storage.count > held or last >= held or self.numel > held:
            claimed = f"{self.numel}" if self.numel < _MANY else "trillions of"
            return f"claims {claimed} numbers where the file holds {max(0, held - self.offset)}"
        return ""


@dataclass(frozen=True)
class OddTensor:
    """A tensor that is no plain row of numbers. kind: which one it is, in a word."""

    kind: str


@dataclass(frozen=True)
class WeightsTable:
    """content: what the file holds, with notes in place of tensors; places: of each storage, where its bytes lie in the
    file, as (first byte, number of bytes).
    """

    content: object
    places: Mapping[str, tuple[int, int]]
