"""How long the owner of a lane may write frames, and when another may take the lane over.

The owner reads its clock before a renewal leaves, and writes frames until `OWNER_SHARE` of the time
to live has passed since. A watcher takes over once it saw the lane stand still for `WATCHER_SHARE` of
it, counted from after the answer that showed it. Both count on CLOCK_BOOTTIME, which goes on through
a suspend, each on its own: no wall clock decides anything, and the two rates may differ by an eighth.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from runner.core.errors import StorageError
from runner.core.frozen import frozen

OWNER_SHARE, WATCHER_SHARE = 14 / 15, 16 / 15

TTL_S = 15.0
"""The time to live of a lease; a host that dies is followed by another after a little more."""

LAPSED = "its lease has run out"
"""Why a lane was taken from an owner that may be alive, and have a frame left to write."""

Clock = Callable[[], float]


def uptime() -> float:
    """Return the seconds since the machine started, those that it slept too.

    Raises `StorageError` where there is no such clock.
    """
    if sys.platform != "linux":
        raise StorageError(
            "a journal in PostgreSQL is written under a lease, and this system has no clock for it"
            " (CLOCK_BOOTTIME); run on Linux, or name a file with --journal"
        )
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    """The owner's side. The journal's thread renews it; the engine asks before each frame."""

    def __init__(self, ttl_s: float, asked_at: float, clock: Clock = uptime) -> None:
        self.ttl_s = ttl_s
        self._clock = clock
        self._until = asked_at + ttl_s * OWNER_SHARE
        self.lost: StorageError | None = None

    def holds(self) -> bool:
        """Return whether it still lasts."""
        return self._clock() < self._until

    def may_write(self) -> bool:
        """Return whether a frame may be written now; raise `StorageError` if it is lost for good."""
        if self.lost is not None:
            raise self.lost
        return self.holds()

    def renewed(self, asked_at: float) -> None:
        """Count from when an acknowledged renewal was sent."""
        self._until = max(self._until, asked_at + self.ttl_s * OWNER_SHARE)

    def lose(self, why: StorageError) -> None:
        """End it: another owner has the lane."""
        self.lost = self.lost or why
        self._until = float("-inf")


@frozen
class LaneState:
    """A lane's row as one look showed it. `owner` None: it was given up."""

    lane: int
    epoch: int
    beat: int
    owner: str | None
    ttl_s: float
    seq: int
    head: str


class Watcher:
    """A watcher's side: times how long one lane stands still. Several threads may look."""

    def __init__(self, clock: Clock = uptime) -> None:
        self._clock = clock
        # One value, so that no thread sees a new beat with the time of an older one.
        self._last: tuple[tuple[int, int] | None, float] = (None, 0.0)

    @property
    def has_seen(self) -> bool:
        """Return whether any answer came yet."""
        return self._last[0] is not None

    def saw(self, state: LaneState) -> None:
        """Learn what an answer showed; to be called after it came."""
        seen = (state.epoch, state.beat)
        if self._last[0] != seen:
            self._last = (seen, self._clock())

    def has_lapsed(self, state: LaneState) -> bool:
        """Return whether the lane has stood still, as `state` shows it, for long enough."""
        seen, since = self._last
        is_seen = seen == (state.epoch, state.beat)
        return is_seen and self._clock() - since >= state.ttl_s * WATCHER_SHARE
