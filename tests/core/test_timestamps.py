"""Times as texts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.timestamps import timestamp


@pytest.mark.parametrize(
    ("wall_s", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_796_158_800.123456, "2026-12-01T21:00:00.123456Z"),
        (1_796_158_799.9999999, "2026-12-01T21:00:00.000000Z"),
        (1_709_164_800, "2024-02-29T00:00:00.000000Z"),
    ],
)
def test_rfc_3339_in_utc_with_microseconds(wall_s: float, text: str):
    assert timestamp(wall_s) == text


@given(st.floats(0, 4e9))
def test_it_is_read_back_to_the_microsecond(wall_s: float):
    assert datetime.fromisoformat(timestamp(wall_s)).timestamp() == pytest.approx(wall_s, abs=2e-6)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1)))  # noqa: DTZ001 - made UTC below
def test_it_is_what_datetime_says(moment: datetime):
    utc = moment.replace(tzinfo=UTC)
    expected = utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert timestamp(utc.timestamp()) == expected
