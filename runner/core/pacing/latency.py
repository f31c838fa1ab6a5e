"""Summarises how long a run's last deliveries took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

LATENCIES_KEPT = 256
"""How many deliveries the latency shown during a run is computed from."""


class Latency(NamedTuple):
    """Milliseconds from frame to reply, of the last some hundred deliveries."""

    p50: float
    p99: float


def latency_of(samples: Sequence[float]) -> Latency | None:
    """Return the latency of samples in milliseconds; None: there are none."""
    if not samples:
        return None
    ordered = sorted(samples)
    last = len(ordered) - 1
    return Latency(ordered[round(0.5 * last)], ordered[round(0.99 * last)])
