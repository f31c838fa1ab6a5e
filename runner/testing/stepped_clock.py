"""A clock that the test moves, for tests over real sockets.

Both ends of the sockets run on the test's own loop, so the clock can tell when neither has anything
left to do, and moves only then: on a slow or busy machine the same things happen at the same times.
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
"""Shorter waits pass by themselves: those of a very high rate."""

CALM_TURNS = 3
"""Idle turns of the loop in a row after which it counts as quiet."""

UNSEEN_S = 0.005
"""The wait for events that no clock shows, if nothing waits for this clock: real seconds."""


class SteppedClock:
    """Implements `ports.Clock`; only `advance`, `through` and `until` move its time."""

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
        """The id of this boot."""
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
        """Move the clock, waking each sleeper when it is due and letting it finish its work."""
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
        """Let time pass until `awaitable` is done, and return its result."""
        task = asyncio.ensure_future(awaitable)
        while True:
            await _quiet()
            if not self._is_awaited():  # by the library's own clock, perhaps
                await asyncio.wait([task], timeout=UNSEEN_S)
            if task.done():
                return task.result()
            await self.advance(step_s)

    async def until(self, true: Callable[[], bool], *, step_s: float = 0.5) -> None:
        """Let time pass until `true` returns True. Raises `TimeoutError` after a day."""
        ends_s = self.time_s + 86_400
        await _quiet()
        while not true():
            if self.time_s > ends_s:
                raise TimeoutError
            await self.advance(step_s)

    def _is_awaited(self) -> bool:
        return any(not woken.done() for _, _, woken in self._sleepers)


async def _quiet() -> None:
    """Return once no task is ready and no socket has data."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, asyncio.SelectorEventLoop)
    selector: selectors.BaseSelector = loop._selector  # type: ignore[attr-defined]
    calm = 0
    while calm < CALM_TURNS:
        await asyncio.sleep(0)
        is_busy = loop._ready or selector.select(0)  # type: ignore[attr-defined]
        calm = 0 if is_busy else calm + 1
