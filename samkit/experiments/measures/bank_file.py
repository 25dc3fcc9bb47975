"""A memory bank as the file that is kept with a run."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from samkit.models.memory_bank import MemoryBank


def bank_bytes(bank: "MemoryBank") -> bytes:
    """The safetensors file that `bank.save` writes."""
    with tempfile.TemporaryDirectory(prefix="samkit-bank-") as folder:
        path = Path(folder) / "bank.safetensors"
        bank.save(path)
        return path.read_bytes()
