"""Times as texts: RFC 3339 in UTC, with microseconds."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache


def timestamp(wall_s: float) -> str:
    """Return seconds since the epoch as `2026-12-01T21:00:00.123456Z`."""
    whole, fraction = divmod(round(wall_s * 1e6), 1_000_000)
    return f"{_second(whole)}.{fraction:06d}Z"


def seconds(text: str) -> float:
    """Return the seconds since the epoch that an RFC 3339 text stands for; without a zone, UTC.

    Raises `ValueError` if it is none.
    """
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def seconds_between(start: str, end: str | None) -> float | None:
    """Return how long after `start` the time `end` is; None where one of them is no time."""
    try:
        return None if end is None else seconds(end) - seconds(start)
    except ValueError:
        return None


@lru_cache(maxsize=64)
def _second(whole_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole_s))
