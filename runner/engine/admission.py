"""Admits transfers: a slot in flight, a place in the pace, and the write of each frame.

The write follows the intent, and its last checks, without a suspension (recovery.md, "Journal",
rule 2).
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from runner.core.manifest.model import Limits
from runner.core.pacing.circuit_breaker import BreakerPolicy, RetryBudget
from runner.core.pacing.pace_left import (
    ASKED_BEFORE,
    FULL_PACE,
    HELD_OFF,
    RATE_LIMITED,
    SLOWED_DOWN,
    PaceLeft,
    why_text,
)
from runner.core.pacing.rate import (
    AdaptiveRate,
    Bucket,
    bucket_at_start,
    climbed,
    due_in,
    relimited,
    slowed,
    take_token,
    window_wait_s,
)
from runner.core.records.run_record import TimelineEventKind
from runner.core.transfer.message import Request, always
from runner.engine.circuit_breaker import CircuitBreaker, LookUpCircuit
from runner.engine.metrics import RunMetrics
from runner.engine.pending_replies import PendingReply
from runner.engine.stop import StopSignal
from runner.ports import Clock, Gateway

STALE_S = 1.0
"""How old an intent may grow before it is withdrawn."""

POLL_S = 0.05
"""How often a wait without a known end is checked again."""

BUFFER_POLL_S = 0.001
"""How often a transport that still holds bytes is checked again."""

SHORTEST_WAIT_S = 0.001
"""The shortest wait for a turn: at 25/s, rounding leaves waits of 1e-18 s that would be busy loops."""

ONCE_FREED_S = math.inf
"""The wait for a turn while every slot is taken: until one is freed."""

SHORTEST_LEAD_S = 0.02
"""How long before its frame is due an intent is made, at the least."""

READY_S = 2.0
"""How many seconds' worth of transfers are looked up ahead of their turn."""


def _nowhere(_event: str, **_fields: object) -> None:
    """Keep no note."""


class Slot:
    """A transfer's place in flight, from its turn until its outcome is durable.

    It is released by leaving its `with` block, whatever has become of its frame.
    """

    __slots__ = ("_release", "is_unwritten", "kbps")

    def __init__(self, kbps: float, release: Callable[[Slot], None]) -> None:
        self.kbps = kbps
        self.is_unwritten = True  # its frame may still leave
        self._release = release

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._release(self)


class Preparation:
    """A transfer's place between its look-up and its frame, as far as it has taken one.

    It is given back by leaving its `with` block, if not before.
    """

    __slots__ = ("_is_held", "_places")

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self._is_held = False

    async def begin(self) -> None:
        """Wait for a place."""
        await self._places.acquire()
        self._is_held = True

    def end(self) -> None:
        """Give the place back, if there is one."""
        if self._is_held:
            self._is_held = False
            self._places.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()


class Admission:
    """Gives out slots and keeps the pace; frames leave in the order in which slots were acquired."""

    def __init__(
        self,
        gateway: Gateway,
        limits: Limits,
        clock: Clock,
        metrics: RunMetrics,
        stop_signal: StopSignal,
        *,
        breaker: BreakerPolicy,
        total_kbps: float | None = None,
        in_window: Callable[[], bool] = lambda: True,
        may_write: Callable[[], bool] = lambda: True,
        pace: PaceLeft = FULL_PACE,
        note: Callable[..., None] = _nowhere,
    ) -> None:
        """Name the collaborators; `pace` is what the gateway asked of earlier runs.

        `note` makes durable what it asks of this one.
        """
        self._note = note
        self._in_window = in_window
        self._may_write = may_write  # by the journal's lease
        self._total_kbps = total_kbps
        self._gateway = gateway
        self._limits = limits
        self._clock = clock
        self._metrics = metrics
        self._stop_signal = stop_signal
        self._turn_lock = asyncio.Lock()
        self._write_lock = asyncio.Lock()
        self._waiting_for_turn = 0  # transfers that could not have their turn at once
        self._slots_taken = 0
        self._freed = asyncio.Event()  # a slot was, since the next transfer began to wait for it
        self._kbps_taken = 0.0
        self.circuit = CircuitBreaker(breaker, clock, metrics, stop_signal)
        self.look_ups = LookUpCircuit(breaker, clock, metrics, stop_signal)
        self._budget = RetryBudget()
        self.preparing = asyncio.Semaphore(self.ahead)
        self._pace = pace.rate(limits.rate_per_s, now=clock.now(), wall_s=clock.wall())
        self._bucket = self._fresh_bucket(self._pace.rate_per_s)
        self._written = _log_of(limits)
        self._unwritten = 0  # slots whose frame has not left yet
        self._commit_s = 0.0
        self._held_off_until = 0.0
        self._held_off_why = ""
        metrics.rate_per_s = self._pace.rate_per_s
        if self._pace.rate_per_s != limits.rate_per_s:
            self._add_event(TimelineEventKind.SLOWED, self._pace.rate_per_s, ASKED_BEFORE)
        if pace.hold_off is not None and (left_s := pace.hold_off.left_s(clock.wall())) > 0:
            self._hold_until(left_s, pace.hold_off.why)
        self._holds: dict[str, str] = {}

    @property
    def limits(self) -> Limits:
        """The limits in force."""
        return self._limits

    def hold(self, holder: str, words: str) -> None:
        """Let no frame leave until `release`; `words` say what it waits for."""
        self._holds[holder] = words

    def release(self, holder: str) -> None:
        """End a hold, if there is one."""
        self._holds.pop(holder, None)

    def limit(self, limits: Limits) -> None:
        """Put other limits in force, at once; the frames of the last second still count."""
        before, self._limits = self._limits, limits
        if limits.rate_per_s != before.rate_per_s:
            self._pace = relimited(self._pace, limits.rate_per_s)
            self._metrics.rate_per_s = self._pace.rate_per_s
            self._bucket = self._fresh_bucket(self._pace.rate_per_s)
            self._written = self._log_for(limits)
        self._freed.set()

    @property
    def ahead(self) -> int:
        """How many transfers may be between their look-up and their frame (`preparing`)."""
        paces = (self._limits.rate_per_s, self._gateway.most_per_s)
        slowest = min((pace for pace in paces if pace is not None), default=math.inf)
        return round(min(self._limits.in_flight, max(2, slowest * READY_S)))

    @property
    def waiting_for(self) -> str | None:
        """What all transfers wait for now, in words; None: only for their turn."""
        if self._holds:
            return ", ".join(self._holds.values())
        if self._gateway.generation is None:
            return "the session"
        if (left_s := self.held_off_for_s) > 0:
            return f"{math.ceil(left_s)} s more ({why_text(self._held_off_why)})"
        if self.circuit.is_open:
            return "the gateway to answer again (open circuit)"
        return "look-ups to be answered again (open circuit)" if self.look_ups.is_open else None

    @property
    def held_off_for_s(self) -> float:
        """For how many seconds nothing may leave, as the gateway asked; 0.0 or less: it may."""
        return self._held_off_until - self._clock.now()

    @property
    def held_off_why(self) -> str:
        """Why the gateway last asked that nothing leave."""
        return self._held_off_why

    async def acquire(self, kbps: float) -> Slot | None:
        """Wait for a slot and for a place in the pace; None: the run is stopped.

        `kbps` is what the transfer adds to the bandwidth in flight.
        """
        if not self._waiting_for_turn and self._goes_on() and self._until_turn(kbps) <= 0:
            return self._take(kbps)
        self._waiting_for_turn += 1
        try:
            async with self._turn_lock:
                while self._goes_on():
                    wait_s = self._until_turn(kbps)
                    if wait_s <= 0:
                        return self._take(kbps)
                    if wait_s < ONCE_FREED_S:
                        await self._stop_signal.sleep(min(max(wait_s, SHORTEST_WAIT_S), POLL_S))
                    else:
                        self._freed.clear()
                        await self._freed.wait()
                return None
        finally:
            self._waiting_for_turn -= 1

    @property
    def is_waited_for(self) -> bool:
        """Whether transfers wait for the limits that all share."""
        return self._waiting_for_turn > 0

    def watch(self) -> None:
        """Stop the run if the gateway has answered nothing for too long; called again and again."""
        waits = self._waiting_for_turn or self._slots_taken
        is_held = self._holds or self.held_off_for_s > 0
        self.circuit.watch(is_asked=bool(waits and not is_held))
        self.look_ups.watch()

    def retry_delay_s(self) -> float:
        """Charge a retry to the run's budget; return how long to hold it back."""
        delay_s = self._budget.delay_s()
        self._budget = self._budget.retried()
        return delay_s

    def note_commit_time(self, seconds: float) -> None:
        """Note how long an intent took to become durable; turns are given that much earlier."""
        self._commit_s += (seconds - self._commit_s) / 8

    async def write(
        self,
        slot: Slot,
        request: Request,
        pending_reply: PendingReply,
        is_wanted: Callable[[], bool],
        is_due: Callable[[], bool] = always,
    ) -> bool:
        """Write a slot's frame when its token is granted; False: certainly not written.

        Between the last checks (stop signal, hold, session, age, `is_wanted`, `is_due`, token, window,
        lease) and the write there is no suspension: a driver that writes later repeats those that are
        not about its turn (`Request.may_leave`). Once the write is entered the answer is True, even if
        the write then fails.
        """
        generation = pending_reply.generation

        def goes_on() -> bool:
            is_held = self._stop_signal.is_set or bool(self._holds)
            return not is_held and self._gateway.generation == generation and is_wanted()

        def may_leave() -> bool:
            return goes_on() and self._in_window() and self._may_write()

        try:
            async with self._write_lock:
                while True:
                    now = self._clock.now()
                    left_s = request.built_at + STALE_S - now
                    if left_s <= 0 or not goes_on() or not is_due():
                        return False
                    wait_s = self._until_frame(now)
                    if wait_s <= 0:
                        break
                    await self._stop_signal.sleep(min(wait_s, left_s))
                if not self._in_window() or not self._may_write():
                    return False
                pending_reply.frame_left(now)
                self._metrics.frame_left(now)
                self._budget = self._budget.delivered()
                await self._gateway.submit(request._replace(may_leave=may_leave))
                written_at = self._clock.now()  # the process may have stood still meanwhile
                self._metrics.frame_written(written_at)
                if self._written is not None:
                    self._written.append(written_at)
                return True
        finally:
            self._count_as_written(slot)

    def lower_rate(self, sent_at: float, why: str = RATE_LIMITED) -> None:
        """Halve the pace: a frame that left at `sent_at` was answered "too fast"."""
        now = self._clock.now()
        before = self._pace
        self._pace = slowed(
            before, now=now, sent_at=sent_at, achieved_per_s=self._metrics.achieved_per_s(now)
        )
        self._repace(before)
        if self._pace.rate_per_s != before.rate_per_s:
            self._add_event(TimelineEventKind.SLOWED, self._pace.rate_per_s, why)
            rates = {"rate_per_s": self._pace.rate_per_s, "base_per_s": self._pace.base_per_s}
            self._note(SLOWED_DOWN, **rates, why=why)

    def raise_rate(self) -> None:
        """Raise the rate one step if a second has passed."""
        before = self._pace
        self._pace = climbed(before, now=self._clock.now())
        self._repace(before)
        rate, limit = self._pace.rate_per_s, self._pace.limit_per_s
        if rate != before.rate_per_s and rate == limit:
            self._add_event(TimelineEventKind.RECOVERED, rate)

    def hold_off(self, wait_s: float, why: str) -> None:
        """Let nothing leave for `wait_s` seconds: the gateway asked for it."""
        if self._hold_until(wait_s, why):
            self._note(HELD_OFF, wait_s=wait_s, why=why)

    def _hold_until(self, wait_s: float, why: str) -> bool:
        """Let nothing leave for so long; False: it already may not."""
        until = self._clock.now() + wait_s
        is_later = until > self._held_off_until
        if is_later:
            self._held_off_until, self._held_off_why = until, why
            self._add_event(TimelineEventKind.PAUSED, wait_s, why)
        return is_later

    def _add_event(
        self, kind: TimelineEventKind, value: float | None = None, reason: str | None = None
    ) -> None:
        clock = self._clock
        self._metrics.add_event(kind, clock.now(), clock.wall(), value=value, reason=reason)

    def _repace(self, before: AdaptiveRate) -> None:
        rate = self._pace.rate_per_s
        if rate != before.rate_per_s:
            self._metrics.rate_per_s = rate
            if before.rate_per_s is None:
                self._bucket = self._fresh_bucket(rate)

    def _fresh_bucket(self, rate_per_s: float | None) -> Bucket:
        if rate_per_s is None:
            return Bucket(0.0)
        return bucket_at_start(
            now=self._clock.now(),
            rate_per_s=rate_per_s,
            burst=self._limits.burst,
            limit_per_s=self._pace.limit_per_s,
        )

    def _log_for(self, limits: Limits) -> deque[float] | None:
        """Return the log of writes for other limits, as if it had been kept all the time.

        Where there was no limit before, the last second counts as full.
        """
        log = _log_of(limits)
        if log is not None and log.maxlen:
            now = self._clock.now()
            log.extend([now] * log.maxlen if self._written is None else self._written)
        return log

    def _goes_on(self) -> bool:
        return not self._stop_signal.is_set and self._in_window()

    def _take(self, kbps: float) -> Slot:
        self._unwritten += 1
        self._slots_taken += 1
        self._kbps_taken += kbps
        return Slot(kbps, self._release)

    def _release(self, slot: Slot) -> None:
        self._count_as_written(slot)
        self._slots_taken -= 1
        self._kbps_taken -= slot.kbps
        self._freed.set()

    def _count_as_written(self, slot: Slot) -> None:
        self._unwritten -= slot.is_unwritten
        slot.is_unwritten = False

    def _until_turn(self, kbps: float) -> float:
        """Return the seconds until the next transfer may have its turn."""
        if self._slots_taken >= self._limits.in_flight:
            return ONCE_FREED_S
        if self._holds or not self._may_write():
            return POLL_S
        if not self._gateway.writable():  # no session, or one that takes nothing in
            return POLL_S if self._gateway.generation is None else BUFFER_POLL_S
        total = self._total_kbps
        if total is not None and self._slots_taken and self._kbps_taken + kbps > total:
            return POLL_S
        now = self._clock.now()
        shut_s = self.circuit.shut_for_s(now, in_flight=self._slots_taken)
        if shut_s > 0 or now < self._held_off_until:
            return max(shut_s, self._held_off_until - now)
        rate, due_s = self._pace.rate_per_s, self._gateway.due_in(self._unwritten)
        if rate is not None:
            paced_s = due_in(
                self._bucket,
                now=now,
                rate_per_s=rate,
                burst=self._limits.burst,
                limit_per_s=self._pace.limit_per_s,
                ahead=self._unwritten,
            )
            due_s = max(due_s, paced_s)
        return due_s - max(SHORTEST_LEAD_S, 2 * self._commit_s)

    def _until_frame(self, now: float) -> float:
        """Return the seconds until the next transfer may write; 0.0: the token is taken."""
        if now < self._held_off_until:
            return self._held_off_until - now
        if not self._gateway.writable():
            return BUFFER_POLL_S
        if (due_s := self._gateway.due_in(0)) > 0:
            return due_s
        rate, written = self._pace.rate_per_s, self._written
        if rate is None:
            return 0.0
        if written is not None and written.maxlen:
            wait_s = window_wait_s(written, now=now, most=written.maxlen)
            if wait_s > 0:
                return wait_s
        self._bucket, wait_s = take_token(
            self._bucket,
            now=now,
            rate_per_s=rate,
            burst=self._limits.burst,
            limit_per_s=self._pace.limit_per_s,
        )
        return wait_s


def _log_of(limits: Limits) -> deque[float] | None:
    """Return the log of as many writes as a window may hold; None: there is no limit."""
    if limits.rate_per_s is None:
        return None
    return deque(maxlen=math.floor(limits.rate_per_s + limits.burst))
