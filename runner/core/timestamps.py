"""Times as texts: RFC 3339 in UTC, with microseconds."""

from __future__ import annotations

import time
from datetime import datetime
from functools import lru_cache


def timestamp(wall_s: float) -> str:
    """Return seconds since the epoch as `2026-12-01T21:00:00.123456Z`."""
    whole, fraction = divmod(round(wall_s * 1e6), 1_000_000)
    return f"{_second(whole)}.{fraction:06d}Z"


def seconds(timestamp: str) -> float:
    """Return what `timestamp` spells, as seconds since the epoch."""
    return datetime.fromisoformat(timestamp).timestamp()


@lru_cache(maxsize=64)
def _second(whole_s: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole_s))
