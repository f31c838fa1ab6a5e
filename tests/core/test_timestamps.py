"""Times as texts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.timestamps import (
    clock_time,
    seconds,
    seconds_between,
    seconds_or_none,
    timestamp,
)


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


@given(st.floats(0, 4e9))
def test_it_is_read_back(wall_s: float):
    assert seconds(timestamp(wall_s)) == pytest.approx(wall_s, abs=2e-6)


def test_a_time_without_a_zone_is_utc():
    assert seconds("2026-12-01T21:00:00") == seconds("2026-12-01T22:00:00+01:00") == 1_796_158_800


@pytest.mark.parametrize(
    ("start", "end", "between"),
    [
        ("2026-12-01T21:00:00Z", "2026-12-01T21:00:41.250000Z", 41.25),
        ("2026-12-01T21:00:00Z", None, None),
        ("2026-12-01T21:00:00Z", "tomorrow", None),
        ("", "2026-12-01T21:00:00Z", None),
    ],
)
def test_how_long_it_is_between_two_times(start: str, end: str | None, between: float | None):
    assert seconds_between(start, end) == between


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-12-01T21:00:00.123456Z", "2026-12-01 21:00:00"),
        ("2026-12-01T22:00:00+01:00", "2026-12-01 21:00:00"),
        ("tomorrow", "tomorrow"),
        ("", ""),
    ],
)
def test_a_time_is_shown_to_the_second_and_other_texts_as_they_are(text: str, shown: str):
    assert clock_time(text) == shown
    assert (seconds_or_none(text) is None) == (text == shown)
