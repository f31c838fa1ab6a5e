"""When frames may leave next, by both kinds of windows."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from runner.core.manifest.dated_window import Window, parse_moment
from runner.core.manifest.model import Policy
from runner.core.manifest.recurring_window import WindowRule, Windows, parse_span

NOON_S = datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp()


def allowing(span: str, zone: str) -> Windows:
    return Windows(
        (WindowRule(allows=True, span=parse_span(span), zone=ZoneInfo(zone), text=span),)
    )


NIGHTLY = allowing("Mon-Sun 22:00-04:00", "Europe/Amsterdam")


def dated(begins: str | None, ends: str | None) -> Window:
    moments = [None if each is None else parse_moment(each) for each in (begins, ends)]
    return Window(*moments)


@pytest.mark.parametrize(
    ("policy", "opens", "closes"),
    [
        (Policy(), "2026-12-01T12:00:00Z", None),
        (Policy(windows=NIGHTLY), "2026-12-01T22:00:00+01:00", "2026-12-02T04:00:00+01:00"),
        (
            Policy(window=dated("2026-12-01T20:00:00+05:45", None)),
            "2026-12-01T20:00:00+05:45",
            None,
        ),
        (
            Policy(window=dated(None, "2026-12-01T23:30:00Z")),
            "2026-12-01T12:00:00+00:00",
            "2026-12-01T23:30:00Z",
        ),
        (
            Policy(windows=NIGHTLY, window=dated("2026-12-02T01:00:00Z", "2026-12-02T02:00:00Z")),
            "2026-12-02T02:00:00+01:00",
            "2026-12-02T02:00:00Z",
        ),
    ],
    ids=["none", "recurring", "opens", "closes", "both"],
)
def test_the_next_span_is_spelt_as_its_windows_are(policy: Policy, opens: str, closes: str | None):
    span = policy.next_span(NOON_S)
    assert span is not None
    assert str(span.not_before) == opens
    assert (None if span.not_after is None else str(span.not_after)) == closes


def test_there_is_none_after_the_last_window():
    assert Policy(window=dated(None, "2026-12-01T11:00:00Z")).next_span(NOON_S) is None


def test_recurring_windows_that_stay_open_have_no_end():
    span = Policy(windows=allowing("Mon-Sun 00:00-24:00", "UTC")).next_span(NOON_S)
    assert span is not None
    assert span.not_after is None
