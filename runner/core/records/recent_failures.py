"""Recent failures and doubts, for the live view and `status --watch`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

FAILURES_KEPT = 8
"""Recent failures kept for the live view."""


class RecentFailure(NamedTuple):
    """A transfer that did not succeed, or may not have."""

    at: float  # seconds since the epoch
    outcome: str  # rejected | failed | in_doubt
    key: str
    reason: str | None


def stage_of(fields: Mapping[str, object]) -> str | None:
    """Return `wave 2 of 5` from the fields of a beginning wave; None: they name no wave."""
    number, of = fields.get("wave"), fields.get("of")
    if number is None:
        return None
    return f"wave {number}" if of is None else f"wave {number} of {of}"
