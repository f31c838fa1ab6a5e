"""The run's circuit breakers: while the gateway answers nothing, only a probe may leave.

One is for deliveries, one for the look-ups before them: a session that answers says nothing about
the REST side, and the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from runner.core.errors import LookUpFailed, LookUpUnanswered
from runner.core.exit_code import ExitCode
from runner.core.pacing.circuit_breaker import (
    Breaker,
    BreakerPolicy,
    answered,
    failed,
    is_given_up,
    shut_for_s,
    unasked,
)
from runner.core.records.run_record import TimelineEventKind
from runner.engine.metrics import RunMetrics
from runner.engine.stop import StopSignal
from runner.ports import Clock

POLL_S = 1.0
"""How often transfers that wait for an open circuit check it again."""


class CircuitBreaker:
    """Opens after consecutive failures, and says how long to wait."""

    unanswered_in_words = "the gateway has answered nothing"
    about: str | None = None  # what the story adds about its opening

    def __init__(
        self, policy: BreakerPolicy, clock: Clock, metrics: RunMetrics, stop_signal: StopSignal
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._metrics = metrics
        self._stop_signal = stop_signal
        self._breaker = Breaker()
        self._watched_at = clock.now()

    @property
    def is_open(self) -> bool:
        """Whether the gateway answers nothing any more."""
        return not self._breaker.is_closed

    def shut_for_s(self, now: float, *, in_flight: int) -> float:
        """Return for how long no further transfer may have its turn; 0.0: it may, now."""
        return shut_for_s(self._breaker, now=now, in_flight=in_flight)

    def answered(self) -> None:
        """Note that the gateway answered, whatever it said."""
        if self._breaker.in_a_row:
            if self.is_open:
                self._add_event(TimelineEventKind.ANSWERED)
            self._breaker = answered()

    def unanswered(self, times: int = 1) -> None:
        """Count failures: deliveries that timed out, a session that was lost, look-ups."""
        now, was_open = self._clock.now(), self.is_open
        for _ in range(times):
            self._breaker = failed(self._breaker, self._policy, now=now)
        if self.is_open and not was_open:
            self._add_event(TimelineEventKind.SHUT, self._breaker.in_a_row)

    def watch(self, *, is_asked: bool = True) -> None:
        """Stop the run if the circuit has been open for too long; to be called again and again.

        `is_asked` False: since the last call nothing was to be sent, so silence says nothing.
        """
        now = self._clock.now()
        if not is_asked:
            self._breaker = unasked(self._breaker, now=now, for_s=now - self._watched_at)
        self._watched_at = now
        if is_given_up(self._breaker, self._policy, now=now):
            self._stop_signal.set(
                ExitCode.STOPPED,
                f"{self.unanswered_in_words} for {self._policy.give_up_s:g} s"
                " (policy.circuit_breaker.give_up); see to the gateway, then run apply again",
            )

    def _add_event(self, kind: TimelineEventKind, value: int | None = None) -> None:
        clock = self._clock
        self._metrics.add_event(kind, clock.now(), clock.wall(), value=value, reason=self.about)


class LookUpCircuit(CircuitBreaker):
    """Holds back the look-ups that transfers wait for while the REST side answers none."""

    unanswered_in_words = "the gateway's REST side has answered no look-up"
    about = "look-ups"

    def __init__(
        self, policy: BreakerPolicy, clock: Clock, metrics: RunMetrics, stop_signal: StopSignal
    ) -> None:
        super().__init__(policy, clock, metrics, stop_signal)
        self._waiting = 0
        self._probes = 0
        self._answered_at: float | None = None  # when a look-up was last answered
        self.has_shown = False  # an interaction, or that there is none: this client may look up

    async def admits(self) -> bool:
        """Wait until a look-up may be made; False: the run is stopped."""
        self._waiting += 1
        try:
            while not self._stop_signal.is_set:
                wait_s = self.shut_for_s(self._clock.now(), in_flight=self._probes)
                if wait_s <= 0:
                    return True
                await self._stop_signal.sleep(min(wait_s, POLL_S))
            return False
        finally:
            self._waiting -= 1

    @contextmanager
    def looking(self, *, is_admitted: bool = True) -> Iterator[None]:
        """Count a look-up; one that was admitted while the circuit is open is the only probe.

        One that fails otherwise than by an outage was answered.
        """
        is_probe = is_admitted and self.is_open
        self._probes += is_probe
        try:
            yield
        except LookUpUnanswered:
            raise
        except LookUpFailed:
            self.answered()
            raise
        finally:
            self._probes -= is_probe

    def answered(self) -> None:
        """Note that a look-up was answered, whatever it said."""
        self._answered_at = self._clock.now()
        super().answered()

    def showed(self) -> None:
        """Note that a look-up showed an interaction, or that there is none."""
        self.has_shown = True
        self.answered()

    def was_answered_since(self, at: float) -> bool:
        """Return whether a look-up was answered after `at`, monotonic seconds."""
        return self._answered_at is not None and self._answered_at > at

    def watch(self, *, is_asked: bool = True) -> None:
        """Stop the run if transfers have waited for look-ups for too long."""
        if self._waiting or self._probes:
            super().watch(is_asked=is_asked)
