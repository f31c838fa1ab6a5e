"""Parses quantities with units: durations, rates and shares (manifest.md, "Durations").

The program holds durations in seconds, rates per second, and shares from 0 to 1. Only ASCII digits
are allowed: no sign, no exponent, no spaces.
"""

from __future__ import annotations

import re

from runner.core.frozen import frozen

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h)")
_DAYS = re.compile(r"([0-9]{1,5})d")
_RATE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)/(s|min)")
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)%")

_COUNT = re.compile(r"[0-9]{1,9}")

_SECONDS_OF = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "min": 60.0}


def parse_duration(text: str) -> float:
    """Return a duration such as `250ms`, `10s`, `5m` or `2h` in seconds.

    Raises `ValueError` for any other text.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is not a duration; write a number and a unit (ms, s, m or h): 250ms, 10s, 5m, 2h"
        )
    number, unit = found.groups()
    return float(number) / 1000 if unit == "ms" else float(number) * _SECONDS_OF[unit]


def parse_age(text: str) -> float:
    """Return an age such as `90d`, or a duration, in seconds.

    Raises `ValueError` for any other text.
    """
    if (found := _DAYS.fullmatch(text)) is not None:
        return int(found[1]) * 86_400.0
    try:
        return parse_duration(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an age; write a number and a unit: 90d, 12h") from None


def parse_rate(text: str) -> float:
    """Return a rate such as `25/s` or `300/min`, above 0, per second.

    Raises `ValueError` for any other text.
    """
    found = _RATE.fullmatch(text)
    per_s = float(found[1]) / _SECONDS_OF[found[2]] if found else 0.0
    if not per_s > 0:
        raise ValueError(
            f"{text!r} is not a rate; write a number above 0 and a unit: 25/s, 300/min"
        )
    return per_s


def rate_text(per_s: float) -> str:
    """Return a rate as `parse_rate` reads it, and as a person would write it: `10/s`, `5000/min`."""
    a_minute = round(per_s * 60, 6)
    if (per_s < 1 or round(per_s, 3) != per_s) and a_minute == int(a_minute):
        return f"{int(a_minute)}/min"
    return f"{per_s:.9f}".rstrip("0").rstrip(".") + "/s"


def parse_share(text: str) -> float:
    """Return a share such as `5%` as a number from 0 to 1.

    Raises `ValueError` for any other text.
    """
    found = _SHARE.fullmatch(text)
    if found is None or float(found[1]) > 100:  # noqa: PLR2004 - percent
        raise ValueError(f"{text!r} is not a share; write a percentage from 0% to 100%: 5%")
    return float(found[1]) / 100


@frozen
class Share:
    """A share from 0 to 1 of a batch."""

    of: float

    def __str__(self) -> str:
        return f"{self.of * 100:.9g}%"


Amount = int | Share
"""A number of transfers, or a share of the batch."""

EVERYTHING = Share(1.0)


def parse_amount(text: str) -> Amount:
    """Return a count such as `20`, or a share such as `5%`.

    Raises `ValueError` for any other text.
    """
    if _COUNT.fullmatch(text):
        return int(text)
    try:
        return Share(parse_share(text))
    except ValueError:
        raise ValueError(f"{text!r} is neither a count nor a share; write 20 or 5%") from None
