"""Times as texts: RFC 3339 in UTC, with microseconds."""

from __future__ import annotations

import time


def timestamp(wall_s: float) -> str:
    """Return seconds since the epoch as `2026-12-01T21:00:00.123456Z`."""
    micros = round(wall_s * 1e6)
    whole, fraction = divmod(micros, 1_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{fraction:06d}Z"
