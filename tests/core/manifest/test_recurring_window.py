"""Recurring windows, against a look at the clock on the wall, minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.manifest.dated_window import Window, parse_moment
from runner.core.manifest.model import Policy
from runner.core.manifest.policy_rules import check_windows
from runner.core.manifest.recurring_window import (
    DAYS,
    HORIZON_DAYS,
    Once,
    Opening,
    Weekly,
    WindowRule,
    Windows,
    parse_span,
    utc_text,
    zone_of,
)

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
ZONES = ("Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")
MINUTE_S = 60


def rule(text: str, *, allows: bool = True, zone: str = "Europe/Amsterdam") -> WindowRule:
    return WindowRule(allows, parse_span(text), ZoneInfo(zone), text)


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def opens(windows: Windows, from_: str, most: int = 5) -> list[tuple[str, str | None]]:
    return [
        (windows.spelt(a), None if b is None else windows.spelt(b))
        for a, b in windows.openings(at(from_), most)
    ]


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("Mon-Fri 22:00-04:00", Weekly(frozenset(range(5)), 1320, 240)),
        ("fri-mon 00:00-24:00", Weekly(frozenset({4, 5, 6, 0}), 0, 1440)),
        ("Mon,Wed,Sat-Sun 08:30-09:00", Weekly(frozenset({0, 2, 5, 6}), 510, 540)),
        (
            "2026-12-24 00:00/P3D",
            Once(datetime(2026, 12, 24), datetime(2026, 12, 27)),  # noqa: DTZ001 - a clock's
        ),
        (
            "2026-12-24 22:00/P1W1DT1H30M",
            Once(datetime(2026, 12, 24, 22), datetime(2027, 1, 1, 23, 30)),  # noqa: DTZ001 - as above
        ),
    ],
)
def test_spans(text: str, span: Weekly | Once):
    assert parse_span(text) == span


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Mon-Fri", "is not a window"),
        ("Mon 22:00-4:00", "is not a window"),
        ("Mom 22:00-04:00", "no valid days"),
        ("Mon-Tue-Wed 22:00-04:00", "no valid days"),
        ("Mon 24:00-04:00", "no clock shows"),
        ("Mon 22:60-04:00", "no clock shows"),
        ("Mon 22:00-24:01", "no valid end"),
        ("Mon 22:00-22:00", "for whole days write 00:00-24:00"),
        ("2026-02-30 00:00/P1D", "no valid date"),
        ("9999-12-31 00:00/P9999W", "no valid date"),
        ("2026-12-24 00:00/P0D", "lasts no time"),
        ("2026-12-24 00:00/P", "is not a window"),
        ("2026-12-24 00:00/P1DT", "is not a window"),
    ],
)
def test_what_is_no_span_says_what_to_write(text: str, said: str):
    with pytest.raises(ValueError, match=said):
        parse_span(text)


def test_nights_of_a_week_and_a_holiday():
    """Deny wins; what was open before it is open again after it."""
    windows = Windows((rule("Mon-Fri 22:00-04:00"), rule("2026-12-24 00:00/P3D", allows=False)))
    assert opens(windows, "2026-12-22T12:00:00+01:00", 3) == [
        ("2026-12-22T22:00:00+01:00", "2026-12-23T04:00:00+01:00"),
        ("2026-12-23T22:00:00+01:00", "2026-12-24T00:00:00+01:00"),
        ("2026-12-28T22:00:00+01:00", "2026-12-29T04:00:00+01:00"),
    ]
    why = windows.why_shut(at("2026-12-24T01:00:00+01:00"))
    assert why == (
        "the windows (policy.windows) open at 2026-12-28T22:00:00+01:00, in 4 d 21 h; nothing is sent"
        " before: run apply then, or now with --wait"
    )
    assert windows.why_shut(at("2026-12-23T23:59:59+01:00")) is None
    assert zone_of(windows.rules) == "Europe/Amsterdam"


def test_where_windows_only_deny_all_else_is_open():
    windows = Windows((rule("2026-12-24 00:00/P1D", allows=False),))
    assert opens(windows, "2026-12-23T00:00:00+01:00") == [
        ("2026-12-23T00:00:00+01:00", "2026-12-24T00:00:00+01:00"),
        ("2026-12-25T00:00:00+01:00", None),
    ]
    assert not Windows()
    assert Windows().is_open(0.0)
    assert Windows().openings(0.0) == [Opening(0.0, None)]
    assert Windows().unchanged_until(0.0) == 86_400.0


def test_a_window_that_is_over_does_not_open():
    windows = Windows((rule("2020-01-01 00:00/P1D"),))
    assert windows.openings(at("2026-01-01T00:00:00Z")) == []
    assert windows.why_shut(at("2026-01-01T00:00:00Z")) == (
        f"the windows (policy.windows) do not open within {HORIZON_DAYS} days; nothing is sent:"
        " write when they open next, or delete `windows`, then run apply"
    )


def test_windows_that_closed_meanwhile_say_so_and_when_they_open_again():
    windows = Windows((rule("Mon-Fri 22:00-04:00"),))
    before, after = at("2026-12-23T03:59:00+01:00"), at("2026-12-23T04:00:30+01:00")
    assert windows.why_shut(after, before) == (
        "the windows (policy.windows) closed at 2026-12-23T04:00:00+01:00, and open again at"
        " 2026-12-23T22:00:00+01:00, in 18 h 00 min; the rest is not sent before: run apply then, or"
        " now with --wait"
    )
    last = Windows((rule("2026-12-23 03:00/PT1H"),))
    assert last.why_shut(after, before) == (
        "the windows (policy.windows) closed at 2026-12-23T04:00:00+01:00, and do not open again"
        f" within {HORIZON_DAYS} days: to send the rest, write when they open next, or delete"
        " `windows`, then run apply"
    )
    assert windows.why_shut(before, before - 60) is None
    assert "closed" not in (windows.why_shut(after, after + 60) or "")  # a clock that was set back


def test_an_hour_that_is_skipped_is_never_open():
    """On 2027-03-28 clocks go from 02:00 to 03:00."""
    assert opens(Windows((rule("Sun 02:00-03:00"),)), "2027-03-27T12:00:00+01:00", 1) == [
        ("2027-04-04T02:00:00+02:00", "2027-04-04T03:00:00+02:00")
    ]
    assert opens(Windows((rule("Sun 02:30-05:00"),)), "2027-03-27T12:00:00+01:00", 1) == [
        ("2027-03-28T03:00:00+02:00", "2027-03-28T05:00:00+02:00")
    ]


def test_an_hour_that_exists_twice_is_open_twice():
    """On 2026-10-25 clocks go from 03:00 back to 02:00."""
    assert opens(Windows((rule("Sun 02:00-03:00"),)), "2026-10-24T12:00:00+02:00", 1) == [
        ("2026-10-25T02:00:00+02:00", "2026-10-25T03:00:00+01:00")
    ]
    assert opens(Windows((rule("Sun 01:00-02:30"),)), "2026-10-24T12:00:00+02:00", 2) == [
        ("2026-10-25T01:00:00+02:00", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25T02:00:00+01:00", "2026-10-25T02:30:00+01:00"),
    ]


def test_times_are_shown_in_utc_too():
    assert utc_text(at("2026-12-01T22:00:00+01:00")) == "2026-12-01T21:00:00Z"


TIMES = st.integers(0, 1439).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")


@st.composite
def spans(draw: st.DrawFn, near: datetime) -> str:
    if draw(st.booleans()):
        begins = near + timedelta(minutes=draw(st.integers(-4000, 4000)))
        return f"{begins:%Y-%m-%d %H:%M}/PT{draw(st.integers(1, 60))}H"
    first, last = draw(st.sampled_from(DAYS)), draw(st.sampled_from(DAYS))
    begins_at, ends_at = draw(TIMES), draw(TIMES)
    if begins_at == ends_at:
        begins_at, ends_at = "00:00", "24:00"
    return f"{first}-{last} {begins_at}-{ends_at}"


def as_the_wall_says(windows: Windows, at_s: float) -> bool:
    """Decide by the words of the texts, naively."""
    allowed = denied = has_allow = False
    for each in windows.rules:
        wall = datetime.fromtimestamp(at_s, each.zone)
        shown, today = f"{wall:%H:%M}", DAYS[wall.weekday()]
        yesterday = DAYS[wall.weekday() - 1]
        if "/" in each.text:
            begin, _, hours = each.text.partition("/PT")
            naive = datetime.fromisoformat(begin)
            end = naive + timedelta(hours=int(hours[:-1]))
            inside = f"{naive}" <= f"{wall:%Y-%m-%d %H:%M:%S}" < f"{end}"
        else:
            days, _, times = each.text.partition(" ")
            first, last = (DAYS.index(day) for day in days.split("-"))
            listed = [DAYS[n % 7] for n in range(first, (last if last >= first else last + 7) + 1)]
            begin, end_at = times.split("-")
            if begin < end_at:
                inside = today in listed and begin <= shown < end_at
            else:
                inside = (today in listed and shown >= begin) or (
                    yesterday in listed and shown < end_at
                )
        has_allow |= each.allows
        allowed |= each.allows and inside
        denied |= not each.allows and inside
    return not denied and (allowed or not has_allow)


NEAR_CHANGES = (
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2027, 3, 28, 1, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2027, 4, 3, 15, tzinfo=UTC),
    datetime(2026, 7, 1, tzinfo=UTC),
)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_openings_are_those_that_a_look_at_the_clock_each_minute_finds(data: st.DataObject):
    near = data.draw(st.sampled_from(NEAR_CHANGES))
    rules = data.draw(
        st.lists(
            st.builds(
                lambda text, allows, zone: rule(text, allows=allows, zone=zone),
                spans(near.replace(tzinfo=None)),
                st.booleans(),
                st.sampled_from(ZONES),
            ),
            min_size=1,
            max_size=3,
        )
    )
    windows = Windows(tuple(rules))
    start = int(near.timestamp()) - 86_400
    minutes = [start + n * MINUTE_S for n in range(3 * 1440)]
    naive = [as_the_wall_says(windows, minute) for minute in minutes]
    assert [windows.is_open(minute) for minute in minutes] == naive
    spans_open = windows.openings(start, most=50)
    found = [
        any(a <= minute < (float("inf") if b is None else b) for a, b in spans_open)
        for minute in minutes
    ]
    assert found == naive
    for n in range(0, len(minutes), 97):
        until = windows.unchanged_until(minutes[n])
        same = naive[n : n + max(1, int((until - minutes[n]) // MINUTE_S))]
        assert until > minutes[n]
        assert len(set(same)) == 1


NIGHT = Window(parse_moment("2026-12-01T22:00:00+01:00"), parse_moment("2026-12-04T04:00:00+01:00"))


def test_a_policy_is_open_where_both_kinds_of_windows_are():
    noon, midnight = at("2026-12-02T12:00:00+01:00"), at("2026-12-02T23:00:00+01:00")
    assert Policy().why_shut(noon) is None
    assert Policy(window=NIGHT).why_shut(noon) is None
    both = Policy(window=NIGHT, windows=Windows((rule("Mon-Sun 22:00-04:00"),)))
    assert "policy.windows" in (both.why_shut(noon) or "")
    assert both.why_shut(midnight) is None
    assert "policy.window)" in (both.why_shut(at("2026-12-01T21:00:00+01:00")) or "")


def test_a_policy_says_when_it_opens_next():
    noon = at("2026-12-01T12:00:00+01:00")
    assert Policy().shut_until_s(noon) == noon
    assert Policy(window=NIGHT).shut_until_s(noon) == at("2026-12-01T22:00:00+01:00")
    assert Policy(window=NIGHT).shut_until_s(at("2026-12-05T00:00:00+01:00")) is None
    late = Windows((rule("Wed 23:00-24:00"),))
    assert Policy(window=NIGHT, windows=late).shut_until_s(noon) == at("2026-12-02T23:00:00+01:00")
    never = Windows((rule("2020-01-01 00:00/P1D"),))
    assert Policy(windows=never).shut_until_s(noon) is None


def test_windows_that_never_open_are_a_finding():
    [finding] = check_windows(Windows((rule("2020-01-01 00:00/P1D"),)), now_s=at("2026-01-01"))
    assert finding.code == "R008"
    assert not list(check_windows(Windows((rule("Mon 10:00-11:00"),)), now_s=at("2026-01-01")))
