"""Transfers that an operator hears of while a run goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

TROUBLES_KEPT = 8
"""How many of them are kept at hand, the newest."""


class RecentFailure(NamedTuple):
    """A transfer that did not succeed, or may not have."""

    at: float  # seconds since the epoch
    outcome: str  # rejected | failed | in_doubt
    key: str
    reason: str | None


def stage_of(fields: Mapping[str, object]) -> str | None:
    """Return `wave 2 of 5`, by what is told of a wave that begins; None where it tells nothing."""
    number, of = fields.get("wave"), fields.get("of")
    if number is None:
        return None
    return f"wave {number}" if of is None else f"wave {number} of {of}"
