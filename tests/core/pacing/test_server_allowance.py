"""The pace that follows from what a server says it still allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.pacing.server_allowance import Allowance


def told(allowed: str = "300", count: str = "1", reset: str = "60") -> dict[str, str]:
    return {
        "inin-ratelimit-allowed": allowed,
        "inin-ratelimit-count": count,
        "inin-ratelimit-reset": reset,
    }


def test_the_three_headers_are_read():
    assert Allowance.read(told("300", "12", "48")) == Allowance(300, 12, 48.0)


@pytest.mark.parametrize(
    "odd",
    [{}, told("0"), told("-1"), told("1e3"), told(count="x"), told(reset="²"), told("9" * 30)],
)
def test_odd_or_missing_headers_say_nothing(odd: dict[str, str]):
    assert Allowance.read(odd) is None


@pytest.mark.parametrize(
    ("allowance", "limit_per_s", "under_way", "pace_per_s"),
    [
        (Allowance(300, 0, 60), 5.0, 0, 5.0),
        (Allowance(180, 0, 60), 5.0, 0, 3.0),  # an older organisation: less than the limit
        (Allowance(300, 240, 30), 5.0, 0, 2.0),  # others use the token too
        (Allowance(300, 240, 30), 5.0, 30, 1.0),  # so do requests of ours that are on their way
        (Allowance(300, 0, 10), 5.0, 0, 5.0),  # what was left over is no leave to hurry
        (Allowance(6000, 0, 60), 5.0, 0, 5.0),  # never above the limit
        (Allowance(6000, 0, 60), None, 0, 100.0),
        (Allowance(300, 300, 20), 5.0, 0, 0.0),
        (Allowance(300, 299, 20), 5.0, 4, 0.0),
        (Allowance(300, 300, 0), 5.0, 0, 0.0),
        (Allowance(300, 299, 0), 5.0, 0, 5.0),  # the window is about to begin anew
    ],
)
def test_what_is_left_lasts_until_the_reset(
    allowance: Allowance, limit_per_s: float | None, under_way: int, pace_per_s: float
):
    assert allowance.pace_per_s(limit_per_s, under_way) == pytest.approx(pace_per_s)


@given(
    st.integers(1, 10_000),
    st.integers(0, 12_000),
    st.integers(0, 60),
    st.floats(0.01, 1000),
    st.integers(0, 100),
)
def test_no_pace_is_above_the_limit_the_window_or_what_is_left(
    allowed: int, counted: int, reset_s: int, limit_per_s: float, under_way: int
):
    pace = Allowance(allowed, counted, float(reset_s)).pace_per_s(limit_per_s, under_way)
    assert 0 <= pace <= limit_per_s
    assert pace <= allowed / 60
    assert pace * reset_s <= max(0, allowed - counted - under_way) + 1e-9
