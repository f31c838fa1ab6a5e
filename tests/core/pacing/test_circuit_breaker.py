"""When deliveries pause, when one probes, and when a run gives up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.pacing.circuit_breaker import (
    Breaker,
    BreakerPolicy,
    RetryBudget,
    answered,
    failed,
    is_given_up,
    shut_for_s,
    unasked,
)

POLICY = BreakerPolicy(failures=3, cool_down_s=30.0, give_up_s=300.0)


def after_failures(*times: float) -> Breaker:
    breaker = Breaker()
    for now in times:
        breaker = failed(breaker, POLICY, now=now)
    return breaker


def test_failures_in_a_row_open_it():
    assert after_failures(1, 2).is_closed
    breaker = after_failures(1, 2, 3)
    assert not breaker.is_closed
    assert shut_for_s(breaker, now=3, in_flight=0) == 30.0
    assert shut_for_s(breaker, now=30, in_flight=0) == 3.0


def test_one_probe_at_a_time_leaves_once_it_has_cooled_down():
    breaker = after_failures(1, 2, 3)
    assert shut_for_s(breaker, now=33, in_flight=0) == 0.0
    assert shut_for_s(breaker, now=33, in_flight=1) > 0


def test_a_failed_probe_waits_again_and_keeps_the_moment_of_opening():
    breaker = failed(after_failures(1, 2, 3), POLICY, now=33)
    assert shut_for_s(breaker, now=33, in_flight=0) == 30.0
    assert (breaker.opened_at, breaker.in_a_row) == (3, 4)


@pytest.mark.parametrize(("now", "given_up"), [(302.9, False), (303, True)])
def test_the_run_ends_once_it_has_been_open_for_too_long(now: float, *, given_up: bool):
    assert is_given_up(after_failures(1, 2, 3), POLICY, now=now) is given_up


def test_time_in_which_nothing_was_to_be_sent_does_not_count():
    breaker = unasked(after_failures(1, 2, 3), now=203, for_s=200)
    assert not is_given_up(breaker, POLICY, now=502)
    assert is_given_up(breaker, POLICY, now=503)
    assert unasked(Breaker(), now=10, for_s=5) == Breaker()
    assert unasked(after_failures(1, 2, 3), now=5, for_s=9).opened_at == 5


@given(st.lists(st.floats(0, 1e6)).map(sorted), st.floats(0, 1e7))
def test_any_answer_closes_it(times: list[float], now: float):
    after_failures(*times)
    assert answered().is_closed
    assert shut_for_s(answered(), now=now, in_flight=64) == 0.0
    assert not is_given_up(answered(), POLICY, now=now)


@given(st.integers(0, 10_000), st.integers(0, 2_000))
def test_retries_are_free_up_to_a_tenth_and_twenty_then_delayed_more_and_more(
    deliveries: int, retries: int
):
    budget = RetryBudget(deliveries, retries)
    over = retries + 1 - 20 - deliveries / 10
    assert budget.delay_s() == pytest.approx(max(0.0, over))
    assert budget.retried().delay_s() >= budget.delay_s() >= budget.delivered().delay_s()
