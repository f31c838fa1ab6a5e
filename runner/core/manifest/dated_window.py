"""The window in which a batch may be sent (manifest.md, `policy.window`)."""

from __future__ import annotations

import math
from datetime import datetime

from runner.core.frozen import frozen
from runner.core.number_text import duration


@frozen
class Moment:
    """A point in time: as written, and in seconds since the epoch."""

    text: str
    at_s: float

    def __str__(self) -> str:
        return self.text

    def like(self, at_s: float) -> str:
        """Return another time as text, to the second, with this one's offset."""
        zone = datetime.fromisoformat(self.text.upper()).tzinfo
        return datetime.fromtimestamp(at_s, zone).isoformat(timespec="seconds")


def parse_moment(text: str) -> Moment:
    """Parse an RFC 3339 date and time with offset.

    Raises `ValueError` for a date that does not exist, or a text without an offset.
    """
    moment = datetime.fromisoformat(text.upper())
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset; write Z, or such as +01:00")
    return Moment(text, moment.timestamp())


@frozen
class Window:
    """When frames may be sent: from `not_before`, and before `not_after`; None is unbounded."""

    not_before: Moment | None = None
    not_after: Moment | None = None

    def is_open(self, wall_s: float) -> bool:
        """Return whether a frame may be sent at `wall_s`, seconds since the epoch."""
        begins = -math.inf if self.not_before is None else self.not_before.at_s
        ends = math.inf if self.not_after is None else self.not_after.at_s
        return begins <= wall_s < ends

    def why_shut(self, wall_s: float) -> str | None:
        """Return why nothing may be sent at `wall_s`, with the fix; None if the window is open."""
        if self.is_open(wall_s):
            return None
        opens, closes = self.not_before, self.not_after
        if opens is not None and wall_s < opens.at_s:
            return (
                f"the window (policy.window) opens at {opens}, in {duration(opens.at_s - wall_s, round_up=True)};"
                " nothing is sent before: run apply then"
            )
        return (
            f"the window (policy.window) closed at {closes}; to send the rest, write a"
            " new window in the manifest and run apply within it"
        )

    def spelt(self, at_s: float) -> str:
        """Return a time as text, with the offset of the window."""
        written = self.not_after or self.not_before
        return "" if written is None else written.like(at_s)

    def ends_at_s(self, *, now_s: float, lasts_s: float) -> float:
        """Return when a batch of `lasts_s` ends if it begins as early as possible."""
        begins = now_s if self.not_before is None else max(now_s, self.not_before.at_s)
        return begins + lasts_s
