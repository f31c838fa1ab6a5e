"""Latencies: percentiles and histogram of a run, and the recent ones while it goes on."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from runner.core.frozen import frozen

LATENCIES_KEPT = 256
"""Recent deliveries from which the live view's latency is taken."""

HISTOGRAM_BINS = 32


@frozen
class Latency:
    """Percentiles of the transfers' latencies, in milliseconds; None where nothing was measured."""

    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    max: float | None = None


@frozen
class LatencyBin:
    """How many latencies lie in (`low_ms`, `high_ms`]; the first bin holds its lower edge too."""

    low_ms: float
    high_ms: float
    count: int


class RecentLatency(NamedTuple):
    """Milliseconds from frame to reply, of the last `LATENCIES_KEPT` deliveries."""

    p50: float
    p99: float


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return the smallest value that at least `share` of the values do not exceed.

    Nearest rank: always a latency that was measured, never one interpolated.
    """
    if not ordered:
        return None
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]


def histogram(ordered: Sequence[float], bins: int = HISTOGRAM_BINS) -> tuple[LatencyBin, ...]:
    """Spread ascending latencies over bins whose edges grow by a constant factor.

    Latencies have long tails: equal bins would show one bar and a desert.
    """
    if not ordered:
        return ()
    low, high = max(ordered[0], 0.001), ordered[-1]
    if high <= low:
        return (LatencyBin(ordered[0], max(high, low), len(ordered)),)
    factor = (high / low) ** (1 / bins)
    edges = [low * factor**i for i in range(bins)] + [high]
    ends = [_not_above(ordered, edge) for edge in edges[1:]]
    return tuple(
        LatencyBin(edges[i], edges[i + 1], ends[i] - (ends[i - 1] if i else 0)) for i in range(bins)
    )


def latency_of(ordered: Sequence[float]) -> Latency:
    """Return the percentiles of ascending latencies (milliseconds)."""
    return Latency(
        percentile(ordered, 0.50),
        percentile(ordered, 0.90),
        percentile(ordered, 0.99),
        percentile(ordered, 1.00),
    )


def recent_latency(samples: Sequence[float]) -> RecentLatency | None:
    """Return the percentiles of recent latencies (milliseconds), in any order; None: no sample."""
    found = latency_of(sorted(samples))
    if found.p50 is None or found.p99 is None:
        return None
    return RecentLatency(found.p50, found.p99)


def _not_above(ordered: Sequence[float], edge: float) -> int:
    return bisect_left(ordered, math.nextafter(edge, math.inf))
