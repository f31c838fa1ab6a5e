"""Computes at which pace a run begins: what the gateway asked of earlier runs still holds.

A run that is killed leaves its successor a gateway that has just asked for less (protocol.md, "The
shared rate"). What it asked for stands in the audit chain with the wall clock's time, which guards
nothing but the pace: a clock that was set makes a run slower for three minutes at most.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from runner.core.frozen import frozen
from runner.core.pacing.rate import LONGEST_OBEYED_S, AdaptiveRate, climbed
from runner.core.timestamps import seconds

SLOWED_DOWN = "slowed down"
HELD_OFF = "held off"
"""The events of the audit chain that say what the gateway asked for."""

EVENTS = (SLOWED_DOWN, HELD_OFF)

RATE_LIMITED, ASKED_BEFORE, RETRY_AFTER = "rate_limited", "asked_before", "retry_after"
"""Why a run is slowed down or held off, as the chain spells it; other reasons are sentences."""

WHY_TEXTS: Mapping[str, str] = {
    RATE_LIMITED: "the gateway answered that frames come too fast",
    ASKED_BEFORE: "the gateway asked an earlier run for it",
    RETRY_AFTER: "the gateway asked for it (Retry-After)",
}


def why_text(why: str) -> str:
    """Return in words why a run is slowed down or held off."""
    return WHY_TEXTS.get(why, why)


LATEST_EVENTS = 20_000
"""How many of the chain's last events are looked through: a gateway that asks for less gets few."""


class Slowdown(NamedTuple):
    """A cut of the rate, at seconds since the epoch."""

    at_s: float
    rate_per_s: float
    base_per_s: float


class HoldOff(NamedTuple):
    """A time for which nothing was to leave, from seconds since the epoch."""

    at_s: float
    wait_s: float
    why: str

    def left_s(self, wall_s: float) -> float:
        """Return for how many seconds it still holds; the whole time if the clock was set back."""
        wait_s = min(self.wait_s, LONGEST_OBEYED_S)
        return max(0.0, min(wait_s, self.at_s + self.wait_s - wall_s))


@frozen
class PaceLeft:
    """What the gateway last asked of earlier runs."""

    slowdown: Slowdown | None = None
    hold_off: HoldOff | None = None

    def rate(self, limit_per_s: float | None, *, now: float, wall_s: float) -> AdaptiveRate:
        """Return the rate at the start of a run: as cut, and climbed since as within one run.

        `now` is the run's monotonic clock.
        """
        at_limit = AdaptiveRate.at_limit(limit_per_s)
        if self.slowdown is None:
            return at_limit
        at_s, rate, base = self.slowdown
        if limit_per_s is not None:
            rate, base = min(rate, limit_per_s), limit_per_s
        since_s = max(0.0, wall_s - at_s)
        cut = replace(at_limit, rate_per_s=rate, base_per_s=base, climbed_at=now - since_s)
        return climbed(cut, now=now)


FULL_PACE = PaceLeft()


def pace_left(events: Iterable[Mapping[str, Any]]) -> PaceLeft:
    """Return what `EVENTS`, oldest first, leave to a later run."""
    left = FULL_PACE
    end_s = -math.inf
    for event in events:
        at_s = seconds(event["at"])
        if event["event"] == SLOWED_DOWN:
            left = replace(left, slowdown=Slowdown(at_s, event["rate_per_s"], event["base_per_s"]))
        elif at_s + event["wait_s"] > end_s:
            end_s = at_s + event["wait_s"]
            left = replace(left, hold_off=HoldOff(at_s, event["wait_s"], event["why"]))
    return left
