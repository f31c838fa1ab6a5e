"""Converts times to text and back: RFC 3339 in UTC, with microseconds."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache


def timestamp(wall_s: float) -> str:
    """Return seconds since the epoch as `2026-12-01T21:00:00.123456Z`."""
    whole, fraction = divmod(round(wall_s * 1e6), 1_000_000)
    return f"{_second(whole)}.{fraction:06d}Z"


def seconds(text: str) -> float:
    """Return an RFC 3339 text as seconds since the epoch; a text without a zone is in UTC.

    Raises `ValueError` for any other text.
    """
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def seconds_or_none(text: str) -> float | None:
    """Return an RFC 3339 text as seconds since the epoch, or None for any other text."""
    try:
        return seconds(text)
    except ValueError:
        return None


def clock_time(text: str) -> str:
    """Return an RFC 3339 text as date and time to the second, in UTC; other texts unchanged."""
    at_s = seconds_or_none(text)
    return text if at_s is None else f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S}"


def seconds_between(start: str, end: str | None) -> float | None:
    """Return the seconds from `start` to `end`; None if one of them is not a time."""
    try:
        return None if end is None else seconds(end) - seconds(start)
    except ValueError:
        return None


@lru_cache(maxsize=64)
def _second(whole_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole_s))
