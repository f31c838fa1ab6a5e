"""Paces one destination: its rate, its transfers under way, what was observed of it.

The limits are those of operations.md, "Capacity of the destinations"; they hold beside the gateway's.
Times are the clock's monotonic seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from runner.core.frozen import frozen
from runner.core.manifest.destinations import DestinationLimits
from runner.core.manifest.quantity import rate_text
from runner.core.number_text import counted, duration, figure
from runner.core.pacing.rate import Bucket, due_in, take_token

Figures = Mapping[str, float | str | None]
"""What was observed of a destination, by names of `destinations.FIGURES` and `STATES`.

Of `FIGURES`, a text says why the number is not known.
"""

UNTIL_CHANGED_S = math.inf
"""The wait for a turn until something else happens: a transfer ends, a figure comes."""

OLDEST_S = 180.0
"""How old figures may be; older ones are not known."""

LARGEST = 1e12
"""Above any figure; a larger one is not known."""

WAITING = "waiting"

ROUTING_STATUS, IDLE, SERVING = "routing_status", "idle", "interacting"
"""A user's status, the one in which a transfer finds them, and the one in which it leaves them."""


def number_of(figures: Figures, name: str) -> float | None:
    """Return a figure that is a number; None: it is not known. No figure is below 0."""
    value = figures.get(name)
    return float(value) if isinstance(value, int | float) and 0 <= value < LARGEST else None


@frozen
class DestinationPace:
    """The state of one destination.

    `under_way` transfers have begun and have no outcome. `moved_at` has when those ended that moved
    somebody, until figures come that surely include them. `heading` have their turn, and their frame
    has not left; at a destination with a rate only one at a time has. The figures may describe any
    time since `described_at`; what was sent before the run `began` is surely in those
    only that describe a time since.
    """

    limits: DestinationLimits
    bucket: Bucket
    began: float
    under_way: int = 0
    moved_at: tuple[float, ...] = ()
    heading: int = 0
    figures: Figures | None = None  # None: not known
    described_at: float = -math.inf

    @classmethod
    def at_start(cls, limits: DestinationLimits, *, began: float) -> DestinationPace:
        """Return the state of a destination to which nothing was sent in a run that `began` then.

        The first frame is due an interval later: the last one of a killed run may have left just
        before.
        """
        rate = limits.rate_per_s
        return cls(limits, Bucket(0.0 if rate is None else began + 1 / rate), began)

    @property
    def own(self) -> int:
        """How many transfers of ours the figures may not include yet."""
        return self.under_way + len(self.moved_at)

    def until_turn_s(self, now: float) -> float:
        """Return the seconds until one more transfer may begin; 0.0: now."""
        limits = self.limits
        if limits.in_flight is not None and self.under_way >= limits.in_flight:
            return UNTIL_CHANGED_S
        if self.why_shut(now) is not None:
            return UNTIL_CHANGED_S
        if limits.rate_per_s is None:
            return 0.0
        return UNTIL_CHANGED_S if self.heading else self._due_s(now, limits.rate_per_s)

    def may_leave(self, now: float) -> bool:
        """Return whether the frame of a transfer that has its turn may leave now."""
        rate = self.limits.rate_per_s
        return rate is None or self._due_s(now, rate) <= 0

    def why_shut(self, now: float) -> str | None:
        """Return what observed figure lets nothing begin, or why it is not known; None: nothing."""
        if not self.limits.observes:
            return None
        if self.figures is None:
            return "its figures are not known"
        if not now - self.described_at <= OLDEST_S:
            return f"its figures are not known: the last ones are older than {duration(OLDEST_S)}"
        return (
            self._why_out_of_bounds(self.figures)
            or self._why_absent(self.figures)
            or self._why_of_earlier_run()
        )

    def why_full(self, now: float) -> str | None:
        """Return `why_shut`, but for transfers that have their turn and wait for something else."""
        return replace(self, under_way=self.under_way - self.heading).why_shut(now)

    def why_limited(self, now: float) -> str | None:
        """Return which limit of its own, `in_flight` or `rate`, lets nothing begin; None: neither."""
        limits = self.limits
        if limits.in_flight is not None and self.under_way >= limits.in_flight:
            return f"{limits.in_flight} in flight"
        if limits.rate_per_s is None:
            return None
        is_due = not self.heading and self._due_s(now, limits.rate_per_s) <= 0
        return None if is_due else rate_text(limits.rate_per_s)

    def _why_out_of_bounds(self, figures: Figures) -> str | None:
        for name, bound in self.limits.bounds.items():
            value = number_of(figures, name)
            if value is None:
                words = figures.get(name)
                why = f": {words}" if isinstance(words, str) else ""
                return f"{name} is not known{why}"
            own = self.own if name == WAITING else 0
            if not (bound.holds(value) and bound.holds(value + own)):
                since = f" and {own:,} sent since" if own else ""
                return f"{name} is {figure(value)}{since}, not {bound.text}"
        return None

    def _why_absent(self, figures: Figures) -> str | None:
        for name, wanted in self.limits.states.items():
            state = figures.get(name)
            if not isinstance(state, str):
                return f"{name} is not known"
            if state not in wanted:
                return f"{name} is {state}, not {' or '.join(sorted(wanted))}"
            if (name, state) == (ROUTING_STATUS, IDLE) and self.own and SERVING not in wanted:
                return f"{name} was {state} before {counted(self.own)} sent since"
        return None

    def _why_of_earlier_run(self) -> str | None:
        if self.described_at < self.began and self._counts_own:
            return "its figures may not include yet what was sent before this run began"
        return None

    @property
    def _counts_own(self) -> bool:
        return WAITING in self.limits.bounds or ROUTING_STATUS in self.limits.states

    def begun(self) -> DestinationPace:
        """Return the state after a transfer had its turn."""
        return replace(self, under_way=self.under_way + 1, heading=self.heading + 1)

    def headed(self) -> DestinationPace:
        """Return the state after a transfer that is under way had its turn once more."""
        return replace(self, heading=self.heading + 1)

    def left(self, now: float) -> DestinationPace:
        """Return the state after a frame left: its token is taken."""
        rate, bucket = self.limits.rate_per_s, self.bucket
        if rate is not None:
            bucket, _ = take_token(bucket, now=now, rate_per_s=rate, burst=1)
        return replace(self, bucket=bucket, heading=self.heading - 1)

    def turned_back(self) -> DestinationPace:
        """Return the state after a transfer gave up its turn without a frame."""
        return replace(self, heading=self.heading - 1)

    def ended(self, now: float, *, has_moved: bool) -> DestinationPace:
        """Return the state after a transfer ended, or waits beside.

        One that moved somebody, or may have, is counted until figures surely include it.
        """
        moved_at = self.moved_at
        if has_moved and self._counts_own:
            moved_at = (*moved_at, now)
        return replace(self, under_way=self.under_way - 1, moved_at=moved_at)

    def observed(self, figures: Figures | None, at: float) -> DestinationPace:
        """Return the state with figures that may describe any time since `at`; None: not known.

        Figures that are older than those before are passed over: what ended in between would be
        forgotten.
        """
        if figures is None:
            return replace(self, figures=None)
        if at < self.described_at:
            return self
        moved_at = tuple(each for each in self.moved_at if not each < at)
        return replace(self, figures=figures, described_at=at, moved_at=moved_at)

    def is_at_rest(self, now: float) -> bool:
        """Return whether nothing is lost if the state is forgotten.

        A fresh bucket makes lateness up; one that has just become due has none.
        """
        if self.under_way or self.limits.observes:
            return False
        rate = self.limits.rate_per_s
        return rate is None or self.bucket.tat + 1 / rate <= now

    def _due_s(self, now: float, rate_per_s: float) -> float:
        return due_in(self.bucket, now=now, rate_per_s=rate_per_s, burst=1)
