"""The run's circuit: shut to everyone but a probe while the gateway answers nothing."""

from __future__ import annotations

from runner.core.breaker import (
    Breaker,
    BreakerPolicy,
    answered,
    failed,
    is_given_up,
    shut_for_s,
)
from runner.core.outcome import ExitCode
from runner.core.record import Turn
from runner.engine.halt import Halt
from runner.engine.meter import Meter
from runner.ports import Clock


class Circuit:
    """One per run; it learns of answers and failures, and tells for how long nothing may leave."""

    def __init__(self, policy: BreakerPolicy, clock: Clock, meter: Meter, halt: Halt) -> None:
        self._policy = policy
        self._clock = clock
        self._meter = meter
        self._halt = halt
        self._breaker = Breaker()

    @property
    def is_open(self) -> bool:
        """Whether the gateway answers nothing any more."""
        return not self._breaker.is_closed

    def shut_for_s(self, now: float, *, in_flight: int) -> float:
        """Return for how long no further transfer may have its turn; 0.0: it may, now."""
        return shut_for_s(self._breaker, now=now, in_flight=in_flight)

    def answered(self) -> None:
        """Learn that the gateway answered a delivery, whatever it said."""
        if self._breaker.in_a_row:
            if self.is_open:
                self._meter.tell(Turn.ANSWERED, self._clock.now(), self._clock.wall())
            self._breaker = answered()

    def unanswered(self) -> None:
        """Learn of a failure: a delivery that timed out, or a session that was lost."""
        now, was_open = self._clock.now(), self.is_open
        self._breaker = failed(self._breaker, self._policy, now=now)
        if self.is_open and not was_open:
            in_a_row = self._breaker.in_a_row
            self._meter.tell(Turn.SHUT, now, self._clock.wall(), value=in_a_row)

    def watch(self) -> None:
        """Stop the run if the circuit has been open for too long."""
        if is_given_up(self._breaker, self._policy, now=self._clock.now()):
            self._halt.stop(
                ExitCode.STOPPED,
                f"the gateway has answered nothing for {self._policy.give_up_s:g} s"
                " (policy.circuit_breaker.give_up); see to the gateway, then run apply again",
            )
