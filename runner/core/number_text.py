"""Formats counts, figures, durations and latencies; every output uses these functions."""

from __future__ import annotations

import math

NONE = "\N{EN DASH}"
"""Shown for a missing value."""

_MINUTE_S = 60
_HOUR_S = 3600
_HOURS_TO_DAYS = 48
"""Hours from which a duration is shown in days and hours."""


def counted(number: int, noun: str = "transfer", plural: str | None = None) -> str:
    """Return a count with its noun: `1 error`, `1,204 errors`, `2 entries`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def was_or_were(number: int) -> str:
    """Return the verb for a count: `was` or `were`."""
    return "was" if number == 1 else "were"


def is_or_are(number: int) -> str:
    """Return the verb for a count: `is` or `are`."""
    return "is" if number == 1 else "are"


def times(number: int) -> str:
    """Return `once`, `twice` or `17 times`."""
    return {1: "once", 2: "twice"}.get(number, f"{number:,} times")


def figure(number: float | None) -> str:
    """Return a number with at most one decimal, `25` or `1,024.8`; a dash for None."""
    return NONE if number is None else f"{number:,.1f}".removesuffix(".0")


def duration(seconds: float, *, round_up: bool = False) -> str:
    """Return `0.4 s`, `42 s`, `2 min 33 s`, `3 h 05 min` or `4 d 02 h`.

    With `round_up`, for the time until something is allowed, the text is never too short.
    """
    if not math.isfinite(seconds) or seconds < 0:
        return "unknown"
    whole = math.ceil if round_up else round
    if not round_up and round(seconds, 1) < 10:  # noqa: PLR2004 - tenths matter below ten seconds
        return f"{figure(seconds)} s"
    if (rounded_s := whole(seconds)) < _MINUTE_S:
        return f"{rounded_s} s"
    if rounded_s < _HOUR_S:
        return f"{rounded_s // _MINUTE_S} min {rounded_s % _MINUTE_S:02d} s"
    hours, minutes = divmod(whole(seconds / _MINUTE_S), 60)
    if hours < _HOURS_TO_DAYS:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(whole(seconds / _HOUR_S), 24)
    return f"{days:,} d {hours:02d} h"


def milliseconds(value: float | None) -> str:
    """Return a latency with three significant digits: `0.42 ms`, `18.3 ms`, `2.41 s`."""
    if value is None:
        return NONE
    if value >= 100_000:  # noqa: PLR2004 - three digits of seconds
        return duration(value / 1000)
    if value >= 999.5:  # noqa: PLR2004 - three digits would round it to a second
        return f"{value / 1000:.3g} s"
    return f"{value:.3g} ms"
