"""A memory bank as the file that is kept with a run."""

from typing import TYPE_CHECKING

from samkit.scratch import scratch

if TYPE_CHECKING:
    from samkit.models.memory_bank import MemoryBank


def bank_bytes(bank: "MemoryBank") -> bytes:
    """The safetensors file that `bank.save` writes."""
    with scratch("bank") as folder:
        path = folder / "bank.safetensors"
        bank.save(path)
        return path.read_bytes()
