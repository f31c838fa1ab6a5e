"""The recurring windows in which a batch may be sent (manifest.md, `policy.windows`).

The clock on the wall decides: a window is open whenever a clock in its zone shows a time within it.
An hour that is skipped when clocks go forward is never open; one that exists twice is open twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise
from typing import NamedTuple

from runner.core.frozen import frozen
from runner.core.number_text import duration

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
HORIZON_DAYS = 366
NEVER_AGAIN = f"the windows (policy.windows) do not open within {HORIZON_DAYS} days"
NEVER_AGAIN_FIX = "write when they open next, or delete `windows`"
"""How far ahead openings are looked for."""

FORMS = (
    "write days and times, such as `Mon-Fri 22:00-04:00`, or a beginning and a length, such as"
    " `2026-12-24 00:00/P3D`"
)

_DAY_S = 86_400
_MINUTES = 60
_LAST_MINUTE = 24 * _MINUTES
_WEEKLY = re.compile(r"([A-Za-z]{3}(?:[-,][A-Za-z]{3})*) (\d\d):(\d\d)-(\d\d):(\d\d)")
_ONCE = re.compile(
    r"(\d{4}-\d\d-\d\d) (\d\d:\d\d)/P(?=\d|T\d)(?:(\d{1,4})W)?(?:(\d{1,4})D)?"
    r"(?:T(?=\d)(?:(\d{1,5})H)?(?:(\d{1,6})M)?)?"
)


@frozen
class Weekly:
    """Times of days of the week, in minutes after midnight; one that ends earlier ends the next day."""

    days: frozenset[int]  # Monday is 0
    begins: int
    ends: int

    def contains(self, wall: datetime) -> bool:
        """Return whether a clock that shows `wall` shows a time within."""
        minute = wall.hour * _MINUTES + wall.minute
        if self.begins < self.ends:
            return wall.weekday() in self.days and self.begins <= minute < self.ends
        evening = wall.weekday() in self.days and minute >= self.begins
        return evening or ((wall.weekday() - 1) % len(DAYS) in self.days and minute < self.ends)

    def edges(self, day: date) -> Iterator[datetime]:
        """Yield the times of a day at which it may begin or end."""
        for minute in (0, self.begins, self.ends % _LAST_MINUTE):
            yield datetime.combine(day, time(*divmod(minute, _MINUTES)))


@frozen
class Once:
    """One span, from and before times that a clock shows."""

    begins: datetime
    ends: datetime

    def contains(self, wall: datetime) -> bool:
        """Return whether a clock that shows `wall` shows a time within."""
        return self.begins <= wall.replace(tzinfo=None) < self.ends

    def edges(self, day: date) -> Iterator[datetime]:
        """Yield the times of a day at which it begins or ends."""
        yield from (edge for edge in (self.begins, self.ends) if edge.date() == day)


def parse_span(text: str) -> Weekly | Once:
    """Parse `Mon-Fri 22:00-04:00` or `2026-12-24 00:00/P3D`. Raises `ValueError` that says what to write."""
    if found := _WEEKLY.fullmatch(text):
        begins, ends = (int(found[n]) * _MINUTES + int(found[n + 1]) for n in (2, 4))
        if max(int(found[3]), int(found[5])) >= _MINUTES or begins >= _LAST_MINUTE:
            raise ValueError(f"`{text}` has a time that no clock shows; {FORMS}")
        if ends > _LAST_MINUTE or begins == ends:
            raise ValueError(f"`{text}` has no valid end; for whole days write 00:00-24:00")
        return Weekly(_days(found[1], text), begins, ends)
    if found := _ONCE.fullmatch(text):
        try:
            begins_at = datetime.fromisoformat(f"{found[1]}T{found[2]}")
            weeks, days, hours, minutes = (int(found[n] or 0) for n in range(3, 7))
            lasts = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes)
            ends_at = begins_at + lasts
        except (ValueError, OverflowError):
            raise ValueError(f"`{text}` has no valid date and time; {FORMS}") from None
        if not lasts:
            raise ValueError(f"`{text}` lasts no time; {FORMS}")
        return Once(begins_at, ends_at)
    raise ValueError(f"`{text}` is not a window; {FORMS}")


def _days(text: str, whole: str) -> frozenset[int]:
    """Return the numbers of days such as `Mon-Fri` or `Fri-Mon,Wed`."""
    names = {name.casefold(): number for number, name in enumerate(DAYS)}
    found: set[int] = set()
    for part in text.casefold().split(","):
        first, *rest = part.split("-")
        last = rest[0] if rest else first
        if len(rest) > 1 or first not in names or last not in names:
            raise ValueError(f"`{whole}` has no valid days; write of {', '.join(DAYS)}")
        length = (names[last] - names[first]) % len(DAYS) + 1
        found.update((names[first] + n) % len(DAYS) for n in range(length))
    return frozenset(found)


@frozen
class WindowRule:
    """One entry of `policy.windows`."""

    allows: bool
    span: Weekly | Once
    zone: tzinfo
    text: str  # as written

    def contains(self, at_s: float) -> bool:
        """Return whether a clock in the zone shows a time within, at `at_s`."""
        return self.span.contains(datetime.fromtimestamp(at_s, self.zone))


class Opening(NamedTuple):
    """When the windows are open, seconds since the epoch; `closes_s` None: for as far as is looked."""

    opens_s: float
    closes_s: float | None


@frozen
class Windows:
    """All entries of `policy.windows`: open where one allows and none denies.

    Without an entry that allows it is open wherever none denies.
    """

    rules: tuple[WindowRule, ...] = ()

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self.rules)

    def is_open(self, at_s: float) -> bool:
        """Return whether a frame may be sent at `at_s`, seconds since the epoch."""
        inside = [rule.allows for rule in self.rules if rule.contains(at_s)]
        return all(inside) and (bool(inside) or not any(rule.allows for rule in self.rules))

    def openings(self, from_s: float, most: int = 1) -> list[Opening]:
        """Return the next times that they are open, the present one included.

        They are looked for `HORIZON_DAYS` ahead.
        """
        found: list[Opening] = []
        opened: float | None = None
        for at_s, is_open in self._changes(from_s):
            if is_open and opened is None:
                opened = at_s
            elif not is_open and opened is not None:
                found.append(Opening(opened, at_s))
                opened = None
                if len(found) == most:
                    return found
        return found if opened is None else [*found, Opening(opened, None)]

    def why_shut(self, at_s: float, was_open_s: float | None = None) -> str | None:
        """Return why nothing may be sent at `at_s`, with the fix; None if they are open.

        `was_open_s` is a time before it at which they were open: they have closed since.
        """
        if self.is_open(at_s):
            return None
        following = next(iter(self.openings(at_s)), None)
        if was_open_s is not None and was_open_s < at_s:
            return self._why_closed(at_s, was_open_s, following)
        if following is None:
            return f"{NEVER_AGAIN}; nothing is sent: {NEVER_AGAIN_FIX}, then run apply"
        wait = duration(following.opens_s - at_s, round_up=True)
        return (
            f"the windows (policy.windows) open at {self.spelt(following.opens_s)}, in {wait};"
            " nothing is sent before: run apply then, or now with --wait"
        )

    def _why_closed(self, at_s: float, was_open_s: float, following: Opening | None) -> str:
        """Return that they closed between two times, and when they open again."""
        closes_s = next((each.closes_s for each in self.openings(was_open_s)), None)
        closed = f"the windows (policy.windows) closed at {self.spelt(closes_s or at_s)}"
        if following is None:
            return (
                f"{closed}, and do not open again within {HORIZON_DAYS} days: to send the rest,"
                f" {NEVER_AGAIN_FIX}, then run apply"
            )
        wait = duration(following.opens_s - at_s, round_up=True)
        return (
            f"{closed}, and open again at {self.spelt(following.opens_s)}, in {wait}; the rest is"
            " not sent before: run apply then, or now with --wait"
        )

    def spelt(self, at_s: float) -> str:
        """Return a time as text, to the second, in the zone of the first entry."""
        return datetime.fromtimestamp(at_s, self.rules[0].zone).isoformat(timespec="seconds")

    def unchanged_until(self, at_s: float) -> float:
        """Return a time before which they do not open or close, at most two days after `at_s`."""
        days = self._edges(at_s, 1)
        return min((edge for edge in days if edge > at_s), default=at_s + _DAY_S)

    def _changes(self, from_s: float) -> Iterator[tuple[float, bool]]:
        yield from_s, self.is_open(from_s)
        begun = from_s
        for day in range(HORIZON_DAYS):
            edges = self._edges(from_s + day * _DAY_S, 1)
            for edge in sorted(edge for edge in edges if edge > begun):
                begun = edge
                yield edge, self.is_open(edge)

    def _edges(self, from_s: float, days: int) -> set[float]:
        """Return all times at which an entry may begin or end within some days after `from_s`."""
        found: set[float] = set()
        for rule in self.rules:
            local = datetime.fromtimestamp(from_s, rule.zone).date()
            for number in range(days + 1):
                day = local + timedelta(days=number)
                for edge in rule.span.edges(day):
                    found.update(_moments(edge, rule.zone))
            found.update(_clock_changes(from_s, days, rule.zone))
        ends = from_s + days * _DAY_S
        return {edge for edge in found if from_s <= edge <= ends}


NO_WINDOWS = Windows()


def _moments(wall: datetime, zone: tzinfo) -> Iterator[float]:
    """Yield when clocks show a time: once, or twice where an hour is repeated."""
    for fold in (0, 1):
        yield wall.replace(tzinfo=zone, fold=fold).timestamp()


def _clock_changes(from_s: float, days: int, zone: tzinfo) -> Iterator[float]:
    """Yield the seconds at which the zone's clocks go forward or back."""
    marks = [from_s + n * _DAY_S / 4 for n in range(days * 4 + 1)]
    for before, after in pairwise(marks):
        if _offset(before, zone) == _offset(after, zone):
            continue
        low, high = int(before), int(after) + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _offset(middle, zone) == _offset(before, zone) else (low, middle)  # fmt: skip
        yield float(high)


def _offset(at_s: float, zone: tzinfo) -> timedelta | None:
    return datetime.fromtimestamp(at_s, zone).utcoffset()


def utc_text(at_s: float) -> str:
    """Return a time as RFC 3339 text in UTC, to the second."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def zone_of(rules: Sequence[WindowRule]) -> str:
    """Return the name of the zone in which openings are shown."""
    return str(rules[0].zone)
