"""A clock that stands still until the test moves it, for tests over real sockets.

Both ends of the sockets live on the test's own loop. So the clock can see when there is nothing
more that any of them could do, and moves only then: however slow or busy the machine is, the
same things happen at the same seconds.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import selectors
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

WALL_S = 1_800_000_000.0
AT_ONCE_S = 0.01
"""Waits that pass by themselves: those of a pace that is next to none."""

CALM_TURNS = 3
"""Turns of the loop in a row that bring nothing, before it counts as quiet."""

UNSEEN_S = 0.005
"""How long what no clock shows is waited for, where nobody waits for this clock: real seconds."""


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
        """Move the clock, wake each sleeper that is due on the way, and let it do all that it can."""
        until = self.time_s + seconds
        await _quiet()
        while self._sleepers and self._sleepers[0][0] <= until:
            due, _, woken = heapq.heappop(self._sleepers)
            self.time_s = max(self.time_s, due)
            if not woken.done():
                woken.set_result(None)
            await _quiet()
        self.time_s = max(self.time_s, until)

    async def through(self, awaitable: Awaitable[T], *, step_s: float = 0.5) -> T:
        """Let time pass until something is done."""
        task = asyncio.ensure_future(awaitable)
        while True:
            await _quiet()
            if not self._is_awaited():  # by the library's own clock, perhaps
                await asyncio.wait([task], timeout=UNSEEN_S)
            if task.done():
                return task.result()
            await self.advance(step_s)

    async def until(self, true: Callable[[], bool], *, step_s: float = 0.5) -> None:
        """Let time pass until something is so. Raises `TimeoutError` if it is not within a day."""
        ends_s = self.time_s + 86_400
        await _quiet()
        while not true():
            if self.time_s > ends_s:
                raise TimeoutError
            await self.advance(step_s)

    def _is_awaited(self) -> bool:
        return any(not woken.done() for _, _, woken in self._sleepers)


async def _quiet() -> None:
    """Return once no task can go on and no socket has anything to say."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, asyncio.SelectorEventLoop)
    selector: selectors.BaseSelector = loop._selector  # type: ignore[attr-defined]
    calm = 0
    while calm < CALM_TURNS:
        await asyncio.sleep(0)
        is_busy = loop._ready or selector.select(0)  # type: ignore[attr-defined]
        calm = 0 if is_busy else calm + 1
