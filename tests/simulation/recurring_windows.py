"""Recurring windows around a run, in zones whose clocks change then; and what the judge says of them."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import NamedTuple
from zoneinfo import ZoneInfo

from runner.core.manifest.recurring_window import NO_WINDOWS, Once, Weekly, WindowRule, Windows

SHARE = 0.8
"""The share of runs that have recurring windows, in a world where some do."""

MOST_DRAWN = 4
"""How often windows are drawn, until some open or close within minutes."""

DAY_MINUTES = 24 * 60


class ClockChange(NamedTuple):
    """When the clocks of a zone change, by how much; seconds since the epoch, and east of UTC."""

    at_s: int
    before_s: int
    after_s: int

    def shown(self, at_s: float) -> datetime:
        """Return what a clock of the zone shows."""
        offset_s = self.before_s if at_s < self.at_s else self.after_s
        return datetime.fromtimestamp(at_s + offset_s, UTC).replace(tzinfo=None)


CHANGES: dict[str, ClockChange] = {}
"""The clock changes of the zones that were made, by their names."""


def zone_with(change: ClockChange) -> ZoneInfo:
    """Return a zone whose clocks change once (RFC 8536, version 1)."""
    name = "Simulated/{}_{}_{}".format(*change)
    head = b"TZif" + bytes(16) + struct.pack(">6l", 0, 0, 0, 1, 2, 8)
    kinds = b"".join(
        struct.pack(">lBB", offset_s, n, 4 * n)
        for n, offset_s in enumerate((change.before_s, change.after_s))
    )
    body = struct.pack(">l", change.at_s) + b"\x01" + kinds + b"OLD\x00NEW\x00"
    CHANGES[name] = change
    return ZoneInfo.from_file(BytesIO(head + body), key=name)


@dataclass(frozen=True, slots=True)
class Waited:
    """A run that waited for its windows to open, until a clock showed `wall_s`."""

    run: int
    windows: Windows
    wall_s: float


def draw_windows(chance: random.Random, wall_s: float) -> Windows:
    """Draw windows that mostly open or close around `wall_s`, or when clocks change; mostly none."""
    if chance.random() >= SHARE:
        return NO_WINDOWS
    for _ in range(MOST_DRAWN):
        windows = _draw(chance, wall_s)
        if len({are_open(windows, wall_s + n * 30) for n in range(8)}) > 1:
            break
    return windows


def _draw(chance: random.Random, wall_s: float) -> Windows:
    change = _draw_change(chance, wall_s)
    zone = zone_with(change)
    rules = [
        WindowRule(chance.random() < 0.8, span, zone, str(span))
        for span in (_draw_span(chance, change, wall_s) for _ in range(chance.choice((1, 1, 1, 2))))
    ]
    return Windows(tuple(rules))


def _draw_change(chance: random.Random, wall_s: float) -> ClockChange:
    """Draw a change to the minute: clocks go forward, or back, or nothing changes nearby."""
    at_s = (int(wall_s) // 60 + chance.choice((-2, 0, 1, 1, 2, 90))) * 60
    before_s = chance.choice((0, 3600, -5 * 3600))
    return ClockChange(at_s, before_s, before_s + chance.choice((3600, -3600, -1800)))


def _draw_span(chance: random.Random, change: ClockChange, wall_s: float) -> Weekly | Once:
    clocks = [
        change.shown(wall_s),
        change.shown(change.at_s - 1) + timedelta(seconds=1),
        change.shown(change.at_s),
    ]
    minutes = [chance.choice(clocks) + timedelta(minutes=chance.choice((-61, -1, 0, 1, 1, 2, 61)))
               for _ in range(2)]  # fmt: skip
    begins, ends = sorted(moment.replace(second=0, microsecond=0) for moment in minutes)
    if begins == ends:
        ends += timedelta(minutes=1)
    if chance.random() < 0.3:
        return Once(begins, ends)
    today = begins.weekday()
    days = chance.choice((range(7), range(7), (today,), (today - 1,)))
    first, last = (moment.hour * 60 + moment.minute for moment in (begins, ends))
    if chance.random() < 0.2:
        first, last = last, first  # through midnight
    return Weekly(frozenset(day % 7 for day in days), first, last or DAY_MINUTES)


def are_open(windows: Windows, at_s: float) -> bool:
    """Return whether the manifest's words allow a frame at `at_s`, worked out day by day."""
    inside = [rule.allows for rule in windows.rules if _is_inside(rule, at_s)]
    if not all(inside):
        return False
    return bool(inside) or not any(rule.allows for rule in windows.rules)


def _is_inside(rule: WindowRule, at_s: float) -> bool:
    shown = CHANGES[str(rule.zone)].shown(at_s)
    span = rule.span
    if isinstance(span, Once):
        return span.begins <= shown < span.ends
    midnight = shown.replace(hour=0, minute=0, second=0, microsecond=0)
    for began in (midnight, midnight - timedelta(days=1)):
        lasts = (span.ends - span.begins) % DAY_MINUTES or DAY_MINUTES
        begins = began + timedelta(minutes=span.begins)
        is_its_day = began.weekday() in span.days
        if is_its_day and begins <= shown < begins + timedelta(minutes=lasts):
            return True
    return False
