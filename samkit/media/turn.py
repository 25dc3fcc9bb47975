"""How stored frames are turned and mirrored to be shown upright."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Turn:
    """First the axes are swapped (lies), then the picture is mirrored left to right and top to bottom."""

    lies: bool = False
    mirrored: bool = False
    upside_down: bool = False

    @classmethod
    def from_matrix(cls, matrix: Sequence[float]) -> "Turn":
        """matrix: (a, b, c, d) of a film's header, x' = ax + cy and y' = bx + dy; turns by other angles than quarters
        count as the nearest.
        """
        a, b, c, d = matrix
        if abs(a) >= abs(b):
            return cls(False, a < 0, d < 0)
        return cls(True, c < 0, b < 0)

    @property
    def anticlockwise(self) -> int:
        """Degrees 0, 90, 180 or 270 of the turn, apart from any mirroring."""
        if self.lies:
            return 270 if self.mirrored else 90
        return 180 if self.upside_down else 0

    def size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) upright of that as it is stored, and the other way."""
        return size[::-1] if self.lies else size

    def __call__(self, stored: np.ndarray) -> np.ndarray:
        """[H, W, ...] upright, C-contiguous."""
        turned = stored.swapaxes(0, 1) if self.lies else stored
        return np.ascontiguousarray(turned[:: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1])
