"""What a run remembered at some places on its way, so that it can go back there without beginning anew. However long
the film, only a few are held: the farther the run has come, the farther they lie apart.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from samkit.models.memory_bank import MemoryBank

SPACING = 8
"""Frames between two snapshots at first."""
LIMIT = 12
"""Banks held, of all objects together; at least three places are held, however many the objects are."""


class Snapshots:
    """Copies of all objects' banks by the place in the run before which they were taken."""

    def __init__(self, objects: int):
        self._limit, self._spacing = max(3, LIMIT // objects), SPACING
        self._kept: dict[int, list[MemoryBank]] = {}

    def offer(self, place: int, banks: Sequence["MemoryBank"]) -> None:
        """Take a snapshot, where one is due."""
        if place % self._spacing or place in self._kept:
            return
        self._kept[place] = [bank.copy() for bank in banks]
        while len(self._kept) > self._limit:
            self._spacing *= 2
            self._kept = {place: banks for place, banks in self._kept.items() if place % self._spacing == 0}

    def back_to(self, place: int) -> tuple[int, list["MemoryBank"]]:
        """`before` that place. Snapshots after it are let go."""
        self._kept = {known: banks for known, banks in self._kept.items() if known <= place}
        return self.before(place)

    def before(self, place: int) -> tuple[int, list["MemoryBank"]]:
        """(the nearest place at or before that one, the banks as they were there); also from another thread."""
        nearest, banks = max((each for each in tuple(self._kept.items()) if each[0] <= place), key=lambda each: each[0])
        return nearest, [bank.copy() for bank in banks]

    def __len__(self) -> int:
        return len(self._kept)
