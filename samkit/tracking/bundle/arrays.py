"""The arrays of a run, from a file that anyone may have made: what it says of their sizes is checked before there is
room made for them.
"""

import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from tokenize import TokenError

import numpy as np

from samkit.errors import BadInput
from samkit.words import format_bytes

MAX_BYTES = 512 * 2**20
"""Of all arrays of a run together, unpacked."""
MAX_ARRAYS = 1_000
MAX_DIMENSIONS = 16


def read_arrays(path: Path, limit: int = MAX_BYTES) -> dict[str, np.ndarray]:
    """name -> array. Raises BadInput where they are more than `limit` bytes, ValueError or what zipfile raises where
    the file is damaged.
    """
    check_arrays(path, limit)
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def check_arrays(path: Path, limit: int = MAX_BYTES) -> None:
    """Raises BadInput for a file whose arrays are more than `limit` bytes, or not as large as they say. Nothing is
    unpacked but their heads.
    """
    total = 0
    for name, told, packed in _heads(path):
        if told != packed:
            raise BadInput(f"its array {name[:60]!r} says that it has {told:,} bytes, and has {packed:,}.")
        total += told
        if total > limit:
            raise BadInput(f"its arrays unpack to more than {format_bytes(limit)}.")


def check_whole(path: Path) -> None:
    """As `check_arrays`, and reads each array to its end, a piece at a time."""
    check_arrays(path)
    with zipfile.ZipFile(path) as packed:
        damaged = packed.testzip()
    if damaged is not None:
        raise BadInput(f"its array {damaged[:60]!r} is damaged.")


def _heads(path: Path) -> Iterator[tuple[str, int, int]]:
    """(name, bytes that its head says, bytes that it has behind the head) of each array."""
    with zipfile.ZipFile(path) as packed:
        entries = packed.infolist()
        if len(entries) > MAX_ARRAYS or len({entry.filename for entry in entries}) < len(entries):
            raise BadInput(f"it has more than {MAX_ARRAYS} arrays, or two of one name.")
        for entry in entries:
            with packed.open(entry) as file:
                major, _ = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
                try:
                    shape, _, dtype = read(file)
                # numpy reads it by Python's own tokens, and says what it found there.
                except (TokenError, SyntaxError, RecursionError, ValueError) as error:
                    raise ValueError(f"the head of {entry.filename[:60]!r} can't be read") from error
                if dtype.hasobject or len(shape) > MAX_DIMENSIONS or any(length < 0 for length in shape):
                    raise BadInput(f"its array {entry.filename[:60]!r} is none of numbers.")
                yield entry.filename, math.prod(shape) * dtype.itemsize, entry.file_size - file.tell()
