"""A clock of the event loop's time: virtual on a virtual loop."""

from __future__ import annotations

import asyncio

WALL_S = 1_800_000_000.0
"""Seconds since the epoch at the loop's time zero."""

UPTIME_S = 500_000.0
"""The machine's uptime at the loop's time zero."""


class LoopClock:
    """Implements `ports.Clock` over the running loop's time."""

    def now(self) -> float:
        """Return the loop's seconds."""
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        """Return seconds since the epoch, in step with `now`."""
        return WALL_S + self.now()

    def uptime(self) -> float:
        """Return the machine's seconds since its boot."""
        return UPTIME_S + self.now()

    @property
    def boot(self) -> str | None:
        """The id of this boot."""
        return "this boot"

    async def sleep(self, seconds: float) -> None:
        """Suspend for that long by the loop's clock."""
        await asyncio.sleep(seconds)


class SettableClock(LoopClock):
    """A clock whose wall time can be changed during a run."""

    def __init__(self) -> None:
        self.step_s = 0.0

    def wall(self) -> float:
        """Return seconds since the epoch, shifted by `step_s`."""
        return super().wall() + self.step_s
