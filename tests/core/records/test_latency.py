"""Percentiles and histogram of latencies (runner/core/records/latency.py)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runner.core.records.latency import (
    RecentLatency,
    histogram,
    latency_of,
    percentile,
    recent_latency,
)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_at_least_the_share_does_not_exceed_a_percentile(values: list[float], share: float):
    value = percentile(sorted(values), share)
    assert value in values
    assert sum(other <= value for other in values) >= share * len(values) - 1e-9


@given(st.lists(st.floats(0, 1e7)))
def test_a_histogram_loses_nobody(values: list[float]):
    bins = histogram(sorted(values))
    assert sum(bin_.count for bin_ in bins) == len(values)
    assert all(bin_.count >= 0 for bin_ in bins)


def test_recent_latency_is_the_middle_and_the_tail():
    assert recent_latency([]) is None
    assert recent_latency([7.0]) == RecentLatency(7.0, 7.0)
    assert recent_latency([float(n) for n in range(100, -1, -1)]) == RecentLatency(50.0, 99.0)


def test_the_live_view_and_the_report_have_the_same_percentiles():
    samples = [1.0, 2.0, 3.0, 4.0]
    recent, whole = recent_latency(samples), latency_of(samples)
    assert recent is not None
    assert (recent.p50, recent.p99) == (whole.p50, whole.p99) == (2.0, 4.0)
