"""When a batch may be sent, and whether it can end in time."""

from __future__ import annotations

from typing import Any

import pytest

from runner.core.diagnostics.problem import Severity
from runner.core.manifest.dated_window import Window, parse_moment
from runner.core.manifest.model import Limits
from runner.core.manifest.policy_rules import check_ending, check_window, duration_s
from runner.core.pacing.destination_times import SlowestDestination

OPENS, CLOSES = parse_moment("2026-12-01T22:00:00+01:00"), parse_moment("2026-12-01T23:00:00Z")
NIGHT = Window(OPENS, CLOSES)  # two hours: the offsets differ
BEGIN_S, END_S = 1_796_158_800.0, 1_796_166_000.0


def test_moments_are_read_with_their_offsets():
    assert (OPENS.at_s, CLOSES.at_s) == (BEGIN_S, END_S)
    assert parse_moment("2026-12-01t21:00:00.250z").at_s == BEGIN_S + 0.25
    assert str(OPENS) == "2026-12-01T22:00:00+01:00"


@pytest.mark.parametrize(
    "text", ["2026-12-01T22:00:00", "2026-02-30T22:00:00Z", "2026-12-01T22:00:60Z", "2026-12-01"]
)
def test_a_moment_that_is_none_is_refused(text: str):
    with pytest.raises(ValueError):  # noqa: PT011 - the words are the library's
        parse_moment(text)


@pytest.mark.parametrize(
    ("wall_s", "is_open"),
    [(BEGIN_S - 0.001, False), (BEGIN_S, True), (END_S - 0.001, True), (END_S, False)],
)
def test_a_window_is_open_from_its_beginning_on_and_before_its_end(wall_s: float, is_open: bool):  # noqa: FBT001 - a case
    assert NIGHT.is_open(wall_s) == is_open
    assert (NIGHT.why_shut(wall_s) is None) == is_open


def test_an_end_that_is_absent_bounds_nothing():
    assert Window(not_after=CLOSES).is_open(0.0)
    assert not Window(not_after=CLOSES).is_open(END_S)
    assert Window(not_before=OPENS).is_open(END_S * 2)
    assert not Window(not_before=OPENS).is_open(0.0)


def test_a_shut_window_says_when_and_what_to_do():
    assert NIGHT.why_shut(BEGIN_S - 11_520) == (
        "the window (policy.window) opens at 2026-12-01T22:00:00+01:00, in 3 h 12 min; nothing is"
        " sent before: run apply then"
    )
    assert NIGHT.why_shut(END_S + 1) == (
        "the window (policy.window) closed at 2026-12-01T23:00:00Z; to send the rest, write a"
        " new window in the manifest and run apply within it"
    )


def test_a_window_that_has_closed_or_ends_before_it_begins_is_refused():
    assert list(check_window(NIGHT, now_s=BEGIN_S - 1e6)) == []
    assert list(check_window(Window(not_before=OPENS), now_s=END_S + 1e6)) == []
    (closed,) = check_window(NIGHT, now_s=END_S)
    assert (closed.code, closed.part) == ("R008", ("not_after",))
    (reversed_,) = check_window(Window(CLOSES, OPENS), now_s=0.0)
    assert (reversed_.code, reversed_.part) == ("R008", ())
    (empty,) = check_window(Window(OPENS, OPENS), now_s=0.0)
    assert empty.code == "R008"


@pytest.mark.parametrize(
    ("limits", "preflight", "seconds"),
    [
        (Limits(rate_per_s=25), False, 40.0),
        (Limits(rate_per_s=25, http_rate_per_s=5), True, 200.0),
        (Limits(rate_per_s=25, http_rate_per_s=5), False, 40.0),
        (Limits(rate_per_s=25, in_flight=1), False, 100.0),  # a reply is taken to need 0.1 s
        (Limits(in_flight=10), False, 10.0),
    ],
)
def test_a_batch_takes_as_long_as_its_narrowest_limit(
    limits: Limits,
    preflight: bool,  # noqa: FBT001 - a case
    seconds: float,
):
    assert duration_s(sends=1000, limits=limits, requests_each=int(preflight)) == seconds


def test_a_batch_that_cannot_end_inside_its_window_is_reported_when_it_would():
    (warning,) = check_ending(
        NIGHT, sends=10_800, limits=Limits(rate_per_s=1), requests_each=0, now_s=0.0
    )
    assert warning.severity is Severity.WARNING
    assert (warning.code, warning.part) == ("R011", ("not_after",))
    assert warning.message == (
        "by the limits, sending 10,800 takes 3 h 00 min, until 2026-12-02T00:00:00+00:00 at the"
        " earliest; the window closes at 2026-12-01T23:00:00Z"
    )
    assert warning.help.startswith("about 7,200 fit: ")


def test_what_max_failures_costs_is_reported_where_the_window_is_too_short_for_it():
    """One at a time, a tenth of a second each: it would fit by the limits alone."""
    fits: dict[str, Any] = {"sends": 72_001, "limits": Limits(), "requests_each": 0, "now_s": 0.0}
    assert list(check_ending(NIGHT, **fits)) == []
    (warning,) = check_ending(NIGHT, **fits, max_failures=0)
    assert warning.message.startswith(
        "by the limits and `max_failures: 0` (at most 1 in flight), sending 72,001 takes 2 h 01 min"
    )


def test_the_pauses_before_waves_count_as_time_too():
    """An hour of sending fits into two; not so with an hour and a half of pauses."""
    fits: dict[str, Any] = {
        "sends": 3600,
        "limits": Limits(rate_per_s=1),
        "requests_each": 0,
        "now_s": 0.0,
    }
    assert list(check_ending(NIGHT, **fits, pauses_s=3600)) == []
    (warning,) = check_ending(NIGHT, **fits, pauses_s=5400)
    assert "sending 3,600 takes 2 h 30 min, 1 h 30 min of it pauses before waves, until" in (
        warning.message
    )
    assert warning.help.startswith("about 1,800 fit: ")
    assert "shorten the pauses" in warning.help
    (warning,) = check_ending(NIGHT, **fits, pauses_s=10_000)
    assert warning.help.startswith("about 0 fit: ")


def test_a_destination_that_is_slower_than_the_limits_is_named():
    slow = SlowestDestination("genesys://queue/slow", 10_800.0)
    limits: dict[str, Any] = {
        "sends": 10_800,
        "limits": Limits(rate_per_s=25),
        "requests_each": 0,
        "now_s": 0.0,
    }
    assert list(check_ending(NIGHT, **limits)) == []
    (warning,) = check_ending(NIGHT, **limits, slowest=slow, part=())
    assert warning.message.startswith(
        "by the limits of its destination genesys://queue/slow, sending 10,800 takes 3 h 00 min"
    )
    assert warning.help.startswith("about 7,200 fit: raise the destination's limits if ")
    assert not warning.part


@pytest.mark.parametrize(
    ("sends", "now_s", "warned"),
    [
        (7200, 0.0, False),
        (7201, 0.0, True),
        (3600, BEGIN_S + 3600, False),  # what is left of the window counts
        (3601, BEGIN_S + 3600, True),
        (0, BEGIN_S, False),
    ],
)
def test_the_time_that_is_left_of_a_window_counts(sends: int, now_s: float, warned: bool):  # noqa: FBT001 - a case
    found = check_ending(
        NIGHT, sends=sends, limits=Limits(rate_per_s=1), requests_each=0, now_s=now_s
    )
    assert any(found) == warned


def test_a_window_without_an_end_is_never_missed():
    found = check_ending(
        Window(not_before=OPENS), sends=10**9, limits=Limits(rate_per_s=1), requests_each=0, now_s=0
    )
    assert list(found) == []


def test_an_end_is_spelt_with_the_windows_offset():
    assert Window(not_before=OPENS).spelt(END_S) == "2026-12-02T00:00:00+01:00"
    assert Window(not_before=OPENS).ends_at_s(now_s=0.0, lasts_s=5.0) == BEGIN_S + 5
    assert NIGHT.ends_at_s(now_s=BEGIN_S + 10, lasts_s=5.0) == BEGIN_S + 15
