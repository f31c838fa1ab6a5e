"""How fast frames leave, as an unlimited pace is judged by it."""

from __future__ import annotations

import pytest

from runner.engine.metrics import RunMetrics


@pytest.mark.parametrize(
    ("left_at", "now", "expected_per_s"),
    [
        ([], 1.0, 0.0),
        ([0.0, 0.1, 0.2, 0.3, 0.4], 0.5, 10.0),
        ([0.0] * 5, 0.001, 50.0),
        ([n / 20 for n in range(61)], 3.0, 20.0),
        ([0.0, 0.1], 5.0, 0.0),
    ],
    ids=["none", "half a second", "a first moment", "the last second alone", "long ago"],
)
def test_the_pace_is_measured_from_the_first_frame_on(
    left_at: list[float], now: float, expected_per_s: float
):
    meter = RunMetrics(0.0)
    for at in left_at:
        meter.frame_left(at)
        meter.frame_written(at)
    assert meter.achieved_per_s(now) == pytest.approx(expected_per_s)


def test_the_timeline_tells_the_most_that_was_in_flight_at_once():
    meter = RunMetrics(0.0)
    for at in (0.1, 0.2, 0.3):
        meter.frame_left(at)
    for _ in range(3):
        meter.frame_answered()
    meter.tick(0.9)
    meter.tick(1.5)
    (first, second) = meter.figures(limit_per_s=None, token_renewals=0).timeline
    assert (first.in_flight, second.in_flight) == (3, 0)


@pytest.mark.parametrize(
    ("left_at", "achieved_per_s"),
    [([], None), ([0.1], None), ([0.1, 0.112], 1.0), ([n / 50 for n in range(151)], 50.0)],
    ids=["none", "one", "two at once", "three seconds"],
)
def test_what_was_achieved_is_measured_over_a_second_at_least(
    left_at: list[float], achieved_per_s: float | None
):
    """As the limit is: two frames in a moment are no rate that could break it."""
    meter = RunMetrics(0.0)
    for at in left_at:
        meter.frame_left(at)
    achieved = meter.figures(limit_per_s=50.0, token_renewals=0).rate_achieved_per_s
    assert achieved == pytest.approx(achieved_per_s)


@pytest.mark.parametrize(
    ("rates", "allowed"), [((25.0, 12.5), 25.0), ((12.5, 25.0), 25.0), ((25.0, None), None)]
)
def test_a_bin_of_the_timeline_shows_the_highest_rate_that_was_allowed(
    rates: tuple[float | None, ...], allowed: float | None
):
    """What left before a slow-down would otherwise look like a broken limit."""
    meter = RunMetrics(0.0)
    for at, rate in zip((0.1, 0.5), rates, strict=True):
        meter.rate_per_s = rate
        meter.frame_left(at)
    (first,) = meter.figures(limit_per_s=25.0, token_renewals=0).timeline
    assert first.rate_per_s == allowed


def test_the_peak_is_of_the_times_at_which_frames_were_written():
    """The process stood still between the last look at the clock and the write."""
    meter = RunMetrics(0.0)
    for left_at, written_at in ((0.0, 0.9), (0.95, 0.95), (1.85, 1.85)):
        meter.frame_left(left_at)
        meter.frame_written(written_at)
    assert meter.peak == 3
