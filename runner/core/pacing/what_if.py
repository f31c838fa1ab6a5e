"""Estimates when a destination has taken its part of a batch, and who waits there then.

A flow instead of single transfers: agents take what waits at a steady pace, and transfers come at the
rate that is allowed, as long as fewer wait than `while` lets.
"""

from __future__ import annotations

import math

from runner.core.frozen import frozen
from runner.core.manifest.destinations import DestinationLimits
from runner.core.number_text import counted, duration, figure
from runner.core.pacing.destinations import WAITING, Figures, number_of

ASSUMED_HANDLE_S = 240.0
"""How long an agent serves an interaction, where that is not known."""


@frozen
class WhatIf:
    """What becomes of a destination if its transfers are sent now; times are in seconds.

    `ends_s` None: never, at the figures as they are.
    """

    sends: int
    waiting: float
    agents: float
    handle_s: float
    ends_s: float | None
    waiting_then: float | None = None

    @property
    def last_waits_s(self) -> float | None:
        """How long the last one waits; None: not known, or for ever."""
        if self.waiting_then is None or not self.agents:
            return None
        return self.waiting_then * self.handle_s / self.agents

    def text(self, name: str, *, is_assumed: bool) -> str:
        """Return it as a sentence that names the assumptions."""
        assumed = (
            f"{figure(self.agents)} agents on queue, {figure(self.waiting)} waiting now,"
            f" {duration(self.handle_s)} each{' (assumed)' if is_assumed else ''}"
        )
        whole = counted(self.sends, "transfer")
        if self.ends_s is None:
            return f"{name}: {whole} would not end by these figures ({assumed})"
        then = f"{figure(self.waiting_then)} wait there then"
        if self.last_waits_s is not None:
            then += f", the last one for {duration(self.last_waits_s)}"
        return f"{name}: {whole} would be sent in {duration(self.ends_s)}; {then} ({assumed})"


def what_if(
    limits: DestinationLimits,
    figures: Figures,
    *,
    sends: int,
    rate_per_s: float | None,
    handle_s: float = ASSUMED_HANDLE_S,
) -> WhatIf | None:
    """Return what becomes of a queue; None: its figures are not known.

    `rate_per_s` is the shared rate.
    """
    waiting, agents = number_of(figures, WAITING), number_of(figures, "on_queue")
    if waiting is None or agents is None:
        return None
    rates = [rate for rate in (limits.rate_per_s, rate_per_s) if rate is not None]
    room = _most_waiting(limits)
    taken_per_s = agents / handle_s
    on_queue = limits.bounds.get("on_queue")
    found = None
    if on_queue is None or on_queue.holds(agents):
        found = _flow(waiting, room, sends, min(rates, default=math.inf), taken_per_s)
    ends_s, waiting_then = found or (None, None)
    return WhatIf(sends, waiting, agents, handle_s, ends_s, waiting_then)


def _flow(
    waiting: float, room: float, sends: float, rate: float, taken_per_s: float
) -> tuple[float, float] | None:
    """Return when `sends` have come, and how many wait then; None: they never have."""
    before_s = 0.0
    if waiting >= room:  # nothing comes until some are taken
        if not taken_per_s:
            return None
        before_s, waiting = (waiting - room) / taken_per_s, room
    if rate == math.inf:
        at_once, fills_s = min(sends, room - waiting), 0.0
    elif rate > taken_per_s and room < math.inf:
        fills_s = (room - waiting) / (rate - taken_per_s)
        at_once = min(sends, rate * fills_s)
        fills_s = at_once / rate
    else:
        at_once, fills_s = sends, sends / rate
    left = sends - at_once
    waiting = max(0.0, waiting + at_once - taken_per_s * fills_s)
    if not left:
        return before_s + fills_s, waiting
    if not taken_per_s:
        return None
    return before_s + fills_s + left / taken_per_s, room


def _most_waiting(limits: DestinationLimits) -> float:
    """Return how many `while` lets wait at the most; inf: any number."""
    bound = limits.bounds.get(WAITING)
    if bound is None or not bound.compare.startswith("<"):
        return math.inf
    return bound.number + (bound.compare == "<=")
