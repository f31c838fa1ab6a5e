"""Counts, figures, durations and latencies as text (runner/core/number_text.py)."""

from __future__ import annotations

import pytest

from runner.core.number_text import (
    NONE,
    counted,
    duration,
    figure,
    milliseconds,
    times,
    was_or_were,
)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (153, "2 min 33 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (11_100, "3 h 05 min"),
        (90_000, "25 h 00 min"),
        (98 * 3600, "4 d 02 h"),
        (float("inf"), "unknown"),
        (-1, "unknown"),
    ],
)
def test_durations_read_without_false_precision(seconds: float, expected: str):
    assert duration(seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.2, "1 s"),
        (59.5, "1 min 00 s"),
        (725, "12 min 05 s"),
        (3600, "1 h 00 min"),
        (11_521, "3 h 13 min"),
        (48 * 3600, "2 d 00 h"),
        (98 * 3600 + 1, "4 d 03 h"),
    ],
)
def test_a_time_to_wait_is_rounded_up(seconds: float, expected: str):
    assert duration(seconds, round_up=True) == expected


def test_latencies_have_three_significant_digits():
    assert [milliseconds(v) for v in (0.4213, 18.34, 999.7, 2412, 250_000, None)] == [
        "0.421 ms",
        "18.3 ms",
        "1 s",
        "2.41 s",
        "4 min 10 s",
        "\N{EN DASH}",
    ]


def test_counts_and_figures_have_thousands_and_no_empty_decimals():
    assert [counted(1, "error"), counted(1204, "error"), counted(2, "entry", "entries")] == [
        "1 error",
        "1,204 errors",
        "2 entries",
    ]
    assert counted(2) == "2 transfers"
    assert [figure(25.0), figure(24.84), figure(1200), figure(None)] == [
        "25",
        "24.8",
        "1,200",
        NONE,
    ]
    assert [times(n) for n in (1, 2, 1700)] == ["once", "twice", "1,700 times"]
    assert [was_or_were(1), was_or_were(2)] == ["was", "were"]
