"""The shared rate: no window passes it, almost all of it is used, and answers slow it down."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.manifest.model import RetryPolicy
from runner.core.pacing.rate import (
    SMALLEST_SHARE,
    AdaptiveRate,
    Bucket,
    backoff_s,
    bucket_at_start,
    climbed,
    due_in,
    estimate_s,
    relimited,
    slowed,
    take_token,
    window_wait_s,
)
from tests.core.pacing.measures import most_in_a_second

WHOLE_RATES = st.integers(1, 2000).map(float)
PER_MINUTE = st.integers(12, 120_000).map(lambda n: n / 60)
FRACTIONAL = st.integers(20, 200_000).map(lambda n: n / 100)
RATES = WHOLE_RATES | PER_MINUTE | FRACTIONAL
BURSTS = st.integers(1, 20)
LATENESS = st.lists(
    st.one_of(
        st.just(0.0),
        st.floats(0, 0.002),  # a timer
        st.floats(0, 0.4),  # a busy loop
        st.floats(0, 5),  # a stall
    ),
    min_size=1,
    max_size=30,
)


@dataclass
class Sender:
    """Someone with always one more frame to send, woken late by `lateness`, over and over."""

    rate_per_s: float
    burst: int
    lateness: Sequence[float]
    now: float
    sent: list[float] = field(default_factory=list)
    _wakes: int = 0

    def begin(self) -> Bucket:
        """Return the bucket of a run that begins now."""
        return bucket_at_start(now=self.now, rate_per_s=self.rate_per_s, burst=self.burst)

    def send(self, bucket: Bucket, frames: int, pace_per_s: float | None = None) -> Bucket:
        """Send so many frames as early as they are granted, at the pace in force."""
        pace, goal = pace_per_s or self.rate_per_s, len(self.sent) + frames
        while len(self.sent) < goal:
            bucket, wait_s = take_token(
                bucket,
                now=self.now,
                rate_per_s=pace,
                burst=self.burst,
                limit_per_s=self.rate_per_s,
            )
            if wait_s == 0:
                self.sent.append(self.now)
            else:
                self.now += wait_s + self.lateness[self._wakes % len(self.lateness)]
                self._wakes += 1
        return bucket


def promised(rate_per_s: float, burst: int) -> int:
    return math.floor(rate_per_s + burst + 1e-9)


@given(RATES, BURSTS, LATENESS, st.floats(0, 1e6))
def test_no_window_of_a_second_passes_rate_plus_burst(
    rate: float, burst: int, lateness: list[float], began: float
):
    """Whatever the rate, the burst, and however late the wake-ups."""
    sender = Sender(rate, burst, lateness, began)
    sender.send(sender.begin(), min(300, round(3 * rate) + 3 * burst + 3))
    assert most_in_a_second(sender.sent) <= promised(rate, burst)


@given(
    RATES,
    BURSTS,
    LATENESS,
    st.lists(st.tuples(st.floats(SMALLEST_SHARE, 1), st.integers(1, 60)), max_size=8),
)
def test_a_pace_that_changes_keeps_the_promise_of_the_limit(
    rate: float, burst: int, lateness: list[float], changes: list[tuple[float, int]]
):
    sender = Sender(rate, burst, lateness, 1000)
    bucket = sender.begin()
    for share, frames in changes:
        bucket = sender.send(bucket, frames, rate * share)
    sender.send(bucket, 60)
    assert most_in_a_second(sender.sent) <= promised(rate, burst)


@given(RATES, BURSTS, LATENESS, st.lists(st.integers(1, 50), min_size=2, max_size=5))
def test_runs_that_follow_each_other_keep_the_promise_together(
    rate: float, burst: int, lateness: list[float], runs: list[int]
):
    """Each begins anew, at once, as after a kill."""
    sender = Sender(rate, burst, lateness, 1000)
    for frames in runs:
        sender.send(sender.begin(), frames)
    assert most_in_a_second(sender.sent) <= promised(rate, burst)


@given(RATES, BURSTS, st.floats(0, 10), st.integers(1, 40))
def test_a_stalled_loop_gets_no_more_than_the_burst_at_once(
    rate: float, burst: int, stall_s: float, wanted: int
):
    """Tokens do not pile up while nobody takes them; nothing is reserved."""
    now = 1000.0
    bucket = bucket_at_start(now=now, rate_per_s=rate, burst=burst)
    now += 1 / rate + stall_s
    granted = 0
    for _ in range(wanted):
        bucket, wait_s = take_token(bucket, now=now, rate_per_s=rate, burst=burst)
        granted += wait_s == 0
    assert granted <= burst


@pytest.mark.parametrize(
    ("rate", "burst"),
    [(1, 1), (5, 1), (25, 1), (100, 1), (150, 1), (200, 1), (400, 2), (1000, 5), (2000, 10)],
)
@pytest.mark.parametrize("seed", range(5))
def test_timers_a_millisecond_late_cost_less_than_two_percent(rate: int, burst: int, seed: int):
    jitter = random.Random(seed)
    sender = Sender(rate, burst, [jitter.uniform(0, 0.001) for _ in range(997)], 1000)
    frames = rate * 20
    sender.send(sender.begin(), frames)
    assert (frames - 1) / (sender.sent[-1] - sender.sent[0]) >= 0.98 * rate


def test_the_first_frame_is_an_interval_off_and_a_second_at_most():
    """A run begins with its burst spent."""
    assert due_in(
        bucket_at_start(now=5, rate_per_s=10, burst=4), now=5, rate_per_s=10, burst=4
    ) == (pytest.approx(0.1))
    assert due_in(
        bucket_at_start(now=5, rate_per_s=0.2, burst=1), now=5, rate_per_s=0.2, burst=1
    ) == (pytest.approx(1))


def test_a_run_that_begins_slowed_down_waits_for_no_burst_at_that_rate():
    """A rate of 100/s that was cut to its floor, with a burst of 200: one second, not two minutes."""
    slow, limit, burst = 100 * SMALLEST_SHARE, 100.0, 200
    bucket = bucket_at_start(now=5, rate_per_s=slow, burst=burst, limit_per_s=limit)
    assert due_in(bucket, now=5, rate_per_s=slow, burst=burst, limit_per_s=limit) == pytest.approx(
        1 / slow
    )


def test_a_refusal_changes_nothing():
    bucket = bucket_at_start(now=0, rate_per_s=10, burst=1)
    assert take_token(bucket, now=0.05, rate_per_s=10, burst=1) == (bucket, pytest.approx(0.05))


def test_those_ahead_are_waited_for():
    bucket = bucket_at_start(now=0, rate_per_s=10, burst=1)
    waits = [due_in(bucket, now=0, rate_per_s=10, burst=1, ahead=n) for n in range(4)]
    assert waits == pytest.approx([0.1, 0.2, 0.3, 0.4])


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[str, float]]:
    """Draw what happens to a pace: answers that object, and quiet time."""
    kinds = st.tuples(st.sampled_from(["objection", "quiet"]), st.floats(0, 30))
    return draw(st.lists(kinds, max_size=40))


@given(RATES, stories())
def test_a_pace_stays_between_its_floor_and_its_limit(rate: float, story: list[tuple[str, float]]):
    pace, now = AdaptiveRate.at_limit(rate), 100.0
    for kind, seconds in story:
        now += seconds
        if kind == "objection":
            pace = slowed(pace, now=now, sent_at=now - 0.001, achieved_per_s=1)
        else:
            pace = climbed(pace, now=now)
        assert pace.rate_per_s is not None
        assert rate * SMALLEST_SHARE * (1 - 1e-12) <= pace.rate_per_s <= rate


@given(RATES, st.lists(st.floats(0, 2), min_size=1, max_size=30))
def test_a_round_trip_is_cut_once_however_many_object(rate: float, sent: list[float]):
    """Every frame that left before the cut says nothing about the pace since."""
    pace, cut_at = AdaptiveRate.at_limit(rate), 2.0
    for sent_at in sent:
        pace = slowed(pace, now=cut_at, sent_at=sent_at, achieved_per_s=1)
    assert pace.rate_per_s == rate / 2
    assert slowed(pace, now=3, sent_at=2.5, achieved_per_s=1).rate_per_s == rate / 4


def test_a_pace_climbs_an_eighth_of_the_limit_each_second_back_to_it():
    pace = slowed(AdaptiveRate.at_limit(16), now=0, sent_at=-1, achieved_per_s=0)
    assert climbed(pace, now=0.99) is pace
    assert climbed(pace, now=1.5).rate_per_s == 10
    assert climbed(climbed(pace, now=1.5), now=2).rate_per_s == 12
    assert climbed(pace, now=60).rate_per_s == 16
    assert climbed(AdaptiveRate.at_limit(16), now=60) == AdaptiveRate.at_limit(16)


def test_an_unlimited_pace_is_measured_by_what_was_achieved_and_freed_again():
    free = AdaptiveRate.at_limit(None)
    assert climbed(free, now=9) is free
    pace = slowed(free, now=10, sent_at=9, achieved_per_s=80)
    assert pace.rate_per_s == 40
    assert climbed(pace, now=12).rate_per_s == 60
    assert climbed(pace, now=100) == free
    assert slowed(free, now=10, sent_at=9, achieved_per_s=0).rate_per_s == 0.5


@given(
    st.floats(0.01, 100),
    st.floats(0.01, 1000),
    st.integers(1, 5000),
    st.floats(0, 1, exclude_max=True),
)
def test_backoff_lies_between_base_and_cap(base_s: float, cap_s: float, n: int, jitter: float):
    wait_s = backoff_s(RetryPolicy(4, base_s, cap_s), n, jitter=jitter)
    assert min(base_s, cap_s) <= wait_s <= cap_s


def test_backoff_doubles_until_the_cap():
    retry = RetryPolicy(9, 1, 30)
    longest = [backoff_s(retry, n, jitter=1) for n in range(1, 7)]
    assert longest == [2, 4, 8, 16, 30, 30]
    assert backoff_s(retry, 5, jitter=0) == 1


def test_an_estimate_is_by_the_narrower_limit():
    def estimate(rate: float | None, http: float | None, each: int) -> float | None:
        return estimate_s(sends=60, rate_per_s=rate, http_rate_per_s=http, requests_each=each)

    assert estimate(None, None, 1) is None
    assert estimate(2, None, 1) == 30
    assert estimate(2, 1, 1) == 60
    assert estimate(2, 1, 0) == 30
    assert estimate(None, 1, 0) is None
    assert estimate(None, 5, 2) == 24


def test_the_log_of_writes_holds_back_what_the_schedule_would_let_go():
    """A frame that left late by its own clock counts from when it certainly had left."""
    written = [10.0, 10.9, 10.95]
    assert window_wait_s(written, now=10.96, most=3) == pytest.approx(0.04)
    assert window_wait_s(written, now=11.0, most=3) == 0
    assert window_wait_s(written, now=10.96, most=4) == 0
    assert window_wait_s(written, now=10.96, most=2) == pytest.approx(0.94)


@pytest.mark.parametrize(
    ("pace", "limit", "rate"),
    [
        (AdaptiveRate.at_limit(10), 4, 4),
        (AdaptiveRate.at_limit(4), 10, 10),
        (AdaptiveRate.at_limit(None), 4, 4),
        (AdaptiveRate.at_limit(4), None, None),
        (AdaptiveRate(10, 2.5, 10), 4, 2.5),  # cut, and it stays cut
        (AdaptiveRate(10, 5, 10), 4, 4),
    ],
)
def test_another_limit(pace: AdaptiveRate, limit: float | None, rate: float | None):
    after = relimited(pace, limit)
    assert (after.limit_per_s, after.rate_per_s) == (limit, rate)


def test_a_pace_that_was_cut_climbs_to_the_new_limit():
    pace = relimited(AdaptiveRate(10, 2.5, 10, cut_at=0.0, climbed_at=0.0), 4)
    assert climbed(pace, now=60.0).rate_per_s == 4
