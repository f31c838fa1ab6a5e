"""A clock that stands still until the test moves it, for tests over real sockets."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")

WALL_S = 1_800_000_000.0
AT_ONCE_S = 0.01
"""Waits that pass by themselves: those of a pace that is next to none."""

TURN_S = 0.002


class SteppedClock:
    """Implements `ports.Clock`; time passes by `advance` and `through` alone."""

    def __init__(self) -> None:
        self.time_s = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def now(self) -> float:
        """Return the test's seconds."""
        return self.time_s

    def wall(self) -> float:
        """Return the test's seconds since the epoch."""
        return WALL_S + self.time_s

    def uptime(self) -> float:
        """Return the same as `now`."""
        return self.time_s

    @property
    def boot(self) -> str | None:
        """Return what tells this boot from others."""
        return "this boot"

    async def sleep(self, seconds: float) -> None:
        """Wait until the test has moved the clock that far."""
        if seconds <= AT_ONCE_S:
            self.time_s += max(0.0, seconds)
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.time_s + seconds, next(self._numbers), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Move the clock, waking whoever is due on the way, and let each do what it can at once."""
        until = self.time_s + seconds
        while self._sleepers and self._sleepers[0][0] <= until:
            due, _, woken = heapq.heappop(self._sleepers)
            self.time_s = max(self.time_s, due)
            if not woken.done():
                woken.set_result(None)
            await asyncio.sleep(TURN_S)  # lets sockets have their say as well
        self.time_s = max(self.time_s, until)

    async def through(self, awaitable: Awaitable[T], *, step_s: float = 0.5) -> T:
        """Let time pass until something is done."""
        task = asyncio.ensure_future(awaitable)
        while not task.done():
            await asyncio.wait([task], timeout=TURN_S * 5)
            if not task.done():
                await self.advance(step_s)
        return task.result()
