"""Times as the visitor's clock shows them."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import streamlit as st


def visitor_zone() -> tzinfo:
    """The time zone of the visitor's browser."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (KeyError, ValueError):
        return UTC


def shown_moment(written: str) -> str:
    """A time that was written down in ISO 8601, to the minute; as it is where it is no time."""
    try:
        return datetime.fromisoformat(written).astimezone(visitor_zone()).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return written[:40]
