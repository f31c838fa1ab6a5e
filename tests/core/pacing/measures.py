"""Measures rates."""

from __future__ import annotations

from collections.abc import Sequence


def most_in_a_second(times: Sequence[float]) -> int:
    """Return how many lie in the fullest half-open window of one second."""
    most = start = 0
    for end, time in enumerate(times):
        while time - times[start] >= 1 - 1e-9:
            start += 1
        most = max(most, end - start + 1)
    return most
