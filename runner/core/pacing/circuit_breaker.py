"""Circuit breaker and retry budget: when to stop sending, for a while or for good."""

from __future__ import annotations

from dataclasses import replace

from runner.core.frozen import frozen


@frozen
class BreakerPolicy:
    """`failures` in a row open the circuit for `cool_down_s`; open for `give_up_s` ends the run."""

    failures: int = 8
    cool_down_s: float = 30.0
    give_up_s: float = 300.0


@frozen
class Breaker:
    """A circuit breaker: closed (`opened_at` None), open, or half-open after its cool-down.

    Times are the clock's monotonic seconds.
    """

    in_a_row: int = 0
    opened_at: float | None = None  # since when none has been answered, less what is `unasked`
    retry_at: float = 0.0  # when the next probe may be sent

    @property
    def is_closed(self) -> bool:
        """Whether deliveries may be sent without limit."""
        return self.opened_at is None


def failed(breaker: Breaker, policy: BreakerPolicy, *, now: float) -> Breaker:
    """Count a failure: an unanswered delivery, a session lost with deliveries under way."""
    in_a_row = breaker.in_a_row + 1
    if breaker.opened_at is not None:
        return replace(breaker, in_a_row=in_a_row, retry_at=now + policy.cool_down_s)
    if in_a_row < policy.failures:
        return replace(breaker, in_a_row=in_a_row)
    return Breaker(in_a_row, now, now + policy.cool_down_s)


def answered() -> Breaker:
    """Close the circuit, because the gateway answered; the content does not matter."""
    return Breaker()


def shut_for_s(breaker: Breaker, *, now: float, in_flight: int) -> float:
    """Return the seconds for which nothing may be sent; 0.0: one may, as a probe if half-open."""
    if breaker.opened_at is None:
        return 0.0
    if now < breaker.retry_at:
        return breaker.retry_at - now
    return 1.0 if in_flight else 0.0  # one probe at a time


def unasked(breaker: Breaker, *, now: float, for_s: float) -> Breaker:
    """Return a circuit after `for_s` seconds in which nothing was to be sent: they do not count."""
    if breaker.opened_at is None:
        return breaker
    return replace(breaker, opened_at=min(now, breaker.opened_at + for_s))


def is_given_up(breaker: Breaker, policy: BreakerPolicy, *, now: float) -> bool:
    """Return whether the circuit has been open for so long that the run must end."""
    return breaker.opened_at is not None and now - breaker.opened_at >= policy.give_up_s


@frozen
class RetryBudget:
    """Allows twenty retries plus a tenth of the deliveries; rate-limit answers do not count."""

    deliveries: int = 0
    retries: int = 0

    SHARE = 0.1
    FREE = 20
    DELAY_S = 1.0

    def delay_s(self) -> float:
        """Return how long to delay a retry; a budget never settles a transfer."""
        over = self.retries + 1 - self.FREE - self.SHARE * self.deliveries
        return max(0.0, over) * self.DELAY_S

    def delivered(self) -> RetryBudget:
        """Count a first delivery."""
        return RetryBudget(self.deliveries + 1, self.retries)

    def retried(self) -> RetryBudget:
        """Count a retry."""
        return RetryBudget(self.deliveries, self.retries + 1)
