"""The one pace of a token's HTTP requests: commands first, then doubts, then looking ahead."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Mapping
from enum import IntEnum

from runner.core.pacing.rate import Bucket, bucket_at_start, due_in, take_token
from runner.core.pacing.server_allowance import Allowance
from runner.ports import Clock

LONGEST_NAP_S = 1.0
"""After how many seconds the first waiter looks again: the server may have raised the pace."""

YIELD_SHARE = 0.4
"""The share of an interval for which a question leaves a due token to a command that waits."""

SHORTEST_PAUSE_S = 0.25
"""The pause where nothing is left and the window is said to end at once."""


class Priority(IntEnum):
    """Who goes first; commands go before all of these, by `due_in` and `take`."""

    RECONCILIATION = 0
    UPKEEP = 1  # channels and what they are subscribed to
    PREFLIGHT = 2


class PriorityRateLimiter:
    """Lets requests through one by one: at most `limit_per_s`, and none while shut.

    A server that sends its allowance (`inin-ratelimit-*`) lowers the pace, never raises it above
    the limit. A command takes its token itself, in the moment in which it leaves. `slack_s` is the
    lateness that is made up, of a server that counts by the minute.
    """

    def __init__(self, limit_per_s: float | None, clock: Clock, *, slack_s: float = 0.0) -> None:
        self._slack_s = slack_s
        self._limit_per_s = limit_per_s
        self._rate_per_s = limit_per_s
        self._clock = clock
        self._bucket: Bucket | None = None  # filled by the first who comes
        self._shut_until = -math.inf
        self._wanted_until = -math.inf  # a command waits for the next token
        self._line: list[tuple[int, int]] = []
        self._numbers = itertools.count()
        self._woken: dict[tuple[int, int], asyncio.Event] = {}
        self._under_way = 0

    @property
    def limit_per_s(self) -> float | None:
        """The pace that is never passed."""
        return self._limit_per_s

    @property
    def rate_per_s(self) -> float | None:
        """The pace in force; None: unlimited."""
        return self._rate_per_s

    def shut(self, wait_s: float) -> None:
        """Admit no request for that long."""
        self._shut_until = max(self._shut_until, self._clock.now() + wait_s)

    def due_in(self, ahead: int) -> float:
        """Return the seconds until a command behind `ahead` others may leave; 0.0: now.

        Whoever asks with none ahead is about to send one: for a moment the next token is left to it.
        With others ahead it is not, since they may wait for a question's answer first.
        """
        now = self._clock.now()
        first_s = self._until_token(now)
        if (rate_per_s := self._rate_per_s) is None:
            return first_s
        if not ahead:
            self._wanted_until = now + first_s + YIELD_SHARE / rate_per_s
        return first_s + ahead / rate_per_s

    def take(self) -> None:
        """Count a command that leaves now."""
        self._under_way += 1
        self._wanted_until = -math.inf
        if (rate_per_s := self._rate_per_s) is not None:
            now = self._clock.now()
            bucket = self._filled(now, rate_per_s)
            taken, wait_s = self._taken(bucket, now, rate_per_s)
            self._bucket = taken if wait_s <= 0 else Bucket(bucket.tat + 1 / rate_per_s)

    async def passed(self, urgency: Priority = Priority.PREFLIGHT) -> None:
        """Wait for a turn: by urgency, then by arrival."""
        place = (int(urgency), next(self._numbers))
        heapq.heappush(self._line, place)
        try:
            while True:
                if self._line[0] != place:
                    self._woken[place] = asyncio.Event()
                    await self._woken[place].wait()
                elif (wait_s := self._until_question()) > 0:
                    await self._clock.sleep(wait_s)
                else:
                    break
        finally:
            self._step_out(place)

    def answered(self, headers: Mapping[str, str] | None) -> None:
        """Learn that a request is over, and what the server allows; None: it gave no answer."""
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
        self._line.remove(place)
        heapq.heapify(self._line)
        self._woken.pop(place, None)
        if self._line and (head := self._woken.get(self._line[0])) is not None:
            head.set()

    def _until_question(self) -> float:
        """Return how long the head of the line has to wait; 0.0: its token is taken."""
        now = self._clock.now()
        rate_per_s = self._rate_per_s
        if now < self._shut_until:
            return self._shut_until - now
        if rate_per_s is not None:
            if now < self._wanted_until:
                return self._wanted_until - now
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
