"""How much of the visitors' work the owner of the server lets it keep, and for how long."""

import os
from dataclasses import dataclass

DEFAULT_MB, DEFAULT_DAYS = 512, 14
ONE_WORK = 4
"""A single work may take a fourth of the room."""


@dataclass(frozen=True)
class Limits:
    """room: bytes of all works together; days: after which a work goes that nobody has opened or changed."""

    room: int
    days: int
    complaint: str = ""

    @property
    def one_work(self) -> int:
        """Bytes that a single work may take."""
        return self.room // ONE_WORK

    @property
    def on(self) -> bool:
        """Whether anything is kept at all."""
        return self.room > 0 and self.days > 0


def read_limits() -> Limits:
    """What `SAMKIT_WORKS_MB` and `SAMKIT_WORKS_DAYS` say; a value that is no whole number counts as not set."""
    complaints: list[str] = []
    megabytes = _whole_number("SAMKIT_WORKS_MB", DEFAULT_MB, complaints)
    days = _whole_number("SAMKIT_WORKS_DAYS", DEFAULT_DAYS, complaints)
    return Limits(megabytes * 2**20, days, " ".join(complaints))


def _whole_number(name: str, default: int, complaints: list[str]) -> int:
    setting = os.environ.get(name, "").strip()
    if setting.isdecimal() and len(setting) < 9:
        return int(setting)
    if setting:
        complaints.append(f"{name} must be a whole number, 0 or more; it is {setting[:40]!r}. {default} is used.")
    return default
