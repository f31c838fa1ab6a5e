"""What a run records of its windows: the closing that it met, and the next openings."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from runner.app.window_records import OPENINGS, run_windows
from runner.core.manifest.dated_window import Window, parse_moment
from runner.core.manifest.model import Policy
from runner.core.manifest.recurring_window import WindowRule, Windows, parse_span

ZONE = ZoneInfo("Europe/Amsterdam")
NIGHTS = Windows(
    (WindowRule(allows=True, span=parse_span("Mon-Fri 22:00-04:00"), zone=ZONE, text="nights"),)
)
DATED = Window(None, parse_moment("2026-12-02T01:30:00Z"))


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp()


def test_a_run_at_any_time_records_no_windows():
    assert run_windows(Policy(), 0.0, 1.0) is None


def test_the_closing_that_a_run_met_and_the_openings_after_it_are_recorded():
    made = run_windows(Policy(windows=NIGHTS), at("2026-12-01T23:00"), at("2026-12-02T04:00:07"))
    assert made is not None
    assert (made.zone, made.window) == ("Europe/Amsterdam", None)
    assert made.closed_at == "2026-12-02T04:00:00+01:00"
    assert made.closed_at_utc == "2026-12-02T03:00:00Z"
    assert len(made.openings) == OPENINGS
    assert made.openings[0].opens == "2026-12-02T22:00:00+01:00"


def test_a_window_that_stayed_open_or_shut_closed_nothing():
    for began, ended in (("23:00", "23:50"), ("12:00", "12:01")):
        made = run_windows(
            Policy(windows=NIGHTS), at(f"2026-12-01T{began}"), at(f"2026-12-01T{ended}")
        )
        assert made is not None
        assert (made.closed_at, made.closed_at_utc) == (None, None)


def test_of_both_kinds_the_first_to_close_is_recorded():
    policy = Policy(window=DATED, windows=NIGHTS)
    made = run_windows(policy, at("2026-12-01T23:00"), at("2026-12-02T04:30"))
    assert made is not None
    assert (made.closed_at, made.closed_at_utc) == ("2026-12-02T01:30:00Z",) * 2
    only = run_windows(Policy(window=Window(parse_moment("2026-12-01T00:00:00Z"))), 0.0, 9e9)
    assert only is not None
    assert (only.closed_at, only.zone, only.openings) == (None, None, ())
