"""Limits the rate of a token's HTTP requests: commands first, then reconciliation, then preflight."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Awaitable, Callable, Mapping
from enum import IntEnum
from typing import TypeVar

from runner.core.pacing.rate import Bucket, bucket_at_start, due_in, take_token
from runner.core.pacing.server_allowance import Allowance
from runner.ports import Clock

T = TypeVar("T")

LONGEST_NAP_S = 1.0
"""Seconds after which the first waiter looks again: the server may have raised the rate."""

YIELD_SHARE = 0.4
"""The share of an interval for which a due token is reserved for a waiting command."""

SHORTEST_PAUSE_S = 0.25
"""The pause when the allowance is used up and its window is said to end now."""


class Priority(IntEnum):
    """The order of requests; commands go before all of them, by `due_in` and `take`."""

    RECONCILIATION = 0
    UPKEEP = 1  # channels and their subscriptions
    PREFLIGHT = 2


class PriorityRateLimiter:
    """Admits requests one by one: at most `limit_per_s`, and none while shut.

    The allowance that a server sends (`inin-ratelimit-*`) can lower the rate, and raise it again up
    to the limit. A command takes its token itself when it leaves. `slack_s` is the lateness that may
    be made up, for a server that counts by the minute.
    """

    def __init__(self, limit_per_s: float | None, clock: Clock, *, slack_s: float = 0.0) -> None:
        self._slack_s = slack_s
        self._most_per_s = limit_per_s
        self._limit_per_s = limit_per_s
        self._rate_per_s = limit_per_s
        self._clock = clock
        self._bucket: Bucket | None = None  # filled by the first request
        self._shut_until = -math.inf
        self._reserved_until = -math.inf  # a command waits for the next token
        self._queue: list[tuple[int, int]] = []
        self._numbers = itertools.count()
        self._woken: dict[tuple[int, int], asyncio.Event] = {}
        self._under_way = 0

    @property
    def limit_per_s(self) -> float | None:
        """The rate that is never exceeded."""
        return self._limit_per_s

    @property
    def rate_per_s(self) -> float | None:
        """The rate in force; None: unlimited."""
        return self._rate_per_s

    def limit(self, rate_per_s: float) -> None:
        """Put another limit in force, never above the one that it was made with."""
        limit = rate_per_s if self._most_per_s is None else min(rate_per_s, self._most_per_s)
        was_lowered = self._rate_per_s != self._limit_per_s  # by the server's allowance
        rate = min(limit, self._rate_per_s or limit) if was_lowered else limit
        self._limit_per_s, self._rate_per_s = limit, rate
        self._bucket = bucket_at_start(now=self._clock.now(), rate_per_s=rate, burst=1)

    def shut(self, wait_s: float) -> None:
        """Admit no request for `wait_s` seconds."""
        self._shut_until = max(self._shut_until, self._clock.now() + wait_s)

    def due_in(self, ahead: int) -> float:
        """Return the seconds until a command behind `ahead` others may leave; 0.0: now.

        With none ahead, the caller is about to send: the next token is reserved for it briefly. With
        others ahead it is not, since these may first wait for the answer to another request.
        """
        now = self._clock.now()
        first_s = self._until_token(now)
        if (rate_per_s := self._rate_per_s) is None:
            return first_s
        if not ahead:
            self._reserved_until = now + first_s + YIELD_SHARE / rate_per_s
        return first_s + ahead / rate_per_s

    def take(self) -> None:
        """Count a command that leaves now."""
        self._under_way += 1
        self._reserved_until = -math.inf
        if (rate_per_s := self._rate_per_s) is not None:
            now = self._clock.now()
            bucket = self._filled(now, rate_per_s)
            taken, wait_s = self._taken(bucket, now, rate_per_s)
            self._bucket = taken if wait_s <= 0 else Bucket(bucket.tat + 1 / rate_per_s)

    async def acquire(
        self, prepare: Callable[[], Awaitable[T]], priority: Priority = Priority.PREFLIGHT
    ) -> T:
        """Wait for a turn, by priority, then by arrival; return what `prepare` made for it.

        `prepare` is awaited by the first in the queue, again and again, and lastly right before the
        turn: what it made is not older than that, and while it waits no turns are saved up.
        """
        place = (int(priority), next(self._numbers))
        heapq.heappush(self._queue, place)
        try:
            while True:
                if self._queue[0] != place:
                    self._woken[place] = asyncio.Event()
                    await self._woken[place].wait()
                    continue
                prepared = await prepare()
                if self._queue[0] != place:
                    continue  # somebody more urgent came meanwhile
                if (wait_s := self._until_request()) <= 0:
                    return prepared
                await self._clock.sleep(wait_s)
        finally:
            self._step_out(place)

    def answered(self, headers: Mapping[str, str] | None) -> None:
        """Record the end of a request and the allowance in its headers; None: there was no answer."""
        self._under_way -= 1
        allowance = None if headers is None else Allowance.read(headers)
        if allowance is None:
            return
        pace = allowance.pace_per_s(self._limit_per_s, self._under_way)
        if pace > 0:
            self._rate_per_s = pace
        else:
            self.shut(max(SHORTEST_PAUSE_S, allowance.reset_s))

    def _step_out(self, place: tuple[int, int]) -> None:
        self._queue.remove(place)
        heapq.heapify(self._queue)
        self._woken.pop(place, None)
        if self._queue and (head := self._woken.get(self._queue[0])) is not None:
            head.set()

    def _until_request(self) -> float:
        """Return the seconds that the head of the queue has to wait; 0.0: its token is taken."""
        now = self._clock.now()
        rate_per_s = self._rate_per_s
        if now < self._shut_until:
            return self._shut_until - now
        if rate_per_s is not None:
            if now < self._reserved_until:
                return self._reserved_until - now
            bucket = self._filled(now, rate_per_s)
            self._bucket, wait_s = self._taken(bucket, now, rate_per_s)
            if wait_s > 0:
                return min(wait_s, LONGEST_NAP_S)
        self._under_way += 1
        return 0.0

    def _until_token(self, now: float) -> float:
        shut_s = max(0.0, self._shut_until - now)
        if (rate_per_s := self._rate_per_s) is None:
            return shut_s
        bucket = self._filled(now, rate_per_s)
        slack_s = self._slack_s
        due_s = due_in(bucket, now=now, rate_per_s=rate_per_s, burst=1, slack_s=slack_s)
        return max(shut_s, due_s)

    def _taken(self, bucket: Bucket, now: float, rate_per_s: float) -> tuple[Bucket, float]:
        return take_token(bucket, now=now, rate_per_s=rate_per_s, burst=1, slack_s=self._slack_s)

    def _filled(self, now: float, rate_per_s: float) -> Bucket:
        if self._bucket is None:
            self._bucket = bucket_at_start(now=now, rate_per_s=rate_per_s, burst=1)
        return self._bucket
