"""When a run was made: read with bounds, and shown whatever a store says."""

from datetime import UTC, datetime, timedelta, tzinfo

EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""What a run's time may be: every time zone can show these, and so can every store."""
UNKNOWN = "unknown"


def created_ms(created: str) -> int:
    """Unix time in milliseconds of run.json's `created`. ValueError for what is no time, or is outside `EARLIEST` to
    `LATEST`.
    """
    time = datetime.fromisoformat(created)
    # Compared as numbers: a time at the end of the calendar can't be moved into another zone.
    offset = time.utcoffset() or timedelta(0)
    seconds = (time.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC) - offset).total_seconds()
    if not EARLIEST.timestamp() <= seconds <= LATEST.timestamp():
        raise ValueError(f"{created} is not between {EARLIEST.year} and {LATEST.year}")
    return int(time.timestamp() * 1000)


def shown_time(milliseconds: int | None, zone: tzinfo | None = None) -> str:
    """A Unix time as a clock in `zone` (None: this machine's) shows it, to the minute; `UNKNOWN` for what no calendar
    has.
    """
    if milliseconds is None:
        return UNKNOWN
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M")
    except (TypeError, ValueError, OverflowError, OSError):
        return UNKNOWN
