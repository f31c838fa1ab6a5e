"""Resolves plain YAML scalars by the YAML 1.2 core schema, stricter where ids would change.

A number with a leading zero or a plus sign is text, so that `0441234` and `+441234567890` stay
(manifest.md, "YAML dialect").
"""

from __future__ import annotations

import math
import re

MAX_INTEGER = 2**53
"""Largest integer that every JSON reader keeps exact."""

_WORDS: dict[str, float | None] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_NUMBER_STARTS = frozenset("-.0123456789")
_OTHER_STARTS = _NUMBER_STARTS | {"", "<"}
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"-?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LONGEST_EXACT = len(oct(MAX_INTEGER))  # octal needs the most characters


class NumberOutOfRange(ValueError):
    """A number that is not finite, or whole and beyond 2^53."""


def is_plain_text(text: str) -> bool:
    """Return whether `text` is surely itself, in quotes and without, and no merge key."""
    return text[:1] not in _OTHER_STARTS and text.isascii() and text not in _WORDS


def resolve_scalar(text: str) -> str | int | float | bool | None:
    """Return the value of the plain scalar `text`. Raises `NumberOutOfRange`."""
    if text in _WORDS:
        return _finite(_WORDS[text])
    if text[0] not in _NUMBER_STARTS:
        return text
    if _INTEGER.fullmatch(text):
        return _exact(text, 10)
    if _BASED.fullmatch(text):
        return _exact(text, 0)
    if _FLOAT.fullmatch(text):
        return _finite(float(text))
    return text


def _exact(text: str, base: int) -> int:
    if base == 0:  # leading zeros have no meaning in hexadecimal and octal
        text = text[:2] + (text[2:].lstrip("0") or "0")
    # The length is checked first: parsing a million digits takes quadratic time.
    number = int(text, base) if len(text) <= _LONGEST_EXACT else None
    if number is None or abs(number) > MAX_INTEGER:
        raise NumberOutOfRange("a whole number beyond 2^53")
    return number


def _finite(number: float | None) -> float | None:
    if isinstance(number, float) and not math.isfinite(number):
        raise NumberOutOfRange("not a finite number")
    return number
