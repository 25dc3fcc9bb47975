"""A kind of input, as the fuzzing process takes it."""

import random
from abc import ABC, abstractmethod
from pathlib import Path

from tests.fuzz.mutations import mutated


class Kind(ABC):
    """files: valid ones by name."""

    name: str

    def __init__(self) -> None:
        self.files = self.make()

    @abstractmethod
    def make(self) -> dict[str, bytes]:
        """Valid files."""

    def change(self, name: str, data: bytes, rng: random.Random) -> bytes:
        return mutated(data, rng)

    @abstractmethod
    def read(self, path: Path) -> None:
        """As samkit reads it from a stranger. Raises `SamkitError` for what it refuses. Of the file's name only the
        suffix is that of a valid one.
        """

    def case(self, seed: int) -> tuple[str, bytes]:
        """(the file's name, its bytes) of the case with that number."""
        rng = random.Random(f"{self.name} {seed}")
        name = rng.choice(sorted(self.files))
        return name, self.change(name, self.files[name], rng)
