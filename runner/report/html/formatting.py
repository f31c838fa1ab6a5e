"""How the page words figures: durations, latencies, counts, moments."""

from __future__ import annotations

from datetime import UTC, datetime

NONE = "\N{EN DASH}"
"""What stands where there is no value."""

_MINUTE_S = 60
_HOUR_S = 3600
_SECOND_MS = 1000


def counted(count: int, thing: str = "transfer") -> str:
    """Return `count` and its noun: "1 transfer", "1,200 transfers"."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def times(count: int) -> str:
    """Return how often: "once", "twice", "17 times"."""
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")


def duration(seconds: float) -> str:
    """Return seconds as people say them: "0.4 s", "12 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 10:  # noqa: PLR2004 - below ten a tenth of a second matters
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    unit, parts = (_MINUTE_S, ("min", "s")) if whole < _HOUR_S else (_HOUR_S, ("h", "min"))
    large, rest = divmod(whole, unit)
    small = rest if unit == _MINUTE_S else rest // _MINUTE_S
    return f"{large:,} {parts[0]}" + (f" {small} {parts[1]}" if small else "")


def milliseconds(value: float | None) -> str:
    """Return a latency with three digits that matter: "0.42 ms", "18.3 ms", "2.41 s"."""
    if value is None:
        return NONE
    if value >= 100 * _SECOND_MS:
        return duration(value / _SECOND_MS)
    if value >= 999.5:  # noqa: PLR2004 - three digits would round it to a second
        return f"{value / _SECOND_MS:.3g} s"
    return f"{value:.3g} ms"


def number(value: float | None) -> str:
    """Return a number with thousands apart and at most one decimal; a dash for None."""
    return NONE if value is None else f"{value:,.1f}".removesuffix(".0")


def moment(text: str) -> float | None:
    """Return seconds since the epoch; None for what is no RFC 3339 time."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def clock_time(text: str) -> str:
    """Return a moment as date and time to the second, in UTC; what is no moment as it is."""
    at_s = moment(text)
    return text if at_s is None else f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S}"
