"""How much a server gives to its visitors. On a machine of one's own there are no limits beyond those that hold for
every file; on a public one (SAMKIT_PUBLIC=1) each has a default, and SAMKIT_LIMIT_ with the name in capitals sets
another one, such as SAMKIT_LIMIT_FILM_MB=20.
"""

import os
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from samkit.errors import BadInput

PREFIX = "SAMKIT_LIMIT_"
YES = ("1", "true", "yes", "on")


def _limit(public: int, says: str, least: int = 1) -> Any:
    """public: what holds on a public server where nothing else is set; says: for a person, with {} for the number"""
    return Field(default=None, ge=least, le=10**9, json_schema_extra={"public": public, "says": says})


Number = Annotated[int | None, Field(strict=False)]


class Limits(BaseModel):
    """None: no such limit. A visitor is a browser; "all" are those of the server together.

    complaint: a sentence about settings that were not understood
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    public: bool = False
    picture_mb: Number = _limit(20, "a picture's file: {} MB")
    picture_megapixels: Number = _limit(24, "a picture: {} million pixels")
    film_mb: Number = _limit(50, "a film's file: {} MB")
    film_frames: Number = _limit(600, "a film: {} frames")
    uploads_visitor_mb: Number = _limit(300, "uploads of a visitor within an hour: {} MB")
    uploads_all_mb: Number = _limit(3000, "uploads of all visitors within an hour: {} MB")
    side: Number = _limit(1024, "a picture that the encoder sees: {} px at its longest side", least=32)
    encodings_visitor: Number = _limit(40, "pictures that a visitor has encoded within a minute: {}")
    encodings_all: Number = _limit(200, "pictures that are encoded for all within a minute: {}")
    jobs_visitor: Number = _limit(1, "films, sweeps and replays of a visitor that wait or run: {}")
    jobs_all: Number = _limit(24, "films, sweeps and replays of all visitors that wait or run: {}")
    job_minutes: Number = _limit(10, "how long one of those may run: {} minutes")
    sweep_cells: Number = _limit(400, "a sweep: {} cells")
    sweeps_visitor: Number = _limit(10, "sweeps that a visitor has: {}")
    runs_visitor: Number = _limit(40, "runs that a visitor keeps: {}")
    run_mb: Number = _limit(50, "one kept run: {} MB")
    runs_all_mb: Number = _limit(2000, "all kept runs together: {} MB")
    complaint: str = ""

    def sentences(self) -> list[str]:
        """What each limit is, for a person."""
        fields = type(self).model_fields
        return [
            str(_extra(field)["says"]).format(getattr(self, name))
            for name, field in fields.items()
            if _extra(field) and getattr(self, name) is not None
        ]


def _extra(field: Any) -> dict[str, Any]:
    extra = field.json_schema_extra
    return extra if isinstance(extra, dict) else {}


def is_public() -> bool:
    return os.environ.get("SAMKIT_PUBLIC", "").strip().lower() in YES


def read_limits() -> Limits:
    """As the environment says them. A setting that is no number counts as not set."""
    names = [name for name, field in Limits.model_fields.items() if _extra(field)]
    return _read(is_public(), tuple((name, os.environ.get(f"{PREFIX}{name.upper()}", "").strip()) for name in names))


@lru_cache(maxsize=8)
def _read(public: bool, settings: tuple[tuple[str, str], ...]) -> Limits:
    complaints = []
    values: dict[str, Any] = {"public": public}
    for name, setting in settings:
        default = _extra(Limits.model_fields[name])["public"] if public else None
        try:
            values[name] = getattr(Limits.model_validate({name: setting or default}), name)
        except ValidationError:
            values[name] = default
            complaints.append(f"{PREFIX}{name.upper()} must be a positive whole number; it is {setting[:40]!r}.")
    return Limits(**values, complaint=" ".join(complaints))


def check(what: str, value: float, limit: int | None, unit: str, advice: str) -> None:
    """Raises BadInput where `value` is over the limit, such as "This film has 900 frames; on this server 600 are the
    most. Cut it first."
    """
    if limit is not None and value > limit:
        shown = f"{value:,.0f}" if value >= 10 or isinstance(value, int) else f"{value:.1f}"
        raise BadInput(f"{what} has {shown} {unit}; on this server {limit:,} are the most. {advice}")
