"""What a gateway asked of one run holds for the next one."""

from __future__ import annotations

from typing import Any

import pytest

from runner.core.pacing.pace_left import (
    FULL_PACE,
    HELD_OFF,
    RETRY_AFTER,
    SLOWED_DOWN,
    HoldOff,
    pace_left,
    why_text,
)
from runner.core.pacing.rate import AdaptiveRate
from runner.core.timestamps import timestamp

AT_S = 1_800_000_000.0


def slowed(rate: float, base: float = 16.0, after_s: float = 0.0) -> dict[str, Any]:
    event = {"event": SLOWED_DOWN, "at": timestamp(AT_S + after_s), "why": "rate_limited"}
    return event | {"rate_per_s": rate, "base_per_s": base}


def held_off(wait_s: float, after_s: float = 0.0) -> dict[str, Any]:
    at = timestamp(AT_S + after_s)
    return {"event": HELD_OFF, "at": at, "wait_s": wait_s, "why": "retry_after"}


def test_without_a_word_of_the_gateway_a_run_begins_at_its_limit():
    assert pace_left([]) == FULL_PACE
    assert FULL_PACE.rate(25.0, now=3.0, wall_s=AT_S) == AdaptiveRate.at_limit(25.0)
    assert FULL_PACE.rate(None, now=3.0, wall_s=AT_S) == AdaptiveRate.at_limit(None)


@pytest.mark.parametrize(
    ("since_s", "rate"),
    [(0.0, 2.0), (0.9, 2.0), (1.0, 4.0), (3.5, 8.0), (7.0, 16.0), (4000.0, 16.0), (-600.0, 2.0)],
)
def test_a_rate_that_was_cut_climbs_over_the_end_of_a_run(since_s: float, rate: float):
    left = pace_left([slowed(8.0), slowed(2.0)])
    assert left.rate(16.0, now=100.0, wall_s=AT_S + since_s).rate_per_s == rate


def test_it_goes_on_climbing_as_if_the_run_had_not_ended():
    pace = pace_left([slowed(2.0)]).rate(16.0, now=100.0, wall_s=AT_S + 1.5)
    assert (pace.rate_per_s, pace.climbed_at) == (4.0, 99.5)


def test_a_lower_limit_of_the_next_run_holds():
    left = pace_left([slowed(8.0)])
    assert left.rate(4.0, now=0.0, wall_s=AT_S).rate_per_s == 4.0
    assert left.rate(64.0, now=0.0, wall_s=AT_S + 1).rate_per_s == 16.0


def test_without_a_limit_the_rate_that_was_achieved_is_the_base():
    left = pace_left([slowed(8.0)])
    assert left.rate(None, now=0.0, wall_s=AT_S + 2).rate_per_s == 12.0
    assert left.rate(None, now=0.0, wall_s=AT_S + 60) == AdaptiveRate.at_limit(None)


@pytest.mark.parametrize(
    ("since_s", "left_s"), [(0.0, 30.0), (12.0, 18.0), (30.0, 0.0), (900.0, 0.0), (-5.0, 30.0)]
)
def test_a_retry_after_holds_over_the_end_of_a_run(since_s: float, left_s: float):
    hold_off = pace_left([held_off(30.0)]).hold_off
    assert hold_off is not None
    assert hold_off.left_s(AT_S + since_s) == left_s


def test_the_one_that_ends_last_counts_whichever_came_first():
    assert pace_left([held_off(30.0), held_off(1.0, 2.0)]).hold_off == HoldOff(
        AT_S, 30.0, "retry_after"
    )
    assert pace_left([held_off(3.0), held_off(4.0, 2.0)]).hold_off == HoldOff(
        AT_S + 2, 4.0, "retry_after"
    )


def test_no_run_waits_longer_than_is_obeyed():
    hold_off = pace_left([held_off(7200.0)]).hold_off
    assert hold_off is not None
    assert hold_off.left_s(AT_S) == 180.0
    assert hold_off.left_s(AT_S + 7100) == 100.0


def test_why_a_run_is_held_off_is_said_in_words():
    assert why_text(RETRY_AFTER) == "the gateway asked for it (Retry-After)"
    assert why_text("the token server asked for it") == "the token server asked for it"
