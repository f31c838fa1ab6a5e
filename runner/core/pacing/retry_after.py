"""Reads how long an HTTP answer asks to wait (RFC 9110, 10.2.3; protocol.md, "Waiting")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)


def retry_after_s(headers: Mapping[str, str], wall_s: float) -> float | None:
    """Return the wait of `Retry-After`; None if absent, malformed or in the past.

    A date is compared with the answer's own `Date`, so that this machine's clock does not matter; if
    there is none, with `wall_s`, seconds since the epoch.
    """
    text = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    until = http_date_s(text)
    if until is None:
        return None
    sent = http_date_s(headers.get("Date", ""))
    wait_s = until - (wall_s if sent is None else sent)
    return wait_s if wait_s >= 0 else None


def http_date_s(text: str) -> float | None:
    """Return an HTTP date as seconds since the epoch, or None."""
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
